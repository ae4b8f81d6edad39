// The timeline: a lane for each thread, drawn on a canvas. Waits are coloured by
// their reason, arrows lead from who woke to who was woken, and at the right edge
// from who waits to whom it waits for.

import { Axis } from "./axis";
import type { Recording } from "./data";
import { colourOf } from "./kinds";
import { markAt, paintMarks } from "./marks";
import { type State, type Store } from "./state";
import { drawRuler } from "./ruler";
import { edgeAt, edgesOf, paintEdges, paintWakes, type Edge } from "./arrows";
import { Lanes, type LaneRow, type View } from "./lanes";
import { at, clamp, grouped, h, perFrame, span } from "./util";

export interface Palette { [name: string]: string }

export class Timeline {
  readonly element: HTMLElement;
  private readonly canvas = h("canvas", { "aria-hidden": "true" });
  private readonly box = h("div", { class: "tl-box", tabindex: "0", role: "slider", "aria-label": "Moment", "aria-valuemin": "0" });
  private readonly spacer = h("div", { class: "tl-spacer" });
  private readonly tip = h("div", { class: "tip", hidden: true });
  readonly lanes: Lanes;
  private readonly edges: { list: Edge[]; room: number };
  axis!: Axis;
  /** Places of the beginnings and ends of rows on the axis. */
  x0!: Float64Array;
  x1!: Float64Array;
  private yours: [number, number] = [0, 1];
  width = 0;
  private height = 0;
  /** Pixels of the document in one of the picture: on a very wide screen all is larger. */
  private unit = 1;
  colours: Palette = {};
  private drag: { x: number; zoom: [number, number]; moved: boolean } | null = null;
  private readonly touches = new Map<number, number>();
  private readonly draw = perFrame(() => this.paint());

  constructor(readonly rec: Recording, readonly store: Store, readonly evidence: number[]) {
    this.lanes = new Lanes(rec);
    this.edges = edgesOf(rec, this.lanes);
    this.box.setAttribute("aria-valuemax", String(Math.max(0, rec.n - 1)));
    this.box.append(this.canvas, this.spacer);
    this.element = h("section", { class: "timeline panel", "aria-label": "Timeline" }, this.controls(), this.box, this.legend(), this.tip);
    this.rebuild();
    this.listen();
    store.subscribe((s, what) => {
      if (what.has("axis") || what.has("fold")) this.rebuild();
      if (what.has("row")) this.reveal(s.row);
      this.describe();
      this.draw();
    });
    this.describe();
  }

  /** Reads the colours anew: the theme has changed. */
  restyle(): void {
    const css = getComputedStyle(document.documentElement);
    this.colours = {};
    for (const name of ["--bg", "--panel", "--text", "--dim", "--line", "--accent", "--bad", "--runs", "--ready", "--fold", ...[...this.rec.doc.kinds, "task"].map(colourOf)]) {
      this.colours[name] = css.getPropertyValue(name).trim();
    }
    this.draw();
  }

  private rebuild(): void {
    const s = this.store.state, r = this.rec, instr = s.axis === "instr";
    const from = instr ? r.instr : r.time;
    const to = new Float64Array(r.n);
    let most = 0, least = Infinity;
    for (let i = 0; i < r.n; i++) {
      const took = r.took[i]!;
      to[i] = instr ? (took < 0 ? Math.max(from[i]!, r.doc.procs[r.procOf(i)]!.instr) : from[i]! + r.ran[i]!) : took < 0 ? r.until : from[i]! + took;
      most = Math.max(most, to[i]!);
      least = Math.min(least, from[i]!);
    }
    this.axis = new Axis(ascending(from), r.n ? least : 0, Math.max(most, 1), s.fold);
    this.x0 = this.axis.all(from);
    this.x1 = this.axis.all(to);
    this.lanes.runs(this.x0, this.x1);
    this.yours = this.beginning();
  }

