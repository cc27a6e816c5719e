// A step of the search (a filter, a chip, an order) changes the results in place; without JavaScript it is a plain link.
// One listener for all: hx-boost would prepare each of some hundred links while the page loads.

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link?.closest("[data-steps], [data-plain]")?.matches("[data-steps]")) return;
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  htmx.ajax("GET", link.getAttribute("href"), { source: link });
});
