// One field for words that grows: each that is filled brings the next one. Enter in a filled field
// goes there, in an empty one it sends. Without this script all fields are there at once.

function fieldsOf(set) {
  return [...set.querySelectorAll("input[name=label]")];
}

// Whoever says that there is nothing to name has no words for it: what was typed stays, unsent.
function refreshNothing(set) {
  const isNothing = set.querySelector("[name=nothing]").checked;
  for (const field of fieldsOf(set)) field.disabled = isNothing;
}

// Fields only appear, they never go away again: one that hid when it lost the focus would move the
// "Guess" button from under the very finger that took the focus from it. The next one comes by
// itself: a telephone's keyboard has no Enter that a page is told of, and a mouse has none at all.
function refresh(set) {
  const fields = fieldsOf(set);
  fields.forEach((field, i) => {
    const isFilled = field.value.trim() !== "";
    if (isFilled || field === document.activeElement) field.hidden = false;
    if (isFilled && fields[i + 1]) fields[i + 1].hidden = false;
    field.classList.toggle("is-filled", isFilled);
  });
}

function start(root) {
  for (const set of root.querySelectorAll("[data-labels]")) {
    set.querySelector(".labels__keys").hidden = false;
    fieldsOf(set).forEach((field, i) => {
      field.hidden = i > 0;
    });
    refresh(set);
    refreshNothing(set);
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

// The server is told which words were pasted: those say nothing about what was seen.
document.addEventListener("paste", (event) => {
  const field = event.target;
  const set = field.closest?.("[data-labels]");
  if (!set || field.name !== "label") return;
  setTimeout(() => {
    const told = document.createElement("input");
    Object.assign(told, { type: "hidden", name: "pasted", value: field.value });
    set.append(told);
  });
});

for (const type of ["focusin", "input"]) {
  document.addEventListener(type, (event) => {
    const set = event.target.closest?.("[data-labels]");
    // After the event, so that document.activeElement is the field that has the focus now.
    if (set) setTimeout(() => refresh(set));
  });
}

document.addEventListener("change", (event) => {
  const set = event.target.closest?.("[data-labels]");
  if (set && event.target.name === "nothing") refreshNothing(set);
});

document.addEventListener("htmx:after:swap", () => start(document));
start(document);
