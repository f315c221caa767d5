// @ts-check
/**
 * Which processes are shown, in which order; and which is most like one that has gone. Pure.
 *
 * Rule: what is attached stands first, and what can't be last, whatever the order.
 */

/** @typedef {import("./api.js").Process} Process */

/** @type {Record<string, (a: Process, b: Process) => number>} */
const ORDERS = {
  started: (a, b) => b.started - a.started,
  name: (a, b) => a.name.localeCompare(b.name) || a.pid - b.pid,
  cpu: (a, b) => b.cpu - a.cpu,
  memory: (a, b) => b.memory - a.memory,
  pid: (a, b) => a.pid - b.pid,
};

/** What is said where there is none. */
export const NO_PROCESS = "No Python program runs here that could be attached to.";

/** The orders, with what they are called. */
export const CALLED = {
  started: "Newest first",
  name: "Name",
  cpu: "Processor time",
  memory: "Memory",
  pid: "Pid",
};

/**
 * The processes that have all words of the text in what is shown of them.
 * @param {Process[]} processes
 * @param {string} text
 */
export function found(processes, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return processes;
  return processes.filter((process) => {
    const { name, command, pid, user, python, guard } = process;
    const shown = [name, command, pid, user, python, guard.banner].join("\n").toLowerCase();
    return words.every((word) => shown.includes(word));
  });
}

/**
 * @param {Process[]} processes
 * @param {string} order one of `CALLED`
 * @param {(process: Process) => boolean} isAttached
 */
export function sorted(processes, order, isAttached) {
  const inOrder = ORDERS[order] ?? ORDERS.started;
  const rank = (/** @type {Process} */ each) => Number(each.attachable) + 2 * Number(isAttached(each));
  return [...processes].sort((a, b) => rank(b) - rank(a) || inOrder(a, b) || b.pid - a.pid);
}

/**
 * How much a process is like one that has gone, by its name and command line; 0 for not at all.
 * @param {Process} process
 * @param {{name: string, command: string}} gone
 */
export function likeness(process, gone) {
  if (gone.command && process.command === gone.command) return 3;
  const same = gone.name && process.name === gone.name ? 1 : 0;
  const wanted = words(`${gone.command} ${gone.name}`);
  const has = words(process.command);
  const shared = [...wanted].filter((word) => has.has(word)).length;
  return same + shared / Math.max(wanted.size, has.size, 1);
}

/** @param {string} text */
function words(text) {
  const all = text.toLowerCase().split(/[^\p{L}\p{N}_.-]+/u);
  return new Set(all.filter((word) => word && !/^(python[\d.]*|-m|-c|bin|usr)$/.test(word)));
}

/**
 * Those that can be attached to, the most like first; of those alike, the newest.
 * @param {Process[]} processes
 * @param {{name: string, command: string}} gone
 */
export function byLikeness(processes, gone) {
  const can = processes.filter((process) => process.attachable);
  return can.sort((a, b) => likeness(b, gone) - likeness(a, gone) || b.started - a.started);
}
