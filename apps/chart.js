// What the plots of all reports share: the data, axes, lines, and drawing itself.
const chart = (() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  document.documentElement.classList.add("js");

  const dashes = [[], [6, 4], [2, 3], [9, 3, 2, 3], [12, 4], [4, 2]];
  const color = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const fixed = (value, digits) => value == null ? "-" : value.toFixed(digits);
  const short = value => value == null ? "-" : Number(value.toPrecision(4)).toString();
  const font = "12px system-ui, sans-serif";

  const axis = (label, more = {}) => ({
    label, labelFont: font, font, labelSize: 22, stroke: color("--muted"),
    grid: {stroke: color("--grid"), width: 1}, ticks: {stroke: color("--grid"), width: 1}, ...more,
  });
  const line = (label, i, value, more = {}) => ({
    label, stroke: color("--s" + i % 6), width: 1.75, dash: dashes[(i + Math.floor(i / 6)) % 6],
    points: {show: false}, value: (u, v) => value(v), ...more,
  });
  const percent = v => v == null ? "-" : fixed(v, 2) + " %";
  const percentScale = {range: () => [0, 100]};
  const fromZero = {range: (u, low, high) => [low < 0 ? low * 1.06 : 0, high > 0 ? high * 1.06 : 1]};
  // Logarithmic where the values differ by more than a plain scale can show.
  const ranged = values => values.every(v => v > 0) && Math.max(...values) > 30 * Math.min(...values)
    ? {distr: 3} : fromZero;
  const padded = {time: false, range: (u, low, high) => low === high ? [low - 1, high + 1] : [low, high]};

  // Draws every plot of `makers` (by id, a function that returns options and values) that has a place.
  const draw = makers => {
    // Plots follow the width of the page and the colours of the reader's scheme.
    const plots = new Map();
    const drawOne = id => {
      const place = document.getElementById(id);
      const {options, values} = makers[id]();
      plots.get(id)?.destroy();
      plots.set(id, new uPlot({
        width: place.clientWidth, height: 300, cursor: {y: false}, legend: {live: true}, ...options,
      }, values, place));
    };
    const present = Object.keys(makers).filter(id => document.getElementById(id));
    present.forEach(drawOne);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => present.forEach(drawOne));
    new ResizeObserver(() => plots.forEach((plot, id) => {
      const width = document.getElementById(id).clientWidth;
      if (width > 0 && width !== plot.width) plot.setSize({width, height: 300});
    })).observe(document.querySelector("main"));
  };
  return {data, color, fixed, short, axis, line, percent, percentScale, fromZero, ranged, padded, draw};
})();
