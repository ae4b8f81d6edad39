// What the program printed, as it came: each line leads to its moment.

import type { Recording } from "./data";
import type { Store } from "./state";
import { at, grouped, h } from "./util";
import { VirtualList } from "./virtual";

interface Printed { text: string; row: number; stderr: boolean; caught: boolean }

export class Output {
  readonly element: HTMLElement;
  readonly lines: Printed[];
  private readonly list: VirtualList;

  constructor(private readonly rec: Recording, private readonly store: Store) {
    this.lines = this.split();
    this.list = new VirtualList("Output of the program", 23, (i) => this.row(i), (i) => store.go(this.lines[i]!.row));
    const notes: string[] = [];
    if (this.lines.some((l) => l.caught)) notes.push("* the test runner caught it");
    if (rec.doc.lost) notes.push(`${grouped(rec.doc.lost)} writes before these are not on this page.`);
    this.element = h("div", { class: "output" },
      this.lines.length ? h("p", { class: "status dim" }, [`${grouped(this.lines.length)} ${this.lines.length === 1 ? "line" : "lines"}`, ...notes].join("; ")) : h("p", { class: "empty" }, "The program printed nothing, as far as this page shows it."),
      this.lines.length ? this.list.element : null);
    this.list.reset(this.lines.length, this.current());
    store.subscribe((_, what) => { if (what.has("row") || what.has("tab")) this.list.select(this.current(), true); });
  }

  private split(): Printed[] {
    const out: Printed[] = [];
    const open = new Map<string, Printed>();
    for (const l of this.rec.doc.lines ?? []) {
      const row = this.rec.rowAt(l.proc, l.event);
      if (row < 0) continue;
      const key = `${l.proc} ${l.stderr ? 1 : 0} ${l.caught ? 1 : 0}`;
      const parts = (l.text + (l.more ? ` … (${grouped(l.more)} more bytes)\n` : "")).split("\n");
      parts.forEach((text, i) => {
        const last = open.get(key);
        if (last && i === 0) last.text += text;
        else if (text || i < parts.length - 1) {
          const p = { text, row, stderr: !!l.stderr, caught: !!l.caught };
          out.push(p);
          open.set(key, p);
        }
        if (i < parts.length - 1) open.delete(key);
      });
    }
    return out;
  }

  private current(): number {
    const row = this.store.state.row;
    let best = -1;
    for (let i = 0; i < this.lines.length; i++) {
      if (this.lines[i]!.row === row) return i; // its first line
      if (this.lines[i]!.row < row) best = i;
    }
    return best;
  }

  private row(i: number): HTMLElement {
    const l = this.lines[i]!;
    return h("div", { class: `out${l.stderr ? " err" : ""}` }, h("span", { class: "t" }, at(this.rec.time[l.row]!)),
      h("span", { class: "s", title: l.caught ? "caught by the test runner: not printed at that moment" : undefined }, `${l.stderr ? "err" : "out"}${l.caught ? "*" : ""}`), h("code", { class: "x" }, shown(l.text) || " "));
  }
}

/** As much of a line as anybody looks at in a list; a megabyte of it takes long to lay out. */
function shown(text: string): string {
  const most = 2000;
  return text.length > most ? `${text.slice(0, most)} … (${grouped(text.length - most)} more characters)` : text;
}
