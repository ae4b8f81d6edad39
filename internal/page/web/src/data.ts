// The block of a page: what package page of pyrr wrote, unpacked. Columns are
// arrays with a value for each row (an event, calls with their return).

export interface Process { id: number; pid: number; parent?: number; name: string; given?: string; from: number; to: number; instr: number }
export interface Lane { proc: number; tid: number; num: number; name: string; from: number; to: number; waits?: string }
export interface Mark { proc: number; event: number; time: number; instr: number; kind: string; text: string; begins?: boolean }
export interface Line { proc: number; event: number; stderr?: boolean; caught?: boolean; text: string; more?: number }
export interface Frame { f: string; p: number; l?: number; c?: number; e?: number; m?: string; k?: boolean; o?: number }
export interface File { name: string; own?: boolean; parts?: { from: number; text: string }[] }
export interface Evidence { text: string; proc: number; event?: number; file?: string; line?: number; code?: string }
export interface Edge { from: number; to: number; why: string; sure?: boolean }
export interface Task { proc: number; lane: number; kind: string; name: string; running?: boolean; node: number; frames?: VarFrame[] }
export interface Cause { kind: string; what: string; passed: string; this: string; proc?: number; event?: number }
export interface Var { n: string; v: string }
/** The variables of a moment: of each frame from the innermost on that has some. */
export interface VarFrame { f: string; l: number; v: Var[] }
export interface Moment { proc: number; event: number; frames: VarFrame[] }
/** An exception as it is raised, behind an event and before the next. */
export interface Raise { proc: number; lane: number; event: number; instr: number; text: string; node: number; frames: VarFrame[] }
export interface StackRow { class?: string; want?: string; got?: string; kind?: string; func: string; place?: string; text?: string }
/** What a spec says: a sentence, or a golden with the stacks that differ. */
export interface Check {
  spec: string; place: string; want: string; got?: string; verdict: string;
  at?: { proc: number; event: number; text: string; chosen?: boolean }[]; stacks?: { name: string; note?: string; rows: StackRow[] | null }[];
}
interface Column { name: string; at: number; size: number; n: number; delta?: boolean; bytes?: boolean }

export interface Contents {
  title: string; outcome: string; kinds: string[];
  procs: Process[]; lanes: Lane[]; marks: Mark[] | null; lines: Line[] | null; lost?: number; left?: number;
  frames: Frame[] | null; files: File[] | null; columns: Column[];
  why: { sentence: string; degree: string; explained?: boolean; evidence: Evidence[]; edges?: Edge[] };
  tasks?: Task[]; unlike?: { name: string; causes: Cause[] | null; followed?: string };
  moments?: Moment[]; without?: string;
  raises?: Raise[]; checks?: Check[];
  raised?: { proc: number; event: number; text: string };
}

/** A frame of pyrr bt --json, the innermost first. */
export interface LiveFrame { kind: string; function: string; file?: string; line?: number; column?: number; endLine?: number; endColumn?: number; locals?: { name: string; value: string }[] }
export interface LiveStack { process: number; thread: number; instruction: number; event: number; text?: string; raising?: string; handling?: string; frames: LiveFrame[] }
/** What pyrr print and pyrr last find: a moment. */
export interface Found {
  kind?: string; process: number; instruction: number; event: number; time: number; thread: number; threadName?: string; file?: string; line?: number; function?: string; text?: string;
  values?: { expr: string; value?: string; error?: string }[]; arguments?: { expr: string; value?: string; error?: string }[];
  expression?: string; before?: string; after?: string; made?: boolean; ever?: boolean; in?: string;
}
export interface Answer { found: Found[]; none?: string }

/** Who can be asked for what the page lacks: pyrr serve. */
export interface Live {
  at(where: { process: number; event?: number; position?: number; thread: number }, end: AbortSignal): Promise<LiveStack[]>;
  print(what: { place: string; expressions: string; if: string; last: boolean }, end: AbortSignal): Promise<Answer>;
  last(what: { expression: string; at: string; in: string; history: boolean }, end: AbortSignal): Promise<Answer>;
}

const decoder = new TextDecoder();

/** Base64 as bytes, without a request: fetch of a data: URL would be one. */
function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

