// After a part of the page was replaced: puts the focus where the reader goes on. Shows and clears
// messages, also the one for a server that cannot be reached.

// The way on stands where the button just pressed stood: the second half of a double tap on "Guess"
// must not press "Next round" and skip the answer.
const DOUBLE_TAP_MS = 400;

function rest(button) {
  if (!button) return;
  button.inert = true;
  setTimeout(() => {
    button.inert = false;
  }, DOUBLE_TAP_MS);
}

// A button loses the focus while its request is under way, because it is disabled then.
let pressed = "";
document.addEventListener("htmx:config:request", () => {
  pressed = document.activeElement?.id ?? "";
});

document.addEventListener("htmx:after:swap", (event) => {
  const target = event.detail.ctx.target;
  const id = target?.id ?? target?.replace?.("#", "");
  if (id === "round") {
    const title = document.getElementById("round-title");
    title?.focus({ preventScroll: true });
    rest(document.getElementById("next"));
    rest(document.getElementById("guess"));
    document.getElementById("round")?.scrollIntoView({ block: "start" });
  } else if (id === "stage") {
    document.getElementById("message").replaceChildren();
    if (document.activeElement !== document.body || !pressed) return;
    // Back to the button, or on to the answers when this was the last step and it is gone.
    const next = document.getElementById(pressed) ?? document.querySelector("[name=class_id]");
    next?.focus({ preventScroll: true });
  } else if (id === "coach") {
    // The button that was pressed is gone with it.
    document.getElementById("round-title")?.focus({ preventScroll: true });
  } else if (id === "message") {
    document.getElementById("message").scrollIntoView({ block: "nearest" });
  }
});

// "Choose what you think it is" has been done.
document.addEventListener("change", (event) => {
  if (event.target.name === "class_id") document.getElementById("message").replaceChildren();
});

// What did not get through, to be sent again. What only fetches ahead fails without a word.
let failed = null;
document.addEventListener("htmx:error", (event) => {
  const source = event.detail.ctx?.sourceElement;
  if (source?.matches("[data-quiet]")) return;
  failed = source;
  const words = document.querySelector("[data-offline]");
  document.getElementById("message")?.replaceChildren(words.content.cloneNode(true));
});

document.addEventListener("click", (event) => {
  if (!event.target.matches("[data-retry]")) return;
  document.getElementById("message").replaceChildren();
  if (failed?.matches("form")) failed.requestSubmit();
  else failed?.click();
});
