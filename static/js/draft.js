// What is chosen and typed in a round outlives a reload, another language and a look elsewhere: the
// tab keeps it until the round is answered. Without this script it is lost.

const PREFIX = "draft ";

function read(form) {
  const data = new FormData(form);
  return {
    class_id: data.get("class_id"),
    labels: [...form.querySelectorAll("input[name=label]")].map((field) => field.value),
    nothing: data.has("nothing"),
  };
}

// Of the round on the page; what was kept of any other is of no use any more.
function keyOf(form) {
  const key = PREFIX + new URL(form.action).pathname;
  for (const old of Object.keys(sessionStorage)) {
    if (old.startsWith(PREFIX) && old !== key) sessionStorage.removeItem(old);
  }
  return key;
}

// Only what is missing: a browser that goes back brings the choice along, but no words.
function restore(form) {
  const kept = sessionStorage.getItem(keyOf(form));
  if (!kept) return;
  const draft = JSON.parse(kept);
  const now = read(form);
  const choice = form.querySelector(`input[name=class_id][value="${Number(draft.class_id)}"]`);
  if (choice && !now.class_id) choice.checked = true;
  if (now.labels.some((text) => text.trim())) return;
  form.querySelectorAll("input[name=label]").forEach((field, i) => {
    field.value = draft.labels[i] ?? "";
    if (field.value) field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const nothing = form.querySelector("input[name=nothing]");
  nothing.checked = draft.nothing;
  nothing.dispatchEvent(new Event("change", { bubbles: true }));
}

for (const type of ["input", "change"]) {
  document.addEventListener(type, (event) => {
    const form = event.target.closest?.("#answer");
    if (form) sessionStorage.setItem(keyOf(form), JSON.stringify(read(form)));
  });
}

function start() {
  const form = document.getElementById("answer");
  if (form) restore(form);
}

document.addEventListener("htmx:after:swap", start);
// A page that comes back from the browser's own memory may have lost its fields.
window.addEventListener("pageshow", start);
