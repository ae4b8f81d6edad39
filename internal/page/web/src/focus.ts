// The pane at the focus: what happened there, the merged stack with the user's
// frames first and the rest folded, the variables, and the source.

import type { Frame, Live, LiveStack, Recording, VarFrame } from "./data";
import { highlighted } from "./highlight";
import { colourOf } from "./kinds";
import type { Store } from "./state";
import { at, folding, grouped, h, span } from "./util";

export class Focus {
  readonly element: HTMLElement;
  private readonly head = h("div", { class: "moment" });
  private readonly threads = h("div", { class: "threads" });
  private readonly stack = h("ol", { class: "stack", "aria-label": "Stack, innermost frame first" });
  private readonly vars = h("div", { class: "locals" });
  private readonly source = h("div", { class: "source" });
  private shownFile = -1;
  private lines: HTMLElement[] = [];
  private parts: { from: number; to: number }[] = [];
  private readonly open = new Set<string>();
  private readonly moments = new Map<string, number>();
  /** What was asked for, by moment and thread: answers, and what went wrong. */
  private readonly asked = new Map<string, LiveStack | string>();
  private asks: AbortController | null = null;

  constructor(private readonly rec: Recording, private readonly store: Store, private readonly live?: Live) {
    (rec.doc.moments ?? []).forEach((m, i) => this.moments.set(`${m.proc}.${m.event}`, i));
    this.element = h("section", { class: "focus panel", "aria-labelledby": "focus-title" }, h("h2", { id: "focus-title" }, "At the focus"),
      this.head, this.threads, this.stack, this.vars, this.source);
    store.subscribe((_, what) => { if (what.has("row") || what.has("lane") || what.has("frame") || what.has("pos")) this.show(); });
    this.show();
  }

  /** Brings the line into view: the pane has come into the document. */
  reveal(): void {
    const line = this.source.querySelector<HTMLElement>(".ln.here"), box = this.source.querySelector(".code-box");
    if (line && box) box.scrollTop = line.offsetTop - box.clientHeight / 2;
  }

  /** The row whose stack is shown: of the chosen thread, the last that began by then. */
  private shownRow(): number {
    const s = this.store.state, r = this.rec;
    if (r.task(s.lane)) return s.row;
    return s.lane === r.lane[s.row] ? s.row : r.rowOfLane(s.lane, r.time[s.row]!);
  }

  private show(): void {
    const s = this.store.state, r = this.rec;
    if (!r.n) {
      this.head.replaceChildren(h("p", { class: "empty" }, "The recording has no events."));
      return;
    }
    const row = this.shownRow();
    this.showHead(row);
    this.showThreads();
    const task = r.task(s.lane), got = this.answer(row);
    const raised = r.raiseAt(s.lane, s.pos);
    let frames = task ? r.frames(task.node) : row >= 0 ? r.frames(r.node[row]!) : [];
    if (raised) frames = r.frames(raised.node);
    else if (got && typeof got === "object" && (s.pos >= 0 || row !== s.row || !frames.length)) frames = r.liveFrames(got); // exact, at that moment
    else if (s.pos >= 0) frames = [];
    const chosen = s.frame >= 0 && s.frame < frames.length ? s.frame : preferred(frames);
    this.showStack(frames, chosen);
    this.showVars(row, frames[chosen], got);
    this.showSource(frames[chosen]);
  }

