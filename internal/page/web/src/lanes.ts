// The lanes of the timeline: which there are, where they lie, and their bars.

import type { Lane, Recording } from "./data";
import { colourOf } from "./kinds";
import type { Palette } from "./timeline";

/** A row of the picture: a lane of a thread, or the heading of a process (lane -1). */
export interface LaneRow { lane: number; y: number; h: number; label: string; indent: number }

const head = 50, thick = 26;

/** Where pictures of rows lie: places on the axis, the pixel of a place, and the pixels between which they are drawn. */
export interface View {
  x0: Float64Array; x1: Float64Array;
  px(x: number): number;
  /** The place at a pixel. */
  place(px: number): number;
  from: number; to: number;
}

/** Stretches of one lane in order of time: where each begins, and how far it and those before it reach. */
interface Stretches { from: Float64Array; ends: Float64Array }

function stretches(from: Float64Array, to: Float64Array): Stretches {
  for (let i = 1; i < to.length; i++) if (to[i]! < to[i - 1]!) to[i] = to[i - 1]!;
  return { from, ends: to };
}

export class Lanes {
  readonly rows: LaneRow[] = [];
  /** Numbers of lanes from top to bottom. */
  readonly order: number[] = [];
  readonly height: number;
  /** Rows in which tasks ran, by lane. */
  private readonly tasks = new Map<number, Uint32Array>();
  private readonly byLane = new Map<number, LaneRow>();
  /** Where threads ran, by lane, and how far their rows reach. */
  private ran: Stretches[] = [];
  private readonly reach = new Map<number, Stretches>();

  constructor(private readonly rec: Recording) {
    let y = head;
    const many = rec.doc.procs.length > 1;
    const of: { l: Lane; k: number }[][] = rec.doc.procs.map(() => []);
    rec.doc.lanes.forEach((l, k) => { if (rec.ofLane[k]!.length > 0) of[l.proc]?.push({ l, k }); });
    rec.doc.procs.forEach((p, i) => {
      const lanes = of[i]!;
      if (!lanes.length) return;
      if (many) {
        this.rows.push({ lane: -1, y, h: 22, label: `process ${p.id}${p.given ? ` “${p.given}”` : ""}, pid ${p.pid}: ${p.name}`, indent: 10 });
        y += 22;
      }
      for (const { l, k } of lanes) {
        const row: LaneRow = { lane: k, y, h: thick, label: l.name || `thread ${l.num}`, indent: many ? 20 : 12 };
        this.rows.push(row);
        this.order.push(k);
        this.byLane.set(k, row);
        y += thick;
      }
      (rec.doc.tasks ?? []).forEach((t, k) => {
        if (t.proc !== i || k >= 200) return;
        const row: LaneRow = { lane: rec.doc.lanes.length + k, y, h: thick - 4, label: `${t.kind} ${t.name}`, indent: many ? 30 : 22 };
        this.rows.push(row);
        this.order.push(row.lane);
        this.byLane.set(row.lane, row);
        this.tasks.set(row.lane, Uint32Array.from(rec.rowsOfTask(k)));
        y += row.h;
      });
    });
    this.height = y + 8;
  }

  rowOf(lane: number): LaneRow | undefined { return this.byLane.get(lane); }
  at(y: number): LaneRow | undefined { return this.rows.find((r) => y >= r.y && y < r.y + r.h); }

  /** Computes who ran: between two events of a process the thread of the later one did. */
  runs(x0: Float64Array, x1: Float64Array): void {
    const { lane: lanes, took, ofLane } = this.rec;
    const out = ofLane.map((rows) => ({ from: new Float64Array(rows.length), to: new Float64Array(rows.length), n: 0 }));
    for (const rows of this.rec.ofProc) {
      for (let i = 1; i < rows.length; i++) {
        const r = rows[i]!, last = rows[i - 1]!, lane = lanes[r]!, o = out[lane]!;
        const from = lanes[last] === lane && took[last]! >= 0 ? x1[last]! : x0[last]!, to = x0[r]!;
        if (to <= from) continue;
        if (o.n && from - o.to[o.n - 1]! < 1e-9) o.to[o.n - 1] = to;
        else { o.from[o.n] = from; o.to[o.n++] = to; }
      }
    }
    this.ran = out.map((o) => stretches(o.from.subarray(0, o.n), o.to.subarray(0, o.n)));
    this.reach.clear();
    const picked = (rows: Uint32Array, of: Float64Array): Float64Array => {
      const all = new Float64Array(rows.length);
      for (let i = 0; i < rows.length; i++) all[i] = of[rows[i]!]!;
      return all;
    };
    for (const lane of this.order) this.reach.set(lane, stretches(picked(this.rowsOf(lane), x0), picked(this.rowsOf(lane), x1)));
  }

  private rowsOf(lane: number): Uint32Array { return this.rec.ofLane[lane] ?? this.tasks.get(lane) ?? new Uint32Array(0); }

  /** A task: where it ran, and that it waits from then to the end. */
  private paintTask(g: CanvasRenderingContext2D, lane: LaneRow, y: number, v: View, c: Palette): void {
    const t = this.rec.task(lane.lane)!, at = this.reach.get(lane.lane)!, last = at.ends.at(-1) ?? -1;
    const top = y + 5, high = lane.h - 10, end = v.px(1);
    const bars = new Bars(g, top, high);
    along(at, v, (_, a, b) => { bars.add(a, Math.max(1, b - a), c["--runs"]!); });
    bars.done();
    if (t.running) return;
    const from = last >= 0 ? v.px(last) : end - 60;
    g.fillStyle = c[colourOf("task")]!;
    g.globalAlpha = last >= 0 ? 1 : 0.5;
    g.fillRect(from, top, Math.max(2, end - from - 3), high);
    g.globalAlpha = 1;
    g.fillStyle = c["--bad"]!;
    g.fillRect(end - 3, top - 2, 3, high + 4);
    if (end - from > 46) name(g, "waits", from + 5, y + lane.h / 2, end - from - 8, c["--panel"]!);
  }

