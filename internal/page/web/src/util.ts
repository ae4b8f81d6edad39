// Small helpers. Text of a recording becomes text nodes and nothing else.

type Child = Node | string | null | undefined | false;
type Props = Record<string, string | number | boolean | ((e: any) => void) | undefined>;

/** An element: h("button", {class: "x", onclick: f}, "text"). */
export function h<K extends keyof HTMLElementTagNameMap>(tag: K, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[K] {
  const e = document.createElement(tag);
  for (const [k, v] of Object.entries(props)) {
    if (v === undefined || v === false) continue;
    if (typeof v === "function") e.addEventListener(k.slice(2), v);
    else e.setAttribute(k, v === true ? "" : String(v));
  }
  for (const c of children) if (c) e.append(c);
  return e;
}

export function grouped(n: number): string { return n.toLocaleString("en-US"); }

/** A span of time, in ns, for people. */
export function span(ns: number): string {
  if (ns < 1e3) return `${Math.round(ns)} ns`;
  if (ns < 1e6) return `${digits(ns / 1e3)} µs`;
  if (ns < 1e9) return `${digits(ns / 1e6)} ms`;
  if (ns < 120e9) return `${digits(ns / 1e9)} s`;
  return `${Math.floor(ns / 60e9)} min ${Math.round((ns / 1e9) % 60)} s`;
}

function digits(v: number): string { return v >= 100 ? v.toFixed(0) : v >= 10 ? v.toFixed(1) : v.toFixed(2); }

/** A moment, in ns after the start. */
export function at(ns: number): string { return `${(ns / 1e9).toFixed(6)} s`; }

/** Calls f at most once a frame. */
export function perFrame(f: () => void): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; f(); });
  };
}

/** A long text, of which the beginning is shown until somebody asks for the rest. */
export function folding(text: string, most = 200): Node {
  if (text.length <= most) return document.createTextNode(text);
  const sum = h("summary"), e: HTMLDetailsElement = h("details", { class: "long" }, sum, text);
  const say = (): void => { sum.textContent = e.open ? "shorter" : `${text.slice(0, most - 40)} …`; };
  e.addEventListener("toggle", say);
  say();
  return e;
}

export function clamp(v: number, lo: number, hi: number): number { return Math.max(lo, Math.min(hi, v)); }
