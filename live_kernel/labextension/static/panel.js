// @ts-check
/**
 * The side panel: the processes of this machine, searched, sorted, and what can be done with them.
 *
 * Owns its list's rows, one a process, and what is typed. Rule: it asks for nothing while it is
 * hidden; a row that somebody points at or is in does not move away from there.
 */

import { arrange, button, make, mark, show, write } from "./dom.js";
import { CALLED, found, NO_PROCESS, sorted } from "./listing.js";
import { Row } from "./row.js";

/** @typedef {import("./api.js").Process} Process */

export const ID = "live-kernel-panel";

/**
 * The class of the panel.
 * @param {any} Widget of @lumino/widgets
 */
export function panelClass(Widget) {
  return class Panel extends Widget {
    /**
     * @param {import("./polling.js").Polling} polling
     * @param {import("./sessions.js").Sessions} sessions
     * @param {import("./deeds.js").Deeds} deeds
     */
    constructor(polling, sessions, deeds) {
      super();
      this.id = ID;
      this.title.caption = "Live processes";
      this.addClass("lk-panel");
      this._polling = polling;
      this._sessions = sessions;
      this._deeds = deeds;
      /** @type {Map<string, Row>} */
      this._rows = new Map();
      /** @type {Row | null} */
      this._current = null;
      this._isWatching = false;
      this._build();
      polling.listeners.add(() => this._render());
      sessions.listeners.add((session, what) => this._onSession(session, what));
      deeds.onTold = (/** @type {string} */ text) => write(this._told, text);
    }

    _build() {
      const node = /** @type {HTMLElement} */ (this.node);
      mark(node, "role", "region");
      mark(node, "aria-label", "Live processes");
      this._search = make("input", {
        type: "search", class: "lk-search", placeholder: "Search", "aria-label": "Search processes",
        spellcheck: "false",
      });
      const orders = Object.entries(CALLED).map(([value, text]) => make("option", { value }, text));
      this._order = make("select", { class: "lk-order", "aria-label": "Order" }, ...orders);
      this._all = make("input", { type: "checkbox" });
      const all = make("label", { class: "lk-all" }, this._all, "Show what can't be attached to");
      this._told = make("div", { class: "lk-told", role: "status" });
      this._count = make("div", { class: "lk-count" });
      this._problem = make("div", { class: "lk-problem", role: "alert" });
      this._list = make("ul", { class: "lk-list", "aria-label": "Processes" });
      this._none = make("p", { class: "lk-none" });
      node.append(
        make("div", { class: "lk-head" },
          make("h2", {}, "Live processes"), button("Refresh", () => this._polling.refresh()),
          this._search, this._order, all),
        this._problem, this._told, this._count, this._none, this._list,
      );
      this._search.addEventListener("input", () => this._render());
      this._order.addEventListener("change", () => this._render());
      this._all.addEventListener("change", () => {
        this._polling.all = this._all.checked;
        void this._polling.refresh();
      });
      node.addEventListener("keydown", (event) => this._onKey(event));
      this._list.addEventListener("focusin", (event) => this._onFocus(event));
    }

    /** @param {boolean} all whether it begins with what can't be attached to, too */
    begin(all) {
      this._all.checked = this._polling.all = all;
    }

    /** Put the focus where one begins to type. */
    onActivateRequest() {
      this._search.focus();
    }

    onAfterShow() {
      this._watch(true);
    }

    onAfterAttach() {
      this._watch(this.isVisible);
    }

    onAfterHide() {
      this._watch(false);
    }

    onBeforeDetach() {
      this._watch(false);
    }

    /** @param {boolean} looks */
    _watch(looks) {
      if (looks === this._isWatching) return;
      this._isWatching = looks;
      this._polling.watch(looks);
      if (looks) this._render();
    }

    // -- what is shown

    _render() {
      if (!this._isWatching) return;
      const { processes, problem, isKnown } = this._polling;
      const shown = this._inOrder(found(processes, this._search.value));
      write(this._problem, problem ? [problem.message, problem.remedy].filter(Boolean).join(" ") : "");
      show(this._problem, Boolean(problem));
      const of = shown.length === processes.length ? "" : ` of ${processes.length}`;
      const count = `${shown.length}${of} ${processes.length === 1 ? "process" : "processes"}`;
      write(this._count, isKnown ? count : "");
      write(this._none, this._whyNone(shown.length));
      show(this._none, !shown.length);
      this._showRows(shown);
    }

    /** @param {number} count */
    _whyNone(count) {
      if (count || !this._polling.isKnown) return this._polling.isKnown ? "" : "Looking …";
      if (this._search.value) return "No process has all of these words.";
      return NO_PROCESS;
    }

    /** @param {Process[]} processes */
    _inOrder(processes) {
      const isAttached = (/** @type {Process} */ each) => this._around(each).isAttached;
      const wanted = sorted(processes, this._order.value, isAttached);
      const isIn = this._list.matches(":hover") || this._list.contains(document.activeElement);
      if (!isIn) return wanted;
      const places = new Map([...this._rows.keys()].map((key, index) => [key, index]));
      const placeOf = (/** @type {Process} */ each) => places.get(keyOf(each)) ?? places.size;
      return wanted.sort((a, b) => placeOf(a) - placeOf(b));
    }

    /** @param {Process[]} shown */
    _showRows(shown) {
      /** @type {Map<string, Row>} */
      const rows = new Map();
      for (const process of shown) {
        const row = this._rows.get(keyOf(process)) ?? new Row(process, this._deeds);
        row.update(process, this._around(process));
        rows.set(keyOf(process), row);
      }
      const hadFocus = this._list.contains(document.activeElement);
      this._rows = rows;
      arrange(this._list, [...rows.values()].map((row) => row.node));
      const isThere = this._current && [...rows.values()].includes(this._current);
      if (!isThere) this._choose([...rows.values()][0] ?? null, hadFocus);
    }

    /**
     * @param {Process} process
     * @returns {import("./row.js").Around}
     */
    _around(process) {
      const { current } = this._sessions;
      const inIt = this._sessions.all().filter((session) => session.isIn(process));
      const isHere = Boolean(current?.isIn(process));
      const ours = this._sessions.kernels(); // of which we know more than the server, and sooner
      const waiting = this._deeds.waitingFor(process);
      return {
        isAttached: inIt.length > 0 || process.kernels.some((id) => !ours.has(id)),
        by: inIt.map((session) => session.name),
        isHere,
        here: current && current !== waiting ? current.name : "",
        blocked: waiting?.comm?.state.blocked ?? null,
      };
    }

    /** @param {import("./sessions.js").Session | null} session @param {string} what */
    _onSession(session, what) {
      if (!this._isWatching) return;
      if (what !== "usage") {
        this._render();
      } else if (session?.comm?.usage && session.target) {
        const { pid } = session.target;
        const row = [...this._rows.values()].find((each) => each.process.pid === pid);
        row?.measure(session.comm.usage);
      }
    }

    // -- the keyboard

    /** @param {Row | null} row @param {boolean} focuses */
    _choose(row, focuses) {
      if (this._current) this._current.isCurrent = false;
      this._current = row;
      if (!row) return;
      row.isCurrent = true;
      if (focuses) row.node.focus();
    }

    /** @param {FocusEvent} event */
    _onFocus(event) {
      const inside = (/** @type {Row} */ row) => row.node.contains(/** @type {Node} */ (event.target));
      const row = [...this._rows.values()].find(inside);
      if (row && row !== this._current) this._choose(row, false);
    }

    /** @param {KeyboardEvent} event */
    _onKey(event) {
      const rows = [...this._rows.values()];
      const isInList = this._list.contains(/** @type {Node} */ (event.target));
      if (event.target === this._order || !rows.length) return;
      const at = isInList && this._current ? rows.indexOf(this._current) : -1;
      const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (event.target === this._search && (event.key === "Home" || event.key === "End")) return;
      if (to !== undefined) {
        if (to < 0) this._search.focus();
        else this._choose(rows[Math.min(to, rows.length - 1)], true);
      } else if (event.key === "Enter" && (event.target === this._search || isRow(event.target))) {
        const { process } = at < 0 ? rows[0] : rows[at];
        if (process.attachable) void this._deeds.openNotebook(process);
      } else {
        return;
      }
      event.preventDefault();
      event.stopPropagation();
    }
  };
}

/** @param {EventTarget | null} target */
function isRow(target) {
  return target instanceof Element && target.classList.contains("lk-process");
}

/** @param {Process} process a pid alone may be another's by and by */
function keyOf(process) {
  return `${process.pid}-${process.started}`;
}
