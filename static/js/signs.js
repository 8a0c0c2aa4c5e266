// Listens to the server's signs (that workers have come further, that a partner has come), and passes
// each on as an event "sign" for the parts of the page that show it. Those ask every few seconds all
// the same, so without signs, or without this script, the page is only slower.
// (Not htmx's own extension for this: htmx may look for its attributes before it has arrived.)

let place = null;
let source = null;

// A browser keeps few connections to a server open: none of them for a page that nobody sees.
function listen() {
  const found = document.querySelector("[data-signs]");
  if (found !== place || document.hidden) {
    source?.close();
    source = null;
  }
  place = found;
  if (!place || document.hidden || (source && source.readyState !== EventSource.CLOSED)) return;
  source = new EventSource(place.dataset.signs);
  source.addEventListener("sign", () => htmx.trigger(place, "sign"));
}

document.addEventListener("visibilitychange", listen);
document.addEventListener("htmx:after:swap", listen);
listen();
