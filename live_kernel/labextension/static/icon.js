// @ts-check
/** The panel's icon: a process, a plug that goes into it, its pulse; in the theme's colour. */

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="16">
  <g class="jp-icon3" fill="#616161">
    <path d="M24.8 9.3a24 24 0 1 1 0 45.4l2-5.6a18 18 0 1 0 0-34.2z"/>
    <path d="M0 29h8v6H0zM17 20h-2a12 12 0 0 0 0 24h2zM16 24h9v4h-9zM16 36h9v4h-9z"/>
    <path d="M29 34v-5l4-.2 4.800-11.500 7 21.500 3-7.800h6v4h-3.200l-5.800 13.500-7-21.500-2.700 7z"/>
  </g>
</svg>`;

/** @param {any} LabIcon of @jupyterlab/ui-components */
export function makeIcon(LabIcon) {
  return new LabIcon({ name: "live-kernel:process", svgstr: SVG });
}
