// @ts-check
/**
 * The two questions that are asked in a dialogue: which process, and what cells are to see.
 *
 * Rule: the best answer is the first, so that Enter alone takes it.
 */

import { byLikeness, NO_PROCESS } from "./listing.js";
import { pick } from "./picker.js";
import { many, share, size } from "./words.js";

/** @typedef {import("./api.js").Process} Process */
/** @typedef {import("./comm.js").Place} Place */
/** @typedef {import("./picker.js").Choice} Choice */

/** @type {Record<string, string>} */
const GROUPS = { thread: "Threads", task: "Tasks", module: "Modules" };

export class Choosing {
  /**
   * @param {{Widget: any, Dialog: any}} from of JupyterLab
   * @param {import("./api.js").Api} api
   */
  constructor(from, api) {
    this._from = from;
    this._api = api;
  }

  /**
   * @param {{title: string, text: string, button: string}} words
   * @param {{pid: number, name: string, command: string} | null} present the present process; or,
   *   where there is none, the one that has gone, with pid 0
   * @returns {Promise<Process | null>}
   */
  process(words, present) {
    const field = "Search by name, command line, pid or user";
    return pick(this._from, { ...words, field, none: NO_PROCESS }, this._processes(present));
  }

  /**
   * The process that a kernel is for; null where it does not run, or nobody knows.
   * @param {string} kernelspec
   * @returns {Promise<Process | null>}
   */
  async ofKernel(kernelspec) {
    const { processes } = await this._api.processes(false).catch(() => ({ processes: [] }));
    return processes.find((process) => process.kernelspec === kernelspec) ?? null;
  }

  /** @param {{pid: number, name: string, command: string} | null} present */
  async _processes(present) {
    const { processes } = await this._api.processes(false);
    const like = present ?? { pid: -1, name: "", command: "" };
    return byLikeness(processes, like).map((process) => choiceOf(process, like.pid));
  }

  /**
   * @param {import("./comm.js").Comm} comm
   * @returns {Promise<Place | null>}
   */
  place(comm) {
    const bound = comm.state.bound;
    const words = {
      title: "What cells see",
      text: bound ? `Now: ${bound}` : "",
      button: "See these names",
      field: "Search frames, threads, tasks and modules",
      none: "The program shows nothing that cells could see.",
    };
    const places = comm.ask({ do: "places" }).then(({ places, of }) =>
      places.map((/** @type {Place} */ place) => choiceOfPlace(place, of)),
    );
    return pick(this._from, words, places);
  }
}

/** @param {Process} process @param {number} present @returns {Choice} */
function choiceOf(process, present) {
  const { pid, name, command, user, python, cpu, memory, threads, guard } = process;
  const uses = `${share(cpu)}, ${size(memory)}, ${many(threads, "thread")}`;
  return {
    label: `${name} · pid ${pid}`,
    detail: `${command}\n${[user, python && `Python ${python}`, uses].filter(Boolean).join(" · ")}`,
    note: pid === present ? "now" : undefined,
    guard,
    group: "",
    value: process,
  };
}

/** @param {Place} place @param {string} of @returns {Choice} */
function choiceOfPlace(place, of) {
  const { how, what, label, detail, bound } = place;
  const isDefault = what === "--default";
  const group = isDefault ? "Default" : GROUPS[how] ?? `Frames of ${of}, the innermost first`;
  return { label, detail, note: bound ? "now" : undefined, group, value: place };
}
