import * as path from "node:path";
import * as vscode from "vscode";
import * as pyrr from "./pyrr";

/** The pyrr to run, as the settings have it. */
function program(): string {
  return vscode.workspace.getConfiguration("pyrr").get<string>("path") || "pyrr";
}

/** An answer to pyrr/events. */
interface Events {
  here: number;
  events: { number: number; position: number; thread: number; time: number; text: string }[];
}

export function activate(context: vscode.ExtensionContext): void {
  const register = (...items: vscode.Disposable[]) => context.subscriptions.push(...items);
  register(
    vscode.debug.registerDebugAdapterDescriptorFactory("pyrr", {
      createDebugAdapterDescriptor: () => {
        const a = pyrr.adapter(program());
        return new vscode.DebugAdapterExecutable(a.command, a.args);
      },
    }),
    vscode.debug.registerDebugConfigurationProvider("pyrr", {
      // F5 without a configuration asks which recording.
      resolveDebugConfiguration: async (_folder, config) => {
        if (config.recording) {
          return config;
        }
        const chosen = await choose();
        return chosen ? { ...pyrr.launch(chosen.fsPath) } : undefined;
      },
    }),
    vscode.window.registerCustomEditorProvider("pyrr.recording", new RecordingEditor(), { supportsMultipleEditorsPerDocument: false }),
    vscode.workspace.registerTextDocumentContentProvider("pyrr", answers),
    vscode.languages.registerCodeLensProvider({ language: "python" }, new Lenses()),
    vscode.languages.registerInlineValuesProvider({ language: "python" }, { provideInlineValues }),
    vscode.commands.registerCommand("pyrr.open", openRecording),
    vscode.commands.registerCommand("pyrr.debug", debugRecording),
    vscode.commands.registerCommand("pyrr.jumpToEvent", jumpToEvent),
    vscode.commands.registerCommand("pyrr.goto", gotoPosition),
    vscode.commands.registerCommand("pyrr.exceptions", exceptionHistory),
    vscode.commands.registerCommand("pyrr.printHere", printHere),
  );
}

export function deactivate(): void {}

/** Shows what went wrong, and goes on. */
async function told<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (err) {
    void vscode.window.showErrorMessage(`pyrr: ${(err as Error).message}`);
    return undefined;
  }
}

function recordings(): Thenable<vscode.Uri[]> {
  const glob = vscode.workspace.getConfiguration("pyrr").get<string>("recordings") || "**/*.pyrr.zip";
  return vscode.workspace.findFiles(glob, undefined, 200);
}

/** Lets the user choose a recording: of the workspace, or of a folder elsewhere. */
async function choose(): Promise<vscode.Uri | undefined> {
  const elsewhere = "$(folder) A folder of artifacts…";
  const found = await recordings();
  const items = [
    ...found.map((uri) => ({ label: path.basename(uri.fsPath), description: vscode.workspace.asRelativePath(uri), uri: uri as vscode.Uri | undefined })),
    { label: elsewhere, description: "what a job left", uri: undefined },
  ];
  const item = await vscode.window.showQuickPick(items, { placeHolder: "Which recording?" });
  if (!item || item.uri) {
    return item?.uri;
  }
  const folder = await vscode.window.showOpenDialog({ canSelectFolders: true, canSelectFiles: false, openLabel: "Look for recordings" });
  if (!folder) {
    return undefined;
  }
  const listed = await told(pyrr.list(program(), folder[0].fsPath));
  if (!listed) {
    return undefined;
  }
  const chosen = await vscode.window.showQuickPick(
    listed.map((l) => ({ label: l.test || path.basename(l.path), description: l.outcome, detail: l.path })),
    { placeHolder: listed.length ? "Which recording?" : "There is no recording in that folder" },
  );
  return chosen && vscode.Uri.file(path.resolve(folder[0].fsPath, chosen.detail));
}

async function openRecording(): Promise<void> {
  const uri = await choose();
  if (uri) {
    await vscode.commands.executeCommand("vscode.openWith", uri, "pyrr.recording");
  }
}

