// The ruler above the lanes: round values where the axis is even, and what lies in
// the folds.

import { step, type Axis } from "./axis";
import type { Palette } from "./timeline";
import { grouped, span } from "./util";

export function drawRuler(g: CanvasRenderingContext2D, axis: Axis, zoom: [number, number], toPx: (x: number) => number,
  left: number, width: number, unit: "time" | "instr", c: Palette): void {
  g.font = "11px system-ui, sans-serif";
  g.fillStyle = c["--line"]!;
  g.fillRect(0, 22, width, 1);
  g.textAlign = "center";
  const from = axis.toValue(zoom[0]), to = axis.toValue(zoom[1]);
  const folds = axis.folds.filter((f) => f.to > from && f.from < to);
  const taken: [number, number][] = [];
  for (const f of folds) {
    const a = Math.max(left, toPx(axis.toX(f.from))), b = Math.min(width, toPx(axis.toX(f.to)));
    if (b - a < 3) continue;
    const text = unit === "time" ? span(f.to - f.from) : short(f.to - f.from);
    g.fillStyle = c["--fold"]!;
    g.fillRect(a, 4, b - a, 15);
    g.fillStyle = c["--dim"]!;
    const w = g.measureText(text).width;
    if (w + 8 < b - a) g.fillText(text, (a + b) / 2, 12);
    taken.push([a - 2, b + 2]);
  }
  // Between two folds values are even.
  const edges = [from, ...folds.flatMap((f) => [f.from, f.to]), to];
  let room = 0;
  for (let i = 0; i + 1 < edges.length; i += 2) {
    const a = Math.max(from, edges[i]!), b = Math.min(to, edges[i + 1]!);
    const pxA = toPx(axis.toX(a)), pxB = toPx(axis.toX(b));
    if (pxB - pxA < 60) continue;
    const each = step(((b - a) / (pxB - pxA)) * 90);
    for (let v = Math.ceil(a / each) * each; v <= b && room++ < 200; v += each) {
      const px = toPx(axis.toX(v)), text = unit === "time" ? label(v, each) : short(v);
      const w = g.measureText(text).width / 2 + 6;
      if (px - w < left || px + w > width || taken.some(([x, y]) => px + w > x && px - w < y)) continue;
      g.fillStyle = c["--line"]!;
      g.fillRect(px, 18, 1, 4);
      g.fillStyle = c["--dim"]!;
      g.fillText(text, px, 12);
      taken.push([px - w, px + w]);
    }
  }
  g.textAlign = "start";
}

/** A time, in ns, to the digits that the step has. */
function label(ns: number, each: number): string {
  const [unit, name] = each >= 1e8 || ns >= 1e9 ? [1e9, "s"] : each >= 1e5 || ns >= 1e6 ? [1e6, "ms"] : each >= 100 || ns >= 1e3 ? [1e3, "µs"] : [1, "ns"];
  const places = Math.max(0, -Math.floor(Math.log10(each / unit) + 1e-9));
  return `${(ns / unit).toFixed(places)} ${name}`;
}

function short(n: number): string {
  return n >= 1e9 ? `${(n / 1e9).toFixed(1)}G` : n >= 1e7 ? `${(n / 1e6).toFixed(0)}M` : n >= 1e6 ? `${(n / 1e6).toFixed(1)}M` : grouped(Math.round(n));
}
