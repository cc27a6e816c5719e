// The review queue [data-reviews] by keys: a approves, r rejects the picture that has the focus; then the next one has it.

let next = null;

document.addEventListener("keydown", (event) => {
  if (event.target.closest("input, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const review = event.target.closest("[data-reviews] > li");
  const button = review?.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
  if (!button) return;
  event.preventDefault();
  next = review.nextElementSibling ?? review.previousElementSibling;
  button.click();
});
document.addEventListener("htmx:afterSettle", (event) => {
  if (!event.detail.elt.closest?.("[data-reviews]")) return;
  (next ?? event.detail.elt).querySelector("summary")?.focus();
  next = null;
});
