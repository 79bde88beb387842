// What the pages of all widgets have in common. It stands behind each of them, in one module.

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