  /** What is shown at first: from where the user's code, in the test that is about, does something but import, or from the first line of evidence. */
  private beginning(): [number, number] {
    const r = this.rec, find = (of: (node: number) => boolean): number => { for (let i = 0; i < r.n; i++) if (of(r.node[i]!)) return i; return -1; };
    let row = find((n) => r.doesOwn(n));
    if (row < 0) row = find((n) => r.isOwn(n));
    const about = this.evidence.filter((e) => e >= 0), first = about.length ? Math.min(...about) : r.n - 1;
    for (const m of r.doc.marks ?? []) {
      const begin = m.begins ? r.rowAt(m.proc, m.event) : -1;
      if (begin > row && begin <= first) row = begin;
    }
    row = Math.min(row, first, Math.max(0, r.n - 40)); // a few events are not much to look at
    const from = row >= 0 ? this.x0[row]! : 0;
    return from > 0.02 && from < 0.9999 ? [Math.max(0, from - (1 - from) * 0.04), 1] : [0, 1];
  }

  private get zoom(): [number, number] {
    return this.store.state.zoom ?? this.yours;
  }

  private controls(): HTMLElement {
    const button = (label: string, title: string, f: () => void): HTMLElement => h("button", { type: "button", class: "small", title, "aria-label": title, onclick: f }, label);
    const choice = (label: string, value: "time" | "instr"): HTMLElement => {
      const input = h("input", { type: "radio", name: "axis", value, onchange: () => this.store.set({ axis: value, zoom: null }) });
      input.checked = this.store.state.axis === value;
      this.store.subscribe((s) => { input.checked = s.axis === value; });
      return h("label", { class: "seg" }, input, h("span", {}, label));
    };
    const fold = h("input", { type: "checkbox", onchange: () => this.store.set({ fold: fold.checked, zoom: null }) });
    fold.checked = this.store.state.fold;
    this.store.subscribe((s) => { fold.checked = s.fold; });
    return h("div", { class: "bar" },
      h("h2", {}, "Timeline"),
      h("fieldset", { class: "segs" }, h("legend", { class: "sr" }, "Axis"), choice("Time", "time"), choice("Instructions", "instr")),
      h("label", { class: "check" }, fold, "fold long pauses"),
      h("span", { class: "grow" }),
      button("All", "Show all of the recording", () => this.store.set({ zoom: [0, 1] })),
      button("Your code", "Show from where your code begins", () => this.store.set({ zoom: null })),
      button("−", "Zoom out", () => this.scale(2)),
      button("+", "Zoom in", () => this.scale(0.5)));
  }

  private legend(): HTMLElement {
    const seen = new Set<number>();
    for (let i = 0; i < this.rec.n; i++) {
      const took = this.rec.took[i]!;
      if (took < 0 || took > this.rec.until / 2000) seen.add(this.rec.kind[i]!);
    }
    const swatch = (name: string, label: string): HTMLElement => {
      const box = h("i", { class: "swatch" });
      box.style.background = `var(${name})`;
      return h("li", {}, box, label);
    };
    return h("ul", { class: "legend", "aria-label": "Colours of the timeline" }, swatch("--runs", "runs"),
      ...[...seen].sort((a, b) => a - b).map((k) => swatch(colourOf(this.rec.doc.kinds[k]!), this.rec.doc.kinds[k]!)),
      this.rec.ownRaises.length ? h("li", {}, h("span", { class: "badtext" }, "◆"), " exception") : null, this.rec.doc.checks?.length ? h("li", {}, "✓ ✗ checks") : null, this.rec.wakes.length ? h("li", {}, "↘ woke") : null, this.rec.doc.why.edges?.length ? h("li", { class: "badtext" }, "⤶ waits for") : null);
  }

  private listen(): void {
    new ResizeObserver(() => this.resize()).observe(this.box);
    this.box.addEventListener("scroll", this.draw);
    this.box.addEventListener("keydown", (e) => this.key(e));
    this.box.addEventListener("wheel", (e) => {
      if (e.ctrlKey || e.metaKey || e.altKey) {
        e.preventDefault();
        this.scale(Math.exp(clamp(e.deltaY, -100, 100) / 150), this.toAxis(this.spot(e).x));
      } else if (e.shiftKey || Math.abs(e.deltaX) > Math.abs(e.deltaY)) {
        e.preventDefault();
        this.pan((e.deltaX || e.deltaY) / this.unit / this.width);
      }
    }, { passive: false });
    this.box.addEventListener("dblclick", (e) => this.scale(0.25, this.toAxis(this.spot(e).x)));
    this.box.addEventListener("pointerdown", (e) => {
      this.touches.set(e.pointerId, e.clientX);
      this.drag = { x: e.clientX, zoom: this.zoom, moved: false };
    });
    this.box.addEventListener("pointermove", (e) => this.moved(e));
    const up = (e: PointerEvent): void => {
      this.touches.delete(e.pointerId);
      const d = this.drag;
      this.drag = null;
      if (d && !d.moved && e.type === "pointerup") this.click(e);
    };
    this.box.addEventListener("pointerup", up);
    this.box.addEventListener("pointercancel", up);
    this.box.addEventListener("pointerleave", () => { this.tip.hidden = true; });
  }

