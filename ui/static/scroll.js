// More pictures come in before the end of the list is reached, and the address is that of the page in sight, so that a
// reload or a link leads there. After some pages the rest is asked for by hand: whoever wants the foot gets to it.

const BY_THEMSELVES = 5;
let fetched = 0;

const near = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    if (entry.isIntersecting && fetched < BY_THEMSELVES) {
      fetched++;
      near.unobserve(entry.target);
      entry.target.querySelector("a").click();
    }
  }
}, { rootMargin: "900px 0px" });

let waiting = false;
function follow() {
  waiting = false;
  if (document.querySelector("dialog[open]")) return;
  const marks = [...document.querySelectorAll("[data-scroll] [data-page]")];
  if (marks.length < 2) return;
  // A mark has no place of its own; the picture before it does.
  const passed = marks.filter((mark) => mark.previousElementSibling.getBoundingClientRect().top < innerHeight / 2);
  const atTheEnd = scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
  const address = (atTheEnd ? marks.at(-1) : passed.at(-1) ?? marks[0]).dataset.page;
  if (address !== location.pathname + location.search) history.replaceState(history.state, "", address);
}
document.addEventListener("scroll", () => {
  if (!waiting) requestAnimationFrame(follow);
  waiting = true;
}, { passive: true });

function watch() {
  const more = document.querySelector("[data-more]");
  if (more) near.observe(more);
}
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "results") fetched = 0;
  watch();
});
watch();
