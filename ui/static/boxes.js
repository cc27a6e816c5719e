// Lights up the box of a tag in [data-boxes] while its link [data-box] is pointed at or has the focus, and the link of a
// box that is pointed at.

function light(event, on) {
  const one = event.target.closest?.("[data-box]");
  const image = one?.closest("[data-image]");
  if (!image) return;
  image.querySelector("[data-boxes]")?.classList.toggle("lit", on);
  for (const other of image.querySelectorAll(`[data-box="${one.dataset.box}"]`)) other.classList.toggle("lit", on);
}

for (const [start, end] of [["mouseover", "mouseout"], ["focusin", "focusout"]]) {
  document.addEventListener(start, (event) => light(event, true));
  document.addEventListener(end, (event) => light(event, false));
}
