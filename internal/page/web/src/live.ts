// The page of pyrr serve: a shell that asks its server for the page about a recording,
// or for the list of a folder, and shows it. What a recording says becomes text, or a
// document that was parsed without scripts, and is never markup of this page.

import { Ask } from "./ask";
import { load, type Answer, type Live, type LiveStack } from "./data";
import { show } from "./page";
import { h } from "./util";

interface Entry { name: string; started: string; size: number; outcome: string; test?: string; command: string[] | null; error?: string }

/** The token is in the fragment of the address that pyrr serve prints. It is taken out
 * of it, and kept for this tab alone. */
function token(): string {
  const m = /[#&]token=([\w-]+)/.exec(location.hash);
  if (m) {
    sessionStorage.setItem("pyrr-token", m[1]!);
    history.replaceState(null, "", location.pathname + location.hash.replace(m[0], "").replace(/^&/, "#"));
  }
  return sessionStorage.getItem("pyrr-token") ?? "";
}

const known = token();
addEventListener("hashchange", () => { if (/[#&]token=/.test(location.hash)) { token(); location.reload(); } });

async function ask<T>(what: string, question: unknown, signal?: AbortSignal): Promise<T> {
  const r = await fetch(`/api/${what}`, { method: "POST", headers: { "Content-Type": "application/json", "Pyrr-Token": known }, body: JSON.stringify(question), signal: signal ?? null, credentials: "omit", referrerPolicy: "no-referrer" });
  const answer: unknown = await r.json();
  if (!r.ok) throw new Error((answer as { error?: string }).error ?? `the server says ${r.status}`);
  return answer as T;
}

/** The page about a recording, parsed: XMLHttpRequest runs no script of it. */
function page(recording: string): Promise<Document> {
  return new Promise((done, failed) => {
    const x = new XMLHttpRequest();
    x.open("POST", "/api/page");
    x.responseType = "document";
    x.setRequestHeader("Content-Type", "application/json");
    x.setRequestHeader("Pyrr-Token", known);
    x.onload = () => {
      if (x.status === 200 && x.responseXML) done(x.responseXML);
      // A refusal is JSON, which is no document: it is asked once more for its text.
      else ask("page", { recording }).then(() => failed(new Error("try again")), failed);
    };
    x.onerror = () => failed(new Error("the server does not answer: it may have ended"));
    x.send(JSON.stringify({ recording }));
  });
}

function status(text: string): void {
  const wait = document.getElementById("wait");
  if (wait) wait.textContent = text;
}

async function showPage(recording: string, back: boolean): Promise<void> {
  status("Reading the recording, and replaying it for its variables …");
  const doc = await page(recording);
  const rec = await load(doc);
  doc.querySelectorAll("script, style, link, meta").forEach((e) => e.remove());
  document.title = doc.title;
  document.body.replaceChildren(...[...doc.body.children].map((e) => document.adoptNode(e)));
  if (back) document.querySelector(".top")?.prepend(h("a", { class: "back", href: `/#token=${known}` }, "all recordings"));
  const live: Live = {
    at: (where, end) => ask<LiveStack[]>("at", { recording, ...where }, end),
    print: (what, end) => ask<Answer>("print", { recording, thread: "", ...what }, end),
    last: (what, end) => ask<Answer>("last", { recording, thread: "", ...what }, end),
  };
  show(rec, live, (store) => new Ask(rec, store, live).element);
}

/** A folder: a line each, newest first; the sentences come one after the other. */
async function showList(all: Entry[], left: number): Promise<void> {
  document.title = "Recordings";
  const sentences: [Entry, HTMLElement][] = [];
  const items = [...all].reverse().map((e) => {
    const sentence = h("p", { class: "sentence dim" }, e.error ? `It can't be read: ${e.error}` : "…");
    if (!e.error) sentences.push([e, sentence]);
    const bad = !!e.error || /time|fail|hang|signal|exit/.test(e.outcome) && !/^exit(ed)? 0$/.test(e.outcome);
    const size = e.size < 1e6 ? `${Math.max(1, Math.round(e.size / 1e3))} kB` : `${(e.size / 1e6).toFixed(1)} MB`;
    return h("li", { class: "recording" },
      h("h2", {}, h("a", { href: `/r/${e.name.split("/").map(encodeURIComponent).join("/")}#token=${known}` }, e.test || (e.command ?? []).join(" ").slice(0, 160) || e.name)),
      sentence,
      h("p", { class: "dim" }, h("span", { class: `chip ${bad ? "bad" : "good"}` }, e.outcome || "damaged"), ` ${e.name} · ${e.started.slice(0, 19).replace("T", " ")} UTC · ${size}`));
  });
  document.body.replaceChildren(h("header", { class: "top" }, h("h1", {}, "Recordings")),
    h("main", {}, all.length ? h("ul", { class: "recordings" }, ...items) : h("p", { class: "empty" }, "There is no recording in this folder."),
      left ? h("p", { class: "dim" }, `${left} older ones are not in this list.`) : null));
  document.documentElement.dataset.ready = "1";
  for (const [e, p] of sentences) {
    try {
      const why = await ask<{ sentence: string }>("why", { recording: e.name });
      p.textContent = why.sentence || "Nothing is to be explained.";
      p.classList.remove("dim");
    } catch (err: unknown) {
      p.textContent = `It can't be explained: ${err instanceof Error ? err.message : String(err)}`;
    }
  }
  document.documentElement.dataset.sentences = String(sentences.length);
}

async function start(): Promise<void> {
  status("Asking …");
  if (!known) throw new Error("open the address that pyrr serve printed: it ends with #token=…");
  const m = /^\/r\/(.+)$/.exec(location.pathname);
  if (m) return showPage(m[1]!.split("/").map(decodeURIComponent).join("/"), true);
  const list = await ask<{ one: boolean; recordings: Entry[]; left?: number }>("list", {});
  return list.one ? showPage(list.recordings[0]?.name ?? "", false) : showList(list.recordings, list.left ?? 0);
}

start().catch((e: unknown) => {
  const text = `This can't be shown: ${e instanceof Error ? e.message : String(e)}`;
  if (document.getElementById("wait")) status(text); else document.body.append(h("p", { role: "alert" }, text));
});
