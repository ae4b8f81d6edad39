// The lanes of the timeline: which there are, where they lie, and their bars.

import type { Lane, Recording } from "./data";
import { colourOf } from "./kinds";
import type { Palette } from "./timeline";

/** A row of the picture: a lane of a thread, or the heading of a process (lane -1). */
export interface LaneRow { lane: number; y: number; h: number; label: string; indent: number }

const head = 50, thick = 26;

export function bodyOf(left: number, width: number): { from: number; to: number } { return { from: left, to: width }; }

export class Lanes {
  readonly rows: LaneRow[] = [];
  /** Numbers of lanes from top to bottom. */
  readonly order: number[] = [];
  readonly height: number;
  /** Rows in which tasks ran, by lane. */
  private readonly tasks = new Map<number, number[]>();
  private readonly byLane = new Map<number, LaneRow>();
  /** Where threads ran: places on the axis, from and to by turns. */
  private ran: Float64Array[] = [];

  constructor(private readonly rec: Recording) {
    let y = head;
    const many = rec.doc.procs.length > 1;
    const of: { l: Lane; k: number }[][] = rec.doc.procs.map(() => []);
    rec.doc.lanes.forEach((l, k) => { if (rec.ofLane[k]!.length > 0) of[l.proc]?.push({ l, k }); });
    rec.doc.procs.forEach((p, i) => {
      const lanes = of[i]!;
      if (!lanes.length) return;
      if (many) {
        this.rows.push({ lane: -1, y, h: 22, label: `process ${p.id}, ${p.name}`, indent: 10 });
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
        this.tasks.set(row.lane, rec.rowsOfTask(k));
        y += row.h;
      });
    });
    this.height = y + 8;
  }

  rowOf(lane: number): LaneRow | undefined { return this.byLane.get(lane); }
  at(y: number): LaneRow | undefined { return this.rows.find((r) => y >= r.y && y < r.y + r.h); }

  /** Computes who ran: between two events of a process the thread of the later one did. */
  runs(x0: Float64Array, x1: Float64Array): void {
    const out = this.rec.doc.lanes.map(() => [] as number[]);
    for (const rows of this.rec.ofProc) {
      let last = -1;
      for (const r of rows) {
        if (last >= 0) {
          const lane = this.rec.lane[r]!, same = this.rec.lane[last] === lane;
          const from = same && this.rec.took[last]! >= 0 ? x1[last]! : x0[last]!, to = x0[r]!;
          const list = out[lane]!;
          if (to > from) {
            if (list.length && from - list[list.length - 1]! < 1e-9) list[list.length - 1] = to;
            else list.push(from, to);
          }
        }
        last = r;
      }
    }
    this.ran = out.map((l) => Float64Array.from(l));
  }

  /** A task: where it ran, and that it waits from then to the end. */
  private paintTask(g: CanvasRenderingContext2D, lane: LaneRow, y: number, x0: Float64Array, x1: Float64Array, px: (x: number) => number, c: Palette): void {
    const rows = this.tasks.get(lane.lane)!, t = this.rec.task(lane.lane)!;
    const top = y + 5, high = lane.h - 10, end = px(1);
    let last = -1;
    g.fillStyle = c["--runs"]!;
    for (const r of rows) {
      const a = px(x0[r]!), b = px(x1[r]!);
      g.fillRect(a, top, Math.max(1, b - a), high);
      last = Math.max(last, x1[r]!);
    }
    if (t.running) return;
    const from = last >= 0 ? px(last) : end - 60;
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
    const rows = this.rec.ofLane[lane] ?? Uint32Array.from(this.tasks.get(lane) ?? []);
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

  paint(g: CanvasRenderingContext2D, lane: LaneRow, y: number, x0: Float64Array, x1: Float64Array, px: (x: number) => number,
    body: { from: number; to: number }, c: Palette, focus: number): void {
    if (this.tasks.has(lane.lane)) { this.paintTask(g, lane, y, x0, x1, px, c); return; }
    const rec = this.rec, rows = rec.ofLane[lane.lane]!;
    const top = y + 5, high = lane.h - 10, mid = y + lane.h / 2;
    if (!rows.length) return;
    g.fillStyle = c["--line"]!;
    const from = px(x0[rows[0]!]!);
    let end = from;
    for (const r of [rows[rows.length - 1]!]) end = px(x1[r]!);
    g.fillRect(from, mid - 0.5, Math.max(1, end - from), 1);
    g.fillStyle = c["--runs"]!;
    const ran = this.ran[lane.lane]!;
    let drawn = -1;
    for (let i = 0; i < ran.length; i += 2) {
      const a = px(ran[i]!), b = px(ran[i + 1]!);
      if (b < body.from || b <= drawn) continue;
      if (a > body.to) break;
      const x = Math.max(a, drawn, body.from), w = Math.max(0.75, Math.min(b, body.to + 1) - x);
      g.fillRect(x, top + 4, w, high - 8);
      drawn = x + w;
    }
    drawn = -1;
    const colours = rec.doc.kinds.map((k) => c[colourOf(k)]!);
    const left = first(rows, x0, inverse(px, body.from));
    for (let i = Math.max(0, left - 1); i < rows.length; i++) {
      const r = rows[i]!, a = px(x0[r]!), b = px(x1[r]!);
      if (a > body.to) break;
      if (b < body.from || (b <= drawn && r !== focus)) continue;
      const x = Math.max(a, body.from - 2), w = Math.max(1, Math.min(b, body.to + 2) - x);
      g.fillStyle = colours[rec.kind[r]!]!;
      g.fillRect(x, top, w, high);
      if (rec.took[r]! < 0) { // it never returned: an open end
        g.fillStyle = c["--bad"]!;
        g.fillRect(Math.min(b, body.to) - 3, top - 2, 3, high + 4);
      }
      if (w > 46) name(g, rec.text(r), x + 5, mid, w - 8, c["--panel"]!);
      if (r === focus) {
        g.strokeStyle = c["--accent"]!;
        g.lineWidth = 2;
        g.strokeRect(x - 1, top - 1, w + 2, high + 2);
      }
      drawn = x + w;
    }
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

/** The place on the axis at a pixel, of a linear function. */
function inverse(px: (x: number) => number, at: number): number {
  const a = px(0), b = px(1);
  return (at - a) / (b - a);
}

function name(g: CanvasRenderingContext2D, text: string, x: number, y: number, width: number, colour: string): void {
  const call = /^[\w ]+/.exec(text)?.[0] ?? "";
  if (g.measureText(call).width > width) return;
  g.fillStyle = colour;
  g.fillText(call, x, y + 0.5);
}
