// The moderation queue by keyboard: J and K go, X ticks, H hides, D dismisses, W warns, U takes back.
// Single keys can be switched off (WCAG 2.1.4), as in the game.

const STORED = "layerplay-keys";
const queue = document.querySelector("[data-queue]");
const cases = [...document.querySelectorAll("[data-case]")];
const isOn = () => localStorage.getItem(STORED) !== "off";

function at() {
  return cases.indexOf(document.activeElement?.closest("[data-case]"));
}

function go(step) {
  const next = cases[Math.min(cases.length - 1, Math.max(0, at() + step))];
  next?.focus();
  next?.scrollIntoView({ block: "nearest" });
}

function tick() {
  const box = cases[at()]?.querySelector("[name=round_id]");
  if (box) box.checked = !box.checked;
}

// What is ticked, or else the round at hand.
function press(selector) {
  if (!queue) return;
  if (!queue.querySelector("[data-case] :checked")) {
    if (at() < 0) return;
    tick();
  }
  queue.querySelector(selector).click();
}

const KEYS = {
  j: () => go(1),
  k: () => go(-1),
  x: tick,
  h: () => press("[data-hide]"),
  d: () => press("[data-dismiss]"),
  w: () => press("[data-warn]"),
  u: () => document.querySelector("[data-undo]")?.click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
  if (!isOn() || event.target.matches("input[type=text], textarea, select")) return;
  const act = KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});

for (const hint of document.querySelectorAll("[data-keys]")) {
  hint.hidden = false;
  const box = hint.querySelector("[data-keys-switch]");
  box.checked = isOn();
  box.addEventListener("change", () => localStorage.setItem(STORED, box.checked ? "on" : "off"));
}