async function inflate(packed: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

export class Recording {
  readonly doc: Contents;
  readonly n: number;
  readonly lane: Float64Array;
  readonly kind: Uint8Array;
  readonly failed: Uint8Array;
  readonly event: Float64Array;
  readonly end: Float64Array;
  readonly time: Float64Array;
  /** ns, -1 for a call that never returned. */
  readonly took: Float64Array;
  readonly instr: Float64Array;
  readonly ran: Float64Array;
  readonly node: Float64Array;
  readonly parent: Float64Array;
  readonly frame: Float64Array;
  /** Rows of each lane and of each process, in order. */
  readonly ofLane: Uint32Array[];
  readonly ofProc: Uint32Array[];
  /** Arrows: who let whom go on. */
  readonly wakes: { from: number; to: number }[] = [];
  readonly wakesOf = new Map<number, number[]>();
  /** The row that stands for an exception, -1 for none. */
  readonly raised: number = -1;
  /** Where time ends: of the last row or process. */
  readonly until: number;
  private readonly text_: Float64Array;
  private readonly offsets: Float64Array;
  private own_?: Raise[];
  private outer_?: (Frame | undefined)[];
  private readonly texts: Uint8Array;
  private readonly owned = new Map<number, number>();
  private readonly cache = new Map<number, string>();

  constructor(private readonly bytes: Uint8Array) {
    const size = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
    this.doc = JSON.parse(decoder.decode(bytes.subarray(4, 4 + size))) as Contents;
    const base = 4 + size;
    const column = (name: string): Float64Array => {
      const c = this.doc.columns.find((c) => c.name === name);
      return c ? this.numbers(base + c.at, c.n, !!c.delta) : new Float64Array(0);
    };
    this.lane = column("lane");
    const kinds = column("kind");
    this.n = kinds.length;
    this.kind = Uint8Array.from(kinds, (k) => k & 0x7f);
    this.failed = Uint8Array.from(kinds, (k) => k >> 7);
    this.event = column("event");
    this.end = column("end");
    this.time = column("time");
    this.took = column("took").map((t) => t - 1);
    this.instr = column("instr");
    this.ran = column("ran");
    this.node = column("node");
    this.parent = column("parent");
    this.frame = column("frame");
    this.text_ = column("text");
    this.offsets = new Float64Array(1 + (this.doc.columns.find((c) => c.name === "textSize")?.n ?? 0));
    column("textSize").forEach((s, i) => { this.offsets[i + 1] = this.offsets[i]! + s; });
    const texts = this.doc.columns.find((c) => c.name === "texts");
    this.texts = texts ? bytes.subarray(base + texts.at, base + texts.at + texts.size) : new Uint8Array(0);
    let until = 0;
    for (const p of this.doc.procs) until = Math.max(until, p.to);
    this.until = until;
    [this.ofLane, this.ofProc] = this.group();
    const raised = this.doc.raised;
    if (raised) this.raised = this.rowAt(raised.proc, raised.event, true);
    this.addWakes(column("wakeFromProc"), column("wakeFrom"), column("wakeToProc"), column("wakeTo"));
  }

  /** A column of variable-length numbers; those of differences are zigzag. */
  private numbers(at: number, n: number, delta: boolean): Float64Array {
    const out = new Float64Array(n), b = this.bytes;
    let last = 0;
    for (let i = 0; i < n; i++) {
      let v = 0, scale = 1, c: number;
      do {
        c = b[at++] ?? 0;
        v += (c & 0x7f) * scale;
        scale *= 128;
      } while (c > 127);
      if (delta) {
        last += v % 2 ? -(v + 1) / 2 : v / 2;
        v = last;
      }
      out[i] = v;
    }
    return out;
  }

  private group(): [Uint32Array[], Uint32Array[]] {
    const by = (of: (row: number) => number, n: number): Uint32Array[] => {
      const sizes = new Uint32Array(n);
      for (let i = 0; i < this.n; i++) sizes[of(i)]!++;
      const out = Array.from(sizes, (s) => new Uint32Array(s));
      sizes.fill(0);
      for (let i = 0; i < this.n; i++) {
        const k = of(i);
        out[k]![sizes[k]!++] = i;
      }
      return out;
    };
    return [by((i) => this.lane[i]!, this.doc.lanes.length), by((i) => this.procOf(i), this.doc.procs.length)];
  }

  private addWakes(fromProc: Float64Array, from: Float64Array, toProc: Float64Array, to: Float64Array): void {
    for (let i = 0; i < from.length; i++) {
      const a = this.rowAt(fromProc[i]!, from[i]!, true), b = this.rowAt(toProc[i]!, to[i]!, true);
      if (a < 0 || b < 0 || this.lane[a] === this.lane[b]) continue;
      const k = this.wakes.push({ from: a, to: b }) - 1;
      for (const r of [a, b]) {
        const known = this.wakesOf.get(r);
        if (known) known.push(k); else this.wakesOf.set(r, [k]);
      }
    }
  }

  /** Index of the process of a row. */
  procOf(row: number): number { return this.doc.lanes[this.lane[row]!]!.proc; }

  /** The row of an event of a process: that, or the last one before it; -1 for none. */
  rowAt(proc: number, event: number, exactly = false): number {
    const rows = this.ofProc[proc];
    if (!rows?.length) return -1;
    let lo = 0, hi = rows.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (this.event[rows[mid]!]! <= event) lo = mid + 1; else hi = mid;
    }
    if (lo === 0) return exactly ? -1 : rows[0]!;
    if (!exactly || this.event[rows[lo - 1]!] === event) {
      const at = rows[lo - 1]!;
      if (this.event[at] === event || exactly) return at;
      // It may be where a call returned that began earlier.
      for (let k = lo - 1; k >= 0 && k > lo - 5000; k--) {
        const r = rows[k]!;
        if (this.end[r]! > 0 && this.event[r]! + this.end[r]! === event) return r;
      }
      return at;
    }
    return -1;
  }

  /** The last row of a lane that begins no later than a time; -1 for none. */
  rowOfLane(lane: number, time: number): number {
    const rows = this.ofLane[lane];
    if (!rows) return -1;
    let lo = 0, hi = rows.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (this.time[rows[mid]!]! <= time) lo = mid + 1; else hi = mid;
    }
    return lo > 0 ? rows[lo - 1]! : -1;
  }

  text(row: number): string { return row === this.raised ? this.doc.raised!.text : this.textOf(this.text_[row]!); }
  textID(row: number): number { return this.text_[row]!; }
  get textCount(): number { return this.offsets.length - 1; }

  textOf(id: number): string {
    let s = this.cache.get(id);
    if (s === undefined) {
      s = decoder.decode(this.texts.subarray(this.offsets[id], this.offsets[id + 1]));
      if (this.cache.size > 20000) this.cache.clear();
      this.cache.set(id, s);
    }
    return s;
  }

  /** The frames of a stack, innermost first. */
  frames(node: number): Frame[] {
    const out: Frame[] = [];
    for (let n = node; n > 0 && out.length < 1000; n = this.parent[n] ?? 0) {
      const f = this.doc.frames?.[this.frame[n]!];
      if (f) out.push(f);
    }
    return out;
  }

  /** Whether the user's code is on a stack: what an installation does before the program begins is not theirs. */
  isOwn(node: number): boolean { return this.ownership(node) > 0; }

  /** Whether the user's code did this itself, rather than an import that it made. */
  doesOwn(node: number): boolean { return this.ownership(node) > 1; }

  private ownership(node: number): number {
    let v = this.owned.get(node);
    if (v === undefined) {
      v = 0;
      let imports = false;
      for (let n = node, i = 0; n > 0 && i < 1000; n = this.parent[n] ?? 0, i++) {
        const f = this.doc.frames?.[this.frame[n]!];
        if (!f || f.k) continue;
        if (f.o === 2) v = Math.max(v, imports ? 1 : 2);
        else if (/^<frozen site>|\/site\.py:/.test(this.place(f))) { v = 0; break; }
        else if (/^<frozen importlib/.test(this.place(f))) imports = true;
      }
      this.owned.set(node, v);
    }
    return v;
  }

  /** The frame that people look for: the innermost of their code, else of Python. */
  own(node: number): Frame | undefined {
    let python: Frame | undefined;
    for (let n = node, i = 0; n > 0 && i < 1000; n = this.parent[n] ?? 0, i++) {
      const f = this.doc.frames?.[this.frame[n]!];
      if (!f || f.k) continue;
      python ??= f;
      if (f.o === 2) return f;
    }
    return python;
  }

  /** The frames of an answer, as the page has them: a file by the longest name that its path ends with. */
  liveFrames(of: LiveStack): Frame[] {
    return of.frames.map((f) => {
      let p = -1, most = 0;
      (this.doc.files ?? []).forEach((file, i) => {
        const name = file.name.replace(/^…\//, "");
        if (name.length > most && (f.file === name || f.file?.endsWith(`/${name}`))) { p = i; most = name.length; }
      });
      const out: Frame = { f: f.function, p, l: f.line ?? 0, o: p >= 0 && this.doc.files![p]!.own ? 2 : 1 };
      if (p < 0) out.m = `${(f.file ?? "").split("/").slice(-2).join("/")}:${f.line ?? "?"}`;
      return out;
    });
  }

  place(f: Frame): string {
    const file = f.p >= 0 ? this.doc.files?.[f.p]?.name : undefined;
    return file ? `${file}:${f.l ?? "?"}` : (f.m ?? "").replace(/^.*\//, "");
  }

  /** A place for a narrow column: the last two parts of the path. */
  shortPlace(f: Frame): string {
    const parts = this.place(f).split("/");
    return parts.length > 2 && parts[0] === "" ? `…/${parts.slice(-2).join("/")}` : parts.join("/");
  }

  /** The exception that is raised at a position of a lane's process. */
  raiseAt(lane: number, pos: number): Raise | undefined {
    return pos < 0 ? undefined : this.doc.raises?.find((r) => r.lane === lane && r.instr === pos);
  }

  /** The exceptions that the user's code raised, rather than what it called. */
  get ownRaises(): Raise[] { return this.own_ ??= (this.doc.raises ?? []).filter((r) => this.frames(r.node)[0]?.o === 2); }

  /** The row of a check: what it is about, else what it shows; -1 for none. */
  checkRow(c: Check): number {
    const at = c.at?.find((a) => a.chosen) ?? c.at?.at(-1);
    return at ? this.rowAt(at.proc, at.event) : -1;
  }

  /** Lanes of threads, and behind them those of tasks. */
  get laneCount(): number { return this.doc.lanes.length + (this.doc.tasks?.length ?? 0); }

  /** The task of a lane, undefined for a thread's. */
  task(lane: number): Task | undefined { return this.doc.tasks?.[lane - this.doc.lanes.length]; }

  /** The rows in which a task is known to have run: its coroutine is on the stack, and no other task has the same. */
  rowsOfTask(i: number): number[] {
    const tasks = this.doc.tasks ?? [];
    const outer = this.outer_ ??= tasks.map((t) => this.frames(t.node).at(-1));
    const mine = outer[i], t = tasks[i]!;
    if (!mine || this.n * tasks.length > 2e7 || tasks.some((o, k) => k !== i && o.proc === t.proc && same(outer[k], mine))) return [];
    const known = new Map<number, boolean>(), out: number[] = [];
    for (const row of this.ofLane[t.lane] ?? []) {
      const node = this.node[row]!;
      let hit = known.get(node);
      if (hit === undefined) {
        hit = this.frames(node).some((f) => same(f, mine));
        known.set(node, hit);
      }
      if (hit) out.push(row);
    }
    return out;
  }

  laneName(lane: number): string {
    const t = this.task(lane);
    if (t) return `${t.kind} ${t.name}`;
    const l = this.doc.lanes[lane]!;
    const name = l.name || `thread ${l.num}`;
    return this.doc.procs.length > 1 ? `${this.doc.procs[l.proc]!.id}/${name}` : name;
  }
}

function same(a: Frame | undefined, b: Frame): boolean { return !!a && a.f === b.f && a.p === b.p; }

/** Unpacks the block of a document. */
export async function load(from: Document): Promise<Recording> {
  const block = from.getElementById("block");
  const r = new Recording(await inflate(bytesOf(block?.textContent?.trim() ?? "")));
  block?.remove(); // its text is not needed any more
  return r;
}