  private moved(e: PointerEvent): void {
    if (this.touches.has(e.pointerId) && this.touches.size === 2) {
      const other = [...this.touches].find(([id]) => id !== e.pointerId)![1];
      const before = Math.abs(this.touches.get(e.pointerId)! - other), after = Math.abs(e.clientX - other);
      this.touches.set(e.pointerId, e.clientX);
      if (before > 5 && after > 5) this.scale(before / after);
      if (this.drag) this.drag.moved = true;
      return;
    }
    const d = this.drag;
    if (d && (d.moved || Math.abs(e.clientX - d.x) > 4)) {
      if (!d.moved) this.box.setPointerCapture(e.pointerId);
      d.moved = true;
      const size = d.zoom[1] - d.zoom[0];
      const from = clamp(d.zoom[0] - ((e.clientX - d.x) / this.unit / (this.right - this.left)) * size, 0, 1 - size);
      this.store.set({ zoom: [from, from + size] });
      this.tip.hidden = true;
      return;
    }
    if (e.pointerType === "mouse") this.point(e);
  }

  get left(): number { return this.width < 560 ? 96 : 148; }

  /** A place of the document in the picture. */
  private spot(e: MouseEvent): { x: number; y: number } {
    const box = this.box.getBoundingClientRect();
    return { x: (e.clientX - box.left) / this.unit, y: (e.clientY - box.top) / this.unit };
  }

  private get top(): number { return this.box.scrollTop / this.unit; }
  /** Where the axis ends; behind it is room for the arrows of who waits for whom. */
  get right(): number { return this.width - this.edges.room; }
  private toAxis(px: number): number {
    const [a, b] = this.zoom;
    return clamp(a + ((px - this.left) / (this.right - this.left)) * (b - a), 0, 1);
  }
  toPx(x: number): number {
    const [a, b] = this.zoom;
    return this.left + ((x - a) / (b - a)) * (this.right - this.left);
  }
  private view(): View {
    const [a, b] = this.zoom, left = this.left, per = (this.right - left) / (b - a);
    return { x0: this.x0, x1: this.x1, px: (x) => left + (x - a) * per, place: (px) => a + (px - left) / per, from: left, to: this.right };
  }

  private scale(by: number, about?: number): void {
    const [a, b] = this.zoom;
    const row = this.store.state.row;
    const focus = this.rec.n ? this.x0[row]! : 0;
    const mid = about ?? (focus > a && focus < b ? focus : (a + b) / 2);
    const size = clamp((b - a) * by, 1e-7, 1);
    const from = clamp(mid - ((mid - a) / (b - a)) * size, 0, 1 - size);
    this.store.set({ zoom: [from, from + size] });
  }

  private pan(by: number): void {
    const [a, b] = this.zoom;
    const from = clamp(a + by * (b - a), 0, 1 - (b - a));
    this.store.set({ zoom: [from, from + b - a] });
  }

