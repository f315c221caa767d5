// @ts-check
/**
 * What the server knows: the processes, the kernels in them, and how a notebook is opened for one.
 *
 * Rule: each answer is data or an `ApiError` that says what happened and what helps.
 */

/**
 * @typedef {object} Guard what the user's guards say of a program; texts are empty for "no"
 * @property {string} banner
 * @property {string} colour
 * @property {string} observe
 * @property {string} confirm
 * @property {number} idle seconds, 0 for never
 */
/**
 * @typedef {object} Process
 * @property {number} pid
 * @property {number} started seconds since 1970
 * @property {string} name
 * @property {string} command
 * @property {string} user
 * @property {string | null} python
 * @property {number} cpu percent of one processor
 * @property {number} memory bytes that are resident
 * @property {number} threads
 * @property {boolean} attachable
 * @property {string | null} reason
 * @property {string | null} remedy
 * @property {Guard} guard
 * @property {string} kernelspec
 * @property {string[]} kernels ids of this server's kernels that are attached to it
 */
/** @typedef {{id: string, state: string, pid: number | null, name: string, path: string | null}} Kernel */

export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {string} remedy
   */
  constructor(message, remedy = "") {
    super(message);
    this.remedy = remedy;
  }
}

const ABSENT = "The server extension of live-kernel does not answer.";
const HELP = "`jupyter server extension list` shows whether it is enabled: `pip install live-kernel`"
  + " in the environment of the Jupyter server does that.";

export class Api {
  /**
   * @param {any} ServerConnection of @jupyterlab/services
   * @param {any} settings the server's
   */
  constructor(ServerConnection, settings) {
    this._connection = ServerConnection;
    this._settings = settings;
  }

  /**
   * @param {boolean} all also those that can't be attached to
   * @returns {Promise<{processes: Process[], warning: {message: string, remedy: string} | null}>}
   */
  async processes(all) {
    const found = await this._ask(`processes${all ? "?all=1" : ""}`);
    return { processes: found.processes, warning: found.warning ?? null };
  }

  /** @returns {Promise<Kernel[]>} */
  async kernels() {
    return (await this._ask("kernels")).kernels;
  }

  /**
   * A new notebook for a process.
   * @param {number} pid
   * @param {"notebook" | "console"} kind
   * @param {string} directory where it is put, in the server's terms
   * @returns {Promise<{path: string, url: string}>}
   */
  open(pid, kind, directory = "") {
    return this._ask("open", { method: "POST", body: JSON.stringify({ pid, kind, directory }) });
  }

  /**
   * @param {string} path
   * @param {RequestInit} init
   */
  async _ask(path, init = {}) {
    const url = `${this._settings.baseUrl}live-kernel/api/${path}`;
    let response;
    try {
      response = await this._connection.makeRequest(url, init, this._settings);
    } catch {
      throw new ApiError("The server can't be reached.", "It is asked again and again.");
    }
    const content = await response.json().catch(() => null);
    if (response.ok && content) return content;
    throw new ApiError(content?.message ?? ABSENT, content?.remedy ?? (content ? "" : HELP));
  }
}
