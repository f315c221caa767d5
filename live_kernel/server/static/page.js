/* The page of running programs: asks the server every two seconds, and shows what it says.

   Runs in the browser. Whatever a process calls itself is put in as text, never as HTML.
   Rule: what a person is about to press stays where it is. While the pointer is on the table,
   or the focus is in it, rows keep their order; and a row that stays is changed, not replaced. */

const EVERY = 2000;

const base = document.documentElement.dataset.baseUrl;
const search = document.getElementById("search");
const all = document.getElementById("all");
const body = document.querySelector("tbody");
const trouble = document.getElementById("trouble");

const COLUMNS = [
  { key: "name", label: "Program", value: (one) => one.name.toLowerCase() },
  { key: "pid", label: "PID", value: (one) => one.pid, number: true },
  { key: "user", label: "User", value: (one) => one.user },
  { key: "up", label: "Up", value: (one) => -one.started, number: true },
  { key: "python", label: "Python", value: (one) => one.python ?? "" },
  { key: "cpu", label: "CPU", value: (one) => one.cpu, number: true },
  { key: "memory", label: "Memory", value: (one) => one.memory, number: true },
];

let processes = [];
let hidden = 0;
let order = { key: "up", down: false };
let isAsking = false;
const rows = new Map();

/* -- words for people */

function span(seconds) {
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.max(0, Math.floor(seconds))} s`;
}

function size(bytes) {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${Math.round(bytes / 1e6)} MB`;
}

function railsOf(guard) {
  const words = [];
  if (guard.observe) words.push("only looks");
  if (guard.confirm) words.push("asks before each cell");
  if (guard.idle) words.push(`leaves after ${span(guard.idle)} without use`);
  return words.join("; ");
}

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

/* -- the server */

