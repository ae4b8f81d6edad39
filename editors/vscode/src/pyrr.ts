// What the extension knows of pyrr: how it is run and what it answers. Nothing here
// needs VS Code, so that the tests run it as it is.
import { execFile } from "node:child_process";

/** How an editor starts the debug adapter. */
export function adapter(pyrr: string): { command: string; args: string[] } {
  return { command: pyrr, args: ["dap"] };
}

/** A launch configuration for a recording. */
export function launch(recording: string): { type: string; name: string; request: string; recording: string } {
  const name = recording.slice(recording.lastIndexOf("/") + 1);
  return { type: "pyrr", name, request: "launch", recording };
}

/** What a run of pyrr came to. */
export interface Ran {
  status: number;
  stdout: string;
  stderr: string;
}

/** A recording may hold much: no more than this is taken from one command. */
const mostOutput = 64 << 20;

/** Runs pyrr. Arguments are never a shell's. It rejects where pyrr can't be run. */
export function run(pyrr: string, args: string[], signal?: AbortSignal): Promise<Ran> {
  return new Promise((resolve, reject) => {
    execFile(pyrr, args, { maxBuffer: mostOutput, signal, env: { ...process.env, NO_COLOR: "1" } }, (err, stdout, stderr) => {
      if (err && typeof err.code !== "number") {
        reject(new Error(`${pyrr} can't be run: ${err.message}; the setting pyrr.path says where it is`));
        return;
      }
      resolve({ status: err ? Number(err.code) : 0, stdout, stderr });
    });
  });
}

/** The first line of what pyrr said that went wrong. */
export function reason(r: Ran): string {
  const line = r.stderr.split("\n").find((l) => l.startsWith("pyrr: error: ")) ?? r.stderr.split("\n")[0] ?? "";
  return line.replace(/^pyrr: (error: )?/, "") || `pyrr ended with status ${r.status}`;
}

/** A recording as pyrr ls --json lists it. */
export interface Listed {
  path: string;
  test?: string;
  outcome?: string;
}

export async function list(pyrr: string, folder: string): Promise<Listed[]> {
  const r = await run(pyrr, ["ls", "--json", folder]);
  if (r.status === 5) {
    return []; // there is none
  }
  if (r.status !== 0) {
    throw new Error(reason(r));
  }
  return JSON.parse(r.stdout) as Listed[];
}

/** A line of pyrr print --json. */
export interface Printed {
  kind: string;
  process: number;
  instruction: number;
  event: number;
  time: number;
  thread: number;
  threadName?: string;
  file?: string;
  line?: number;
  function?: string;
  text?: string;
  values?: { expr: string; value?: string; error?: string }[];
  arguments?: { expr: string; value?: string; error?: string }[];
}

/** Asks a recording what happened at a place. */
export async function print(pyrr: string, recording: string, place: string, exprs: string, last?: number, signal?: AbortSignal): Promise<Printed[]> {
  const args = ["print", "--json"];
  if (last !== undefined) {
    args.push("--last", String(last));
  }
  args.push(recording, place);
  if (exprs.trim() !== "") {
    args.push(exprs);
  }
  const r = await run(pyrr, args, signal);
  if (r.stdout === "" && r.status === 5) {
    return []; // the place was not passed
  }
  if (r.status !== 0) {
    throw new Error(reason(r));
  }
  return r.stdout
    .split("\n")
    .filter((l) => l !== "")
    .map((l) => JSON.parse(l) as Printed);
}

/** One line about a pass of a place. */
export function passText(p: Printed): string {
  const values = [...(p.arguments ?? []), ...(p.values ?? [])].map((v) => `${v.expr}=${v.value ?? `<${v.error}>`}`);
  const parts = [`${p.instruction}`, `${p.time.toFixed(6)} s`, p.threadName ?? String(p.thread), p.kind];
  if (p.text) {
    parts.push(p.text);
  }
  return [...parts, ...values].join("  ");
}

/** The text that "print here over all runs" shows. */
export function report(place: string, runs: { recording: string; passes: Printed[]; error?: string }[]): string {
  const out = [`# ${place}, over ${runs.length} ${runs.length === 1 ? "run" : "runs"}`, ""];
  for (const r of runs) {
    out.push(`## ${r.recording}`);
    if (r.error !== undefined) {
      out.push(`can't be asked: ${r.error}`);
    } else if (r.passes.length === 0) {
      out.push("was not passed");
    }
    out.push(...r.passes.map(passText), "");
  }
  return out.join("\n");
}

/** Where functions of a Python file begin: line (from 0) and name. */
export function functions(text: string): { line: number; name: string }[] {
  const out: { line: number; name: string }[] = [];
  text.split("\n").forEach((l, line) => {
    const m = /^\s*(?:async\s+)?def\s+([\p{L}_][\p{L}\p{N}_]*)/u.exec(l);
    if (m) {
      out.push({ line, name: m[1] });
    }
  });
  return out;
}

const keywords = new Set(
  "False None True and as assert async await break class continue def del elif else except finally for from global if import in is lambda nonlocal not or pass raise return try while with yield match case self".split(" "),
);

/**
 * The variables that lines mention, from the function's beginning to where it
 * stopped: [line, column, name], each name once a line, outside of strings and
 * comments and not behind a dot.
 */
export function mentioned(lines: string[], from: number, to: number): { line: number; column: number; name: string }[] {
  const out: { line: number; column: number; name: string }[] = [];
  for (let line = from; line <= to && line < lines.length; line++) {
    const plain = lines[line]
      .replace(/("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')/g, (s) => " ".repeat(s.length))
      .replace(/#.*/, "");
    const seen = new Set<string>();
    for (const m of plain.matchAll(/(?<![\p{L}\p{N}_.])([\p{L}_][\p{L}\p{N}_]*)(?![\p{L}\p{N}_])(?!\s*\()/gu)) {
      if (!keywords.has(m[1]) && !seen.has(m[1])) {
        seen.add(m[1]);
        out.push({ line, column: m.index, name: m[1] });
      }
    }
  }
  return out;
}

/** The line where the function begins that a line is in; 0 for the module. */
export function functionStart(lines: string[], line: number): number {
  let indent = /^\s*/.exec(lines[line] ?? "")![0].length;
  for (let i = line; i >= 0; i--) {
    const m = /^(\s*)(?:async\s+)?def\s/.exec(lines[i]);
    if (m && (m[1].length < indent || i === line)) {
      return i;
    }
    if (lines[i].trim() !== "") {
      indent = Math.min(indent, /^\s*/.exec(lines[i])![0].length);
    }
  }
  return 0;
}
