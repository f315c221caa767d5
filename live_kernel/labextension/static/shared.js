// @ts-check
/**
 * JupyterLab's own modules, taken from the scope in which it shares them.
 *
 * Rule: of a module that is there several times, the one that runs is taken (they are singletons),
 * else the application's, else the newest. What is not there is `null`: Notebook 7 lacks some.
 */

/** @typedef {{get: () => any, loaded?: any, from?: string}} Shared one version of a module */
/** @typedef {Record<string, Record<string, Shared>>} Scope modules by name and version */

/**
 * Compare two versions, such as "4.6.0-beta.1", as semver does.
 * @param {string} one
 * @param {string} other
 * @returns {number} below zero where the first is older
 */
export function compare(one, other) {
  const [a, b] = [one, other].map((text) => text.replace(/\+.*/, "").split(/-(.*)/s));
  const numbers = [a, b].map(([core]) => core.split(".").map((part) => parseInt(part, 10) || 0));
  for (let index = 0; index < 3; index++) {
    const difference = (numbers[0][index] ?? 0) - (numbers[1][index] ?? 0);
    if (difference) return difference;
  }
  if (!a[1] || !b[1]) return Number(!a[1]) - Number(!b[1]); // a release is newer than its betas
  return a[1].localeCompare(b[1], "en", { numeric: true });
}

/**
 * The version to be used of those that are shared.
 * @param {Record<string, Shared>} versions
 * @returns {string | undefined}
 */
export function chosen(versions) {
  const names = Object.keys(versions).sort(compare).reverse();
  const isCore = (/** @type {string} */ name) =>
    /application-top|CORE_/.test(versions[name].from ?? "");
  return names.find((name) => versions[name].loaded) ?? names.find(isCore) ?? names[0];
}

/**
 * A module of JupyterLab.
 * @param {Scope} scope
 * @param {string} name
 * @returns {Promise<any>} null where it is not shared, or can't be loaded
 */
export async function take(scope, name) {
  const versions = scope[name];
  const version = versions && chosen(versions);
  if (!version) return null;
  try {
    return (await versions[version].get())();
  } catch (error) {
    console.warn(`live-kernel: ${name} ${version} can't be loaded`, error);
    return null;
  }
}
