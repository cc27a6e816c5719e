// Lights up the box of a tag in [data-boxes] while its link [data-box] is pointed at or has the focus.

const boxes = document.querySelector("[data-boxes]");

function light(event, on) {
  const tag = event.target.closest?.("a[data-box]");
  if (!boxes || !tag) return;
  boxes.classList.toggle("lit", on);
  boxes.querySelector(`rect[data-box="${tag.dataset.box}"]`)?.classList.toggle("lit", on);
}

for (const [start, end] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
  document.addEventListener(start, (event) => light(event, true));
  document.addEventListener(end, (event) => light(event, false));
}
