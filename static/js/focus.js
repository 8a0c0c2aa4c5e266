// After a part of the page was replaced: puts the focus where the reader goes on. Shows and clears
// messages, also the one for a server that cannot be reached.

document.addEventListener("htmx:after:swap", (event) => {
  const target = event.detail.ctx.target;
  const id = target?.id ?? target?.replace?.("#", "");
  if (id === "round") {
    const title = document.getElementById("round-title");
    title?.focus({ preventScroll: true });
    document.getElementById("round")?.scrollIntoView({ block: "start" });
  } else if (id === "stage" && !document.getElementById("more")) {
    // The button that had the focus is gone: this was the last step.
    document.querySelector("[name=class_id]")?.focus({ preventScroll: true });
  } else if (id === "message") {
    document.getElementById("message").scrollIntoView({ block: "nearest" });
  }
});

// "Choose what you think it is" has been done.
document.addEventListener("change", (event) => {
  if (event.target.name === "class_id") document.getElementById("message").replaceChildren();
});

document.addEventListener("htmx:error", () => {
  const words = document.querySelector("[data-offline]");
  document.getElementById("message")?.replaceChildren(words.content.cloneNode(true));
});
