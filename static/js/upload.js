// Files are sent bit by bit, with how far that has come; pictures also by dropping them, folders with
// their names. Without this script the form sends all at once.

const BATCH_BYTES = 32_000_000;
const BATCH_FILES = 100;

function megabytes(bytes) {
  return (bytes / 1e6).toLocaleString(undefined, { maximumFractionDigits: 1 });
}

// The files of what was dropped, folders included, each with its path.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  const walk = async (entry) => {
    if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      found.push({ file, path: entry.fullPath.replace(/^\//, "") });
      return;
    }
    const reader = entry.createReader();
    // A reader gives a hundred at a time, and an empty list in the end.
    for (;;) {
      const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!some.length) return;
      for (const one of some) await walk(one);
    }
  };
  for (const entry of entries) await walk(entry);
  return found;
}

function isJunk(path) {
  return path.split("/").some((part) => part.startsWith(".") || part === "Thumbs.db");
}

function batches(files) {
  const made = [];
  let bytes = Infinity;
  for (const one of files) {
    if (bytes + one.file.size > BATCH_BYTES || made.at(-1).length >= BATCH_FILES) {
      made.push([]);
      bytes = 0;
    }
    made.at(-1).push(one);
    bytes += one.file.size;
  }
  return made;
}

// One request. Resolves with the answer's text and address; rejects with a sentence.
function send(address, data, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status < 400) return resolve(request);
      const page = new DOMParser().parseFromString(request.responseText, "text/html");
      reject(page.querySelector(".notice")?.textContent.trim() || "The server did not take it.");
    });
    request.addEventListener("error", () => {
      reject("The connection broke. What is listed below has arrived; add the rest again.");
    });
    request.send(data);
  });
}

function showProgress(state, done, total, word) {
  let bar = state.querySelector("progress");
  if (!bar) {
    state.replaceChildren(document.createElement("progress"), document.createElement("p"));
    bar = state.querySelector("progress");
    bar.setAttribute("aria-label", "Sent");
  }
  bar.max = total;
  bar.value = done;
  state.querySelector("p").textContent = `${megabytes(done)} of ${megabytes(total)} MB ${word}`;
}

function showProblem(state, sentence) {
  const notice = document.createElement("div");
  notice.className = "notice notice--alert";
  notice.append(Object.assign(document.createElement("p"), { textContent: sentence }));
  state.replaceChildren(notice);
}

function showTaken(html) {
  const page = new DOMParser().parseFromString(html, "text/html");
  const taken = page.getElementById("taken");
  document.getElementById("taken").replaceWith(taken);
  htmx.process(taken);
}

async function sendPictures(form, files) {
  const state = form.querySelector("[data-upload-state]");
  const wanted = files.filter((one) => !isJunk(one.path));
  const total = wanted.reduce((sum, one) => sum + one.file.size, 0);
  const tooLarge = wanted.find((one) => one.file.size > Number(form.dataset.maxBytes));
  if (!wanted.length) return showProblem(state, "Choose some pictures or a zip first.");
  if (tooLarge) {
    const most = megabytes(Number(form.dataset.maxBytes));
    return showProblem(state, `${tooLarge.path} is larger than ${most} MB. Make several of it.`);
  }
  const button = form.querySelector("[data-upload-button]");
  button.disabled = true;
  let done = 0;
  try {
    for (const batch of batches(wanted)) {
      const data = new FormData();
      data.append("class_name", form.elements.class_name.value);
      for (const { file, path } of batch) data.append("files", file, path);
      const before = done;
      const request = await send(form.action, data, (sent) => {
        showProgress(state, Math.min(total, before + sent), total, "sent");
      });
      done = before + batch.reduce((sum, one) => sum + one.file.size, 0);
      showTaken(request.responseText);
    }
    state.replaceChildren();
    form.reset();
  } catch (sentence) {
    showProblem(state, String(sentence));
  } finally {
    button.disabled = false;
  }
}

function startPictures(form) {
  const chosen = form.elements.files;
  const folder = form.querySelector("#folder");
  form.querySelector("[data-upload-folder]").hidden = false;
  form.querySelector("[data-upload-word]").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const files = [...chosen.files, ...folder.files];
    sendPictures(
      form,
      files.map((file) => ({ file, path: file.webkitRelativePath || file.name })),
    );
  });
  for (const type of ["dragenter", "dragover"]) {
    form.addEventListener(type, (event) => {
      event.preventDefault();
      form.classList.add("is-over");
    });
  }
  for (const type of ["dragleave", "drop"]) {
    form.addEventListener(type, () => form.classList.remove("is-over"));
  }
  form.addEventListener("drop", async (event) => {
    event.preventDefault();
    sendPictures(form, await dropped(event.dataTransfer));
  });
}

function startNetwork(form) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const state = form.querySelector("[data-upload-state]");
    const button = form.querySelector("button");
    const total = [...form.querySelectorAll("[type=file]")].reduce(
      (sum, input) => sum + (input.files[0]?.size ?? 0),
      0,
    );
    button.disabled = true;
    try {
      await send(form.action, new FormData(form), (sent) => {
        showProgress(state, Math.min(sent, total), total, "sent");
      });
      location.assign(form.dataset.uploadTo);
    } catch (sentence) {
      showProblem(state, String(sentence));
      button.disabled = false;
    }
  });
}

const starters = { pictures: startPictures, network: startNetwork };
for (const form of document.querySelectorAll("[data-upload]")) starters[form.dataset.upload](form);
