// The page about a recording, from what is in the document. One state (state.ts) is the
// focus of all panes.

import type { Evidence, Live, Recording } from "./data";
import { Events } from "./events";
import { Focus } from "./focus";
import { checks, differences, exceptions, tasks } from "./more";
import { Output } from "./output";
import { Store } from "./state";
import { Timeline } from "./timeline";
import { grouped, h } from "./util";

/** Which stack a line of evidence is about: the row's, or that of a task which has its line. */
function stackOf(rec: Recording, e: Evidence, row: number): { lane: number; frame: number } {
  const find = (node: number): number => rec.frames(node).findIndex((f) => f.l === e.line && f.p >= 0 && rec.doc.files?.[f.p]?.name === e.file);
  const frame = find(rec.node[row]!);
  if (frame >= 0 || !e.line) return { lane: rec.lane[row]!, frame };
  const tasks = rec.doc.tasks ?? [];
  for (let i = 0; i < tasks.length; i++) {
    const k = find(tasks[i]!.node);
    if (k >= 0 && tasks[i]!.proc === e.proc) return { lane: rec.doc.lanes.length + i, frame: k };
  }
  return { lane: rec.lane[row]!, frame: -1 };
}

/** The row that is shown first: the first piece of evidence that has a place, else the end. */
function firstRow(rec: Recording): number {
  for (const e of rec.doc.why.evidence) {
    const row = e.event ? rec.rowAt(e.proc, e.event) : -1;
    if (row >= 0 && rec.node[row]) return row;
  }
  for (let i = rec.n - 1; i >= 0; i--) if (rec.isOwn(rec.node[i]!)) return i;
  return Math.max(0, rec.n - 1);
}

function tabs(store: Store, panes: [string, string, HTMLElement][]): HTMLElement {
  const list = h("div", { class: "tabs", role: "tablist", "aria-label": "Lists" });
  const body = h("div", { class: "tab-body" });
  const buttons = panes.map(([id, label, pane], i) => {
    const b = h("button", { type: "button", role: "tab", id: `tab-${id}`, "aria-controls": `pane-${id}`, onclick: () => store.set({ tab: id }) }, label);
    b.addEventListener("keydown", (e) => {
      const d = e.key === "ArrowRight" ? 1 : e.key === "ArrowLeft" ? -1 : 0;
      if (!d) return;
      const next = (i + d + panes.length) % panes.length;
      store.set({ tab: panes[next]![0] });
      buttons[next]!.focus();
    });
    pane.id = `pane-${id}`;
    pane.setAttribute("role", "tabpanel");
    pane.setAttribute("aria-labelledby", `tab-${id}`);
    body.append(pane);
    return b;
  });
  list.append(...buttons);
  const paint = (): void => {
    const tab = panes.some(([id]) => id === store.state.tab) ? store.state.tab : "events";
    panes.forEach(([id, , pane], i) => {
      pane.hidden = id !== tab;
      buttons[i]!.setAttribute("aria-selected", String(id === tab));
      buttons[i]!.tabIndex = id === tab ? 0 : -1;
    });
  };
  store.subscribe((_, what) => { if (what.has("tab")) paint(); });
  paint();
  return h("section", { class: "lists panel", "aria-label": "Events and output" }, list, body);
}

