// @ts-check
/**
 * The item in the status bar: the target of the notebook or console in front, and what cells see.
 *
 * Rule: it is there for live kernels alone. What it says stands in words; the colour of a guard
 * only adds to them.
 */

import { button, mark, show, write } from "./dom.js";
import { called, isMarked, mark as markOf, rails, stateOf } from "./words.js";

/**
 * @param {any} Widget of @lumino/widgets
 */
export function statusClass(Widget) {
  return class Status extends Widget {
    /**
     * @param {import("./sessions.js").Sessions} sessions
     * @param {(id: string) => void} execute a command
     */
    constructor(sessions, execute) {
      super();
      this.addClass("lk-status");
      this._sessions = sessions;
      this._target = button("", () => execute("live-kernel:attach"), "lk-status-target");
      this._bound = button("", () => execute("live-kernel:bind"), "lk-status-bound");
      this.node.append(this._target, this._bound);
      mark(this.node, "role", "group");
      mark(this.node, "aria-label", "Live kernel");
      sessions.listeners.add((_, what) => what !== "usage" && this.update());
      this.update();
    }

    /** Is there anything to be said? */
    get isActive() {
      return Boolean(this._sessions.current?.comm);
    }

    /** Say what holds now. */
    update() {
      const comm = this._sessions.current?.comm;
      show(this.node, Boolean(comm));
      if (!comm) return;
      const { state } = comm;
      const { target, bound } = state;
      const guard = isMarked(target?.guard) ? target?.guard : undefined;
      const name = target ? called(target) : "No program";
      const said = [guard && markOf(guard), name, target && stateOf(state)].filter(Boolean);
      write(this._target, said.join(" · "));
      const why = state.blocked?.message ?? state.failure?.message ?? target?.command ?? "";
      mark(this._target, "title", [why, rails(guard), "Click to change it"].filter(Boolean).join("\n"));
      mark(this._target, "aria-label", `Target: ${said.join(", ")}. Change it`);
      mark(this._target, "data-colour", guard ? guard.colour || "none" : null);
      show(this._bound, state.state === "attached" && Boolean(bound));
      write(this._bound, bound);
      mark(this._bound, "title", `Cells see ${bound}\nClick to change it`);
      mark(this._bound, "aria-label", `Cells see ${bound}. Change it`);
    }
  };
}
