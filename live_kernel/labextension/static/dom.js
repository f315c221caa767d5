// @ts-check
/** Making and changing elements. Rule: what has not changed is not touched, so nothing flickers. */

/**
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/**
 * @param {string} label
 * @param {() => unknown} onClick
 * @param {string} [kind] a class
 */
export function button(label, onClick, kind = "") {
  const node = make("button", { type: "button", class: `lk-button ${kind}` }, label);
  node.addEventListener("click", () => void onClick());
  return node;
}

/** @param {Element} node @param {string} text */
export function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** @param {Element} node @param {string} name @param {string | null} value null to remove it */
export function mark(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** @param {HTMLElement} node @param {boolean} isShown */
export function show(node, isShown) {
  if (node.hidden === isShown) node.hidden = !isShown;
}

/**
 * Put elements into this order, and leave nothing else there. The one that has the focus is not
 * moved, for it would lose it: the others are moved around it.
 * @param {Element} parent
 * @param {Element[]} wanted
 */
export function arrange(parent, wanted) {
  const isWanted = new Set(wanted);
  for (const child of [...parent.children]) if (!isWanted.has(child)) child.remove();
  const kept = wanted.find((child) => child.contains(document.activeElement));
  /** @type {Element | null} */
  let next = null;
  for (const child of [...wanted].reverse()) {
    if (child === kept) {
      while (child.nextSibling !== next) parent.prepend(/** @type {Node} */ (child.nextSibling));
    } else if (child.parentNode !== parent || child.nextSibling !== next) {
      parent.insertBefore(child, next);
    }
    next = child;
  }
}