function cookie(name) {
  const found = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`));
  return found ? found.slice(name.length + 1) : "";
}

async function ask(path, content) {
  const options = { credentials: "same-origin", headers: { Accept: "application/json" } };
  if (content) {
    options.method = "POST";
    options.body = JSON.stringify(content);
    options.headers["Content-Type"] = "application/json";
    options.headers["X-XSRFToken"] = cookie("_xsrf");
  }
  const answer = await fetch(`${base}live-kernel/api/${path}`, options);
  if (answer.ok) return answer.json();
  if (answer.status === 401 || (answer.status === 403 && !content)) {
    throw new Error("Jupyter Server does not know you any more. Log in again, and load this page.");
  }
  const said = await answer.json().catch(() => ({}));
  throw new Error([said.message ?? answer.statusText, said.remedy].filter(Boolean).join("\n"));
}

async function look() {
  if (isAsking || document.hidden) return;
  isAsking = true;
  try {
    const answer = await ask(`processes${all.checked ? "?all=1" : ""}`);
    processes = answer.processes;
    hidden = answer.hidden;
    const warning = answer.warning;
    tell(warning ? `${warning.message}\n${warning.remedy}` : "", "look");
    show(false);
  } catch (error) {
    const lost = error instanceof TypeError;
    tell(lost ? "Jupyter Server does not answer; what is shown is old." : error.message, "look");
  } finally {
    isAsking = false;
  }
}

/* What opening has to say stays until something is opened; what a look says, until the next. */
const said = { look: "", open: "" };

function tell(text, by) {
  if (said[by] === text) return;
  said[by] = text;
  trouble.textContent = Object.values(said).filter(Boolean).join("\n");
  trouble.hidden = !trouble.textContent;
}

async function open(one, kind, button) {
  /* The tab is made before the server is asked, or the browser takes it for an advertisement. */
  const tab = window.open("about:blank", "_blank");
  button.disabled = true;
  tell("", "open");
  try {
    const { url } = await ask("open", { pid: one.pid, kind });
    if (tab) tab.location.replace(new URL(url, location.origin));
    else location.assign(url);
  } catch (error) {
    tab?.close();
    tell(error instanceof TypeError ? "Jupyter Server does not answer." : error.message, "open");
  } finally {
    button.disabled = false;
  }
}

/* -- the table */

function make(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function makeHeading(column) {
  const button = make("button", { type: "button", textContent: column.label });
  button.addEventListener("click", () => {
    order = { key: column.key, down: order.key === column.key && !order.down };
    show(true);
  });
  const heading = make("th", { scope: "col", className: column.number ? "number" : "" }, button);
  heading.dataset.key = column.key;
  return heading;
}

function makeButton(row, kind, label) {
  const button = make("button", { type: "button", textContent: label });
  button.addEventListener("click", () => open(row.one, kind, button));
  return button;
}

function makeRow() {
  const row = { element: make("tr"), cells: {} };
  for (const column of COLUMNS) {
    const cell = make(column.key === "name" ? "th" : "td");
    if (column.key === "name") cell.scope = "row";
    if (column.number) cell.className = "number";
    row.cells[column.key] = cell;
    row.element.append(cell);
  }
  row.name = make("span", { className: "name" });
  row.banner = make("span", { className: "banner" });
  row.rails = make("div", { className: "rails" });
  row.command = make("div", { className: "command" });
  row.why = make("p", { className: "why" });
  row.cells.name.append(row.name, row.banner, row.rails, row.command, row.why);
  row.notebook = makeButton(row, "notebook", "Open notebook");
  row.notebook.className = "first";
  row.console = makeButton(row, "console", "Open console");
  row.actions = make("td", { className: "actions" }, row.notebook, row.console);
  row.element.append(row.actions);
  return row;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

function fill(row, one) {
  row.one = one;
  const { guard } = one;
  put(row.name, one.name);
  put(row.banner, guard.banner);
  put(row.rails, railsOf(guard));
  put(row.command, one.command);
  row.command.title = one.command;
  put(row.why, one.attachable ? attachedBy(one) : whyNot(one));
  put(row.cells.pid, String(one.pid));
  put(row.cells.user, one.user);
  put(row.cells.up, span(Date.now() / 1000 - one.started));
  put(row.cells.python, one.python ?? "not known");
  put(row.cells.cpu, `${one.cpu < 10 ? one.cpu.toFixed(1) : Math.round(one.cpu)} %`);
  put(row.cells.memory, size(one.memory));
  if (guard.colour) row.element.dataset.colour = guard.colour;
  else delete row.element.dataset.colour;
  for (const button of [row.notebook, row.console]) {
    button.hidden = !one.attachable;
    button.setAttribute("aria-label", `${button.textContent} in ${one.name}, pid ${one.pid}`);
  }
}

function attachedBy(one) {
  const count = one.kernels.length;
  return count ? `${plural(count, "kernel", "kernels")} of this server in it.` : "";
}

/* A reason is a sentence that lacks its subject, or has one of its own. */
function whyNot(one) {
  const subject = /^[a-z]/.test(one.reason) && !one.reason.startsWith("pid ") ? "It " : "";
  return `${subject}${one.reason}. ${one.remedy ?? ""}`;
}

function fits(one) {
  const { name, command, user, pid, guard } = one;
  const text = `${name} ${command} ${user} ${pid} ${guard.banner}`.toLowerCase();
  return search.value.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function compare(one, other) {
  const { value } = COLUMNS.find((column) => column.key === order.key);
  const [a, b] = order.down ? [value(other), value(one)] : [value(one), value(other)];
  const byVerdict = Number(other.attachable) - Number(one.attachable);
  const byValue = typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  return byVerdict || byValue || one.pid - other.pid;
}

const keyOf = (one) => `${one.pid}-${one.kernelspec}-${one.started}`;

function show(isWanted) {
  const shown = processes.filter(fits).sort(compare);
  const keys = new Set(shown.map(keyOf));
  for (const [key, row] of rows) {
    if (!keys.has(key)) {
      /* Not to the next program: Enter may be on its way to this one. */
      if (row.element.contains(document.activeElement)) search.focus();
      row.element.remove();
      rows.delete(key);
    }
  }
  for (const one of shown) {
    const key = keyOf(one);
    if (!rows.has(key)) rows.set(key, makeRow());
    fill(rows.get(key), one);
  }
  arrange(shown, isWanted);
  showHeadings();
  showCount(shown.length);
}

function arrange(shown, isWanted) {
  const isFocused = document.hasFocus() && body.contains(document.activeElement);
  const isInUse = isFocused || body.matches(":hover");
  const elements = shown.map((one) => rows.get(keyOf(one)).element);
  if (isInUse && !isWanted) {
    for (const element of elements) if (!element.isConnected) body.append(element);
    return;
  }
  const focused = document.activeElement;
  elements.forEach((element, at) => {
    if (body.children[at] !== element) body.insertBefore(element, body.children[at] ?? null);
  });
  if (body.contains(focused)) focused.focus({ preventScroll: true });
}

function showHeadings() {
  for (const heading of document.querySelectorAll("thead th[data-key]")) {
    const isIt = heading.dataset.key === order.key;
    const value = order.down ? "descending" : "ascending";
    if (isIt) heading.setAttribute("aria-sort", value);
    else heading.removeAttribute("aria-sort");
  }
}

function showCount(count) {
  const of = count === processes.length ? "" : ` of ${processes.length}`;
  const what = processes.length === 1 ? "program" : "programs";
  put(document.getElementById("count"), `${count}${of} ${what}`);
  const none = document.getElementById("none");
  if (count) put(none, "");
  else if (processes.length) put(none, "No program fits the search.");
  else {
    const others = hidden ? ` ${plural(hidden, "other is", "others are")} there.` : "";
    put(none, `No Python program that can be attached to runs here.${others}`);
  }
}

/* -- what the person does */

function moveFocus(event) {
  const steps = { ArrowDown: 1, ArrowUp: -1 };
  const row = event.target.closest("tbody tr");
  if (!(event.key in steps) || !row) return;
  const index = [...row.querySelectorAll("button")].indexOf(event.target);
  let next = row;
  do next = steps[event.key] > 0 ? next.nextElementSibling : next.previousElementSibling;
  while (next?.querySelector("button[hidden]"));
  if (!next) return;
  event.preventDefault();
  next.querySelectorAll("button")[index].focus();
}

function begin() {
  const head = document.querySelector("thead tr");
  const actions = make("th", { scope: "col" }, make("span", { textContent: "Open" }));
  head.append(...COLUMNS.map(makeHeading), actions);
  search.form.addEventListener("submit", (event) => event.preventDefault());
  search.addEventListener("input", () => show(true));
  search.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "Enter") return;
    event.preventDefault();
    body.querySelector("button:not([hidden])")?.focus();
  });
  all.addEventListener("change", look);
  body.addEventListener("keydown", moveFocus);
  document.addEventListener("visibilitychange", look);
  setInterval(look, EVERY);
  search.focus();
  look();
}

begin();
