// One field for words that grows: Enter in a filled field opens the next, in an empty one it sends.
// Without this script all fields are there at once.

function fieldsOf(set) {
  return [...set.querySelectorAll("input[name=label]")];
}

function refresh(set) {
  const fields = fieldsOf(set);
  const last = fields.findLastIndex((field) => field.value.trim() || field === document.activeElement);
  fields.forEach((field, i) => {
    field.hidden = i > Math.max(last, 0);
    field.classList.toggle("is-filled", field.value.trim() !== "");
  });
}

function start(root) {
  for (const set of root.querySelectorAll("[data-labels]")) {
    set.querySelector(".labels__keys").hidden = false;
    refresh(set);
  }
}

document.addEventListener("keydown", (event) => {
  const field = event.target;
  const set = field.closest("[data-labels]");
  if (!set || field.name !== "label" || event.isComposing) return;
  const fields = fieldsOf(set);
  const at = fields.indexOf(field);
  const next = fields[at + 1];
  if (event.key === "Enter" && field.value.trim() && next) {
    event.preventDefault();
    next.hidden = false;
    next.focus();
  } else if (event.key === "Backspace" && !field.value && at > 0) {
    event.preventDefault();
    fields[at - 1].focus();
  }
});

for (const type of ["focusin", "focusout", "input"]) {
  document.addEventListener(type, (event) => {
    const set = event.target.closest?.("[data-labels]");
    // After the event, so that document.activeElement is the field that has the focus now.
    if (set) setTimeout(() => refresh(set));
  });
}

document.addEventListener("htmx:after:swap", () => start(document));
start(document);
