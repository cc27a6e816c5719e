// One picture, large, over the list [data-viewer] that it is in: the same content as its own page, which the links lead to
// without JavaScript. Arrows and swipes go through the list; back, Escape or the button close it, and the focus returns.

const dialog = document.getElementById("viewer");
const body = document.getElementById("viewer-body");
const place = dialog.querySelector("[data-viewer-place]");
const SWIPE_PX = 50;

let link = null;
let touched = null;
const links = () => [...document.querySelectorAll("[data-viewer] a[data-large]")];

function show(next) {
  link = next;
  const all = links();
  const at = all.indexOf(link);
  place.textContent = place.dataset.text.replace("#", at + 1).replace("#", all.length);
  dialog.querySelector("[data-viewer-previous]").disabled = at === 0;
  dialog.querySelector("[data-viewer-next]").disabled = at === all.length - 1;
  if (at >= all.length - 4) document.querySelector("[data-more] a")?.click();
  history.replaceState({ viewer: true }, "", link.href);
  htmx.ajax("GET", link.getAttribute("href"), { target: body, swap: "innerHTML" }).then(() => {
    body.scrollTop = 0;
    // The small picture is here already and stands in for the large one until that is.
    const frame = body.querySelector("[data-frame] img");
    if (frame) frame.style.background = `0 0 / cover url("${link.querySelector("img").currentSrc}")`;
  });
}

function step(by) {
  const all = links();
  const next = all[all.indexOf(link) + by];
  if (next) show(next);
}

function open(first) {
  dialog.showModal();
  body.focus();
  history.pushState({ viewer: true }, "", first.href);
  show(first);
}

document.addEventListener("click", (event) => {
  const found = event.target.closest("[data-viewer] a[data-large]");
  if (!found || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  open(found);
});

// Ours comes before HTMX's own, which would fetch the list anew.
window.addEventListener("popstate", (event) => {
  if (!dialog.open) return;
  event.stopImmediatePropagation();
  dialog.close();
});
dialog.addEventListener("cancel", (event) => {
  event.preventDefault();
  history.back();
});
dialog.addEventListener("close", () => {
  body.replaceChildren();
  link?.focus();
});
dialog.querySelector("[data-viewer-close]").addEventListener("click", () => history.back());
dialog.querySelector("[data-viewer-previous]").addEventListener("click", () => step(-1));
dialog.querySelector("[data-viewer-next]").addEventListener("click", () => step(1));
dialog.addEventListener("click", (event) => event.target === dialog && history.back());
dialog.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea, select, [data-drawing]")) return;
  if (event.key === "ArrowLeft") step(-1);
  if (event.key === "ArrowRight") step(1);
});
body.addEventListener("touchstart", (event) => {
  const on = event.target.closest("[data-frame]:not([data-drawing])");
  touched = on && event.touches.length === 1 ? event.touches[0] : null;
}, { passive: true });
body.addEventListener("touchend", (event) => {
  if (!touched) return;
  const { clientX, clientY } = event.changedTouches[0];
  const [x, y] = [clientX - touched.clientX, clientY - touched.clientY];
  touched = null;
  if (Math.abs(x) > SWIPE_PX && Math.abs(x) > 2 * Math.abs(y)) step(x < 0 ? 1 : -1);
});
