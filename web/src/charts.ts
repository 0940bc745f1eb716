/** Small charts: lines over steps, points with intervals, calibration. */

import { svg } from "./dom";

const [WIDTH, HEIGHT] = [340, 212];
const PLACE = { left: 44, right: 12, top: 24, bottom: 36 };

export interface Line {
  name: string;
  kind: "first" | "second";
  points: [number, number][];
}

interface Scale {
  (value: number): number;
  ticks: number[];
}

/** Lines over a common axis; losses over powers of ten where they span some. */
export function lineChart(title: string, across: string, lines: Line[], logarithmic = false): SVGSVGElement {
  const xs = lines.flatMap((line) => line.points.map(([x]) => x));
  const ys = lines.flatMap((line) => line.points.map(([, y]) => y));
  const log = logarithmic && Math.min(...ys) > 0 && Math.max(...ys) / Math.min(...ys) > 5;
  const x = linear(0, Math.max(...xs, 1), PLACE.left, WIDTH - PLACE.right);
  const y = (log ? powers : linear)(Math.min(...ys), Math.max(...ys), HEIGHT - PLACE.bottom, PLACE.top);
  const paths = lines.map(({ kind, points }) =>
    svg("polyline", { class: `line ${kind}`, points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" ") }),
  );
  const last = lines.map(({ name, points }) => `${name} ${number(points.at(-1)?.[1] ?? NaN)}`).join(", ");
  return chart(`${title}: ${last} at the end`, [...axes(x, y, across), ...paths]);
}

/** How sure a network is against how often it is right; the area of a point is its number of rows. */
export function calibrationChart(points: { sure: number; right: number; rows: number }[]): SVGSVGElement {
  const low = Math.max(0, Math.min(...points.flatMap(({ sure, right }) => [sure, right])) - 0.05);
  const x = linear(low, 1, PLACE.left, WIDTH - PLACE.right);
  const y = linear(low, 1, HEIGHT - PLACE.bottom, PLACE.top);
  const most = Math.max(...points.map(({ rows }) => rows));
  const line = points.map(({ sure, right }) => `${x(sure).toFixed(1)},${y(right).toFixed(1)}`).join(" ");
  const dots = points.map(({ sure, right, rows }) =>
    svg(
      "circle",
      { class: "dot", cx: x(sure), cy: y(right), r: 2.5 + 5 * Math.sqrt(rows / most) },
      svg("title", {}, `sure ${percentOf(sure)}, right ${percentOf(right)}, ${rows} rows`),
    ),
  );
  const told = points.map(({ sure, right }) => `${percentOf(sure)} sure, ${percentOf(right)} right`).join("; ");
  return chart(`Calibration: ${told}`, [
    ...axes(x, y, "how sure the network is", "how often it is right"),
    svg("line", { class: "ideal", x1: x(low), y1: y(low), x2: x(1), y2: y(1) }),
    svg("polyline", { class: "line first", points: line }),
    ...dots,
  ]);
}

export interface Estimate {
  name: string;
  value: [number, number, number];
  own: boolean;
}

/** Values with their intervals, one under the other. */
export function intervalChart(title: string, estimates: Estimate[], unit = ""): SVGSVGElement {
  const row = 30;
  const height = estimates.length * row + 30;
  const low = Math.min(...estimates.map(({ value }) => value[1]));
  const high = Math.max(...estimates.map(({ value }) => value[2]));
  const margin = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  const x = linear(low - margin, high + margin, 136, WIDTH - PLACE.right - 8);
  const parts = estimates.flatMap(({ name, value: [middle, from, to], own }, i) => {
    const y = i * row + 20;
    return [
      svg("text", { class: own ? "label own" : "label", x: 128, y: y + 4, "text-anchor": "end" }, name),
      svg("line", { class: own ? "interval own" : "interval", x1: x(from), x2: x(to), y1: y, y2: y }),
      svg("circle", { class: own ? "dot own" : "dot other", cx: x(middle), cy: y, r: own ? 5 : 4 }, svg("title", {}, `${number(middle)} [${number(from)}, ${number(to)}]`)),
    ];
  });
  const ticks = x.ticks.flatMap((tick) => [
    svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 4, y2: height - 22 }),
    svg("text", { class: "tick", x: x(tick), y: height - 6, "text-anchor": "middle" }, number(tick) + unit),
  ]);
  const told = estimates.map(({ name, value }) => `${name} ${number(value[0])}, from ${number(value[1])} to ${number(value[2])}`).join("; ");
  return chart(`${title}: ${told}`, [...ticks, ...parts], height);
}

export function number(value: number): string {
  if (!Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return value.toLocaleString("en", { maximumFractionDigits: 0 });
  return size !== 0 && size < 0.001 ? value.toExponential(1) : String(Number(value.toPrecision(size < 0.01 ? 2 : 3)));
}

function percentOf(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function chart(label: string, parts: SVGElement[], height = HEIGHT): SVGSVGElement {
  return svg("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${height}`, role: "img", "aria-label": label }, ...parts);
}

function axes(x: Scale, y: Scale, across: string, up = ""): SVGElement[] {
  const floor = HEIGHT - PLACE.bottom;
  return [
    ...y.ticks.flatMap((tick) => [
      svg("line", { class: "grid", x1: PLACE.left, x2: WIDTH - PLACE.right, y1: y(tick), y2: y(tick) }),
      svg("text", { class: "tick", x: PLACE.left - 6, y: y(tick) + 4, "text-anchor": "end" }, number(tick)),
    ]),
    ...x.ticks.map((tick) => svg("text", { class: "tick", x: x(tick), y: floor + 16, "text-anchor": "middle" }, number(tick))),
    svg("text", { class: "tick", x: (PLACE.left + WIDTH) / 2, y: HEIGHT - 3, "text-anchor": "middle" }, across),
    up ? svg("text", { class: "tick", x: PLACE.left - 34, y: 11 }, up) : svg("g"),
  ];
}

function linear(low: number, high: number, from: number, to: number): Scale {
  if (high - low < 1e-12) [low, high] = [low - 0.5, high + 0.5];
  const scale = ((value: number) => from + ((value - low) / (high - low)) * (to - from)) as Scale;
  const rough = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * power).find((size) => size >= rough)!;
  scale.ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) scale.ticks.push(Math.abs(tick) < step * 1e-9 ? 0 : tick);
  return scale;
}

function powers(low: number, high: number, from: number, to: number): Scale {
  const inner = linear(Math.log10(low), Math.log10(high), from, to);
  const scale = ((value: number) => inner(Math.log10(value))) as Scale;
  scale.ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const times of [1, 2, 5]) {
      const tick = times * 10 ** power;
      if (tick >= low && tick <= high) scale.ticks.push(tick);
    }
  }
  if (scale.ticks.length > 6) scale.ticks = scale.ticks.filter((tick) => Math.log10(tick) % 1 === 0);
  return scale;
}