function tools(store: Store, restyle: () => void): HTMLInputElement {
  const search = h("input", { type: "search", placeholder: "Search events  /", "aria-label": "Search events", autocomplete: "off", spellcheck: "false" });
  search.value = store.state.query;
  let later = 0;
  search.addEventListener("input", () => {
    clearTimeout(later);
    later = setTimeout(() => store.set({ query: search.value, tab: "events" }), 120);
  });
  store.subscribe((s, what) => { if (what.has("query") && document.activeElement !== search) search.value = s.query; });
  const themes = ["auto", "light", "dark"];
  let theme = 0;
  const button = h("button", { type: "button", class: "small", onclick: () => {
    theme = (theme + 1) % themes.length;
    if (theme) document.documentElement.dataset.theme = themes[theme]; else delete document.documentElement.dataset.theme;
    button.textContent = `◐ ${themes[theme]}`;
    restyle();
  } }, "◐ auto");
  button.title = "Light or dark";
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
  const keys: [string, string][] = [["/", "search"], ["← →", "previous, next event of the thread (on the timeline)"], ["↑ ↓", "another thread; in lists: another line"],
    ["+ − 0", "zoom in, out, all (on the timeline)"], ["Ctrl wheel, pinch", "zoom"], ["drag, Shift wheel", "pan"], ["e, o, t", "the timeline, the output, the events"], ["?", "this help"]];
  const dialog = h("dialog", { "aria-label": "Keys" }, h("h2", {}, "Keys"), h("dl", { class: "keys" }, ...keys.flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)])),
    h("p", { class: "dim" }, "The address of this page holds what you look at: copy it to show it to somebody who has the file."),
    h("form", { method: "dialog" }, h("button", { class: "small" }, "Close")));
  const help = h("button", { type: "button", class: "small", "aria-label": "Keys", onclick: () => dialog.showModal() }, "?");
  document.getElementById("tools")!.append(search, button, help);
  document.body.append(dialog);
  addEventListener("keydown", (e) => {
    const on = e.target as HTMLElement;
    if (/^(INPUT|SELECT|TEXTAREA)$/.test(on.tagName) || e.ctrlKey || e.metaKey || e.altKey || dialog.open) {
      if (e.key === "Escape" && on === search) { search.value = ""; store.set({ query: "" }); search.blur(); }
      return;
    }
    const acts: Record<string, () => void> = {
      "/": () => search.focus(), "?": () => dialog.showModal(),
      e: () => document.querySelector<HTMLElement>(".tl-box")?.focus(), o: () => store.set({ tab: "output" }), t: () => store.set({ tab: "events" }),
    };
    const act = acts[e.key];
    if (act) { e.preventDefault(); act(); }
  });
  return search;
}

/** The lines of evidence know their moments by their links; those that are shown are marked. */
function evidence(rec: Recording, store: Store, rows: number[]): void {
  const items = [...document.querySelectorAll<HTMLElement>("#evidence > li")];
  items.forEach((li, i) => {
    const a = li.querySelector("a"), row = rows[i] ?? -1;
    if (!a || row < 0) return;
    a.addEventListener("click", (e) => { e.preventDefault(); store.go(row, stackOf(rec, rec.doc.why.evidence[i]!, row)); });
    const paint = (): void => { li.classList.toggle("current", store.state.row === row); };
    store.subscribe(paint);
    paint();
  });
}

/** Shows a recording in the document's app element; live is who can be asked for what the page lacks, and ask a pane for that. */
export function show(rec: Recording, live?: Live, ask?: (store: Store) => HTMLElement): void {
  document.documentElement.classList.add("js");
  const rows = rec.doc.why.evidence.map((e) => (e.event ? rec.rowAt(e.proc, e.event) : -1));
  const row = firstRow(rec), about = rec.doc.why.evidence[rows.indexOf(row)];
  const store = new Store(rec, { row, ...(about && rec.n ? stackOf(rec, about, row) : { lane: rec.n ? rec.lane[row]! : 0, frame: -1 }), zoom: null });
  const timeline = new Timeline(rec, store, rows);
  const focus = new Focus(rec, store, live), events = new Events(rec, store), output = new Output(rec, store);
  const panes: [string, string, HTMLElement][] = [["events", "Events", events.element], ["output", `Output (${grouped(output.lines.length)})`, output.element]];
  if (rec.doc.tasks?.length) panes.push(["tasks", `Tasks (${rec.doc.tasks.length})`, tasks(rec, store)]);
  if (rec.doc.raises?.length) panes.push(["raises", rec.ownRaises.length ? `Exceptions (${grouped(rec.ownRaises.length)})` : `Exceptions in libraries (${grouped(rec.doc.raises.length)})`, exceptions(rec, store)]);
  if (rec.doc.checks?.length) panes.push(["checks", `Checks (${rec.doc.checks.length})`, checks(rec, store)]);
  if (rec.doc.unlike) panes.push(["unlike", `Differences (${rec.doc.unlike.causes?.length ?? 0})`, differences(rec, store)]);
  if (ask) panes.push(["ask", "Ask", ask(store)]);
  tools(store, () => timeline.restyle());
  evidence(rec, store, rows);
  document.getElementById("app")!.replaceChildren(timeline.element, h("div", { class: "panes" }, focus.element, tabs(store, panes)));
  events.reveal();
  focus.reveal();
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}
