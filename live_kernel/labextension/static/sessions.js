// @ts-check
/**
 * The notebooks and consoles that are open in this page, each with its kernel's comm if that is a
 * live kernel.
 *
 * Owns the comms. Rule: a kernel is live if it says so itself; its name is only a name.
 */

import { Comm } from "./comm.js";

/** A notebook or console. `comm` is null where its kernel is no live kernel. */
export class Session {
  /**
   * @param {any} widget
   * @param {"notebook" | "console"} kind
   */
  constructor(widget, kind) {
    this.widget = widget;
    this.kind = kind;
    this.context = widget.sessionContext;
    /** @type {Comm | null} */
    this.comm = null;
  }

  /** The path of the notebook, or the console's name. */
  get name() {
    return this.context.name || this.context.path || "";
  }

  /** The present process of its kernel, or the last one. */
  get target() {
    return this.comm?.state.target ?? null;
  }

  /** @returns {boolean} is its kernel in this process? */
  isIn(/** @type {import("./api.js").Process} */ process) {
    const { comm, target } = this;
    return comm?.state.state === "attached" && target?.pid === process.pid;
  }
}

export class Sessions {
  /**
   * @param {any} KernelMessage
   * @param {any} shell
   */
  constructor(KernelMessage, shell) {
    this._messages = KernelMessage;
    this._shell = shell;
    /** @type {Map<any, Session>} by widget */
    this._all = new Map();
    /** @type {Set<(session: Session | null, what: string) => void>} */
    this.listeners = new Set();
    shell?.currentChanged?.connect(() => this._tell(this.current, "current"));
  }

  /** @param {any} tracker @param {"notebook" | "console"} kind */
  follow(tracker, kind) {
    tracker.forEach((/** @type {any} */ widget) => this._add(widget, kind));
    tracker.widgetAdded.connect((/** @type {any} */ _, /** @type {any} */ widget) =>
      this._add(widget, kind),
    );
  }

  /** The one in front; null where something else is. */
  get current() {
    return this._all.get(this._shell?.currentWidget) ?? null;
  }

  all() {
    return [...this._all.values()];
  }

  /** The ids of the live kernels of which the state is known here. */
  kernels() {
    const known = this.all().filter(({ comm }) => comm && comm.state.state !== "unknown");
    return new Set(known.map(({ comm }) => comm?.kernel.id));
  }

  /** @param {any} widget @param {"notebook" | "console"} kind */
  _add(widget, kind) {
    const session = new Session(widget, kind);
    this._all.set(widget, session);
    const onKernel = () => void this._connect(session);
    session.context.kernelChanged.connect(onKernel);
    widget.disposed.connect(() => {
      this._all.delete(widget);
      session.comm?.dispose();
      this._tell(session, "closed");
    });
    this._tell(session, "opened");
    onKernel();
  }

  /** @param {Session} session */
  async _connect(session) {
    const kernel = session.context.session?.kernel ?? null;
    if (session.comm?.kernel === kernel && kernel) return;
    session.comm?.dispose();
    session.comm = null;
    this._tell(session, "state");
    if (!kernel) return;
    const info = await kernel.info.catch(() => null);
    const isStill = session.context.session?.kernel === kernel && !session.widget.isDisposed;
    if (info?.implementation !== "live-kernel" || !isStill || session.comm) return;
    session.comm = new Comm(kernel, this._messages);
    session.comm.listeners.add((what) => this._tell(session, what));
    this._tell(session, "state");
  }

  /** @param {Session | null} session @param {string} what */
  _tell(session, what) {
    for (const listener of [...this.listeners]) listener(session, what);
  }
}
