// A large view over a list marked [data-lightbox]: its links lead to the picture's page without JavaScript.
// Arrow keys go through the list, Escape or the button closes, and the focus goes back to where one was.

const dialog = document.createElement("dialog");
dialog.className = "lightbox";
dialog.setAttribute("aria-label", "Picture");

function element(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

const picture = element("img", { alt: "" });
const caption = element("p", { className: "caption" });
const why = element("p", { className: "why" });
const place = element("p", { className: "place" });
const page = element("a", { className: "button", textContent: "Tags and details" });
const previous = element("button", { type: "button", className: "previous", textContent: "‹", title: "Previous (←)" });
const next = element("button", { type: "button", className: "next", textContent: "›", title: "Next (→)" });
const close = element("button", { type: "button", className: "close", textContent: "×", title: "Close (Esc)" });
previous.setAttribute("aria-label", "Previous picture");
next.setAttribute("aria-label", "Next picture");
close.setAttribute("aria-label", "Close");
place.setAttribute("aria-live", "polite");

const about = element("div", { className: "about" });
about.append(caption, why, place, page);
dialog.append(close, previous, picture, next, about);
document.body.append(dialog);

let links = [];
let index = 0;

function show(position) {
  index = (position + links.length) % links.length;
  const link = links[index];
  picture.src = link.dataset.large;
  picture.alt = link.querySelector("img").alt || link.dataset.caption;
  caption.textContent = link.dataset.caption;
  why.textContent = link.dataset.why;
  place.textContent = `${index + 1} of ${links.length} on this page`;
  page.href = link.href;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("[data-lightbox] a[data-large]");
  if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  links = [...link.closest("[data-lightbox]").querySelectorAll("a[data-large]")];
  show(links.indexOf(link));
  dialog.showModal();
});

previous.addEventListener("click", () => show(index - 1));
next.addEventListener("click", () => show(index + 1));
close.addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
dialog.addEventListener("keydown", (event) => {
  if (event.key === "ArrowLeft") show(index - 1);
  if (event.key === "ArrowRight") show(index + 1);
});
dialog.addEventListener("close", () => {
  picture.removeAttribute("src");
  links[index]?.focus();
});
