/**
 * The container that JupyterLab loads: what a bundler would make, in the few lines that it takes.
 *
 * A classic script, run once in the page, before the application starts. It gives the modules of
 * this directory to JupyterLab, and JupyterLab's own shared modules to them. Rule: nothing is
 * loaded before it is asked for, and nothing is shared by us.
 *
 * Source: https://webpack.js.org/concepts/module-federation/#dynamic-remote-containers
 */
(() => {
  const here = document.currentScript.src;
  let scope = {};

  const load = {
    "./extension": async () => {
      const { plugins } = await import(new URL("./extension.js", here).href);
      return { __esModule: true, default: await plugins(scope) };
    },
    "./style": () => {
      const link = document.createElement("link");
      link.rel = "stylesheet";
      link.href = new URL("./style.css", here).href;
      document.head.append(link);
      return {};
    },
  };

  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB["live-kernel"] = {
    init: (shared) => {
      scope = shared;
    },
    get: async (name) => {
      if (!(name in load)) throw new Error(`live-kernel has no module ${name}`);
      const module = await load[name]();
      return () => module;
    },
  };
})();
