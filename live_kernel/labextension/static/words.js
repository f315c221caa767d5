// @ts-check
/** Figures and states in words. Pure. Rule: what a process calls itself is put in as text only. */

const UNITS = ["B", "kB", "MB", "GB", "TB"];

/**
 * A command line without the directories of its program.
 * @param {string} command
 */
export function shortened(command) {
  return command.replace(/^\S*\/(?=\S)/, "");
}

/** @param {number} bytes */
export function size(bytes) {
  let [amount, unit] = [bytes, 0];
  while (amount >= 999.5 && unit < UNITS.length - 1) [amount, unit] = [amount / 1000, unit + 1];
  return `${amount < 9.95 && unit ? amount.toFixed(1) : Math.round(amount)} ${UNITS[unit]}`;
}

/** @param {number} percent of one processor */
export function share(percent) {
  return `${percent < 9.95 ? percent.toFixed(1).replace(".0", "") : Math.round(percent)} %`;
}

/** @param {number} seconds */
export function span(seconds) {
  const steps = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  for (const [length, name] of /** @type {[number, string][]} */ (steps)) {
    if (seconds >= length) return `${Math.floor(seconds / length)} ${name}`;
  }
  return "0 s";
}

/** @param {number} count @param {string} what @param {string} [several] */
export function many(count, what, several = `${what}s`) {
  return `${count} ${count === 1 ? what : several}`;
}

/**
 * A target on one short line.
 * @param {{name: string, pid: number}} target
 */
export function called(target) {
  return `${target.name} · pid ${target.pid}`;
}

/**
 * What a session's state is, in a few words.
 * @param {import("./comm.js").State} state
 */
export function stateOf(state) {
  if (state.blocked) return "waits: blocked";
  const words = { injecting: "is being entered", detached: "no program", unknown: "…" };
  const ended = { lost: "has ended", failed: "not attached", attached: "" };
  return { ...words, ...ended }[state.state];
}

/**
 * A verdict as a sentence. It lacks its subject ("is stopped by a signal"), or has one of its own.
 * @param {string | null} verdict
 */
export function whyNot(verdict) {
  if (!verdict) return "";
  const head = "can't be attached to: ";
  const told = verdict.startsWith(head) ? verdict.slice(head.length) : verdict;
  const subject = told === verdict && !/^pid \d/.test(verdict) ? "it " : "";
  return `Can't be attached to: ${subject}${told.replace(/\.$/, "")}.`;
}

/**
 * What a guard says, in words; empty where there is none.
 * @param {import("./api.js").Guard | undefined} guard
 */
export function rails(guard) {
  if (!guard) return "";
  const said = [];
  if (guard.observe) said.push("only looks");
  else if (guard.confirm) said.push("asks before each cell");
  if (guard.idle) said.push(`leaves after ${span(guard.idle)} without use`);
  return said.join(", ");
}

/**
 * Has the user marked this program, by a name or a colour?
 * @param {import("./api.js").Guard | undefined} guard
 */
export function isMarked(guard) {
  return Boolean(guard && (guard.banner || guard.colour));
}

/**
 * What a mark says: the guard's words, or that there is one.
 * @param {import("./api.js").Guard} guard
 */
export function mark(guard) {
  return guard.banner || "Guarded program";
}

/**
 * A mark and what the guard does, without what stands beside it anyway.
 * @param {import("./api.js").Guard} guard @param {string} [beside]
 */
export function marked(guard, beside = "") {
  const words = mark(guard);
  return [words !== beside && words, rails(guard)].filter(Boolean).join(" – ") || "Marked by your guards";
}
