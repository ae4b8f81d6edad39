// Runs what the extension runs: pyrr, recordings, and a session of its debug adapter,
// started as the extension has VS Code start it. PYRR names the binary, PYTHON an
// interpreter.
import * as assert from "node:assert/strict";
import { ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import * as pyrr from "../src/pyrr";

const program = process.env.PYRR ?? "pyrr";
const python = process.env.PYTHON ?? "python3";
const dir = mkdtempSync(join(tmpdir(), "pyrr-vscode-"));
const app = join(dir, "app.py");
const recording = join(dir, "app.pyrr.zip");

const source = `class Job:
    def __init__(self, n):
        self.n = n

    def run(self, step):
        total = 0
        for i in range(3):
            total += i * step  # total so far
        self.n = total
        return total

job = Job(7)
try:
    {}["nothing"]
except KeyError as err:
    print("caught", err)
print(job.run(2), flush=True)
`;

before(async () => {
  writeFileSync(app, source);
  const r = await pyrr.run(program, ["record", "-o", recording, "--", python, app]);
  assert.equal(r.status, 0, r.stderr);
});
after(() => rmSync(dir, { recursive: true }));

/** A client of the Debug Adapter Protocol, as much as a session takes. */
class Client {
  private seq = 0;
  private buffer = Buffer.alloc(0);
  private answers = new Map<number, (m: any) => void>();
  private waiting: { event: string; done: (m: any) => void }[] = [];
  private events: any[] = [];
  readonly ended: Promise<number | null>;

  constructor(private child: ChildProcess) {
    child.stdout!.on("data", (d: Buffer) => {
      this.buffer = Buffer.concat([this.buffer, d]);
      for (;;) {
        const head = this.buffer.indexOf("\r\n\r\n");
        const m = /Content-Length: (\d+)/.exec(this.buffer.subarray(0, head < 0 ? 0 : head).toString());
        if (!m || this.buffer.length < head + 4 + Number(m[1])) {
          return;
        }
        const text = this.buffer.subarray(head + 4, head + 4 + Number(m[1])).toString();
        this.buffer = this.buffer.subarray(head + 4 + Number(m[1]));
        this.take(JSON.parse(text));
      }
    });
    this.ended = new Promise((resolve) => child.on("close", resolve));
  }

  private take(m: any): void {
    if (m.type === "response") {
      this.answers.get(m.request_seq)?.(m);
      return;
    }
    const i = this.waiting.findIndex((w) => w.event === m.event);
    if (i >= 0) {
      this.waiting.splice(i, 1)[0].done(m);
    } else {
      this.events.push(m);
    }
  }

  ask(command: string, args: object = {}): Promise<any> {
    const seq = ++this.seq;
    const text = JSON.stringify({ seq, type: "request", command, arguments: args });
    this.child.stdin!.write(`Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`);
    return new Promise((resolve, reject) => {
      this.answers.set(seq, (m) => (m.success ? resolve(m.body) : reject(new Error(`${command}: ${m.message}`))));
    });
  }

  event(event: string): Promise<any> {
    const i = this.events.findIndex((m) => m.event === event);
    if (i >= 0) {
      return Promise.resolve(this.events.splice(i, 1)[0]);
    }
    return new Promise((done) => this.waiting.push({ event, done }));
  }

  /** Sends a request that moves the process, and returns where that stops. */
  async move(command: string, args: object = {}): Promise<{ reason: string; line: number; frame: number; name: string; thread: number }> {
    await this.ask(command, args);
    return this.stopped();
  }

  async stopped(): Promise<{ reason: string; line: number; frame: number; name: string; thread: number }> {
    const { body } = await this.event("stopped");
    const { stackFrames } = await this.ask("stackTrace", { threadId: body.threadId });
    const top = stackFrames[0]; // there is none where the recording begins
    return { reason: body.reason, line: top?.line, frame: top?.id, name: top?.name, thread: body.threadId };
  }
}

test("a session goes forwards and back", { timeout: 120_000 }, async (t) => {
  const a = pyrr.adapter(program);
  const child = spawn(a.command, a.args, { stdio: ["pipe", "pipe", "inherit"] });
  const c = new Client(child);
  t.after(() => child.kill());
  const can = await c.ask("initialize", { adapterID: "pyrr", linesStartAt1: true, columnsStartAt1: true });
  assert.equal(can.supportsStepBack, true);
  const launched = c.ask("launch", pyrr.launch(recording));
  await c.event("initialized");
  const { breakpoints } = await c.ask("setBreakpoints", { source: { path: app }, breakpoints: [{ line: 8, condition: "i == 2" }] });
  assert.equal(breakpoints[0].verified, true);
  await c.ask("configurationDone");
  await launched;
  const entry = await c.stopped();
  assert.equal(entry.reason, "entry");

  let at = await c.move("continue", { threadId: entry.thread });
  assert.deepEqual([at.reason, at.line, at.name], ["breakpoint", 8, "Job.run"]);

  // Inline values: each variable that the lines mention has one in the scopes.
  const { scopes } = await c.ask("scopes", { frameId: at.frame });
  const { variables } = await c.ask("variables", { variablesReference: scopes[0].variablesReference });
  const values = new Map<string, string>(variables.map((v: any) => [v.name, v.value]));
  const lines = source.split("\n");
  const names = new Set(pyrr.mentioned(lines, pyrr.functionStart(lines, 7), 7).map((m) => m.name));
  assert.deepEqual([...names].sort(), ["i", "step", "total"]);
  assert.deepEqual([values.get("i"), values.get("step"), values.get("total")], ["2", "2", "2"]);

  at = await c.move("stepBack", { threadId: at.thread });
  assert.equal(at.line, 7);
  at = await c.move("next", { threadId: at.thread });
  assert.equal(at.line, 8);

  // An event to jump to, and back to a position.
  const when = await c.ask("pyrr/when");
  const list = await c.ask("pyrr/events", { count: 100 });
  const write = list.events.findLast((e: any) => e.text.startsWith("write(1, "));
  assert.ok(write, "no write among the events");
  at = await c.move("pyrr/goto", { to: `e${write.number}` });
  const there = await c.ask("pyrr/when");
  assert.equal(there.event, write.number);
  at = await c.move("reverseContinue", { threadId: at.thread });
  assert.deepEqual([at.reason, at.line], ["breakpoint", 8]);
  assert.equal((await c.move("reverseContinue", { threadId: at.thread })).reason, "start");
  at = await c.move("pyrr/goto", { to: String(when.position) });
  assert.equal(at.line, 8);
  assert.equal((await c.ask("evaluate", { expression: "total + i * step", frameId: at.frame })).result, "6");
  await assert.rejects(c.ask("evaluate", { expression: "run()", frameId: at.frame }));
  const offered = await c.ask("completions", { text: "self.", column: 6, frameId: at.frame });
  assert.ok(offered.targets.some((t: any) => t.label === "self.n" || t.label === "n"), JSON.stringify(offered));

  await c.ask("disconnect");
  assert.equal(await c.ended, 0);
});

test("print here asks runs, exceptions have a history", { timeout: 120_000 }, async () => {
  const passes = await pyrr.print(program, recording, "app.py:8", "i, total");
  assert.equal(passes.length, 3);
  const text = pyrr.report("app.py:8", [{ recording: "app.pyrr.zip", passes }, { recording: "other", passes: [] }]);
  assert.match(text, /over 2 runs/);
  assert.match(text, /line {2}i=2 {2}total=2/);
  assert.match(text, /was not passed/);
  const raised = (await pyrr.print(program, recording, "raise KeyError", "", 20)).filter((p) => p.file?.endsWith("app.py"));
  assert.equal(raised.length, 1);
  assert.match(raised[0].text ?? "", /KeyError/);
  assert.equal(raised[0].line, 14);
  const listed = await pyrr.list(program, dir);
  assert.equal(listed.length, 1);
  await assert.rejects(pyrr.run(join(dir, "nowhere"), []), /pyrr.path/);
  await assert.rejects(pyrr.print(program, join(dir, "none.pyrr.zip"), "app.py:8", ""));
});

test("the page of a recording needs no scripts", { timeout: 60_000 }, async () => {
  const r = await pyrr.run(program, ["report", "-o", "-", recording]);
  assert.equal(r.status, 0, r.stderr);
  assert.match(r.stdout, /<body/);
});

test("the manifest declares what the adapter takes", () => {
  const manifest = JSON.parse(readFileSync(join(__dirname, "../../package.json"), "utf8"));
  const [debug] = manifest.contributes.debuggers;
  assert.equal(debug.type, pyrr.launch("x").type);
  assert.deepEqual(debug.configurationAttributes.launch.required, ["recording"]);
  assert.equal(manifest.contributes.customEditors[0].selector[0].filenamePattern, "*.pyrr.zip");
  const extension = readFileSync(join(__dirname, "../src/extension.js"), "utf8");
  for (const c of manifest.contributes.commands) {
    assert.ok(extension.includes(`"${c.command}"`), `${c.command} is declared, and not there`);
  }
});