/** The link of a page gives a path, since what it has was JSON; the explorer a Uri. */
async function debugRecording(from?: vscode.Uri | string): Promise<void> {
  const uri = typeof from === "string" ? vscode.Uri.file(from) : (from ?? (await choose()));
  if (uri) {
    await vscode.debug.startDebugging(vscode.workspace.getWorkspaceFolder(uri), pyrr.launch(uri.fsPath));
  }
}

/** A recording in an editor: the page of pyrr report, and a button to travel. */
class RecordingEditor implements vscode.CustomReadonlyEditorProvider {
  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => {} };
  }

  async resolveCustomEditor(document: vscode.CustomDocument, panel: vscode.WebviewPanel): Promise<void> {
    const file = document.uri.fsPath;
    // The page is made of a recording, which may come from anybody: no scripts run.
    panel.webview.options = { enableScripts: false, enableCommandUris: ["pyrr.debug"], localResourceRoots: [] };
    panel.webview.html = page("<p>Reading the recording …</p>");
    const r = await told(pyrr.run(program(), ["report", "-o", "-", file]));
    const travel = `<p><a href="command:pyrr.debug?${encodeURIComponent(JSON.stringify([document.uri.fsPath]))}">▶ Travel through this recording</a></p>`;
    if (r && r.status === 0) {
      panel.webview.html = r.stdout.replace(/<body[^>]*>/, (body) => body + travel);
    } else {
      const why = r ? pyrr.reason(r) : "pyrr could not be run";
      panel.webview.html = page(`<p>${escape(why)}</p>${travel}`);
    }
  }
}

function page(body: string): string {
  return `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"><body>${body}`;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The session that commands are for. */
function session(): vscode.DebugSession | undefined {
  const s = vscode.debug.activeDebugSession;
  if (s?.type === "pyrr") {
    return s;
  }
  void vscode.window.showInformationMessage("pyrr: no recording is being travelled through");
  return undefined;
}

async function jumpToEvent(): Promise<void> {
  const s = session();
  const list = s && (await told(Promise.resolve(s.customRequest("pyrr/events", { count: 400 }) as Thenable<Events>)));
  if (!s || !list) {
    return;
  }
  const items = list.events.map((e) => ({
    label: `${e.number === list.here ? "$(arrow-right) " : ""}e${e.number}`,
    description: e.text,
    detail: `${e.position} instructions, ${e.time.toFixed(6)} s, thread ${e.thread}`,
    to: `e${e.number}`,
  }));
  const item = await vscode.window.showQuickPick(items, { placeHolder: "Jump to which event?", matchOnDescription: true });
  if (item) {
    await told(Promise.resolve(s.customRequest("pyrr/goto", { to: item.to })));
  }
}

async function gotoPosition(): Promise<void> {
  const s = session();
  const to = s && (await vscode.window.showInputBox({ prompt: "A position, N%, eN for an event, start or end" }));
  if (s && to) {
    await told(Promise.resolve(s.customRequest("pyrr/goto", { to })));
  }
}

/** Lists the exceptions of a recording, and goes to where one was raised. */
async function exceptionHistory(): Promise<void> {
  const s = vscode.debug.activeDebugSession?.type === "pyrr" ? vscode.debug.activeDebugSession : undefined;
  const file: string | undefined = s ? s.configuration.recording : (await choose())?.fsPath;
  if (!file) {
    return;
  }
  const raised = await told(asking(`Exceptions of ${path.basename(file)}`, (signal) => pyrr.print(program(), file, "raise", "", 500, signal)));
  if (!raised) {
    return;
  }
  const items = raised.map((p) => ({
    label: p.text ?? "exception",
    description: `${p.function ?? ""} ${p.file ? path.basename(p.file) : ""}:${p.line ?? ""}`,
    detail: `${p.instruction} instructions, ${p.time.toFixed(6)} s, ${p.threadName ?? p.thread}`,
    pass: p,
  }));
  const item = await vscode.window.showQuickPick(items.reverse(), { placeHolder: items.length ? "Newest first" : "No exception was raised", matchOnDescription: true });
  if (item && s) {
    await told(Promise.resolve(s.customRequest("pyrr/goto", { to: String(item.pass.instruction) })));
  } else if (item) {
    await vscode.debug.startDebugging(undefined, pyrr.launch(file));
  }
}

function asking<T>(title: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return Promise.resolve(
    vscode.window.withProgress({ location: vscode.ProgressLocation.Notification, title, cancellable: true }, (_p, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => abort.abort());
      return work(abort.signal);
    }),
  );
}