  /** What a replay says of the focus: an answer, why there is none, or null as long as it runs; undefined where it need not be asked. */
  private answer(row: number): LiveStack | string | null | undefined {
    const s = this.store.state, r = this.rec;
    this.asks?.abort(); // of a moment that nobody looks at any more
    this.asks = null;
    if (r.raiseAt(s.lane, s.pos)) return undefined;
    if (!this.live || row < 0 || r.task(s.lane)) return undefined;
    if (s.pos < 0 && row === s.row && (row === r.raised || this.moments.has(`${r.procOf(row)}.${r.event[row]}`))) return undefined;
    const here = r.procOf(row) === r.procOf(s.row), of = here ? s.row : row;
    const process = r.doc.procs[r.procOf(row)]!.id, thread = r.doc.lanes[s.lane]!.tid;
    const where = here && s.pos >= 0 ? { process, position: s.pos, thread } : { process, event: r.event[of]!, thread };
    const key = JSON.stringify(where), known = this.asked.get(key);
    if (known !== undefined) return known;
    const end = this.asks = new AbortController(), live = this.live;
    // Who walks along with the arrow keys does not want a replay for each step.
    setTimeout(() => {
      if (end.signal.aborted) return;
      live.at(where, end.signal).then((all) => all[0] ?? "no stack could be read here", (e: unknown) => (e instanceof Error ? e.message : String(e))).then((got) => {
        if (end.signal.aborted) return;
        if (this.asked.size > 200) this.asked.clear();
        this.asked.set(key, got);
        this.show();
      });
    }, 200);
    return null;
  }

  private showHead(row: number): void {
    const r = this.rec;
    const task = r.task(this.store.state.lane);
    if (task) {
      this.head.replaceChildren(h("div", { class: "mrow" }, h("b", {}, r.laneName(this.store.state.lane)), h("span", {}, task.running ? "at the end: runs, or is ready to" : "at the end: waits")),
        h("p", { class: "dim" }, task.lane >= 0 ? `its event loop runs in ${r.laneName(task.lane)}` : "its event loop does not run"));
      return;
    }
    if (row < 0) {
      this.head.replaceChildren(h("p", { class: "dim" }, "This thread has not begun at that moment."));
      return;
    }
    const kind = r.doc.kinds[r.kind[row]!]!, took = r.took[row]!;
    const dot = h("i", { class: "swatch" });
    dot.style.background = `var(${colourOf(kind)})`;
    const proc = r.doc.procs[r.procOf(row)]!;
    const step = (by: number, label: string, text: string): HTMLElement => h("button", { type: "button", class: "small", "aria-label": label, title: label, onclick: () => {
      const rows = r.ofLane[r.lane[row]!]!, i = rows.indexOf(row) + by;
      if (i >= 0 && i < rows.length) this.store.go(rows[i]!);
    } }, text);
    this.head.replaceChildren(...[
      h("div", { class: "mrow" }, h("b", {}, r.laneName(r.lane[row]!)), h("span", {}, `at ${at(r.time[row]!)}`), h("span", { class: "grow" }),
        step(-1, "Previous event of this thread", "‹"), step(1, "Next event of this thread", "›")),
      h("p", { class: "call" }, dot, h("code", {}, r.text(row))),
      this.store.state.pos >= 0 ? h("p", {}, r.raiseAt(this.store.state.lane, this.store.state.pos) ? `and then, at instruction ${grouped(this.store.state.pos)}, it raises ${r.raiseAt(this.store.state.lane, this.store.state.pos)!.text}` : `and then, at instruction ${grouped(this.store.state.pos)}:`) : null,
      h("p", { class: "dim" }, [...(row === r.raised ? ["exception"] : [kind, took < 0 ? "never returned" : took > 0 ? `took ${span(took)}` : ""]), `instruction ${grouped(r.instr[row]!)}`].filter(Boolean).join(" · "), " · ",
        h("code", { class: "cmd", title: "This moment, for pyrr replay, bt, print and last" }, `--at e${r.event[row]}${proc.id > 1 ? ` --process ${proc.id}` : ""}`))].filter((e) => e !== null));
    this.head.append(...this.wakes(row));
  }

  /** Links to who let this one go on, and whom it let go on. */
  private wakes(row: number): HTMLElement[] {
    const r = this.rec;
    return (r.wakesOf.get(row) ?? []).slice(0, 4).map((k) => {
      const w = r.wakes[k]!, woke = w.from === row, other = woke ? w.to : w.from;
      return h("p", { class: "wake" }, woke ? "woke " : "woken by ", h("button", { type: "button", class: "link", onclick: () => this.store.go(other) },
        `${r.laneName(r.lane[other]!)}, ${r.text(other).slice(0, 60)}`));
    });
  }

