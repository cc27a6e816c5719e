// Folds the filters [data-drawer] where the screen is narrow, and leaves them as the person last had them.

const narrow = window.matchMedia("(max-width: 48rem)");
let opened = false;

function fold() {
  const drawer = document.querySelector("[data-drawer]");
  if (!drawer) return;
  drawer.open = narrow.matches ? opened : true;
  drawer.addEventListener("toggle", () => {
    if (narrow.matches) opened = drawer.open;
  });
}

fold();
narrow.addEventListener("change", fold);
document.addEventListener("htmx:afterSwap", fold);
