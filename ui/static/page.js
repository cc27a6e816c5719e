// What every page needs: menus that close by themselves, the address to share, the way back from the settings.

const menus = () => document.querySelectorAll("details[data-menu][open], details.weights[open]");

document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    const inside = menu.contains(document.activeElement);
    menu.open = false;
    if (inside) menu.querySelector("summary").focus();
  }
});

// The address changes with every answer that HTMX puts into the page; the settings come back to the last one.
document.addEventListener("submit", (event) => {
  const here = event.target.querySelector?.("[data-here]");
  if (here) here.value = location.pathname + location.search;
});

function offerLinks() {
  for (const button of document.querySelectorAll("[data-copy-link]")) button.hidden = !navigator.clipboard;
}
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy-link]");
  if (!button) return;
  await navigator.clipboard.writeText(location.href);
  button.textContent = button.dataset.done;
});
offerLinks();
document.addEventListener("htmx:afterSwap", offerLinks);
