// What stands out above the lanes of the timeline: output, tests, time-outs, exceptions,
// the lines of evidence, and what specs say. Each leads to its moment.

import type { Axis } from "./axis";
import type { Recording } from "./data";
import { colourOf } from "./kinds";
import { markOf } from "./more";
import type { Store } from "./state";
import type { Palette } from "./timeline";

/** What is drawn on: the timeline. */
export interface MarksView {
  readonly rec: Recording; readonly store: Store; readonly evidence: number[];
  axis: Axis; x0: Float64Array; x1: Float64Array; colours: Palette;
  readonly left: number; readonly right: number;
  toPx(x: number): number;
}

/** Where the numbers of the evidence stand: side by side where their moments are one. */
function badges(t: MarksView): { x: number; i: number; row: number }[] {
  const all = t.evidence.map((row, i) => ({ x: row < 0 ? -1 : t.toPx(t.x0[row]!), i, row })).filter((b) => b.row >= 0 && b.x >= t.left);
  all.sort((a, b) => a.x - b.x || a.i - b.i);
  let room = t.right;
  for (let k = all.length - 1; k >= 0; k--) {
    all[k]!.x = Math.min(all[k]!.x, room);
    room = all[k]!.x - 15;
  }
  for (let k = 1; k < all.length; k++) all[k]!.x = Math.max(all[k]!.x, Math.min(all[k - 1]!.x + 15, t.right));
  return all;
}

/** The rows of what stands out: they are asked for at each picture, and looked for once. */
const rows = new WeakMap<object, number>();

function rowOf(t: MarksView, of: { proc: number; event: number }, exactly = false): number {
  let row = rows.get(of);
  if (row === undefined) rows.set(of, row = t.rec.rowAt(of.proc, of.event, exactly));
  return row;
}

/** Draws what stands out above the lanes: output, tests, exceptions, evidence, checks. */
export function paintMarks(g: CanvasRenderingContext2D, t: MarksView): void {
  const c = t.colours, r = t.rec;
  g.font = "10px system-ui, sans-serif";
  g.textAlign = "center";
  const last = [-9, -9]; // of what stands at one pixel a stroke is enough
  for (const l of r.doc.lines ?? []) {
    const row = rowOf(t, l, true);
    if (row < 0) continue;
    const x = t.toPx(t.x0[row]!), k = l.stderr ? 1 : 0;
    if (x < t.left || x > t.right + 4 || Math.abs(x - last[k]!) < 0.5) continue;
    last[k] = x;
    g.fillStyle = k ? c["--bad"]! : c[colourOf("output")]!;
    g.fillRect(x, 38, 1.5, 7);
  }
  for (const m of r.doc.marks ?? []) {
    const x = t.toPx(t.axis.toX(t.store.state.axis === "instr" ? m.instr : m.time));
    if (x < t.left || x > t.right + 4) continue;
    g.fillStyle = m.kind === "timeout" || m.kind === "crash" ? c["--bad"]! : c["--dim"]!;
    g.beginPath(); g.moveTo(x, 44); g.lineTo(x - 4, 36); g.lineTo(x + 4, 36); g.fill();
  }
  for (const x of r.ownRaises) {
    const px = markX(t, x);
    if (px < t.left || px > t.right + 4) continue;
    g.fillStyle = c[colourOf("lock")]!;
    g.beginPath(); g.moveTo(px, 38); g.lineTo(px + 3, 41.5); g.lineTo(px, 45); g.lineTo(px - 3, 41.5); g.fill();
  }
  for (const { x, i } of badges(t)) {
    g.fillStyle = c["--bad"]!;
    g.beginPath(); g.arc(x, 36, 7, 0, 7); g.fill();
    g.fillStyle = c["--panel"]!;
    g.font = "600 10px system-ui, sans-serif";
    g.fillText(String(i + 1), x, 36.5);
  }
  g.font = "700 13px system-ui, sans-serif";
  for (const k of r.doc.checks ?? []) {
    const row = r.checkRow(k);
    const x = row < 0 ? -1 : t.toPx(t.x0[row]!);
    if (x < t.left) continue;
    g.fillStyle = k.verdict === "pass" ? c[colourOf("output")]! : k.verdict === "fail" ? c["--bad"]! : c["--dim"]!;
    g.fillText(markOf(k), Math.min(x, t.right + 3), 33);
  }
  g.textAlign = "start";
}

/** Where a position behind an event lies. */
export function markX(t: MarksView, of: { proc: number; event: number; instr: number }): number {
  if (t.store.state.axis === "instr") return t.toPx(t.axis.toX(of.instr));
  const row = rowOf(t, of);
  return row < 0 ? -1 : t.toPx(t.rec.took[row]! > 0 ? t.x1[row]! : t.x0[row]!);
}

/** The mark above the lanes that is nearest to a place: what it says, and where it leads. */
export function markAt(t: MarksView, px: number): { text: string; go: () => void } | null {
  const r = t.rec;
  let best: { text: string; go: () => void } | null = null, far = 7;
  const take = (x: number, text: string, go: () => void): void => {
    const d = Math.abs(Math.min(x, t.right) - px);
    if (x >= t.left && d < far) { far = d; best = { text, go }; }
  };
  for (const m of r.doc.marks ?? []) {
    take(t.toPx(t.axis.toX(t.store.state.axis === "instr" ? m.instr : m.time)), `${m.kind}: ${m.text}`, () => t.store.go(r.rowAt(m.proc, m.event)));
  }
  for (const x of r.ownRaises) take(markX(t, x), `raised: ${x.text}`, () => t.store.go(r.rowAt(x.proc, x.event), { lane: x.lane, pos: x.instr, tab: "raises" }));
  badges(t).forEach(({ x, i, row }) => { take(x, `${i + 1}: ${r.doc.why.evidence[i]!.text}`, () => t.store.go(row)); });
  for (const k of r.doc.checks ?? []) {
    const row = r.checkRow(k);
    if (row >= 0) take(t.toPx(t.x0[row]!), `${markOf(k)} ${k.want}${k.got ? `: ${k.got}` : ""}`, () => t.store.go(row, { tab: "checks" }));
  }
  return best;
}
