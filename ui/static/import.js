// Pictures are brought in from [data-takes-files]: chosen, or dropped with whole folders. They are sent a few at a time,
// and each tells how far it is, from this browser to the library. Without JavaScript the form sends them itself.

const BASE = document.documentElement.dataset.root;
const form = document.querySelector("[data-takes-files]");
const [files, folder] = form.querySelectorAll("input[type=file]");
const progress = document.querySelector("[data-import-progress]");
const bar = progress.querySelector("progress");
const list = progress.querySelector("[data-import-list]");
const summary = progress.querySelector("[data-import-summary]");
// By its name; one without an ending may be anything, and the server looks.
const PICTURE = /(\.(jpe?g|jpe|mpo|png|webp|gif|tiff?|avif|heic|heif|hif|bmp)|^[^.]*|\/[^./]*)$/i;
const MOST_FILES = 16;
const MOST_BYTES = 48 * 2 ** 20;
const LOOK_MS = 700;
const ENDED = new Set(["done", "known", "rejected", "failed"]);

const rows = [];
let sending = Promise.resolve();

function row(file, name) {
  const item = document.createElement("li");
  item.className = "item open";
  const state = Object.assign(document.createElement("span"), { className: "item-state" });
  const title = Object.assign(document.createElement("span"), { textContent: name });
  const reason = Object.assign(document.createElement("span"), { className: "item-reason" });
  item.append(title, " ", state, " ", reason);
  list.append(item);
  const one = { file, name, item, title, state, reason, status: "" };
  rows.push(one);
  return one;
}

function tell(one, status, why = "", id = "") {
  if (one.status !== status) {
    one.status = status;
    one.state.textContent = form.dataset[status];
    one.item.className = `item ${ENDED.has(status) ? status : "open"}`;
    if (id && (status === "done" || status === "known")) {
      const link = Object.assign(document.createElement("a"), { href: `${BASE}/images/${id}`, textContent: one.name });
      one.title.replaceWith(link);
      one.title = link;
    }
    if (status === "rejected" || status === "failed") list.prepend(one.item);
  }
  one.reason.textContent = why;
  const ended = rows.filter((each) => ENDED.has(each.status));
  const bad = ended.filter((each) => each.status === "rejected" || each.status === "failed").length;
  bar.value = ended.length / rows.length;
  const numbers = [ended.length - bad, rows.length, bad];
  summary.textContent = form.dataset.summary.replace(/#/g, () => numbers.shift());
}

function send(batch) {
  return new Promise((done) => {
    const body = new FormData();
    for (const one of batch) body.append("file", one.file, one.name);
    const request = new XMLHttpRequest();
    request.open("POST", `${BASE}/v1/images`);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => {
      for (const one of batch) one.state.textContent = `${form.dataset.sending} ${Math.round((100 * loaded) / total)} %`;
    };
    request.onloadend = () => done(request);
    request.send(body);
  });
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

async function bring(batch) {
  for (const one of batch) tell(one, "sending");
  let request = await send(batch);
  while (request.status === 429) {
    await pause(1000 * Math.min(60, Number(request.getResponseHeader("Retry-After")) || 5));
    request = await send(batch);
  }
  if (request.status !== 202) {
    for (const one of batch) tell(one, "failed", request.response?.detail ?? `${request.status || ""}`);
    return;
  }
  update(batch, request.response.images);
  follow(batch, request.response.job);
}

function update(batch, images) {
  images.forEach((image, at) => tell(batch[at], image.status, image.reason ?? "", image.id));
}

async function follow(batch, job) {
  while (batch.some((one) => !ENDED.has(one.status))) {
    await pause(LOOK_MS);
    const answer = await fetch(`${BASE}/v1/jobs/${job}`).catch(() => null);
    if (answer?.ok) update(batch, (await answer.json()).images);
  }
}

function take(found) {
  progress.hidden = false;
  const batches = [[]];
  let bytes = 0;
  for (const { file, name } of found) {
    const one = row(file, name);
    if (!file.type.startsWith("image/") && !PICTURE.test(name)) {
      tell(one, "rejected", form.dataset.noPicture);
      continue;
    }
    tell(one, "waiting");
    if (batches.at(-1).length === MOST_FILES || (batches.at(-1).length && bytes + file.size > MOST_BYTES)) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1).push(one);
    bytes += file.size;
  }
  for (const batch of batches) if (batch.length) sending = sending.then(() => bring(batch));
}

async function within(entry, path = "") {
  if (entry.isFile) {
    const file = await new Promise((done, failed) => { entry.file(done, failed); }).catch(() => null);
    return file && !file.name.startsWith(".") ? [{ file, name: path + file.name }] : [];
  }
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((done, failed) => { reader.readEntries(done, failed); }).catch(() => []);
    if (!some.length) return found;
    for (const one of some) found.push(...await within(one, `${path}${entry.name}/`));
  }
}

document.addEventListener("dragover", (event) => {
  event.preventDefault();
  form.classList.add("over");
});
document.addEventListener("dragleave", (event) => event.relatedTarget === null && form.classList.remove("over"));
document.addEventListener("drop", async (event) => {
  event.preventDefault();
  form.classList.remove("over");
  // Entries have to be asked for before the first pause: afterwards they are gone.
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const loose = [...event.dataTransfer.files].map((file) => ({ file, name: file.name }));
  const found = [];
  for (const entry of entries) found.push(...await within(entry));
  take(entries.length ? found : loose);
});
files.addEventListener("change", () => {
  take([...files.files].map((file) => ({ file, name: file.name })));
  files.value = "";
});
folder.addEventListener("change", () => {
  take([...folder.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })));
  folder.value = "";
});
for (const part of document.querySelectorAll("[data-import-drop], [data-import-folder]")) part.hidden = false;
form.querySelector("button").hidden = true;
