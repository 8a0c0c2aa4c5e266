// Listens to the signs of workers, and passes each on as an event "sign" for the parts of the page
// that show how far they are. Those ask every few seconds all the same, so without signs, or without
// this script, the page is only slower.
// (Not htmx's own extension for this: htmx may look for its attributes before it has arrived.)

const place = document.querySelector("[data-signs]");
let source = null;

function listen() {
  source = new EventSource(place.dataset.signs);
  source.addEventListener("sign", () => htmx.trigger(place, "sign"));
}

// A browser keeps few connections to a server open: none of them for a page that nobody sees.
function listenWhileSeen() {
  if (document.hidden) source?.close();
  else if (!source || source.readyState === EventSource.CLOSED) listen();
}

if (place) {
  document.addEventListener("visibilitychange", listenWhileSeen);
  listenWhileSeen();
}
