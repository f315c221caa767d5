// @ts-check
/**
 * A dialogue that picks one of many: type to filter, arrows, Enter takes.
 *
 * Rule: the field keeps the focus; the list follows it as a combobox's does (ARIA). Choices may come
 * after the dialogue is open.
 */

import { make, mark, write } from "./dom.js";

/**
 * @typedef {object} Choice
 * @property {string} label
 * @property {string} detail
 * @property {string} [note] what is said of it at the right: "now", "best match"
 * @property {import("./api.js").Guard} [guard]
 * @property {string} group
 * @property {any} value
 */
/** @typedef {{title: string, text: string, button: string, field: string, none: string}} Words */

const MOST = 200; // rows that are shown; more are found by typing

/**
 * @param {any} Widget of @lumino/widgets
 */
function listClass(Widget) {
  return class ChoiceList extends Widget {
    /** @param {Words} words @param {() => void} onTaken */
    constructor(words, onTaken) {
      super();
      this.addClass("lk-picker");
      this._onTaken = onTaken;
      /** @type {Choice[]} */
      this._choices = [];
      /** @type {Choice[]} */
      this._shown = [];
      this._whyNone = "Looking …"; // why there is nothing to choose from, whatever is typed
      this._at = 0;
      this._field = make("input", {
        type: "text", role: "combobox", class: "lk-search jp-mod-styled", "aria-expanded": "true",
        "aria-controls": "lk-choices", "aria-autocomplete": "list", "aria-label": words.field,
        placeholder: words.field, spellcheck: "false", autocomplete: "off",
      });
      this._list = make("ul", { id: "lk-choices", role: "listbox", "aria-label": words.field });
      this._none = make("p", { class: "lk-none", role: "status" }, this._whyNone);
      const text = make("p", { class: "lk-text" }, words.text);
      this.node.append(...(words.text ? [text] : []), this._field, this._none, this._list);
      this._field.addEventListener("input", () => this._filter());
      this._field.addEventListener("keydown", (event) => this._onKey(event));
      this._list.addEventListener("click", (event) => this._onClick(event));
    }

    /** What a dialog asks its body for. */
    getValue() {
      return this._shown[this._at]?.value ?? null;
    }

    /** @param {Choice[]} choices the best first @param {string} whyNone where there are none */
    offer(choices, whyNone) {
      this._choices = choices;
      this._whyNone = whyNone;
      this._filter();
    }

    _filter() {
      const words = this._field.value.toLowerCase().split(/\s+/).filter(Boolean);
      const fits = (/** @type {Choice} */ { label, detail, group }) => {
        const text = `${label} ${detail} ${group}`.toLowerCase();
        return words.every((word) => text.includes(word));
      };
      this._shown = this._choices.filter(fits).slice(0, MOST);
      const rows = [];
      let group = "";
      for (const [index, choice] of this._shown.entries()) {
        if (choice.group !== group) rows.push(heading((group = choice.group)));
        rows.push(option(choice, index));
      }
      this._list.replaceChildren(...rows);
      const whyNone = this._choices.length ? "Nothing has all of these words." : this._whyNone;
      write(this._none, this._shown.length ? "" : whyNone);
      const present = this._shown.findIndex((choice) => choice.note === "now");
      this._go(words.length ? 0 : Math.max(present, 0));
    }

    /** @param {number} to */
    _go(to) {
      this._at = Math.max(0, Math.min(to, this._shown.length - 1));
      for (const row of this._list.querySelectorAll("[role=option]")) {
        const isIt = row.id === `lk-choice-${this._at}`;
        mark(row, "aria-selected", String(isIt));
        if (isIt) row.scrollIntoView({ block: "nearest" });
      }
      mark(this._field, "aria-activedescendant", this._shown.length ? `lk-choice-${this._at}` : null);
    }

    /** @param {KeyboardEvent} event */
    _onKey(event) {
      const { length } = this._shown;
      const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
      const by = steps[/** @type {keyof steps} */ (event.key)];
      if (!by || !length) return;
      const at = this._at + by;
      this._go(Math.abs(by) > 1 ? at : (at + length) % length);
      event.preventDefault();
    }

    /** @param {MouseEvent} event */
    _onClick(event) {
      const row = /** @type {Element} */ (event.target).closest("[role=option]");
      if (!row) return;
      this._go(Number(row.id.replace("lk-choice-", "")));
      this._onTaken();
    }
  };
}

/** @param {string} text */
function heading(text) {
  return make("li", { role: "presentation", class: "lk-group" }, text);
}

/** @param {Choice} choice @param {number} index */
function option({ label, detail, note, guard }, index) {
  const parts = [make("span", { class: "lk-name" }, label)];
  if (note) parts.push(make("span", { class: "lk-note" }, note));
  if (guard?.banner || guard?.colour) {
    const colour = guard.colour || "none";
    parts.push(make("span", { class: "lk-mark", "data-colour": colour }, guard.banner || "Guarded"));
  }
  parts.push(make("span", { class: "lk-detail" }, detail));
  return make("li", { role: "option", id: `lk-choice-${index}`, "aria-selected": "false" }, ...parts);
}

/**
 * Have the user pick one.
 * @param {{Widget: any, Dialog: any}} from of JupyterLab
 * @param {Words} words
 * @param {Promise<Choice[]>} choices
 * @returns {Promise<any>} the value of the choice; null where none was taken
 */
export async function pick({ Widget, Dialog }, words, choices) {
  const List = listClass(Widget);
  const list = new List(words, () => dialog.resolve());
  const dialog = new Dialog({
    title: words.title,
    body: list,
    buttons: [Dialog.cancelButton(), Dialog.okButton({ label: words.button })],
    focusNodeSelector: "input",
  });
  dialog.addClass("lk-dialog");
  choices
    .then((found) => list.offer(found, words.none))
    .catch(({ message, remedy }) => list.offer([], [message, remedy].filter(Boolean).join(" ")));
  const { button, value } = await dialog.launch();
  return button.accept ? value : null;
}
