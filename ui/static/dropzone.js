// Search by a picture that is dropped on the page, pasted, or chosen: each only fills the file field of
// [data-dropzone-form] and submits it, so that the way without JavaScript is the same. What is asked already stays.

const form = document.querySelector("[data-dropzone-form]");
const field = form.querySelector("input[type=file]");

function look(files) {
  const pictures = [...files].filter((file) => file.type.startsWith("image/"));
  if (pictures.length === 0) return false;
  const chosen = new DataTransfer();
  chosen.items.add(pictures[0]);
  field.files = chosen.files;
  send();
  return true;
}

function send() {
  form.elements.typed.value = document.getElementById("q").value;
  form.requestSubmit();
}

// A page that takes files itself, such as the import, has a place of its own for them.
const isOurs = (event) =>
  [...(event.dataTransfer?.types ?? [])].includes("Files") && !document.querySelector("[data-takes-files]");
const zone = document.querySelector("[data-dropzone]");

zone.addEventListener("dragover", (event) => {
  if (!isOurs(event)) return;
  event.preventDefault();
  zone.classList.add("dropping");
});
zone.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) zone.classList.remove("dropping");
});
zone.addEventListener("drop", (event) => {
  if (!isOurs(event)) return;
  event.preventDefault();
  zone.classList.remove("dropping");
  look(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (look(event.clipboardData.files)) event.preventDefault();
});

field.addEventListener("change", () => field.files.length && send());
