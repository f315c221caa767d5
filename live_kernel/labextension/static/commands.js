// @ts-check
/**
 * The commands, for the palette, the Kernel menu, and whoever binds keys to them.
 *
 * Rule: each says by itself whether it makes sense for the notebook or console in front.
 */

const CATEGORY = "Live Kernel";

/**
 * @param {any} commands the registry
 * @param {import("./sessions.js").Sessions} sessions
 * @param {import("./choosing.js").Choosing} choosing
 * @param {import("./deeds.js").Deeds} deeds
 * @param {() => void} showPanel
 * @returns {string[]} their ids, in the order of a menu
 */
export function addCommands(commands, sessions, choosing, deeds, showPanel) {
  const state = () => sessions.current?.comm?.state;
  const none = { type: "object", properties: {} };

  /** @type {Record<string, {label: string, isEnabled?: () => boolean, execute: () => unknown}>} */
  const all = {
    "live-kernel:attach": {
      label: "Attach to Process…",
      execute: () => attach(sessions, choosing, deeds),
    },
    "live-kernel:bind": {
      label: "Change What Cells See…",
      isEnabled: () => state()?.state === "attached",
      execute: () => bind(sessions, choosing, deeds),
    },
    "live-kernel:wake": {
      label: "Wake the Process",
      isEnabled: () => Boolean(state()?.blocked),
      execute: () => deeds.wake(/** @type {any} */ (state()?.target)),
    },
    "live-kernel:detach": {
      label: "Detach from Process",
      isEnabled: () => ["attached", "injecting"].includes(state()?.state ?? ""),
      execute: () => deeds.detachHere(),
    },
    "live-kernel:show": { label: "Show Live Processes", execute: showPanel },
  };
  for (const [id, command] of Object.entries(all)) {
    commands.addCommand(id, { ...command, describedBy: { args: none } });
  }
  sessions.listeners.add((_, what) => {
    if (what !== "usage") for (const id of Object.keys(all)) commands.notifyCommandChanged(id);
  });
  return Object.keys(all);
}

/**
 * @param {string[]} ids
 * @param {any} palette null where there is none
 * @param {any} menu likewise
 */
export function offerCommands(ids, palette, menu) {
  for (const command of ids) palette?.addItem({ command, category: CATEGORY });
  menu?.kernelMenu.addGroup(ids.map((command) => ({ command })), 90);
}

/**
 * @param {import("./sessions.js").Sessions} sessions
 * @param {import("./choosing.js").Choosing} choosing
 * @param {import("./deeds.js").Deeds} deeds
 */
async function attach(sessions, choosing, deeds) {
  const session = sessions.current;
  const text = session ? `For ${session.name}.` : "A new notebook is opened in it.";
  const words = { title: "Attach to process", text, button: "Attach" };
  const process = await choosing.process(words, session?.target ?? null);
  if (!process) return;
  await (session ? deeds.attachHere(process, session) : deeds.openNotebook(process));
}

/**
 * @param {import("./sessions.js").Sessions} sessions
 * @param {import("./choosing.js").Choosing} choosing
 * @param {import("./deeds.js").Deeds} deeds
 */
async function bind(sessions, choosing, deeds) {
  const session = sessions.current;
  if (!session?.comm) return;
  const place = await choosing.place(session.comm);
  if (place) await deeds.bind(session, place);
}
