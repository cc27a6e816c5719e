// A picture is looked at by a worker in this browser: only its vector is sent, and only when one asks for pictures like it.

const BASE = document.documentElement.dataset.root;
const form = document.querySelector("[data-look]");
const input = form.querySelector("input[type=file]");
const button = form.querySelector("button");
const status = form.querySelector("[data-look-status]");
const figure = form.querySelector("[data-look-picture]");
const list = form.querySelector("[data-look-objects]");
const worker = new Worker(`${BASE}/browser/look-worker.js`, { type: "module" });

let number = 0;
let seen = null;
form.hidden = false;

function boxed(found) {
  const frame = figure.querySelector("[data-frame]");
  frame.querySelector("svg")?.remove();
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({
    class: "boxes", viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true",
  })) svg.setAttribute(name, value);
  for (const { box: [top, left, bottom, right] } of found) {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [name, value] of Object.entries({
      x: left, y: top, width: right - left, height: bottom - top, "vector-effect": "non-scaling-stroke",
    })) rect.setAttribute(name, value);
    svg.append(rect);
  }
  frame.append(svg);
}

function told(found) {
  list.replaceChildren(...found.map(({ label, score }) => {
    const item = document.createElement("li");
    item.className = "chip";
    item.textContent = `${label} ${Math.round(100 * score)} %`;
    return item;
  }));
}

worker.addEventListener("message", ({ data }) => {
  if (data.number !== number) return;
  if (data.error) {
    status.textContent = form.dataset.failed.replace("#", data.error);
    return;
  }
  seen = { vector: data.vector, space: data.space };
  const numbers = [(data.milliseconds / 1000).toFixed(1), Math.round(data.memory / 1e6)];
  status.textContent = form.dataset.done.replace(/#/g, () => numbers.shift());
  if (!data.objects.length) status.textContent += ` ${form.dataset.nothing}`;
  status.dataset.milliseconds = Math.round(data.milliseconds);
  boxed(data.objects);
  told(data.objects);
  button.disabled = false;
});
worker.addEventListener("error", (event) => {
  status.textContent = form.dataset.failed.replace("#", event.message || "the worker did not start");
});

input.addEventListener("change", () => {
  const [file] = input.files;
  if (!file) return;
  seen = null;
  button.disabled = true;
  number++;
  const image = figure.querySelector("img");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  figure.hidden = false;
  boxed([]);
  told([]);
  status.textContent = form.dataset.loading;
  worker.postMessage({ number, file });
});

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!seen) return;
  const answer = await fetch(`${BASE}/look`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(seen),
  });
  const body = await answer.json();
  if (answer.ok) location.assign(body.url);
  else status.textContent = form.dataset.failed.replace("#", body.detail);
});
