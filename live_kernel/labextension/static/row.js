// @ts-check
/**
 * One process in the panel: what it is, what it uses, what can be done with it.
 *
 * Rule: made once and then changed in place, so that focus and hover stay; only the row that is
 * current in the list lets Tab come to its buttons.
 */

import { button, make, mark, show, write } from "./dom.js";
import { Sparkline } from "./sparkline.js";
import * as words from "./words.js";

/** @typedef {import("./api.js").Process} Process */
/**
 * @typedef {object} Around what there is beside a process
 * @property {boolean} isAttached a kernel of this server is in it
 * @property {string[]} by the names of the notebooks and consoles here that are
 * @property {boolean} isHere the one in front is
 * @property {string} here the one in front, that could attach to it; empty if there is none
 * @property {import("./comm.js").State["blocked"] | null} blocked why a kernel here waits for it
 */

/** @type {[keyof import("./comm.js").Usage, string, (value: number) => string, number][]} */
const FIGURES = [
  ["cpu", "CPU", words.share, 100],
  ["memory", "Memory", words.size, 1],
  ["threads", "Threads", (count) => String(Math.round(count)), 4],
];

export class Row {
  /**
   * @param {Process} process
   * @param {import("./deeds.js").Deeds} deeds
   */
  constructor(process, deeds) {
    this.process = process;
    this._name = make("span", { class: "lk-name" });
    this._facts = make("span", { class: "lk-facts" });
    this._guard = make("div", { class: "lk-mark" });
    this._command = make("code", { class: "lk-command" });
    this._state = make("div", { class: "lk-state" });
    this._why = make("div", { class: "lk-why" });
    this._figures = FIGURES.map((figure) => new Figure(...figure));
    this._buttons = this._makeButtons(deeds);
    const buttons = make("div", { class: "lk-buttons" }, ...Object.values(this._buttons));
    this.node = make(
      "li",
      { class: "lk-process", tabindex: "-1", "data-pid": String(process.pid) },
      make("div", { class: "lk-title" }, this._name, this._facts),
      this._guard,
      this._command,
      make("dl", { class: "lk-figures" }, ...this._figures.map((figure) => figure.node)),
      this._state,
      this._why,
      buttons,
    );
    this.isCurrent = false;
  }

  /** @param {import("./deeds.js").Deeds} deeds */
  _makeButtons(deeds) {
    return {
      notebook: button("Notebook", () => deeds.openNotebook(this.process), "lk-primary"),
      console: button("Console", () => deeds.openConsole(this.process)),
      attach: button("Attach here", () => deeds.attachHere(this.process)),
      detach: button("Detach", () => deeds.detach(this.process)),
      wake: button("Wake", () => deeds.wake(this.process)),
    };
  }

  /** Does Tab come to its buttons, and to itself? */
  set isCurrent(/** @type {boolean} */ isCurrent) {
    const index = isCurrent ? "0" : "-1";
    mark(this.node, "tabindex", index);
    for (const each of Object.values(this._buttons)) mark(each, "tabindex", index);
  }

  /** @param {Process} process @param {Around} around */
  update(process, around) {
    this.process = process;
    const { name, pid, user, python, command, guard, attachable, reason, remedy } = process;
    const age = words.span(Date.now() / 1000 - process.started);
    write(this._name, name);
    const about = [`pid ${pid}`, python && `Python ${python}`, user, age];
    write(this._facts, about.filter(Boolean).join(" · "));
    write(this._command, words.shortened(command));
    mark(this._command, "title", command);
    this._updateGuard(guard);
    this._updateState(around);
    write(this._why, attachable ? "" : [words.whyNot(reason), remedy].filter(Boolean).join(" "));
    show(this._why, !attachable);
    for (const figure of this._figures) figure.show(process, around.isAttached);
    this._updateButtons(around);
    mark(this.node, "aria-label", this._inWords(around));
    this.node.classList.toggle("lk-is-attached", around.isAttached);
    this.node.classList.toggle("lk-is-out", !attachable);
  }

  /** @param {import("./comm.js").Usage} usage that a kernel has told, between two lists */
  measure(usage) {
    for (const figure of this._figures) figure.add(usage);
  }

  /** @param {import("./api.js").Guard} guard */
  _updateGuard(guard) {
    show(this._guard, words.isMarked(guard));
    if (words.isMarked(guard)) write(this._guard, words.marked(guard, this.process.name));
    mark(this._guard, "data-colour", guard.colour || "none");
  }

  /** @param {Around} around */
  _updateState({ isAttached, isHere, by, blocked }) {
    const others = by.length ? `: ${by.join(", ")}` : "";
    const attached = isHere ? "Attached here" : isAttached ? `Attached${others}` : "";
    const said = blocked ? `Waits to get in: ${blocked.message}.` : attached;
    write(this._state, said);
    show(this._state, Boolean(said));
  }

  /** @param {Around} around */
  _updateButtons({ isAttached, isHere, here, blocked }) {
    const { attachable, name, pid } = this.process;
    const { notebook, console, attach, detach, wake } = this._buttons;
    for (const each of [notebook, console]) show(each, attachable);
    show(attach, attachable && Boolean(here) && !isHere);
    show(detach, isAttached || Boolean(blocked));
    show(wake, Boolean(blocked));
    write(detach, blocked ? "Give up" : "Detach");
    mark(wake, "title", blocked?.waking || null);
    const of = `${name}, pid ${pid}`;
    mark(notebook, "aria-label", `Notebook in ${of}`);
    mark(console, "aria-label", `Console in ${of}`);
    mark(attach, "aria-label", `Attach here: ${here} to ${of}`);
    mark(attach, "title", `Attach ${here} to this process`);
    mark(detach, "aria-label", blocked ? `Give up entering ${of}` : `Detach from ${of}`);
    mark(wake, "aria-label", `Wake ${of}`);
  }

  /** @param {Around} around */
  _inWords({ isAttached, isHere }) {
    const { name, pid, cpu, memory, threads, guard, attachable } = this.process;
    const figures = `CPU ${words.share(cpu)}, memory ${words.size(memory)}`;
    return [
      `${name}, pid ${pid}`,
      words.isMarked(guard) && words.mark(guard),
      isHere ? "attached here" : isAttached && "attached",
      !attachable && "can't be attached to",
      `${figures}, ${words.many(threads, "thread")}`,
    ].filter(Boolean).join("; ");
  }
}

/** One figure with its name and, of what is attached, its line. */
class Figure {
  /**
   * @param {keyof import("./comm.js").Usage} key
   * @param {string} what
   * @param {(value: number) => string} inWords
   * @param {number} top
   */
  constructor(key, what, inWords, top) {
    this._key = key;
    this._inWords = inWords;
    this._line = new Sparkline(what, inWords, top);
    this._value = make("span", { class: "lk-value" });
    const value = make("dd", {}, this._value, this._line.node);
    this.node = make("div", { class: "lk-figure" }, make("dt", {}, what), value);
    this._toldAt = 0;
  }

  /** @param {Process} process @param {boolean} isDrawn */
  show(process, isDrawn) {
    this._line.node.toggleAttribute("hidden", !isDrawn);
    if (isDrawn && performance.now() - this._toldAt > 3000) this.add(process, false);
    if (!isDrawn) write(this._value, this._inWords(process[this._key]));
  }

  /**
   * @param {Record<keyof import("./comm.js").Usage, number>} usage
   * @param {boolean} isTold by a kernel, which tells more often than the server
   */
  add(usage, isTold = true) {
    if (isTold) this._toldAt = performance.now();
    write(this._value, this._inWords(usage[this._key]));
    this._line.add(usage[this._key]);
  }
}
