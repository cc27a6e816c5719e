// The filters: they fold away on a narrow screen, stay as they were from answer to answer, and the years can be dragged.

const narrow = window.matchMedia("(max-width: 56rem)");
const unfolded = new Set();
const scrolled = new Map();
let opened = false;

function restore() {
  const drawer = document.querySelector("[data-drawer]");
  if (drawer) drawer.open = opened && narrow.matches;
  document.body.classList.toggle("drawer-open", Boolean(drawer?.open));
  for (const one of document.querySelectorAll("[data-keep-open]")) if (unfolded.has(nameOf(one))) one.open = true;
  for (const one of document.querySelectorAll("[data-keep-scroll]")) {
    one.scrollTop = scrolled.get(one.dataset.keepScroll) ?? 0;
  }
}

const nameOf = (details) => details.dataset.keepOpen || details.id;

// Events of <details> and of scrolling do not bubble, but they can be caught on their way down.
document.addEventListener("toggle", (event) => {
  const details = event.target;
  if (details.matches?.("[data-drawer]")) {
    if (narrow.matches) opened = details.open;
    document.body.classList.toggle("drawer-open", details.open && narrow.matches);
  } else if (details.matches?.("[data-keep-open]")) {
    if (details.open) unfolded.add(nameOf(details));
    else unfolded.delete(nameOf(details));
  }
}, true);
document.addEventListener("scroll", (event) => {
  const name = event.target.dataset?.keepScroll;
  if (name) scrolled.set(name, event.target.scrollTop);
}, true);
document.addEventListener("keydown", (event) => {
  const drawer = document.querySelector("[data-drawer][open]");
  if (event.key === "Escape" && drawer?.contains(document.activeElement) && narrow.matches) {
    drawer.open = false;
    drawer.querySelector("summary").focus();
  }
});
document.addEventListener("click", (event) => {
  const drawer = document.querySelector("[data-drawer][open]");
  if (drawer && narrow.matches && !event.target.closest("[data-drawer]")) drawer.open = false;
});
narrow.addEventListener("change", restore);
document.addEventListener("htmx:afterSwap", restore);
restore();

// The slider says what it stands at while it is moved.
document.addEventListener("input", (event) => {
  const form = event.target.closest?.("[data-least]");
  if (!form) return;
  const output = form.querySelector("output");
  const value = event.target.value;
  const text = value === "0" ? output.dataset.usual : output.dataset.text.replace("#", value);
  output.textContent = text;
  event.target.setAttribute("aria-valuetext", text);
});

// Years: a drag over the bars fills the two fields below and sends their form; a click takes one year.
let dragged = null;

function yearAt(svg, event) {
  const bars = [...svg.querySelectorAll("g")];
  const { left, width } = svg.getBoundingClientRect();
  const place = Math.floor(((event.clientX - left) / width) * bars.length);
  return Number(bars[Math.min(bars.length - 1, Math.max(0, place))].dataset.year);
}

function paint(svg, from, to) {
  for (const bar of svg.querySelectorAll("g")) {
    const year = Number(bar.dataset.year);
    bar.classList.toggle("within", Math.min(from, to) <= year && year <= Math.max(from, to));
  }
}

document.addEventListener("pointerdown", (event) => {
  const svg = event.target.closest?.("[data-histogram]");
  if (!svg || event.button !== 0) return;
  event.preventDefault();
  svg.setPointerCapture(event.pointerId);
  dragged = { svg, from: yearAt(svg, event) };
  paint(svg, dragged.from, dragged.from);
});
document.addEventListener("pointermove", (event) => {
  if (dragged) paint(dragged.svg, dragged.from, yearAt(dragged.svg, event));
});
document.addEventListener("pointerup", (event) => {
  if (!dragged) return;
  const { svg, from } = dragged;
  const to = yearAt(svg, event);
  dragged = null;
  const form = svg.parentElement.querySelector("[data-histogram-form]");
  form.elements.year_from.value = Math.min(from, to);
  form.elements.year_to.value = Math.max(from, to);
  form.requestSubmit();
});
document.addEventListener("pointercancel", () => { dragged = null; });
