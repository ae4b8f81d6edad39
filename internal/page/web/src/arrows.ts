// The arrows of the timeline: who woke whom, and, behind its end, who waits for whom.

import type { Recording } from "./data";
import type { LaneRow, Lanes, View } from "./lanes";
import type { Store } from "./state";
import type { Palette } from "./timeline";

/** What is drawn on: the timeline. */
export interface ArrowsView { readonly rec: Recording; readonly store: Store; readonly lanes: Lanes; colours: Palette }

/** Who waits for whom at the end; slot is where its vertical part lies, from the left. */
export interface Edge { from: LaneRow; to: LaneRow; sure: boolean; slot: number; text: string }

const slotWidth = 11, maxSlots = 6;

/** The edges, each beside those that it would cross, and how much room they take. */
export function edgesOf(rec: Recording, lanes: Lanes): { list: Edge[]; room: number } {
  const list: Edge[] = [];
  for (const e of rec.doc.why.edges ?? []) {
    const from = lanes.rowOf(e.from), to = lanes.rowOf(e.to);
    if (from && to) list.push({ from, to, sure: !!e.sure, slot: 0, text: `${rec.laneName(e.from)} waits for ${rec.laneName(e.to)}${e.sure ? "" : ", probably"}${e.why ? `: ${e.why}` : ""}` });
  }
  const high = (e: Edge): number => Math.abs(e.from.y - e.to.y);
  list.sort((a, b) => high(a) - high(b));
  let slots = 0;
  list.forEach((e, i) => {
    const taken = new Set(list.slice(0, i).filter((o) => Math.min(e.from.y, e.to.y) <= Math.max(o.from.y, o.to.y) && Math.max(e.from.y, e.to.y) >= Math.min(o.from.y, o.to.y)).map((o) => o.slot));
    while (taken.has(e.slot) && e.slot < maxSlots - 1) e.slot++;
    slots = Math.max(slots, e.slot + 1);
  });
  return { list, room: slots ? 16 + slots * slotWidth : 10 };
}

/** The edge at a place: right of where the axis ends, and below the top of the lanes. */
export function edgeAt(list: Edge[], x: number, y: number): Edge | undefined {
  if (x < 3) return undefined;
  const far = (e: Edge): number => Math.abs(slotX(0, e) - x);
  return list.filter((e) => y >= Math.min(e.from.y, e.to.y) && y <= Math.max(e.from.y, e.to.y) + e.to.h && far(e) < 7).sort((a, b) => far(a) - far(b))[0];
}

function slotX(right: number, e: Edge): number { return right + 13 + e.slot * slotWidth; }

/** Draws who waits for whom: out of a lane above its middle, into another below it. */
export function paintEdges(g: CanvasRenderingContext2D, list: Edge[], right: number, top: number, c: Palette): void {
  for (const e of list) {
    const y1 = e.from.y - top + e.from.h / 2 - 4, y2 = e.to.y - top + e.to.h / 2 + 4, x = slotX(right, e), r = Math.min(4, Math.abs(y2 - y1) / 2);
    g.strokeStyle = g.fillStyle = c["--bad"]!;
    g.lineWidth = 1.75;
    g.setLineDash(e.sure ? [] : [4, 3]);
    g.beginPath();
    g.moveTo(right + 2, y1);
    g.arcTo(x, y1, x, y2, r);
    g.arcTo(x, y2, right, y2, r);
    g.lineTo(right + 6, y2);
    g.stroke();
    g.setLineDash([]);
    head(g, right + 2, y2, Math.PI);
  }
}

/** Draws who woke whom, as long as there are not too many; those of the focus always. */
export function paintWakes(g: CanvasRenderingContext2D, t: ArrowsView, v: View, top: number): void {
  const r = t.rec, a = v.place(v.from), b = v.place(v.to), most = 300;
  const shown: number[] = [], focus = new Set(r.wakesOf.get(t.store.state.row) ?? []);
  for (let i = 0; i < r.wakes.length && shown.length <= most; i++) {
    const x = v.x0[r.wakes[i]!.from]!;
    if (x >= a && x <= b) shown.push(i);
  }
  for (const i of shown.length > most ? focus : new Set([...shown, ...focus])) {
    const w = r.wakes[i]!;
    const from = t.lanes.rowOf(r.lane[w.from]!), to = t.lanes.rowOf(r.lane[w.to]!);
    if (!from || !to) continue;
    // One goes on that was woken where its call returned, or it began.
    const x1 = v.px(v.x0[w.from]!), x2 = v.px(r.took[w.to]! > 0 ? v.x1[w.to]! : v.x0[w.to]!);
    if (x2 < v.from || x1 > v.to) continue;
    g.strokeStyle = g.fillStyle = t.colours[focus.has(i) ? "--accent" : "--dim"]!;
    g.globalAlpha = focus.has(i) ? 1 : 0.55;
    g.lineWidth = focus.has(i) ? 2 : 1;
    const y1 = from.y - top + from.h / 2, y2 = to.y - top + to.h / 2;
    g.beginPath();
    g.moveTo(x1, y1);
    g.lineTo(x2, y2);
    g.stroke();
    head(g, x2, y2, Math.atan2(y2 - y1, x2 - x1));
    g.globalAlpha = 1;
  }
}

function head(g: CanvasRenderingContext2D, x: number, y: number, a: number): void {
  g.beginPath();
  g.moveTo(x, y);
  g.lineTo(x - 7 * Math.cos(a - 0.42), y - 7 * Math.sin(a - 0.42));
  g.lineTo(x - 7 * Math.cos(a + 0.42), y - 7 * Math.sin(a + 0.42));
  g.fill();
}
