// Panes that are there only where there is something to show: tasks, differences.

import type { Recording } from "./data";
import type { Store } from "./state";
import { grouped, h } from "./util";

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
