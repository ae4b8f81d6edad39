// The horizontal axis: recorded time, or instructions. Long stretches in which
// nothing happens are folded, so that what did happen can be seen.

import { clamp } from "./util";

export interface Fold { from: number; to: number }

export class Axis {
  /** Break points: values and their places in 0..1, both ascending. */
  private readonly v: number[] = [];
  private readonly x: number[] = [];
  readonly folds: Fold[] = [];

  /** points are ascending values at which something happens. */
  constructor(points: Float64Array, readonly from: number, readonly to: number, fold: boolean) {
    const length = Math.max(to - from, 1), n = points.length, gaps = new Float64Array(n + 1);
    for (let i = 0; i <= n; i++) gaps[i] = (i < n ? points[i]! : to) - (i > 0 ? points[i - 1]! : from);
    let cap = Infinity;
    if (fold && n) {
      cap = length / 10;
      for (let round = 0; round < 12; round++) {
        let sum = 0;
        for (let i = 0; i <= n; i++) { const gap = gaps[i]!; sum += gap < cap ? gap : cap; }
        cap = Math.max(sum * 0.05, 1e-9);
      }
    }
    const v = [from], w = [0];
    let at = 0;
    for (let i = 0; i <= n; i++) {
      const gap = gaps[i]!;
      if (gap > cap * 3) {
        const last = i > 0 ? points[i - 1]! : from, p = last + gap;
        if (v[v.length - 1] !== last) { v.push(last); w.push(at); }
        this.folds.push({ from: last, to: p });
        at += cap;
        v.push(p); w.push(at);
      } else at += gap;
    }
    if (v[v.length - 1] !== to) { v.push(to); w.push(at); }
    for (let i = 0; i < v.length; i++) {
      this.v.push(v[i]!);
      this.x.push(w[i]! / (at || 1));
    }
  }

  toX(value: number): number { return between(this.v, this.x, value, segment(this.v, value)); }
  toValue(x: number): number { return between(this.x, this.v, x, segment(this.x, x)); }

  /** The places of many values; where one lies is looked for near the one before it. */
  all(values: Float64Array): Float64Array {
    const { v, x } = this, out = new Float64Array(values.length);
    let k = 1;
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!;
      if (!(value <= v[k]! && value > v[k - 1]!)) k = segment(v, value);
      out[i] = between(v, x, value, k);
    }
    return out;
  }
}

/** The end of the part, of those between ascending places, in which a value lies. */
function segment(a: number[], value: number): number {
  let lo = 1, hi = a.length - 1;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (a[mid]! < value) lo = mid + 1; else hi = mid;
  }
  return lo;
}

function between(a: number[], b: number[], value: number, k: number): number {
  if (a.length < 2) return 0;
  const from = a[k - 1]!, to = a[k]!;
  const part = to > from ? clamp((value - from) / (to - from), 0, 1) : 1;
  return b[k - 1]! + part * (b[k]! - b[k - 1]!);
}

/** Round steps: 1, 2, 5 times a power of ten. */
export function step(least: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(least, 1e-12)));
  for (const m of [1, 2, 5, 10]) if (m * power >= least) return m * power;
  return 10 * power;
}
