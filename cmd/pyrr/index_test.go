package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/backtrace"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/stackwalk"
	"pyrr/internal/traces"
	"pyrr/replay"
)

// indexProgram makes events on many kinds of stacks: threads with names,
// generators, callbacks from C, code made by exec at the same addresses, deep
// and shallow ones in turn.
const indexProgram = `
import os, threading, sys
r, w = os.pipe()
def leaf(n):
    os.write(w, b"x")
    return n
def deep(n):
    return deep(n - 1) + 1 if n else leaf(n)
def gen(n):
    for i in range(n):
        yield leaf(i)
def work(n):
    for i in range(n):
        deep(i)
        sorted([3, 1, 2], key=lambda x: leaf(x))
        list(gen(3))
        exec(compile("\n" * i + "leaf(1)\nleaf(2)\n", "made%d.py" % i, "exec"))
threads = [threading.Thread(target=work, args=(6,), name="wörker %d" % i) for i in range(3)]
for t in threads: t.start()
work(8)
for t in threads: t.join()
if hasattr(os, "fork"):
    pid = os.fork()
    if pid == 0:
        work(2)
        os._exit(0)
    os.waitpid(pid, 0)
os.read(r, 1)
`

// TestIndexIsTheSameAgain: what an index says of a recording, whose replays are all the same,
// does not hang on the order in which a map of pyrr's is gone through; or else the sentence of
// a hang with several candidates would name now one and now another.
func TestIndexIsTheSameAgain(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	dir := t.TempDir()
	recordFor(t, dir, "many", `
import concurrent.futures, queue, socket, tempfile, threading
def ends(n):
    return [s for _ in range(n) for s in socket.socketpair()]
def work(first, second, jobs, done, *, lock, pairs, log):
    left, right = pairs[:2]
    log.write("not flushed")
    with lock:
        jobs.get()
first = threading.Lock(); second = threading.RLock(); jobs = queue.Queue(); done = threading.Event()
logs = [tempfile.TemporaryFile("w") for _ in range(4)]
pool = concurrent.futures.ThreadPoolExecutor(2)
threads = [threading.Thread(target=work, args=(first, second, jobs, done), name="worker %d" % i, daemon=True,
                            kwargs=dict(lock=threading.Lock(), pairs=ends(3), log=logs[i])) for i in range(4)]
for t in threads: t.start()
futures = [pool.submit(jobs.get) for _ in range(5)]
a, b, *rest = ends(4)
other = rest[0]
a.recv(1)
`)
	rec, err := recording.Open(filepath.Join(dir, "many"+recording.PackedSuffix))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	var first []byte
	for i := range 3 {
		again := filepath.Join(dir, fmt.Sprintf("%d%s", i, recording.PartSuffix))
		if err := rec.Rewrite(again, recording.Changes{}); err != nil {
			t.Fatal(err)
		}
		x, err := recording.Open(again)
		if err != nil {
			t.Fatal(err)
		}
		indexErr, err := stackwalk.Replay(x, stackwalk.FromRecording, replay.Options{})
		x.Close()
		if err != nil || indexErr != nil {
			t.Fatal(err, indexErr)
		}
		index, err := os.ReadFile(filepath.Join(again, "stacks"))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = index
		} else if !slices.Equal(index, first) {
			t.Errorf("index %d is another: %d bytes, %d of the first", i, len(index), len(first))
		}
	}
}

// TestIndexAgainstReplay records a program, and compares the stack that the
// index has for each event with the one that a replay without the index reads
// there.
func TestIndexAgainstReplay(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	pythons := testInterpreters()
	if len(pythons) == 0 {
		t.Skip("there is no Python")
	}
	full := os.Getenv("PYRR_E2E") == "full"
	for i, python := range pythons {
		if !full && i > 0 && i < len(pythons)-1 {
			continue // package cpython tests on all versions how frames are read
		}
		version := pythonVersion(python)
		if version == "" || strings.HasPrefix(version, "3.6") || strings.HasPrefix(version, "3.7") {
			continue // not a version that pyrr reads
		}
		t.Run(version, func(t *testing.T) { compareIndex(t, python) })
	}
}

