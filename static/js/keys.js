// The game by keyboard: a digit or letter chooses, Space or M shows more, Enter guesses, N goes on.
// Single keys can be switched off (WCAG 2.1.4), for people who speak to their computer.

const STORED = "layerplay-keys";
const isOn = () => localStorage.getItem(STORED) !== "off";

function isTyping(target) {
  return target.matches("input[type=text], textarea, select, [contenteditable]");
}

function show(root) {
  for (const hint of root.querySelectorAll("[data-keys]")) {
    const toggle = hint.querySelector("[data-keys-switch]");
    hint.hidden = !toggle && !isOn();
    if (toggle) toggle.checked = isOn();
  }
}

function press(id) {
  const button = document.getElementById(id);
  if (!button || button.disabled) return false;
  button.click();
  return true;
}

function act(event) {
  const key = event.key.toLowerCase();
  const target = event.target;
  const isControl = target.matches("button, a, summary, input, label");
  if (key === "enter") return !isControl && (press("next") || press("guess"));
  if (key === "n") return press("next");
  if (key === "m") return press("more");
  // Space on a button or checkbox is that control's own; on a chosen answer it does nothing.
  if (key === " ") return (!isControl || target.matches("[type=radio]:checked")) && press("more");
  const choice = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
  if (!choice) return false;
  choice.checked = true;
  choice.focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  if (!isOn() || isTyping(event.target)) return;
  if (act(event)) event.preventDefault();
});

document.addEventListener("change", (event) => {
  if (!event.target.matches("[data-keys-switch]")) return;
  localStorage.setItem(STORED, event.target.checked ? "on" : "off");
});

document.addEventListener("htmx:after:swap", () => show(document));
show(document);
