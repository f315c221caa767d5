// @ts-check
/**
 * The mark on a notebook or console whose program the user has marked: a strip with its words below
 * the toolbar, and a sign on the tab.
 *
 * Owns both. Rule: nothing of another extension's is changed but a class name on the tab, which is
 * taken off again.
 */

import { make, mark, write } from "./dom.js";
import { called, isMarked, mark as markOf, rails } from "./words.js";

const ON_TAB = "lk-marked-tab";

export class GuardMarks {
  /** @param {any} Widget of @lumino/widgets @param {import("./sessions.js").Sessions} sessions */
  constructor(Widget, sessions) {
    this._Widget = Widget;
    /** @type {WeakMap<object, any>} the strips, by session */
    this._strips = new WeakMap();
    const look = (/** @type {any} */ session, /** @type {string} */ what) =>
      session && what === "state" && this._look(session);
    sessions.listeners.add(look);
    for (const session of sessions.all()) this._look(session);
  }

  /** @param {import("./sessions.js").Session} session */
  _look(session) {
    const { target, widget } = session;
    const guard = target?.guard;
    const isOn = Boolean(target && isMarked(guard) && session.comm?.state.state === "attached");
    if (!isOn || !guard || !target) {
      this._strips.get(session)?.dispose();
      this._strips.delete(session);
      this._markTab(widget, "");
      return;
    }
    const strip = this._strips.get(session) ?? this._make(session);
    const text = [markOf(guard), called(target), rails(guard)].filter(Boolean).join(" – ");
    write(strip.node.firstChild, text);
    mark(strip.node, "data-colour", guard.colour || "none");
    this._markTab(widget, guard.colour || "none");
  }

  /** @param {import("./sessions.js").Session} session */
  _make(session) {
    const strip = new this._Widget({ node: make("div", { role: "note" }, make("span")) });
    strip.addClass("lk-strip");
    session.widget.contentHeader?.addWidget(strip);
    session.widget.contentHeader?.show();
    this._strips.set(session, strip);
    return strip;
  }

  /** @param {any} widget @param {string} colour */
  _markTab({ title }, colour) {
    const rest = title.className.split(/\s+/).filter((/** @type {string} */ name) => name && !name.startsWith("lk-"));
    const marks = colour ? [ON_TAB, `lk-${colour}`] : [];
    const wanted = [...rest, ...marks].join(" ");
    if (title.className !== wanted) title.className = wanted;
  }
}