  private showThreads(): void {
    const s = this.store.state, r = this.rec, time = r.time[s.row]!;
    const lanes = r.doc.lanes.map((_, i) => i).filter((i) => r.ofLane[i]!.length && (r.doc.lanes[i]!.from <= time || i === s.lane));
    for (let i = r.doc.lanes.length; i < r.laneCount; i++) lanes.push(i);
    if (lanes.length < 2) { this.threads.replaceChildren(); return; }
    const select = h("select", { "aria-label": "Thread whose stack is shown", onchange: () => this.store.set({ lane: Number(select.value), frame: -1 }) },
      ...(lanes.length > 500 ? [...new Set([s.lane, ...lanes.slice(0, 500)])] : lanes).map((i) => {
        const o = h("option", { value: String(i) }, r.laneName(i) + (r.doc.lanes[i]?.waits ? ` (${r.doc.lanes[i]!.waits})` : r.task(i) ? " (at the end)" : ""));
        o.selected = i === s.lane;
        return o;
      }));
    this.threads.replaceChildren(h("label", {}, h("span", {}, "stack of "), select));
  }

  private showStack(frames: Frame[], chosen: number): void {
    const r = this.rec, out: HTMLElement[] = [];
    if (!frames.length) out.push(h("li", { class: "empty" }, "No stack was read here."));
    let folded: number[] = [];
    const inner = frames.findIndex((f) => !f.k);
    const flush = (): void => {
      if (!folded.length) return;
      const from = folded[0]!, key = `${from}.${folded.length}`;
      if (this.open.has(key)) for (const i of folded) out.push(this.frame(frames[i]!, i, chosen));
      else {
        const names = [...new Set(folded.map((i) => frames[i]!.k ? "C" : r.place(frames[i]!).replace(/[/:].*$/, "")))].slice(0, 3).join(", ");
        out.push(h("li", {}, h("button", { type: "button", class: "fold", onclick: () => { this.open.add(key); this.showStack(frames, chosen); } },
          `… ${folded.length} more ${folded.length === 1 ? "frame" : "frames"} of ${names}`)));
      }
      folded = [];
    };
    frames.forEach((f, i) => {
      if (f.o === 2 || i === inner || i === chosen) { flush(); out.push(this.frame(f, i, chosen)); } else folded.push(i);
    });
    flush();
    this.stack.replaceChildren(...out);
  }

  private frame(f: Frame, i: number, chosen: number): HTMLElement {
    const b = h("button", { type: "button", class: `frame${f.o === 2 ? " own" : ""}${f.k ? " c" : ""}`, onclick: () => this.store.set({ frame: i }) },
      h("span", { class: "fn" }, f.f || "??"), h("span", { class: "place", title: this.rec.place(f) }, this.rec.shortPlace(f)));
    if (i === chosen) b.setAttribute("aria-current", "true");
    return h("li", {}, b);
  }

