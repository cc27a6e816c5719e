// A part of a picture to search by: while [data-part] is unfolded, it can be drawn on the picture. The fields of its form
// say the same in numbers, and are the way without a pointer.

const SIDES = ["x", "y", "width", "height"];
let drawing = null;

const formOf = (image) => image.querySelector("[data-part] form");

function numbers(form) {
  return SIDES.map((side) => Number(form.elements[side].value));
}

function draw(image) {
  const svg = image.querySelector("[data-drawn]");
  numbers(formOf(image)).forEach((value, at) => svg.firstChild.setAttribute(SIDES[at], value));
}

document.addEventListener("toggle", (event) => {
  const part = event.target;
  if (!part.matches?.("[data-part]")) return;
  const image = part.closest("[data-image]");
  const frame = image.querySelector("[data-frame]");
  frame.querySelector("[data-drawn]")?.remove();
  frame.toggleAttribute("data-drawing", part.open);
  part.querySelector("[data-part-help]").hidden = !part.open;
  if (!part.open) return;
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({
    class: "drawn", viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true", "data-drawn": "",
  })) svg.setAttribute(name, value);
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("vector-effect", "non-scaling-stroke");
  svg.append(rect);
  frame.append(svg);
  draw(image);
}, true);

document.addEventListener("input", (event) => {
  if (event.target.closest?.("[data-part]")) draw(event.target.closest("[data-image]"));
});

function at(frame, event) {
  const { left, top, width, height } = frame.querySelector("img").getBoundingClientRect();
  const within = (value) => Math.min(100, Math.max(0, value * 100));
  return [within((event.clientX - left) / width), within((event.clientY - top) / height)];
}

document.addEventListener("pointerdown", (event) => {
  const frame = event.target.closest?.("[data-drawing]");
  if (!frame || event.button !== 0) return;
  event.preventDefault();
  frame.setPointerCapture(event.pointerId);
  drawing = { frame, from: at(frame, event) };
});
document.addEventListener("pointermove", (event) => {
  if (!drawing) return;
  const { frame, from } = drawing;
  const to = at(frame, event);
  const image = frame.closest("[data-image]");
  const box = [
    Math.min(from[0], to[0]), Math.min(from[1], to[1]), Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1]),
  ];
  SIDES.forEach((side, place) => { formOf(image).elements[side].value = box[place].toFixed(1); });
  draw(image);
});
for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => { drawing = null; });
