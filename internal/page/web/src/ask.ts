// Questions to pyrr serve: what expressions were worth each time a place was passed, and
// who set a variable. Each answer leads to its moment.

import type { Answer, Found, Live, Recording } from "./data";
import type { Store } from "./state";
import { grouped, h } from "./util";

type Kind = "print" | "last";

export class Ask {
  readonly element: HTMLElement;
  private readonly place = h("input", { type: "text", placeholder: "pool.py:31, Pool.take, raise KeyError", autocomplete: "off", spellcheck: "false", required: true });
  private readonly exprs = h("input", { type: "text", placeholder: "item, len(self.queue)", autocomplete: "off", spellcheck: "false" });
  private readonly cond = h("input", { type: "text", placeholder: "item > 99", autocomplete: "off", spellcheck: "false" });
  private readonly lastOnes = h("input", { type: "checkbox" });
  private readonly name = h("input", { type: "text", placeholder: "self.state", autocomplete: "off", spellcheck: "false", required: true });
  private readonly within = h("input", { type: "text", placeholder: "Pool.take", autocomplete: "off", spellcheck: "false" });
  private readonly before = h("input", { type: "checkbox" });
  private readonly history = h("input", { type: "checkbox" });
  private readonly status = h("p", { class: "status dim", role: "status" });
  private readonly list = h("ol", { class: "found" });
  private end: AbortController | null = null;

  constructor(private readonly rec: Recording, private readonly store: Store, private readonly live: Live) {
    const field = (label: string, input: HTMLElement): HTMLElement => h("label", { class: "field" }, h("span", {}, label), input);
    const check = (label: string, input: HTMLElement): HTMLElement => h("label", { class: "check" }, input, label);
    const form = (kind: Kind, title: string, ...rest: HTMLElement[]): HTMLElement => {
      const stop = h("button", { type: "button", class: "small", onclick: () => this.stop() }, "Stop");
      return h("form", { class: "ask-form", "aria-label": title, onsubmit: (e: Event) => { e.preventDefault(); void this.ask(kind); } },
        h("h3", {}, title), ...rest, h("div", { class: "row" }, h("button", { type: "submit", class: "small" }, "Ask"), stop));
    };
    this.element = h("div", { class: "ask" },
      form("print", "What was it worth, each time?", field("place", this.place), field("expressions", this.exprs), field("only if", this.cond), check("the last times, not the first", this.lastOnes)),
      form("last", "Who set it?", field("variable", this.name), field("in function", this.within), check("before the focus, not the end", this.before), check("each change", this.history)),
      this.status, this.list);
    store.subscribe((_, what) => { if (what.has("row") || what.has("frame") || what.has("tab")) this.suggest(); });
    this.suggest();
  }

  /** The place of the frame at the focus, as long as nobody wrote another. */
  private suggest(): void {
    if (this.place.value && this.place.value !== this.place.dataset.made) return;
    const f = this.rec.own(this.rec.node[this.store.state.row] ?? 0);
    if (!f || f.k) return;
    this.place.value = this.place.dataset.made = this.rec.place(f).replace(/^…\//, "");
  }

  private stop(): void {
    this.end?.abort();
    this.end = null;
  }

  private async ask(kind: Kind): Promise<void> {
    this.stop();
    const end = this.end = new AbortController(), s = this.store.state, r = this.rec;
    this.status.textContent = "Replaying …";
    this.list.replaceChildren();
    try {
      const a: Answer = kind === "print"
        ? await this.live.print({ place: this.place.value.trim(), expressions: this.exprs.value.trim(), if: this.cond.value.trim(), last: this.lastOnes.checked }, end.signal)
        : await this.live.last({ expression: this.name.value.trim(), in: this.within.value.trim(), history: this.history.checked,
          at: !this.before.checked || !r.n ? "end" : s.pos >= 0 ? String(s.pos) : `e${r.event[s.row]}` }, end.signal);
      if (end !== this.end) return;
      this.status.textContent = a.none || `${grouped(a.found.length)} ${a.found.length === 1 ? "moment" : "moments"}${a.found.length >= 200 ? ", and there may be more" : ""}`;
      this.list.replaceChildren(...a.found.map((f) => this.moment(f)));
    } catch (e: unknown) {
      if (end === this.end || end.signal.aborted) this.status.textContent = end.signal.aborted ? "Stopped." : e instanceof Error ? e.message : String(e);
    }
  }

  private moment(f: Found): HTMLElement {
    const go = (): void => {
      const proc = this.rec.doc.procs.findIndex((p) => p.id === f.process), row = proc >= 0 ? this.rec.rowAt(proc, Math.max(0, f.event - 1)) : -1; // the last event before it
      if (row < 0) return;
      const lane = this.rec.doc.lanes.findIndex((l) => l.proc === proc && l.tid === f.thread);
      this.store.go(row, { lane: lane >= 0 ? lane : this.rec.lane[row]!, pos: f.instruction });
    };
    const place = f.file ? `${f.file.split("/").pop()}:${f.line}` : "";
    const values = [...(f.arguments ?? []), ...(f.values ?? [])];
    return h("li", {}, h("button", { type: "button", class: "hit", onclick: go },
      h("span", { class: "t" }, `${f.time.toFixed(6)} s`), " ", h("span", {}, f.threadName || String(f.thread)), " ", h("span", { class: "place" }, place, f.function ? ` ${f.function}` : "")),
      f.text ? h("p", {}, h("code", {}, f.text)) : null,
      f.expression !== undefined ? h("p", {}, h("code", {}, `${f.expression} = ${f.after}`), f.before !== undefined ? h("span", { class: "dim" }, ` (before: ${f.before})`) : null) : null,
      values.length ? h("dl", { class: "values" }, ...values.flatMap((v) => [h("dt", {}, v.expr), h("dd", {}, v.value ?? `<${v.error ?? ""}>`)])) : null);
  }
}
