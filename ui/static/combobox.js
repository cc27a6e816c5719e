// Suggestions under the search box, after the ARIA pattern of an editable combobox with a list: arrows go through it,
// Enter takes one, Escape closes. The server writes the options; those of past searches are kept in this browser only.

const box = document.querySelector("[data-combobox]");
const form = document.getElementById("search-form");
const list = document.getElementById("suggestions");
const status = box.querySelector("[data-combobox-status]");
const KEPT = "snapseek.recent";
const MOST_KEPT = 20;
const MOST_SHOWN = 5;
const WAIT_MS = 120;

let asked = 0;
let timer = 0;
const input = () => document.getElementById("q");
const options = () => [...list.querySelectorAll("[role=option]")];
const active = () => list.querySelector("[aria-selected=true]");

function prepare() {
  const field = input();
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-expanded": "false", "aria-controls": "suggestions", "aria-autocomplete": "list",
  })) field.setAttribute(name, value);
  field.addEventListener("input", later);
  field.addEventListener("focus", later);
  field.addEventListener("blur", () => setTimeout(close, 150));
  field.addEventListener("keydown", keys);
}

function later() {
  clearTimeout(timer);
  timer = setTimeout(suggest, WAIT_MS);
}

function recent() {
  try {
    return JSON.parse(localStorage.getItem(KEPT)) ?? [];
  } catch {
    return [];
  }
}

function keep(text) {
  if (!text.trim()) return;
  try {
    localStorage.setItem(KEPT, JSON.stringify([text, ...recent().filter((one) => one !== text)].slice(0, MOST_KEPT)));
  } catch { /* a browser that keeps nothing */ }
}

function pastOptions(typed) {
  const start = typed.trim().toLowerCase();
  const fitting = recent().filter((text) => text.toLowerCase().startsWith(start) && text !== typed.trim());
  return fitting.slice(0, MOST_SHOWN).map((text) => {
    const option = document.createElement("li");
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.dataset.search = text;
    const what = Object.assign(document.createElement("span"), { className: "what" });
    what.textContent = box.dataset.recentTitle;
    const value = Object.assign(document.createElement("span"), { className: "value" });
    value.textContent = text;
    option.append(what, " ", value);
    return option;
  });
}

async function suggest() {
  const mine = ++asked;
  const field = input();
  const address = new URLSearchParams(new FormData(form));
  const answer = await fetch(`${document.documentElement.dataset.root}/suggest?${address}`, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (mine !== asked || document.activeElement !== field) return;
  list.innerHTML = answer?.ok ? await answer.text() : "";
  list.append(...pastOptions(field.value));
  options().forEach((option, number) => { option.id = `suggestion-${number}`; });
  if (options().length) open();
  else close();
}

function open() {
  list.hidden = false;
  input().setAttribute("aria-expanded", "true");
  status.textContent = status.dataset.text.replace("#", options().length);
}

function close() {
  asked++;
  clearTimeout(timer);
  list.hidden = true;
  list.replaceChildren();
  input().setAttribute("aria-expanded", "false");
  input().removeAttribute("aria-activedescendant");
  status.textContent = "";
}

function select(step) {
  const all = options();
  const old = active();
  const at = old ? all.indexOf(old) + step : step > 0 ? 0 : all.length - 1;
  old?.setAttribute("aria-selected", "false");
  const next = all[at];
  if (next) {
    next.setAttribute("aria-selected", "true");
    next.scrollIntoView({ block: "nearest" });
    input().setAttribute("aria-activedescendant", next.id);
  } else {
    input().removeAttribute("aria-activedescendant");
  }
}

function keys(event) {
  if (event.isComposing) return;
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) suggest().then(() => select(event.key === "ArrowDown" ? 1 : -1));
    else select(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && active()) {
    event.preventDefault();
    take(active());
  } else if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    close();
  } else if (event.key === "Tab") {
    close();
  }
}

function take(option) {
  const { url, text, search } = option.dataset;
  close();
  if (url && document.getElementById("results")) {
    htmx.ajax("GET", url, { target: "#results", swap: "innerHTML show:window:top" });
  } else if (url) {
    location.assign(url);
  } else {
    input().value = text ?? search;
    input().focus();
    if (search !== undefined) form.requestSubmit();
    else later();
  }
}

list.addEventListener("mousedown", (event) => event.preventDefault());
list.addEventListener("click", (event) => {
  const option = event.target.closest("[role=option]");
  if (option) take(option);
});
form.addEventListener("submit", () => {
  keep(input().value);
  close();
});

// An answer says what words are left in the box: terms among them are chips now. Who types on meanwhile keeps the words.
let sent = "";
document.addEventListener("htmx:beforeRequest", () => { sent = input().value; });
document.addEventListener("htmx:afterSwap", (event) => {
  const left = event.detail.target?.id === "results" && document.querySelector("[data-box]");
  if (left && input().value === sent) input().value = left.dataset.box;
});
prepare();