  /** The row of a lane at a place of the axis, or the nearest within some distance. */
  nearest(lane: number, x: number, x0: Float64Array, x1: Float64Array, near: number): number {
    const rows = this.rowsOf(lane);
    const i = first(rows, x0, x);
    let best = -1, far = near;
    for (const k of [i - 1, i, i - 2]) {
      const r = rows[k];
      if (r === undefined) continue;
      const d = x < x0[r]! ? x0[r]! - x : x > x1[r]! ? x - x1[r]! : 0;
      if (d < far || (d === 0 && best < 0)) { best = r; far = d; }
    }
    return best >= 0 ? best : rows[i - 1] ?? -1;
  }

  paint(g: CanvasRenderingContext2D, lane: LaneRow, y: number, v: View, c: Palette, focus: number): void {
    if (this.tasks.has(lane.lane)) { this.paintTask(g, lane, y, v, c); return; }
    const rec = this.rec, rows = this.rowsOf(lane.lane), at = this.reach.get(lane.lane)!;
    const top = y + 5, high = lane.h - 10, mid = y + lane.h / 2;
    if (!rows.length) return;
    g.fillStyle = c["--line"]!;
    const from = v.px(at.from[0]!);
    g.fillRect(from, mid - 0.5, Math.max(1, v.px(v.x1[rows[rows.length - 1]!]!) - from), 1);
    const bars = new Bars(g, top + 4, high - 8);
    along(this.ran[lane.lane]!, v, (_, a, b) => { bars.add(a, Math.max(0.75, b - a), c["--runs"]!); });
    bars.done();
    const colours = rec.doc.kinds.map((k) => c[colourOf(k)]!), calls = new Bars(g, top, high);
    const call = (r: number, x: number, w: number): void => {
      calls.add(x, w, colours[rec.kind[r]!]!);
      if (w <= 46 && rec.took[r]! >= 0) return;
      calls.done(); // what follows is drawn on it
      if (rec.took[r]! < 0) { // it never returned: an open end
        g.fillStyle = c["--bad"]!;
        g.fillRect(Math.min(x + w, v.to) - 3, top - 2, 3, high + 4);
      }
      if (w > 46) name(g, rec.text(r), x + 5, mid, w - 8, c["--panel"]!);
    };
    along(at, v, (i, a, b) => { call(rows[i]!, a, Math.max(1, b - a)); });
    if (rec.lane[focus] === lane.lane) {
      const a = v.px(v.x0[focus]!), b = v.px(v.x1[focus]!), x = Math.max(a, v.from - 2), w = Math.max(1, Math.min(b, v.to + 2) - x);
      if (a <= v.to && b >= v.from) {
        call(focus, x, w);
        calls.done();
        g.strokeStyle = c["--accent"]!;
        g.lineWidth = 2;
        g.strokeRect(x - 1, top - 1, w + 2, high + 2);
      }
    }
    calls.done();
  }
}

/**
 * Names the stretches of a lane that can be seen, with the pixels where they begin and end:
 * of those that end within a pixel that is drawn already none. So a picture costs as much as
 * it is wide, however many rows a lane has.
 */
function along(at: Stretches, v: View, f: (i: number, from: number, to: number) => void): void {
  const n = at.from.length;
  for (let i = behind(at.ends, 0, v.place(v.from - 2)); i < n;) {
    const a = v.px(at.from[i]!), b = v.px(at.ends[i]!);
    if (a > v.to) break;
    const x = Math.max(a, v.from - 2), to = Math.min(b, v.to + 2);
    f(i, x, to);
    i = behind(at.ends, i + 1, v.place(Math.max(x + 1, to)));
  }
}

/** The first of ascending values, from one on, that is greater than a value: found by steps that double. */
function behind(list: Float64Array, from: number, value: number): number {
  let step = 1, lo = from;
  while (lo < list.length && list[Math.min(lo + step, list.length) - 1]! <= value) { lo += step; step *= 2; }
  let hi = Math.min(lo + step, list.length);
  lo = Math.min(lo, list.length);
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (list[mid]! <= value) lo = mid + 1; else hi = mid;
  }
  return lo;
}

/** Bars of one height; those of one colour that touch are drawn as one. */
class Bars {
  private x = 0;
  private to = -1;
  private colour = "";

  constructor(private readonly g: CanvasRenderingContext2D, private readonly top: number, private readonly high: number) {}

  add(x: number, w: number, colour: string): void {
    if (colour === this.colour && x <= this.to + 0.01 && x >= this.x) { this.to = Math.max(this.to, x + w); return; }
    this.done();
    this.x = x; this.to = x + w; this.colour = colour;
  }

  done(): void {
    if (this.to <= this.x) return;
    this.g.fillStyle = this.colour;
    this.g.fillRect(this.x, this.top, this.to - this.x, this.high);
    this.to = this.x = -1;
    this.colour = "";
  }
}

/** The first of some rows that lies behind a place. */
function first(rows: Uint32Array, x0: Float64Array, x: number): number {
  let lo = 0, hi = rows.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (x0[rows[mid]!]! <= x) lo = mid + 1; else hi = mid;
  }
  return lo;
}

function name(g: CanvasRenderingContext2D, text: string, x: number, y: number, width: number, colour: string): void {
  const call = /^[\w ]+/.exec(text)?.[0] ?? "";
  if (g.measureText(call).width > width) return;
  g.fillStyle = colour;
  g.fillText(call, x, y + 0.5);
}
