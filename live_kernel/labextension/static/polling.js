// @ts-check
/**
 * The present processes, asked for again and again.
 *
 * Owns the list and the timer. Rule: one request is on its way at a time, seldom while nobody looks
 * at the list, none while the page is hidden. When the processes change, so do the kernels that
 * JupyterLab offers.
 */

/** @typedef {import("./api.js").Process} Process */

const SELDOM = 5; // times as long between two requests while nobody looks

export class Polling {
  /**
   * @param {import("./api.js").Api} api
   * @param {() => Promise<void>} refreshSpecs has JupyterLab ask for its kernels anew
   */
  constructor(api, refreshSpecs) {
    this._api = api;
    this._refreshSpecs = refreshSpecs;
    /** @type {Process[]} */
    this.processes = [];
    /** @type {{message: string, remedy?: string} | null} */
    this.problem = null;
    this.isKnown = false;
    this.all = false;
    /** @type {Set<() => void>} told after each answer */
    this.listeners = new Set();
    this._interval = 2000;
    this._watchers = 0;
    this._timer = 0;
    /** @type {Promise<void> | null} */
    this._going = null;
    this._offered = "";
    document.addEventListener("visibilitychange", () => this._schedule(0));
  }

  /** @param {number} seconds between two requests while somebody looks */
  set interval(seconds) {
    this._interval = 1000 * seconds;
    this._schedule();
  }

  /** @param {boolean} looks somebody begins or ends to look at the list */
  watch(looks) {
    this._watchers += looks ? 1 : -1;
    this._schedule(looks ? 0 : undefined);
  }

  /** Ask now, or wait for what is asked already. */
  refresh() {
    this._going ??= this._ask().finally(() => {
      this._going = null;
      this._schedule();
    });
    return this._going;
  }

  /** @param {number} [after] milliseconds */
  _schedule(after) {
    clearTimeout(this._timer);
    if (document.hidden) return;
    const usual = this._watchers > 0 ? this._interval : SELDOM * this._interval;
    this._timer = setTimeout(() => void this.refresh(), after ?? usual);
  }

  async _ask() {
    try {
      const { processes, warning } = await this._api.processes(this.all);
      this.processes = processes;
      this.problem = warning;
      this.isKnown = true;
      await this._offer();
    } catch (error) {
      this.problem = /** @type {Error} */ (error);
    }
    for (const listener of this.listeners) listener();
  }

  /** Other processes are there than before: other kernels are offered. */
  async _offer() {
    const there = this.processes.filter((process) => process.attachable);
    const offered = there.map((process) => process.kernelspec).sort().join();
    if (offered === this._offered) return;
    this._offered = offered;
    await this._refreshSpecs();
  }
}
