// What the pages of all widgets have in common. It stands behind each of them, in one module.

const SILENCE_MS = 15000; // after which the kernel is asked whether a frame was lost
const ACKNOWLEDGED_MS = 500; // by then a click was heard, unless the kernel is busy
// Said again: the first words to a young kernel may go to its main thread, which is busy.
const SAY_AT_MS = [0, 100, 250, 1000, 3000];

function send(model, content) {
  try {
    model.send(content);
  } catch {
    // The kernel has gone: there is nobody to be told.
  }
}

function make(tag, className = "", properties = {}) {
  const made = document.createElement(tag);
  made.className = className;
  const { role, ...rest } = properties;
  if (role) made.setAttribute("role", role);
  return Object.assign(made, rest);
}

function button(label, title = "") {
  return make("button", "", { type: "button", textContent: label, title });
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function many(number) {
  return number.toLocaleString("en");
}

// Such as 0.4 s, 3.1 s, 42 s, 2 min 5 s, 1 h 3 min.
function duration(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min ${whole % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
