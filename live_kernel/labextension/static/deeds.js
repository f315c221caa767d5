// @ts-check
/**
 * What a person has done to a process from here: opened, attached, left, woken, bound.
 *
 * Rule: whatever comes of it is told, in the panel and, where it failed, as a notification with
 * what helps. Nothing here is done twice at a time for one process, and one notebook where that
 * is attached.
 */

import { Comm } from "./comm.js";
import { called } from "./words.js";

/** @typedef {import("./api.js").Process} Process */
/** @typedef {import("./sessions.js").Session} Session */

/**
 * @typedef {object} Lab what of JupyterLab is needed here
 * @property {any} commands
 * @property {any} kernels the kernel manager
 * @property {() => Promise<void>} refreshSpecs
 * @property {any} Notification
 * @property {any} KernelMessage
 * @property {() => string} directory in which new notebooks are made
 */

const PID = /^live-attach-\d+/; // a kernelspec for one process

export class Deeds {
  /**
   * @param {Lab} lab
   * @param {import("./api.js").Api} api
   * @param {import("./sessions.js").Sessions} sessions
   */
  constructor(lab, api, sessions) {
    this._lab = lab;
    this._api = api;
    this._sessions = sessions;
    /** @type {(text: string) => void} */
    this.onTold = () => {};
    /** @type {Set<string>} */
    this._going = new Set();
    /** @type {WeakMap<Session, Process>} the last that was wanted */
    this._wanted = new WeakMap();
  }

  /** @param {Process} process */
  openNotebook(process) {
    return this._do(`notebook ${process.pid}`, async () => {
      this.onTold(`Opening a notebook in ${called(process)} …`);
      const { path } = await this._api.open(process.pid, "notebook", this._lab.directory());
      await this._lab.refreshSpecs();
      await this._lab.commands.execute("docmanager:open", { path, factory: "Notebook" });
      this.onTold(`A notebook is open in ${called(process)}.`);
    });
  }

  /** @param {Process} process */
  openConsole(process) {
    return this._do(`console ${process.pid}`, async () => {
      this.onTold(`Opening a console in ${called(process)} …`);
      await this._lab.refreshSpecs();
      const kernelPreference = { name: process.kernelspec, language: "python", canStart: true };
      const console = { activate: true, path: this._lab.directory(), kernelPreference };
      await this._lab.commands.execute("console:create", console);
      this.onTold(`A console is open in ${called(process)}.`);
    });
  }

  /**
   * Have the notebook or console in front attached to a process, or that one.
   * @param {Process} process
   * @param {Session | null} session
   */
  attachHere(process, session = this._sessions.current) {
    if (!session) return Promise.resolve();
    this._wanted.set(session, process);
    const isWanted = () => this._wanted.get(session) === process;
    const name = `attach ${session.widget.id} ${process.pid}`; // others may go there meanwhile
    return this._do(name, () => this._attachTo(process, session), isWanted);
  }

  /** @param {Process} process @param {Session} session */
  async _attachTo(process, session) {
    if (session.isIn(process)) return;
    this.onTold(`Attaching ${session.name} to ${called(process)} …`);
    const name = session.context.session?.kernel?.name ?? "";
    if (session.comm && !PID.test(name)) await this._attach(session.comm, process);
    else await this._change(session, process);
    this.onTold(`${session.name} is attached to ${called(process)}.`);
  }

  /** @param {Comm} comm @param {Process} process */
  async _attach(comm, { pid, started }) {
    await comm.ask({ do: "attach", pid, started }, this.onTold);
  }

  /**
   * Give it the kernel of that process: where it has another kernel, or one of another process,
   * which a saved notebook would name.
   * @param {Session} session @param {Process} process
   */
  async _change({ context }, process) {
    await this._lab.refreshSpecs();
    context.kernelPreference = { ...context.kernelPreference, shouldStart: true, canStart: true };
    await context.changeKernel({ name: process.kernelspec });
  }

  /**
   * Have every kernel of this server leave a process, or give up to enter it.
   * @param {{pid: number, name: string, kernels?: string[]}} process
   */
  detach(process) {
    return this._do(`detach ${process.pid}`, async () => {
      this.onTold(`Detaching from ${called(process)} …`);
      const here = this._sessions.all().filter((session) => session.target?.pid === process.pid);
      for (const { comm } of here) await comm?.ask({ do: "detach" }, this.onTold);
      const known = new Set(here.map((session) => session.comm?.kernel.id));
      for (const id of process.kernels ?? []) if (!known.has(id)) await this._detachElsewhere(id);
      this.onTold(`Detached from ${called(process)}, which runs on.`);
    });
  }

  /** Have the kernel of the notebook or console in front leave its process; others stay there. */
  detachHere() {
    const session = this._sessions.current;
    const { target = null, comm = null } = session ?? {};
    if (!target || !comm) return Promise.resolve();
    return this._do(`detach ${target.pid}`, async () => {
      await comm.ask({ do: "detach" }, this.onTold);
      this.onTold(`Detached from ${called(target)}, which runs on.`);
    });
  }

  /** @param {string} id of a kernel that no notebook here has */
  async _detachElsewhere(id) {
    const kernel = this._lab.kernels.connectTo({ model: { id, name: "" }, handleComms: false });
    try {
      await kernel.info;
      const comm = new Comm(kernel, this._lab.KernelMessage);
      await comm.ask({ do: "detach" }, this.onTold);
      comm.dispose();
    } finally {
      kernel.dispose();
    }
  }

  /**
   * The session that waits for a process which is blocked, if one does.
   * @param {{pid: number}} process
   */
  waitingFor({ pid }) {
    const all = this._sessions.all();
    return all.find(({ comm, target }) => target?.pid === pid && comm?.state.blocked) ?? null;
  }

  /** @param {{pid: number, name: string}} process */
  wake(process) {
    return this._do(`wake ${process.pid}`, async () => {
      const session = this.waitingFor(process);
      if (!session?.comm) throw new Error(`Nothing waits for ${called(process)}.`);
      this.onTold(`Waking ${called(process)} …`);
      await session.comm.ask({ do: "wake" }, this.onTold);
      this.onTold(`${called(process)} is awake and attached.`);
    });
  }

  /** @param {Session} session @param {import("./comm.js").Place} place */
  bind(session, { how, what }) {
    return this._do(`bind ${session.context.path}`, async () => {
      const { text } = await session.comm?.ask({ do: "bind", how, what }, this.onTold);
      this.onTold(text.trim());
    });
  }

  /**
   * @param {string} name
   * @param {() => Promise<void>} deed
   * @param {() => boolean} [isWanted] where it is not any more, its failure is none
   */
  async _do(name, deed, isWanted = () => true) {
    if (this._going.has(name)) return;
    this._going.add(name);
    try {
      await deed();
    } catch (error) {
      if (isWanted()) this._complain(/** @type {Error & {remedy?: string}} */ (error));
    } finally {
      this._going.delete(name);
    }
  }

  /** @param {Error & {remedy?: string}} error */
  _complain({ message, remedy }) {
    const said = [message, remedy].filter(Boolean).join("\n");
    this.onTold(said);
    this._lab.Notification.error(said, { autoClose: false });
  }
}
