// @ts-check
/**
 * The last minute of one figure, as a line in SVG.
 *
 * Rule: the drawing says in its label what it shows; the line is drawn in the colour of text.
 */

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT] = [64, 16];

export const MOST = 60;

/**
 * The points of a line through these values, the latest at the right, zero at the bottom.
 * @param {number[]} values
 * @param {number} top a value that is to be seen as at least so high
 */
export function points(values, top) {
  const highest = Math.max(top, ...values);
  return values
    .map((value, index) => {
      const x = WIDTH - ((values.length - 1 - index) * WIDTH) / (MOST - 1);
      const y = HEIGHT - 1 - (value / highest) * (HEIGHT - 2);
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(" ");
}

export class Sparkline {
  /**
   * @param {string} what is shown
   * @param {(value: number) => string} inWords
   * @param {number} top see `points`
   */
  constructor(what, inWords, top) {
    this._what = what;
    this._inWords = inWords;
    this._top = top;
    /** @type {number[]} */
    this._values = [];
    this.node = document.createElementNS(SVG, "svg");
    this.node.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.node.setAttribute("preserveAspectRatio", "none");
    this.node.setAttribute("class", "lk-sparkline");
    this.node.setAttribute("role", "img");
    this._line = document.createElementNS(SVG, "polyline");
    this.node.append(this._line);
  }

  /** @param {number} value the latest */
  add(value) {
    this._values.push(value);
    this._values.splice(0, this._values.length - MOST);
    const [least, most] = [Math.min(...this._values), Math.max(...this._values)];
    const range = `${this._inWords(least)} to ${this._inWords(most)}`;
    this.node.setAttribute("aria-label", `${this._what} of late: ${range}`);
    this._line.setAttribute("points", points(this._values, this._top));
  }
}