/** Asks all recordings of the workspace what happened at a place. */
async function printHere(file?: string, place?: string): Promise<void> {
  const editor = vscode.window.activeTextEditor;
  let exprs = "";
  if (typeof place !== "string") {
    if (!editor) {
      return;
    }
    file = editor.document.uri.fsPath;
    place = `${path.basename(file)}:${editor.selection.active.line + 1}`;
    const word = editor.document.getText(editor.selection.isEmpty ? editor.document.getWordRangeAtPosition(editor.selection.active) : editor.selection);
    const asked = await vscode.window.showInputBox({ prompt: `What to print at ${place}, in all runs`, value: word.includes("\n") ? "" : word });
    if (asked === undefined) {
      return;
    }
    exprs = asked;
  }
  const at = place;
  const found = await recordings();
  const runs = await asking(`${at} in ${found.length} recordings`, async (signal) => {
    const out = [];
    for (const uri of found) {
      const recording = vscode.workspace.asRelativePath(uri);
      try {
        out.push({ recording, passes: await pyrr.print(program(), uri.fsPath, at, exprs, 100, signal) });
      } catch (err) {
        out.push({ recording, passes: [], error: (err as Error).message });
      }
      if (signal.aborted) {
        break;
      }
    }
    return out;
  });
  const document = await answers.open(at, pyrr.report(at, runs));
  await vscode.window.showTextDocument(document, { viewColumn: vscode.ViewColumn.Beside, preview: true });
}

/** What was answered, as documents that can't be edited: nothing is to be saved before a
 * session starts. */
class Answers implements vscode.TextDocumentContentProvider {
  private texts = new Map<string, string>();

  provideTextDocumentContent(uri: vscode.Uri): string {
    return this.texts.get(uri.toString()) ?? "";
  }

  async open(title: string, text: string): Promise<vscode.TextDocument> {
    const uri = vscode.Uri.from({ scheme: "pyrr", path: `/${title.replaceAll("/", " ")}`, query: String(this.texts.size) });
    this.texts.set(uri.toString(), text);
    return vscode.languages.setTextDocumentLanguage(await vscode.workspace.openTextDocument(uri), "markdown");
  }
}
const answers = new Answers();

class Lenses implements vscode.CodeLensProvider {
  async provideCodeLenses(document: vscode.TextDocument): Promise<vscode.CodeLens[]> {
    if (!vscode.workspace.getConfiguration("pyrr").get<boolean>("codeLens") || (await recordings()).length === 0) {
      return [];
    }
    const file = path.basename(document.uri.fsPath);
    return pyrr.functions(document.getText()).map(
      (f) =>
        new vscode.CodeLens(new vscode.Range(f.line, 0, f.line, 0), {
          title: "print here over all runs",
          command: "pyrr.printHere",
          arguments: [document.uri.fsPath, `${file}::${f.name}`],
        }),
    );
  }
}

function provideInlineValues(document: vscode.TextDocument, range: vscode.Range, context: vscode.InlineValueContext): vscode.InlineValue[] {
  if (vscode.debug.activeDebugSession?.type !== "pyrr" || !vscode.workspace.getConfiguration("pyrr").get<boolean>("inlineValues")) {
    return [];
  }
  const lines = document.getText().split("\n");
  const stopped = context.stoppedLocation.end.line;
  const from = Math.max(pyrr.functionStart(lines, stopped), range.start.line);
  return pyrr
    .mentioned(lines, from, Math.min(stopped, range.end.line))
    .map((m) => new vscode.InlineValueVariableLookup(new vscode.Range(m.line, m.column, m.line, m.column + m.name.length), m.name, true));
}
