// A list of which only what is in view is in the document: a listbox, moved in by
// keys as well as by the mouse.

import { clamp, h, perFrame } from "./util";

export class VirtualList {
  readonly element: HTMLElement;
  private readonly inner = h("div", { class: "vl-inner", role: "presentation" });
  private count = 0;
  private current = -1;
  private readonly made = new Map<number, HTMLElement>();
  private readonly render = perFrame(() => this.paint());
  private static lists = 0;
  private readonly id = `vl${VirtualList.lists++}`;

  constructor(label: string, private rowHeight: number, private readonly make: (i: number) => HTMLElement, private readonly choose: (i: number) => void) {
    this.element = h("div", { class: "vl", role: "listbox", tabindex: "0", "aria-label": label }, this.inner);
    this.element.addEventListener("scroll", this.render);
    this.element.addEventListener("click", (e) => {
      const row = (e.target as HTMLElement).closest<HTMLElement>("[data-i]");
      if (row) this.choose(Number(row.dataset.i));
    });
    this.element.addEventListener("keydown", (e) => this.key(e));
    new ResizeObserver(this.render).observe(this.element);
  }

  /** Shows so many rows anew, of which one may be the current one (-1: none). */
  reset(count: number, current: number, rowHeight = this.rowHeight): void {
    this.count = count;
    this.current = current;
    this.rowHeight = rowHeight;
    for (const e of this.made.values()) e.remove();
    this.made.clear();
    this.inner.style.height = `${count * rowHeight}px`;
    this.element.style.maxHeight = `${Math.max(3, count) * rowHeight + 2}px`;
    this.render();
  }

  /** Makes a row the current one, in view if wanted. */
  select(i: number, reveal: boolean): void {
    const before = this.made.get(this.current);
    before?.classList.remove("current");
    before?.setAttribute("aria-selected", "false");
    this.current = i;
    if (reveal && i >= 0) {
      const y = i * this.rowHeight, top = this.element.scrollTop, high = this.element.clientHeight;
      if (y < top || y + this.rowHeight > top + high) this.element.scrollTop = y - high / 3;
    }
    this.render();
  }

  private key(e: KeyboardEvent): void {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.rowHeight) - 1);
    const by: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    const d = by[e.key];
    if (d === undefined || e.ctrlKey || e.metaKey || e.altKey || !this.count) return;
    e.preventDefault();
    this.choose(clamp(this.current + d, 0, this.count - 1));
  }

  private paint(): void {
    const top = this.element.scrollTop, high = this.element.clientHeight || 400;
    const from = clamp(Math.floor(top / this.rowHeight) - 6, 0, this.count), to = clamp(Math.ceil((top + high) / this.rowHeight) + 6, 0, this.count);
    for (const [i, e] of this.made) {
      if (i < from || i >= to) { e.remove(); this.made.delete(i); }
    }
    for (let i = from; i < to; i++) {
      let e = this.made.get(i);
      if (!e) {
        e = this.make(i);
        e.dataset.i = String(i);
        e.id = `${this.id}-${i}`;
        e.setAttribute("role", "option");
        e.setAttribute("aria-posinset", String(i + 1));
        e.setAttribute("aria-setsize", String(this.count));
        e.style.transform = `translateY(${i * this.rowHeight}px)`;
        e.style.height = `${this.rowHeight}px`;
        this.made.set(i, e);
        this.inner.append(e);
      }
      e.classList.toggle("current", i === this.current);
      e.setAttribute("aria-selected", String(i === this.current));
    }
    const active = this.made.get(this.current);
    if (active) this.element.setAttribute("aria-activedescendant", active.id);
    else this.element.removeAttribute("aria-activedescendant");
  }
}
