// @ts-check
/**
 * A notebook whose program has gone: it is named, and the one most like it is offered.
 *
 * Where a notebook is opened, a dialogue asks, whose first choice Enter takes: JupyterLab would ask
 * there, too, for any kernel. Where a program ends in the middle of work, a notification tells,
 * and takes no focus. Rule: nobody is asked twice for one notebook and one program.
 */

import { called } from "./words.js";

const PID = /^live-attach-(\d+)(-\d+)?$/;
const SHOWN = /^(.*?)(?: \(ended\))? · pid \d+$/;

/** @typedef {import("./sessions.js").Session} Session */

export class Gone {
  /**
   * @param {import("./sessions.js").Sessions} sessions
   * @param {import("./choosing.js").Choosing} choosing
   * @param {import("./deeds.js").Deeds} deeds
   * @param {{specs: () => Record<string, any> | undefined, Notification: any}} lab `specs`: the
   *   kernels that are offered; undefined where that is not known yet
   */
  constructor(sessions, choosing, deeds, lab) {
    this._choosing = choosing;
    this._deeds = deeds;
    this._lab = lab;
    /** @type {WeakMap<Session, {asked: Set<string>, wasAttached: boolean, told: string}>} */
    this._known = new WeakMap();
    sessions.listeners.add((session, what) => this._on(session, what));
    for (const session of sessions.all()) this._on(session, "opened");
  }

  /** @param {Session | null} session @param {string} what */
  _on(session, what) {
    if (!session) return;
    if (what === "opened") this._watch(session);
    if (what === "opened" || what === "state") this._look(session);
  }

  /** @param {Session} session */
  _of(session) {
    const known = this._known.get(session) ?? {
      asked: new Set(),
      wasAttached: false,
      told: "",
    };
    this._known.set(session, known);
    return known;
  }

  /**
   * Before JupyterLab starts a kernel that is not there, and asks for another: ask ourselves.
   * @param {Session} session
   */
  _watch(session) {
    const { context } = session;
    const look = () => {
      const { name = "" } = context.kernelPreference;
      const specs = this._lab.specs();
      const isThere = !specs || name in specs || context.session?.kernel;
      if (!PID.test(name) || isThere || this._of(session).asked.has(name)) return;
      this._of(session).asked.add(name); // before the next line, which calls us again
      context.kernelPreference = { ...context.kernelPreference, shouldStart: false };
      void this._find(session, name);
    };
    context.kernelPreferenceChanged?.connect(look);
    look();
  }

  /**
   * A kernel that is not offered may be that of one of many alike programs, which runs all the same.
   * @param {Session} session @param {string} kernel
   */
  async _find(session, kernel) {
    const process = await this._choosing.ofKernel(kernel);
    await (process ? this._deeds.attachHere(process, session) : this._ask(session, kernel));
  }

  /** @param {Session} session */
  _look(session) {
    const state = session.comm?.state;
    const known = this._of(session);
    if (state?.state === "attached") {
      known.wasAttached = true;
      if (known.told) this._lab.Notification.dismiss(known.told);
      known.told = "";
    } else if (state?.state === "lost" && known.wasAttached) {
      this._tell(session);
    } else if (state && ["failed", "lost", "detached"].includes(state.state) && state.failure) {
      const name = session.context.session?.kernel?.name ?? "";
      const isGone = ["TargetNotFound", "AgentLost"].includes(state.failure.name);
      const isAsking = session.context.session?.kernel?.status === "busy"; // a cell does, itself
      if (PID.test(name) && isGone && !isAsking && !known.asked.has(name) && !known.wasAttached) {
        known.asked.add(name);
        void this._ask(session, name);
      }
    }
  }

  /**
   * What is known of the program that has gone.
   * @param {Session} session @param {string} kernel the name of its kernelspec
   */
  _gone(session, kernel) {
    const spec = this._lab.specs()?.[kernel];
    const saved = session.widget.content?.model?.getMetadata?.("kernelspec");
    const shown = SHOWN.exec(spec?.display_name ?? saved?.display_name ?? "");
    const told = session.target;
    const pid = Number(PID.exec(kernel)?.[1] ?? told?.pid ?? 0);
    const gone = session.comm?.state.gone;
    const command = gone || spec?.metadata?.live_kernel?.command || told?.command || "";
    return { pid, name: shown?.[1] ?? told?.name ?? "", command };
  }

  /** @param {Session} session @param {string} kernel */
  async _ask(session, kernel) {
    await session.widget.revealed?.catch?.(() => {});
    const { name, pid, command } = this._gone(session, kernel);
    if (session.widget.isDisposed) return;
    const who = name ? `${name} (pid ${pid})` : `The program with pid ${pid}`;
    const words = {
      title: "The program has ended",
      text: `${who}, in which ${session.name} ran, is not running any more. The one that is most`
        + " like it comes first.",
      button: "Attach",
    };
    const process = await this._choosing.process(words, { pid: 0, name, command });
    if (process) await this._deeds.attachHere(process, session);
  }

  /** @param {Session} session */
  _tell(session) {
    const known = this._of(session);
    const { target } = session;
    if (known.told || !target) return;
    const again = async () => {
      const words = { title: "Attach to process", text: "", button: "Attach" };
      const process = await this._choosing.process(words, { ...target, pid: 0 });
      if (process) await this._deeds.attachHere(process, session);
    };
    const why = session.comm?.state.failure?.message ?? `${called(target)} has ended.`;
    const actions = [{ label: "Choose again", callback: () => void again() }];
    known.told = this._lab.Notification.warning(`${session.name}: ${why}`, { autoClose: false, actions });
  }
}