func compareIndex(t *testing.T, python string) {
	dir := t.TempDir()
	program := filepath.Join(dir, "program.py")
	if err := os.WriteFile(program, []byte(indexProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "record", "--keep", "always", "-o", "x.pyrr.zip", "--", python, program)
	cmd.Args[0], cmd.Dir = "pyrr", dir
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), ", verified") {
		t.Fatalf("%v\n%s", err, out)
	}
	rec, err := recording.Open(filepath.Join(dir, "x.pyrr.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	x, err := rec.StackIndex()
	if err != nil {
		t.Fatal(err)
	}
	walk := traces.NewBtWalk(rec)
	points, withPython, wrong := 0, 0, 0
	_, err = replay.Batch(rec, replay.Options{OnEvent: func(p *replay.Process, th *replay.Thread, ev *recording.Event) error {
		walk.Follow(p, ev)
		if th == nil {
			return nil
		}
		points++
		st, ok, err := x.Stack(p.Info.ID, ev.TID, p.Number)
		if err != nil {
			return err
		}
		got := pythonFrames(st.Frames)
		var want []stack.Frame
		if fresh, fok := walk.Stack(p, th); fok {
			want = fresh.Frames
			withPython++
		}
		if rt, all, _ := walk.Threads(p); rt != nil && ok && ev.Stop != recording.StopNone {
			whole := frameKeys(walk.Frames(p, th, rt, all, backtrace.Want{}))
			if have := stackKeys(st.Frames); !slices.Equal(whole, have) {
				if wrong++; wrong < 4 {
					t.Errorf("event %d of process %d, %s, thread %d, with C (-replay +index):\n%s", p.Number, p.Info.ID, ev.Kind, ev.TID, cmp.Diff(whole, have))
				}
			}
		}
		if !ok && len(want) > 0 || !slices.Equal(want, got) {
			if wrong++; wrong < 4 {
				t.Errorf("event %d of process %d, %s, thread %d (-replay +index):\n%s", p.Number, p.Info.ID, ev.Kind, ev.TID, cmp.Diff(want, got))
			}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if withPython < 150 {
		t.Errorf("only %d Python stacks", withPython)
	}
	names := map[string]bool{}
	procs, err := rec.Procs()
	if err != nil || len(procs) != 2 {
		t.Fatal(len(procs), err)
	}
	threadNames(t, procs, rec, x, names)
	for _, name := range []string{"MainThread", "wörker 0", "wörker 1", "wörker 2"} {
		if !names[name] {
			t.Errorf("no thread is named %q: %v", name, names)
		}
	}
	sources, err := rec.Sources()
	if err != nil || string(sources[program]) != indexProgram {
		t.Errorf("%d sources, the program's has %d bytes, error %v", len(sources), len(sources[program]), err)
	}
	t.Logf("%d events, %d Python stacks, %d different", points, withPython, wrong)
}

// threadNames adds the names that the threads of a recording have at its events.
func threadNames(t *testing.T, procs []recording.Process, rec *recording.Recording, x *recording.StackIndex, names map[string]bool) {
	for _, p := range procs {
		it, err := rec.Events(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		for n := range x.Events(p.ID) {
			var ev recording.Event
			if err := it.Next(&ev); err != nil {
				t.Fatal(err)
			}
			names[x.Name(p.ID, ev.TID, n)] = true
		}
		it.Close()
	}
}

// frameKeys are frames without their source text, which the index keeps elsewhere.
func frameKeys(frames []traces.Frame) []stack.Frame {
	var out []stack.Frame
	for i := range frames {
		out = append(out, frames[i].Frame)
	}
	return stackKeys(out)
}

func stackKeys(frames []stack.Frame) []stack.Frame {
	out := slices.Clone(frames)
	for i := range out {
		out[i].Text = ""
	}
	return out
}

func pythonFrames(all []stack.Frame) []stack.Frame {
	var out []stack.Frame
	for _, f := range all {
		if f.Kind == stack.Python {
			out = append(out, f)
		}
	}
	return out
}
