// @ts-check
/**
 * The plugin: what it needs of JupyterLab or Notebook 7, and its parts put together.
 *
 * Rule: every service is optional. Where one is missing, what would stand there is left out, and
 * the rest works.
 */

import { Api } from "./api.js";
import { Choosing } from "./choosing.js";
import { addCommands, offerCommands } from "./commands.js";
import { Deeds } from "./deeds.js";
import { Gone } from "./gone.js";
import { GuardMarks } from "./guard.js";
import { makeIcon } from "./icon.js";
import { ID, panelClass } from "./panel.js";
import { Polling } from "./polling.js";
import { Sessions } from "./sessions.js";
import { take } from "./shared.js";
import { statusClass } from "./status.js";

const PLUGIN = "live-kernel:plugin";

/** @type {Record<string, [string, string]>} the services, by module and token */
const SERVICES = {
  notebooks: ["@jupyterlab/notebook", "INotebookTracker"],
  consoles: ["@jupyterlab/console", "IConsoleTracker"],
  palette: ["@jupyterlab/apputils", "ICommandPalette"],
  menu: ["@jupyterlab/mainmenu", "IMainMenu"],
  statusBar: ["@jupyterlab/statusbar", "IStatusBar"],
  settings: ["@jupyterlab/settingregistry", "ISettingRegistry"],
  restorer: ["@jupyterlab/application", "ILayoutRestorer"],
  files: ["@jupyterlab/filebrowser", "IDefaultFileBrowser"],
};

/**
 * The plugins of this extension.
 * @param {import("./shared.js").Scope} scope
 */
export async function plugins(scope) {
  const modules = await load(scope);
  const tokens = Object.entries(SERVICES).flatMap(([name, [module, token]]) => {
    const found = modules[module]?.[token];
    return found ? [{ name, token: found }] : [];
  });
  return [
    {
      id: PLUGIN,
      description: "Attaches notebooks and consoles to running Python programs.",
      autoStart: true,
      optional: tokens.map(({ token }) => token),
      activate: (/** @type {any} */ app, /** @type {any[]} */ ...services) => {
        const named = Object.fromEntries(tokens.map(({ name }, at) => [name, services[at]]));
        activate(app, named, modules);
      },
    },
  ];
}

/** @param {import("./shared.js").Scope} scope */
async function load(scope) {
  const named = Object.values(SERVICES).map(([module]) => module);
  const more = ["@lumino/widgets", "@jupyterlab/services", "@jupyterlab/ui-components"];
  const names = [...new Set([...named, ...more])];
  const found = await Promise.all(names.map((name) => take(scope, name)));
  return Object.fromEntries(names.map((name, at) => [name, found[at]]));
}

/**
 * @param {any} app
 * @param {Record<string, any>} services
 * @param {Record<string, any>} modules
 */
function activate(app, services, modules) {
  const { Widget } = modules["@lumino/widgets"];
  const { Dialog, Notification } = modules["@jupyterlab/apputils"];
  const { ServerConnection, KernelMessage } = modules["@jupyterlab/services"];
  const { kernelspecs, kernels, serverSettings } = app.serviceManager;
  const refreshSpecs = () => kernelspecs.refreshSpecs();
  const specs = () => kernelspecs.specs?.kernelspecs;
  const directory = () => services.files?.model?.path ?? "";

  const api = new Api(ServerConnection, serverSettings);
  const sessions = new Sessions(KernelMessage, app.shell);
  if (services.notebooks) sessions.follow(services.notebooks, "notebook");
  if (services.consoles) sessions.follow(services.consoles, "console");
  const { commands } = app;
  const lab = { commands, kernels, refreshSpecs, Notification, KernelMessage, directory };
  const deeds = new Deeds(lab, api, sessions);
  const choosing = new Choosing({ Widget, Dialog }, api);
  const polling = new Polling(api, refreshSpecs);

  const panel = new (panelClass(Widget))(polling, sessions, deeds);
  panel.title.icon = makeIcon(modules["@jupyterlab/ui-components"].LabIcon);
  const showPanel = () => {
    app.shell.activateById(ID);
    setTimeout(() => panel.activate()); // the palette gives back the focus that it had taken
  };
  const ids = addCommands(commands, sessions, choosing, deeds, showPanel);
  offerCommands(ids, services.palette, services.menu);
  new GuardMarks(Widget, sessions);
  new Gone(sessions, choosing, deeds, { specs, Notification });
  addStatus(services.statusBar, Widget, sessions, (id) => void commands.execute(id));
  void addPanel(app, services, panel, polling);
}

/**
 * @param {any} statusBar null where there is none
 * @param {any} Widget
 * @param {Sessions} sessions
 * @param {(id: string) => void} execute
 */
function addStatus(statusBar, Widget, sessions, execute) {
  if (!statusBar) return;
  const item = new (statusClass(Widget))(sessions, execute);
  statusBar.registerStatusItem("live-kernel:status", { item, align: "left", rank: 3 });
}

/**
 * Put the panel where the settings want it, and go by them from then on.
 * @param {any} app
 * @param {Record<string, any>} services
 * @param {any} panel
 * @param {Polling} polling
 */
async function addPanel(app, services, panel, polling) {
  const settings = await services.settings?.load(PLUGIN).catch(() => null);
  const get = (/** @type {string} */ name) => settings?.composite[name];
  const apply = () => {
    polling.interval = get("interval") ?? 2;
  };
  panel.begin(get("all") ?? false);
  app.shell.add(panel, get("area") ?? "left", { rank: 650, type: "Live processes" });
  services.restorer?.add(panel, ID);
  settings?.changed.connect(apply);
  apply();
}
