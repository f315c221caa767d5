// @ts-check
/**
 * One kernel's own comm: what it tells of its target, and what it is asked to do.
 *
 * Rule: the comm is spoken by plain messages, so that any connection to a kernel can have one, also
 * where JupyterLab has switched its comms off. It is opened anew after a restart, or when the kernel
 * does not answer. While the page is hidden nothing is asked, and so no figures come.
 */

/**
 * @typedef {object} Target
 * @property {number} pid
 * @property {string} name
 * @property {string} command
 * @property {number} started seconds since 1970
 * @property {import("./api.js").Guard} guard
 */
/** @typedef {{name: string, message: string, remedy: string}} Failure */
/**
 * @typedef {object} State
 * @property {"unknown" | "detached" | "injecting" | "attached" | "failed" | "lost"} state
 * @property {Target | null} target
 * @property {string} bound what cells see
 * @property {Failure & {waking: string, wake: boolean}} [blocked]
 * @property {Failure} [failure]
 * @property {string} [gone] the command line of the program that was meant, and has ended
 */
/** @typedef {{cpu: number, memory: number, threads: number}} Usage */
/** @typedef {{how: string, what: string, label: string, detail: string, bound: boolean}} Place */

const NAME = "live-kernel";
const LOOK_EVERY = 10_000;
const ANSWERED_WITHIN = 5_000;

/** @type {State} */
const UNKNOWN = { state: "unknown", target: null, bound: "" };

export class DeedFailed extends Error {
  /** @param {Failure} failure */
  constructor(failure) {
    super(failure.message);
    this.name = failure.name;
    this.remedy = failure.remedy;
  }
}

export class Comm {
  /**
   * @param {any} kernel a kernel connection
   * @param {any} KernelMessage of @jupyterlab/services
   */
  constructor(kernel, KernelMessage) {
    this.kernel = kernel;
    this._messages = KernelMessage;
    this.state = UNKNOWN;
    /** @type {Usage | null} */
    this.usage = null;
    /** @type {Set<(what: "state" | "usage") => void>} */
    this.listeners = new Set();
    /** @type {Map<number, {resolve: (answer: any) => void, reject: (error: Error) => void,
     *   progress?: (text: string) => void}>} */
    this._asked = new Map();
    this._number = 0;
    this._name = "";
    this._isOpen = false;
    this._heardAt = 0;
    this._onMessage = this._onMessage.bind(this);
    this._onStatus = this._onStatus.bind(this);
    kernel.iopubMessage.connect(this._onMessage);
    kernel.statusChanged.connect(this._onStatus);
    this._timer = setInterval(() => this._look(), LOOK_EVERY);
    document.addEventListener("visibilitychange", (this._onVisible = () => this._look()));
    this._open();
  }

  /** Say goodbye. May be called twice. */
  dispose() {
    if (!this._timer) return;
    clearInterval(this._timer);
    this._timer = 0;
    document.removeEventListener("visibilitychange", this._onVisible);
    this.kernel.iopubMessage.disconnect(this._onMessage);
    this.kernel.statusChanged.disconnect(this._onStatus);
    this._send("comm_close", { data: {} });
    this._giveUp("The kernel is gone.");
    this.listeners.clear();
  }

  /**
   * Have the kernel do something, or tell something.
   * @param {Record<string, unknown>} what with a `do`; see `launcher/panel_requests.py`
   * @param {(text: string) => void} [progress] is told what is waited for meanwhile
   * @returns {Promise<any>} the answer; rejected with a `DeedFailed`
   */
  ask(what, progress) {
    const id = ++this._number;
    return new Promise((resolve, reject) => {
      this._asked.set(id, { resolve, reject, progress });
      if (!this._send("comm_msg", { data: { ...what, id } })) {
        this._asked.delete(id);
        reject(new Error("The kernel can't be reached."));
      }
    });
  }

  // -- the comm

  _open() {
    this._name = `live-kernel-${crypto.randomUUID?.() ?? Math.random().toString(36).slice(2)}`;
    this._isOpen = this._send("comm_open", { target_name: NAME, data: {} });
    this._heardAt = performance.now();
  }

  /** Tell the kernel that somebody looks; open the comm anew if it has not been heard of since. */
  _look() {
    if (document.hidden || !this._timer) return;
    const saidAt = performance.now();
    if (!this._isOpen) {
      this._open();
    } else if (this._send("comm_msg", { data: { do: "look" } })) {
      setTimeout(() => {
        if (this._timer && this._heardAt < saidAt && this.kernel.status === "idle") this._open();
      }, ANSWERED_WITHIN);
    }
  }

  /**
   * @param {string} msgType
   * @param {Record<string, unknown>} content
   * @returns {boolean} whether it could be sent
   */
  _send(msgType, content) {
    const { kernel } = this;
    if (kernel.isDisposed || kernel.status === "dead") return false;
    const message = this._messages.createMessage({
      msgType,
      channel: "shell",
      username: kernel.username,
      session: kernel.clientId,
      content: { comm_id: this._name, ...content },
    });
    try {
      kernel.sendShellMessage(message, false, true).done.catch(() => {});
    } catch {
      return false;
    }
    return true;
  }

  /**
   * @param {any} _sender
   * @param {any} message
   */
  _onMessage(_sender, message) {
    if (message.content?.comm_id !== this._name) return;
    if (message.header.msg_type === "comm_close") this._isOpen = false;
    if (message.header.msg_type === "comm_msg") this._take(message.content.data);
  }

  /** @param {any} data */
  _take(data) {
    this._heardAt = performance.now();
    if ("state" in data) {
      this.state = data;
      if (data.state !== "attached") this.usage = null;
      this._tell("state");
    } else if ("usage" in data) {
      this.usage = data.usage;
      this._tell("usage");
    } else if ("progress" in data) {
      this._asked.get(data.progress)?.progress?.(data.text);
    } else if ("answer" in data) {
      const asked = this._asked.get(data.answer);
      this._asked.delete(data.answer);
      if (data.error) asked?.reject(new DeedFailed(data.error));
      else asked?.resolve(data);
    }
  }

  /**
   * After a restart the kernel is another process, which knows nothing of this comm.
   * @param {any} _sender
   * @param {string} status
   */
  _onStatus(_sender, status) {
    if (["restarting", "autorestarting", "dead", "terminating"].includes(status)) {
      this._isOpen = false;
      this._giveUp("The kernel has been restarted.");
      this.state = UNKNOWN;
      this.usage = null;
      this._tell("state");
    } else if (status === "idle" && !this._isOpen) {
      this._open();
    }
  }

  /** @param {string} why */
  _giveUp(why) {
    for (const { reject } of this._asked.values()) reject(new Error(why));
    this._asked.clear();
  }

  /** @param {"state" | "usage"} what */
  _tell(what) {
    for (const listener of [...this.listeners]) listener(what);
  }
}
