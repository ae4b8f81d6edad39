// The list of events: searched, filtered, and in one focus with the rest.

import type { Recording } from "./data";
import { colourOf } from "./kinds";
import type { Store } from "./state";
import { at, grouped, h, span } from "./util";
import { VirtualList } from "./virtual";

export class Events {
  readonly element: HTMLElement;
  private rows = new Uint32Array(0);
  private readonly list: VirtualList;
  private readonly status = h("p", { class: "status dim", role: "status" });
  private turn = 0;
  private scrolled = -1;
  private readonly narrow = matchMedia("(max-width: 620px)");

  constructor(private readonly rec: Recording, private readonly store: Store) {
    this.list = new VirtualList("Events", this.rowHeight, (i) => this.row(this.rows[i]!), (i) => store.go(this.rows[i]!));
    this.narrow.addEventListener("change", () => this.show());
    this.element = h("div", { class: "events" }, this.filters(), this.status, this.list.element);
    const names = rec.doc.lanes.map((_, i) => (rec.ofLane[i]!.length ? rec.laneName(i).length : 0));
    this.element.style.setProperty("--th", `${names.reduce((a, b) => Math.max(a, Math.min(b, 20)), 4)}ch`);
    store.subscribe((_, what) => {
      if (what.has("query") || what.has("hidden") || what.has("mine")) void this.filter();
      else if (what.has("row") || what.has("tab")) this.select(true);
    });
    void this.filter();
  }

  private get rowHeight(): number { return this.narrow?.matches ? 46 : 27; }

  private filters(): HTMLElement {
    const kinds = this.rec.doc.kinds, counts = new Uint32Array(kinds.length);
    for (const k of this.rec.kind) counts[k]!++;
    const box = h("div", { class: "kinds", role: "group", "aria-label": "Kinds of events that are shown" });
    kinds.forEach((name, k) => {
      if (!counts[k]) return;
      const dot = h("i", { class: "swatch", "aria-hidden": "true" });
      dot.style.background = `var(${colourOf(name)})`;
      const b = h("button", { type: "button", class: "kind", onclick: () => {
        const hidden = new Set(this.store.state.hidden);
        if (!hidden.delete(k)) hidden.add(k);
        this.store.set({ hidden });
      } }, dot, name, h("span", { class: "n" }, grouped(counts[k]!)));
      const paint = (): void => { b.setAttribute("aria-pressed", String(!this.store.state.hidden.has(k))); };
      paint();
      this.store.subscribe(paint);
      box.append(b);
    });
    const mine = h("button", { type: "button", class: "kind", title: "Only what your own code did", onclick: () => this.store.set({ mine: !this.store.state.mine }) }, "your code only");
    const paint = (): void => { mine.setAttribute("aria-pressed", String(this.store.state.mine)); };
    paint();
    this.store.subscribe(paint);
    box.prepend(mine);
    return box;
  }

  /** Finds the rows that are shown, a few milliseconds at a time. */
  private async filter(): Promise<void> {
    const turn = ++this.turn, { rec } = this, s = this.store.state;
    const words = s.query.toLowerCase().split(/\s+/).filter(Boolean);
    const out = new Uint32Array(rec.n);
    const known = new Map<string, boolean>();
    let n = 0, since = performance.now();
    for (let i = 0; i < rec.n; i++) {
      if ((i & 255) === 0 && performance.now() - since > 12) {
        this.status.textContent = `Searching … ${Math.round((100 * i) / rec.n)} %`;
        await new Promise((f) => setTimeout(f));
        if (turn !== this.turn) return;
        since = performance.now();
      }
      if (words.length === 0 && s.hidden.has(rec.kind[i]!)) continue;
      if (s.mine && !rec.isOwn(rec.node[i]!)) continue;
      if (words.length) {
        const key = `${rec.textID(i)} ${rec.node[i]} ${rec.lane[i]}`;
        let hit = known.get(key);
        if (hit === undefined) {
          const f = rec.own(rec.node[i]!);
          const text = `${rec.text(i)} ${f ? `${f.f} ${rec.place(f)}` : ""} ${rec.laneName(rec.lane[i]!)} ${rec.doc.kinds[rec.kind[i]!]} e${rec.event[i]}`.toLowerCase();
          hit = words.every((w) => text.includes(w));
          if (known.size < 50000) known.set(key, hit);
        }
        if (!hit) continue;
      }
      out[n++] = i;
    }
    this.rows = out.slice(0, n);
    this.show();
  }

  /** Brings the focus into view: the list has come into the document. */
  reveal(): void {
    this.scrolled = -1;
    this.select(true);
  }

  private show(): void {
    const left = this.rec.doc.left ? `; ${grouped(this.rec.doc.left)} before them are not on this page` : "";
    this.status.textContent = this.store.state.query
      ? `${grouped(this.rows.length)} of ${grouped(this.rec.n)} events match, of all kinds${left}`
      : `${grouped(this.rows.length)} of ${grouped(this.rec.n)} events${left}`;
    this.list.reset(this.rows.length, -1, this.rowHeight);
    this.scrolled = -1;
    this.select(true);
  }

  /** Marks the row of the focus, or the last before it. */
  private select(reveal: boolean): void {
    const row = this.store.state.row;
    let lo = 0, hi = this.rows.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (this.rows[mid]! <= row) lo = mid + 1; else hi = mid;
    }
    this.list.select(lo - 1, reveal && this.scrolled !== row);
    this.scrolled = row;
  }

  private row(i: number): HTMLElement {
    const r = this.rec, kind = r.doc.kinds[r.kind[i]!]!;
    const dot = h("i", { class: "swatch", title: kind });
    dot.style.background = `var(${colourOf(kind)})`;
    const own = r.own(r.node[i]!), took = r.took[i]!;
    return h("div", { class: `ev${r.failed[i] ? " failed" : ""}${took < 0 ? " open" : ""}` },
      h("span", { class: "t" }, at(r.time[i]!)), h("span", { class: "th" }, r.laneName(r.lane[i]!)), dot,
      h("code", { class: "x" }, r.text(i)),
      h("span", { class: "took" }, took < 0 ? "never returned" : took > 0 ? span(took) : ""),
      h("span", { class: "pl" }, own ? r.shortPlace(own) : ""));
  }
}