  private key(e: KeyboardEvent): void {
    const r = this.rec, s = this.store.state;
    const along = (by: number): void => {
      const of = r.task(s.lane)?.lane ?? s.lane, rows = r.ofLane[of] ?? [], now = r.rowOfLane(of, r.time[s.row]!);
      if (!rows.length) return;
      let i = rows.indexOf(now);
      do i += by; while (i > 0 && i < rows.length - 1 && s.hidden.has(r.kind[rows[i]!]!));
      this.store.go(rows[clamp(i, 0, rows.length - 1)]!);
    };
    const across = (by: number): void => {
      const order = this.lanes.order;
      const lane = order[clamp(order.indexOf(s.lane) + by, 0, order.length - 1)]!;
      const row = r.rowOfLane(lane, r.time[s.row]!);
      if (r.task(lane)) this.store.set({ lane, frame: -1 });
      else this.store.go(row >= 0 ? row : r.ofLane[lane]![0]!);
    };
    const acts: Record<string, () => void> = {
      ArrowLeft: () => along(-1), ArrowRight: () => along(1), ArrowUp: () => across(-1), ArrowDown: () => across(1),
      Home: () => this.store.go(r.ofLane[s.lane]?.[0] ?? 0), End: () => this.store.go(r.ofLane[s.lane]?.at(-1) ?? r.n - 1),
      "+": () => this.scale(0.5), "=": () => this.scale(0.5), "-": () => this.scale(2), "0": () => this.store.set({ zoom: [0, 1] }),
      PageUp: () => this.pan(-0.5), PageDown: () => this.pan(0.5),
    };
    const act = acts[e.key];
    if (!act || e.ctrlKey || e.metaKey || e.altKey || !r.n) return;
    e.preventDefault();
    act();
  }

  /** The row below a place, -1 for none. */
  private hit(e: MouseEvent): number {
    const { x: px, y } = this.spot(e);
    const lane = this.lanes.at(y + this.top);
    if (!lane || lane.lane < 0 || px < this.left - 4) return -1;
    return this.lanes.nearest(lane.lane, this.toAxis(px), this.x0, this.x1, (this.zoom[1] - this.zoom[0]) * (4 / this.width));
  }

  private click(e: MouseEvent): void {
    const r = this.rec, { x, y } = this.spot(e);
    if (y < 47) { markAt(this, x)?.go(); return; }
    const lane = this.lanes.at(y + this.top);
    const row = this.hit(e);
    if (row >= 0 && lane && r.task(lane.lane)) this.store.set({ row, lane: lane.lane, frame: -1 }, true);
    else if (row >= 0) this.store.go(row);
    else if (lane && lane.lane >= 0) this.store.set({ lane: lane.lane, frame: -1 });
  }

  private point(e: PointerEvent): void {
    const { x, y } = this.spot(e);
    const edge = this.zoom[1] >= 0.995 ? edgeAt(this.edges.list, x - this.right, y + this.top) : undefined;
    const mark = y < 47 ? markAt(this, x) : null, said = mark?.text ?? edge?.text;
    const row = said ? -1 : this.hit(e), r = this.rec;
    this.tip.hidden = row < 0 && !said;
    if (said) this.tip.replaceChildren(said.slice(0, 300));
    if (!this.tip.hidden) this.place(e);
    if (row < 0) return;
    const own = r.own(r.node[row]!);
    this.tip.replaceChildren(h("b", {}, r.laneName(r.lane[row]!)), ` ${at(r.time[row]!)}${r.took[row]! > 0 ? `, for ${span(r.took[row]!)}` : r.took[row]! < 0 ? ", to the end" : ""}`,
      h("br"), h("code", {}, r.text(row).slice(0, 160)), ...(own ? [h("br"), `${own.f} ${r.place(own)}`] : []));
  }

  private place(e: PointerEvent): void {
    const area = this.element.getBoundingClientRect();
    const x = clamp(e.clientX - area.left + 12, 0, Math.max(0, area.width - 340));
    this.tip.style.transform = `translate(${x}px, ${e.clientY - area.top + 16}px)`;
  }

