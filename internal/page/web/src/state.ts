// The one focus that all panes share, and its form in the URL's hash:
// #m=PROCESS.EVENT&p=POSITION&t=LANE&f=FRAME&tab=…&q=…&k=…&x=instr&z=FROM-TO

import type { Recording } from "./data";
import { quiet } from "./kinds";

export interface State {
  /** The row, and the lane whose stack is shown: that of the row unless another was chosen. */
  row: number;
  lane: number;
  /** Number of the frame, from the innermost on; -1 for the one that is chosen by itself. */
  frame: number;
  /** A position between two events, in instructions of the row's process, whose stack is shown; -1 for none. */
  pos: number;
  tab: string;
  query: string;
  hidden: Set<number>;
  mine: boolean; // only rows from the user's code
  axis: "time" | "instr";
  fold: boolean;
  zoom: [number, number] | null;
}

export type Changed = (s: State, what: Set<keyof State>) => void;

export class Store {
  state: State;
  private readonly subscribers: Changed[] = [];
  private pushed = -Infinity;
  private later = 0;

  constructor(private readonly rec: Recording, private readonly initial: { row: number; lane: number; frame: number; zoom: [number, number] | null }) {
    this.state = this.parse(location.hash);
    addEventListener("hashchange", () => this.adopt());
    addEventListener("popstate", () => this.adopt());
  }

  subscribe(f: Changed): void { this.subscribers.push(f); }

  /** Changes the state; a jump to another moment makes an entry of the history. */
  set(change: Partial<State>, jump = false): void {
    const what = new Set<keyof State>();
    for (const [k, v] of Object.entries(change) as [keyof State, never][]) {
      if (this.state[k] !== v) {
        (this.state as any)[k] = v;
        what.add(k);
      }
    }
    if (!what.size) return;
    this.write(jump);
    this.tell(what);
  }

  /** Writes the address: a step of the history for a jump, but not for each of a held key; and no more often than browsers permit. */
  private write(jump: boolean): void {
    const now = performance.now();
    if (jump && now - this.pushed > 700) {
      clearTimeout(this.later);
      this.pushed = now;
      const url = this.format();
      if (url !== location.hash) history.pushState(null, "", url);
      return;
    }
    clearTimeout(this.later);
    this.later = setTimeout(() => {
      const url = this.format();
      if (url !== location.hash) history.replaceState(null, "", url);
    }, 200);
  }

  /** Goes to a row: its thread, its frame. */
  go(row: number, extra: Partial<State> = {}): void {
    if (row >= 0 && row < this.rec.n) this.set({ row, lane: this.rec.lane[row]!, frame: -1, pos: -1, ...extra }, row !== this.state.row);
  }

  private tell(what: Set<keyof State>): void { for (const f of this.subscribers) f(this.state, what); }

  private adopt(): void {
    clearTimeout(this.later);
    const next = this.parse(location.hash), what = new Set<keyof State>();
    for (const k of Object.keys(next) as (keyof State)[]) {
      if (JSON.stringify(plain(next[k])) !== JSON.stringify(plain(this.state[k]))) what.add(k);
    }
    this.state = next;
    if (what.size) this.tell(what);
  }

  private parse(hash: string): State {
    const p = new URLSearchParams(hash.replace(/^#/, "")), rec = this.rec;
    const s: State = {
      row: this.initial.row, lane: 0, frame: -1, pos: -1, tab: p.get("tab") ?? "events", query: p.get("q") ?? "", hidden: new Set(),
      mine: p.get("mine") === "1", axis: p.get("x") === "instr" ? "instr" : "time", fold: p.get("fold") !== "0", zoom: this.initial.zoom,
    };
    const m = /^(\d+)\.(\d+)$/.exec(p.get("m") ?? "");
    if (m) {
      const proc = rec.doc.procs.findIndex((q) => q.id === Number(m[1]));
      const row = proc >= 0 ? rec.rowAt(proc, Number(m[2])) : -1;
      if (row >= 0) s.row = row;
    }
    s.lane = rec.n ? rec.lane[s.row]! : 0;
    if (!p.has("m")) {
      s.lane = this.initial.lane;
      s.frame = this.initial.frame;
    }
    const lane = Number(p.get("t") ?? NaN), frame = Number(p.get("f") ?? NaN), pos = Number(p.get("p") ?? NaN);
    if (Number.isInteger(lane) && lane >= 0 && lane < rec.laneCount) s.lane = lane;
    if (Number.isInteger(frame) && frame >= 0 && frame < 1000) s.frame = frame;
    if (Number.isSafeInteger(pos) && pos >= 0) s.pos = pos;
    const names = p.has("k") ? new Set(p.get("k")!.split(",")) : quiet;
    rec.doc.kinds.forEach((k, i) => { if (names.has(k)) s.hidden.add(i); });
    const z = /^([\d.e-]+)~([\d.e-]+)$/.exec(p.get("z") ?? "");
    if (z) {
      const a = Number(z[1]), b = Number(z[2]);
      if (a >= 0 && b <= 1 && a < b) s.zoom = [a, b];
    }
    if (p.get("z") === "all") s.zoom = [0, 1];
    return s;
  }

  private format(): string {
    const s = this.state, p: string[] = [], rec = this.rec;
    if (rec.n) p.push(`m=${rec.doc.procs[rec.procOf(s.row)]!.id}.${rec.event[s.row]}`);
    if (rec.n && s.lane !== rec.lane[s.row]) p.push(`t=${s.lane}`);
    if (s.pos >= 0) p.push(`p=${s.pos}`);
    if (s.frame >= 0) p.push(`f=${s.frame}`);
    if (s.tab !== "events") p.push(`tab=${encodeURIComponent(s.tab)}`);
    if (s.query) p.push(`q=${encodeURIComponent(s.query)}`);
    const hidden = rec.doc.kinds.filter((_, i) => s.hidden.has(i));
    if (hidden.length !== quiet.size || hidden.some((k) => !quiet.has(k))) p.push(`k=${hidden.map(encodeURIComponent).join(",")}`);
    if (s.mine) p.push("mine=1");
    if (s.axis === "instr") p.push("x=instr");
    if (!s.fold) p.push("fold=0");
    if (s.zoom && s.zoom !== this.initial.zoom) p.push(s.zoom[0] === 0 && s.zoom[1] === 1 ? "z=all" : `z=${s.zoom.map((v) => v.toPrecision(6)).join("~")}`);
    return "#" + p.join("&");
  }
}

function plain(v: unknown): unknown { return v instanceof Set ? [...v].sort() : v; }
