// Panes that are there only where there is something to show: tasks, differences.

import type { Check, Raise, Recording } from "./data";
import type { Store } from "./state";
import { at, grouped, h } from "./util";

export function tasks(rec: Recording, store: Store): HTMLElement {
  const list = rec.doc.tasks ?? [];
  return h("div", { class: "tasks" }, h("p", { class: "status dim" }, `${grouped(list.length)} tasks and greenlets at the end`),
    ...list.map((t) => {
      const frames = rec.frames(t.node).filter((f, i) => f.o === 2 || i === 0);
      const lane = t.lane >= 0 ? rec.laneName(t.lane) : "";
      const go = (): void => { const rows = rec.ofLane[t.lane]; if (rows?.length) store.go(rows[rows.length - 1]!); };
      return h("div", { class: "task" }, h("h3", {}, t.name || t.kind, h("span", { class: "dim" }, t.running ? " runs, or is ready to" : " waits")),
        h("ul", {}, ...frames.map((f) => h("li", {}, h("b", {}, f.f), " ", h("span", { class: "place" }, rec.place(f)), " ", h("code", { class: "code" }, lineOf(rec, f.p, f.l ?? 0))))),
        lane ? h("p", {}, h("button", { type: "button", class: "link", onclick: go }, `its loop runs in ${lane}`)) : null);
    }));
}

function lineOf(rec: Recording, file: number, line: number): string {
  for (const p of rec.doc.files?.[file]?.parts ?? []) {
    if (line >= p.from) {
      const text = p.text.split("\n")[line - p.from];
      if (text !== undefined) return text.trim();
    }
  }
  return "";
}

export function differences(rec: Recording, store: Store): HTMLElement {
  const u = rec.doc.unlike!;
  const causes = u.causes ?? [];
  return h("div", { class: "unlike" },
    h("p", { class: "status dim" }, causes.length ? `What this run got that ${u.name} did not, the nearest to where they parted first` : `Nothing that the runs got before they parted differs, as far as the recordings show it.`),
    ...causes.map((c) => {
      const row = c.event && c.proc ? rec.rowAt(rec.doc.procs.findIndex((p) => p.id === c.proc), c.event) : -1;
      return h("div", { class: "cause" }, h("h3", {}, h("span", { class: "pill" }, c.kind), " ", c.what),
        h("dl", {}, h("dt", {}, "passed"), h("dd", {}, h("code", {}, c.passed)), h("dt", {}, "this"), h("dd", {}, h("code", {}, c.this))),
        row >= 0 ? h("button", { type: "button", class: "link", onclick: () => store.go(row) }, "show that moment") : null);
    }),
    u.followed ? h("p", {}, `What followed: ${u.followed}.`) : null);
}

/** Exceptions as they were raised, caught ones too. */
export function exceptions(rec: Recording, store: Store): HTMLElement {
  const item = (x: Raise): HTMLElement => {
    const row = rec.rowAt(x.proc, x.event), own = rec.frames(x.node)[0]?.o === 2, f = rec.own(x.node);
    const b = h("button", { type: "button", class: `link${own ? "" : " dim"}`, onclick: () => store.go(row, { lane: x.lane, pos: x.instr }) }, x.text);
    const li = h("li", { class: "raise" }, h("span", { class: "t" }, row >= 0 ? at(rec.time[row]!) : ""), " ", h("span", { class: "th" }, rec.laneName(x.lane)), " ", b,
      f ? h("span", { class: "place" }, ` ${own ? "" : "below "}${f.f} ${rec.shortPlace(f)}`) : null);
    const paint = (): void => { li.classList.toggle("current", store.state.pos === x.instr && store.state.lane === x.lane); };
    store.subscribe(paint);
    paint();
    return li;
  };
  const list = rec.doc.raises!, own = rec.ownRaises, rest = list.filter((x) => !own.includes(x));
  return h("div", { class: "raises" }, h("p", { class: "status dim" }, `${own.length ? `Your code raised ${grouped(own.length)}` : "Your code raised none"}, caught ones too${list.length >= 200 ? "; earlier ones are not on this page" : ""}`),
    h("ul", {}, ...own.map(item)),
    rest.length ? h("details", { open: !own.length }, h("summary", {}, `${grouped(rest.length)} that what it called raised`), h("ul", {}, ...rest.map(item))) : null);
}

const marks: Record<string, string> = { pass: "✓", fail: "✗" };
export function markOf(c: Check): string { return marks[c.verdict] ?? "?"; }

/** What specs say, with the moments and the goldens that differ. */
export function checks(rec: Recording, store: Store): HTMLElement {
  const list = rec.doc.checks!;
  const bad = list.filter((c) => c.verdict !== "pass").length;
  const diff = (c: Check): HTMLElement[] => (c.stacks ?? []).map((s) => h("table", { class: "diff" }, h("caption", {}, s.name, s.note ? h("span", { class: "dim" }, ` ${s.note}`) : null),
    h("thead", {}, h("tr", {}, ...["want", "got", "function", "place"].map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", {}, ...(s.rows ?? []).map((r) => h("tr", { class: r.class ?? "" }, h("td", {}, r.class === "gone" ? `− ${r.want ?? ""}` : r.want), h("td", {}, r.class === "added" ? `+ ${r.got ?? ""}` : r.got),
      h("td", {}, r.func), h("td", {}, r.place, r.text ? h("code", { class: "code" }, ` ${r.text}`) : null))))));
  return h("div", { class: "checks" }, h("p", { class: "status dim" }, `${grouped(list.length)} checks of the specs that name this recording; ${bad ? `${grouped(bad)} do not hold` : "all hold"}`),
    ...list.map((c) => {
      const row = rec.checkRow(c);
      const text = row >= 0 ? h("button", { type: "button", class: "link", onclick: () => store.go(row) }, c.want) : h("span", {}, c.want);
      return h("div", { class: `check-item ${c.verdict}` }, h("h3", {}, h("span", { class: "verdict-mark", "aria-hidden": "true" }, markOf(c)), " ", h("span", { class: "sr" }, c.verdict), " ", text),
        h("p", { class: "dim" }, `${c.spec} · ${c.place}`), c.got ? h("p", {}, c.got) : null, ...(c.verdict === "pass" ? [] : diff(c)));
    }));
}