  private resize(): void {
    const total = this.lanes.height;
    const most = Math.max(160, Math.round(innerHeight * 0.42));
    this.unit = innerWidth >= 3000 ? 1.5 : innerWidth >= 2200 ? 1.2 : 1;
    this.width = this.box.clientWidth / this.unit;
    this.height = Math.min(total, most / this.unit);
    this.box.style.height = `${this.height * this.unit}px`;
    this.spacer.style.height = `${Math.max(0, total - this.height) * this.unit}px`;
    const ratio = Math.min(3, devicePixelRatio || 1) * this.unit;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${this.width * this.unit}px`;
    this.canvas.style.height = `${this.height * this.unit}px`;
    this.canvas.getContext("2d")!.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.paint(); // at once: a canvas that was sized is empty
  }

  /** Brings a row into view. */
  private reveal(row: number): void {
    const [a, b] = this.zoom, x = this.x0[row]!;
    if (x < a || x > b) {
      const size = b - a, from = clamp(x - size / 2, 0, 1 - size);
      this.store.state.zoom = [from, from + size];
    }
    const lane = this.lanes.rowOf(this.rec.lane[row]!);
    if (lane && (lane.y < this.top + 30 || lane.y + 30 > this.top + this.height)) this.box.scrollTop = (lane.y - this.height / 2) * this.unit;
  }

  private describe(): void {
    const r = this.rec, row = this.store.state.row;
    if (!r.n) return;
    this.box.setAttribute("aria-valuenow", String(row));
    this.box.setAttribute("aria-valuetext", `${r.laneName(r.lane[row]!)}, ${at(r.time[row]!)}: ${r.text(row).slice(0, 120)}`);
  }

  private paint(): void {
    const g = this.canvas.getContext("2d");
    if (!g || !this.width || !this.rec.n) return;
    if (!this.colours["--bg"]) { this.restyle(); }
    const c = this.colours, s = this.store.state, top = this.top;
    g.clearRect(0, 0, this.width, this.height);
    g.font = "12px system-ui, sans-serif";
    g.textBaseline = "middle";
    const v = this.view();
    for (const lane of this.lanes.rows) {
      const y = lane.y - top;
      if (y + lane.h < 28 || y > this.height) continue;
      this.paintLane(g, lane, y, s, v);
    }
    paintWakes(g, this, v, top);
    if (this.zoom[1] >= 0.995) paintEdges(g, this.edges.list, this.right, top, c);
    g.fillStyle = c["--panel"]!;
    g.fillRect(0, 0, this.width, 46);
    drawRuler(g, this.axis, this.zoom, v.px, this.left, this.right + 6, s.axis, c);
    const x = this.toPx(this.x0[s.row]!);
    if (x >= this.left) {
      g.fillStyle = c["--accent"]!;
      g.fillRect(x - 0.75, 22, 1.5, this.height);
      g.beginPath();
      g.moveTo(x - 5, 22); g.lineTo(x + 5, 22); g.lineTo(x, 29);
      g.fill();
    }
    paintMarks(g, this); // above the line of the focus: numbers are to be read
  }

  private paintLane(g: CanvasRenderingContext2D, lane: LaneRow, y: number, s: State, v: View): void {
    const c = this.colours;
    g.fillStyle = lane.lane === s.lane ? c["--text"]! : c["--dim"]!;
    g.font = `${lane.lane < 0 || lane.lane === s.lane ? "600 " : ""}12px system-ui, sans-serif`;
    g.save();
    g.beginPath(); g.rect(0, y, lane.lane < 0 ? this.width : this.left - 6, lane.h); g.clip();
    g.fillText(fitting(g, lane.label, lane.lane < 0 ? this.right - lane.indent : this.left - 6 - lane.indent), lane.indent, y + lane.h / 2);
    g.restore();
    if (lane.lane < 0) {
      g.fillStyle = c["--line"]!;
      g.fillRect(0, y + 1, this.width, 1);
      return;
    }
    g.font = "11px system-ui, sans-serif";
    g.save();
    g.beginPath(); g.rect(v.from, y, v.to + 1 - v.from, lane.h); g.clip();
    this.lanes.paint(g, lane, y, v, c, s.row);
    g.restore();
  }

  /** For tests and for the label: what the axis shows. */
  get shown(): string { return this.zoom.map((x) => grouped(Math.round(this.axis.toValue(x)))).join("–"); }
}

/** Values in their order: as they are where that is it, which it mostly is. */
function ascending(values: Float64Array): Float64Array {
  for (let i = 1; i < values.length; i++) if (values[i]! < values[i - 1]!) return values.slice().sort();
  return values;
}

/** A text, or as much of its beginning as there is room for. */
function fitting(g: CanvasRenderingContext2D, text: string, room: number): string {
  let s = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  while (s.length > 2 && g.measureText(s).width > room) s = `${s.slice(0, -2)}…`;
  return s;
}