  private showVars(row: number, f: Frame | undefined, got: LiveStack | string | null | undefined): void {
    const r = this.rec;
    const note = (text: string, role = ""): void => this.vars.replaceChildren(text ? h("p", { class: "dim", role: role || undefined }, text) : "");
    if (got === null) { note("Replaying to this moment …", "status"); return; }
    if (typeof got === "string") { note(`A replay to this moment gives nothing: ${got}`, "status"); return; }
    const k = row < 0 ? undefined : this.moments.get(`${r.procOf(row)}.${r.event[row]}`);
    const m = k === undefined ? undefined : r.doc.moments![k]!;
    const task = r.task(this.store.state.lane);
    const exception = r.raiseAt(this.store.state.lane, this.store.state.pos);
    const of = varsOf(f, exception ? exception.frames : got ? fromLive(got) : task ? task.frames : this.store.state.pos >= 0 ? undefined : m?.frames);
    if (!of) {
      const without = row >= 0 && (r.took[row]! < 0 || r.took[row]! > 1e6 || r.doc.kinds[r.kind[row]!] === "end" || task) && r.doc.without;
      if (this.store.state.pos >= 0 && !this.live) { note("The stack and the variables of a position between two events are shown by pyrr serve."); return; }
      note(without ? `Variables are not on this page: ${without}.` : "");
      return;
    }
    const when = row === r.raised ? "as the exception left them" : `at ${task ? "the end" : this.store.state.pos >= 0 ? `instruction ${grouped(this.store.state.pos)}` : "this moment"}`;
    const table = h("table", { class: "vars" }, h("caption", {}, `variables of ${of.f}${row === r.raised ? "," : ""} ${when}${got ? ", by a replay" : ""}`),
      ...of.v.map((v) => h("tr", {}, h("th", { scope: "row" }, v.n), h("td", {}, folding(v.v)))));
    this.vars.replaceChildren(of.v.length ? table : h("p", { class: "dim" }, "No variables here."));
    if (got && (got.raising || got.handling)) this.vars.prepend(h("p", { class: "badtext" }, got.raising ? `raises ${got.raising}` : `handles ${got.handling}`));
  }

  private showSource(f: Frame | undefined): void {
    const file = f && f.p >= 0 ? this.rec.doc.files?.[f.p] : undefined;
    if (!f || !file?.parts?.length) {
      this.shownFile = -1;
      this.source.replaceChildren(f ? h("p", { class: "dim" }, f.k ? "A frame of C: no source is on this page." : "The source is not in the recording.") : "");
      return;
    }
    if (this.shownFile !== f.p) this.fill(f.p);
    for (const e of this.lines) e.classList.remove("here");
    let i = 0;
    for (const p of this.parts) {
      if (f.l && f.l >= p.from && f.l <= p.to) {
        const e = this.lines[i + f.l - p.from]!;
        e.classList.add("here");
        const box = this.source.querySelector(".code-box")!;
        const by = e.offsetTop - box.clientHeight / 2;
        box.scrollTop = by;
      }
      i += p.to - p.from + 1;
    }
  }

  private fill(n: number): void {
    const file = this.rec.doc.files![n]!;
    const ran = new Set<number>();
    for (const f of this.rec.doc.frames ?? []) if (f.p === n && f.l) ran.add(f.l);
    this.shownFile = n;
    this.lines = [];
    this.parts = [];
    const box = h("div", { class: "code-box", tabindex: "0", role: "region", "aria-label": `Source of ${file.name}` });
    for (const p of file.parts!) {
      if (this.lines.length) box.append(h("div", { class: "gap" }, "⋯"));
      const lines = highlighted(p.text);
      this.parts.push({ from: p.from, to: p.from + lines.length - 1 });
      lines.forEach((nodes, i) => {
        const code = h("code");
        code.append(...nodes);
        const e = h("div", { class: `ln${ran.has(p.from + i) ? " ran" : ""}` }, h("span", { class: "no" }, String(p.from + i)), code);
        this.lines.push(e);
        box.append(e);
      });
    }
    this.source.replaceChildren(h("p", { class: "file" }, file.name), box);
  }
}

/** The variables of a frame among those of a stack. */
function varsOf(f: Frame | undefined, frames: VarFrame[] | undefined): VarFrame | undefined {
  return frames?.find((x) => f && x.f === f.f && x.l === f.l);
}

/** What modules, functions and classes are called is of no interest in a table of values. */
function fromLive(s: LiveStack): VarFrame[] {
  return s.frames.map((f) => ({ f: f.function, l: f.line ?? 0,
    v: (f.locals ?? []).filter((v) => !/^(__|@py_)/.test(v.name) && !/^<(function|module|class) /.test(v.value)).map((v) => ({ n: v.name, v: v.value })) }));
}

/** The frame that is shown first: the user's innermost, else the innermost of Python. */
function preferred(frames: Frame[]): number {
  const own = frames.findIndex((f) => f.o === 2);
  return own >= 0 ? own : Math.max(0, frames.findIndex((f) => !f.k));
}
