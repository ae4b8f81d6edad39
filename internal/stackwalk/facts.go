package stackwalk

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	unix "pyrr/internal/sys"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
	"pyrr/internal/pystate"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// factsOf reads, of a process that stands where its recording ends, what its
// threads and tasks wait for and what they hold. nil means that there is no
// Python. What is wrong with pyrr's reading must cost no more than these facts.
func factsOf(p *replay.Process, read func(*cpython.Runtime, mem.Reader, int, []pystate.Thread) *hang.Facts) (facts *hang.Facts) {
	defer func() {
		if recover() != nil {
			facts = nil
		}
	}()
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	var threads []pystate.Thread
	for tid, t := range p.Threads() {
		regs := t.Regs()
		in := pystate.Thread{TID: tid, TLS: regs.TLS(), Main: int(tid) == p.Info.PID, Next: p.NextInstr(t)}
		in.Nr, in.Args, in.Call = t.Call()
		threads = append(threads, in)
	}
	slices.SortFunc(threads, func(a, b pystate.Thread) int { return cmp.Compare(a.TID, b.TID) })
	return read(rt, p.Mem(), p.Info.ID, threads)
}

// maxOutcome is more than pytest writes at once where it tells how a test ended.
const maxOutcome = 200

const stdout, stderr = 1, 2 // the descriptors

// ReportsNothing says of an event, by its arguments alone, that Reported has no
// exception of it (replay.Options.Pass).
func ReportsNothing(_ int, _ uint64, ev *recording.Event) bool {
	return ev.Nr != unix.SYS_WRITE || ev.Args[0] != stdout && ev.Args[0] != stderr && ev.Args[2] >= maxOutcome
}

// Reported reads the exception that a thread writes to standard error at an
// event: nil where it does something else.
func Reported(p *replay.Process, t *replay.Thread, ev *recording.Event) (out *hang.Raised) {
	if ev.Nr != unix.SYS_WRITE || ev.Kind != recording.KindSyscall && ev.Kind != recording.KindEnter {
		return nil
	}
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	head := make([]byte, min(ev.Args[2], 40))
	if p.Mem().ReadAt(head, ev.Args[1]) != nil {
		return nil
	}
	trace := ev.Args[0] == stderr && (bytes.HasPrefix(head, []byte("Traceback (most recent")) || bytes.HasPrefix(head, []byte("Exception in thread ")))
	// So do concurrent.futures and asyncio log what a callback raises.
	callback := ev.Args[0] == stderr && (bytes.HasPrefix(head, []byte("exception calling callback for ")) || bytes.HasPrefix(head, []byte("Exception in callback ")))
	trace = trace || callback
	// pytest writes F or E, FAILED or ERROR, to a copy of its standard output.
	test := !trace && ev.Args[2] < maxOutcome && bytes.ContainsAny(head, "FE")
	// What it has kept back of its output it writes at its end.
	flush := !trace && ev.Args[0] == stdout && ev.Args[2] >= maxOutcome && bytes.Contains(head, []byte("===="))
	if !trace && !test && !flush {
		return nil
	}
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	all, _ := rt.Threads(p.Mem())
	regs := t.Regs()
	pt, ok := rt.Of(p.Mem(), all, int(t.TID), regs.TLS())
	if !ok {
		return nil
	}
	if flush {
		out = pystate.Uncollected(rt, p.Mem(), pt)
	} else if test {
		out = pystate.TestFailed(rt, p.Mem(), pt)
	} else {
		out = pystate.Raised(rt, p.Mem(), pt)
	}
	if out != nil {
		out.Event, out.Callback = p.Number, callback
		if !out.Greenlet {
			out.Thread, out.Main = pt.Name, int(t.TID) == p.Info.PID && !callback
		}
	}
	return out
}

// failure reads the exception that a recorded test failed with, at its end.
func failure(p *replay.Process, ev *recording.Event) (out *hang.Raised) {
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	for tid, t := range p.Threads() {
		if int(tid) == p.Info.PID {
			regs := t.Regs()
			return pystate.Failure(rt, p.Mem(), regs.TLS())
		}
	}
	return nil
}

// warned reads the exceptions of threads of which pytest is going to warn.
func warned(p *replay.Process) (out []hang.Raised) {
	defer func() {
		if recover() != nil {
			out = nil
		}
	}()
	if rt, err := p.Runtime(); err == nil {
		out = pystate.Warned(rt, p.Mem())
	}
	return out
}

// EndFacts are the facts that the index keeps of a process at its end; before are those of
// one that EndsAside, else nil.
func EndFacts(p *replay.Process, ev *recording.Event, before *hang.Facts, died []hang.Raised, dead []hang.Dead) *hang.Facts {
	var facts *hang.Facts
	if before != nil && ev.Kind == recording.KindEnd && ev.Why == recording.EndExited {
		facts = before
	} else if wantsFacts(ev) {
		facts = factsOf(p, pystate.Read)
	} else if p.Info.Fork && ev.Kind == recording.KindEnd && ev.Why == recording.EndExited && ev.Ret == 0 {
		facts = factsOf(p, pystate.Passed)
	}
	// A plugin's time-out is an exception in the test like others.
	failed := ev.Why == recording.EndTest && (strings.HasPrefix(ev.Text, "failed") || strings.HasPrefix(ev.Text, "timeout"))
	if facts == nil {
		if len(died) == 0 && len(dead) == 0 {
			return nil
		}
		facts = &hang.Facts{Proc: p.Info.ID}
	}
	facts.Died, facts.Dead = append(slices.Clone(died), facts.Died...), dead
	if failed {
		facts.Raised = failure(p, ev)
		facts.Died = append(facts.Died, warned(p)...)
	} else if i := slices.IndexFunc(died, func(r hang.Raised) bool { return r.Phase != "" }); i >= 0 && ev.Why == recording.EndExited && ev.Ret != 0 {
		facts.Raised = &died[i] // of a run of pytest its first failure
	} else if ev.Why == recording.EndExited && ev.Ret != 0 {
		for i := len(died) - 1; i >= 0; i-- {
			if died[i].Main {
				facts.Raised = &died[i]
				break
			}
		}
	}
	return facts
}

// MaxDied bounds the reports of exceptions that are kept of a process.
const MaxDied = 50

// maxDead bounds the threads that have ended of which the names are kept.
const maxDead = 500

// wantsFacts says whether somebody may ask why a process ended as it did: not
// of one that ended by itself, if no signal killed it.
func wantsFacts(ev *recording.Event) bool {
	return ev.Kind == recording.KindEnd && (Stopped(ev) || ev.Why == recording.EndExited && ev.Ret&0x7f != 0)
}

// EndsAside says of an event that a thread which is not the main one ends its process with an
// error: what the others do is to be seen there, and not at the process's end.
func EndsAside(pid int, ev *recording.Event) bool {
	return ev.Kind == recording.KindEnter && ev.Nr == unix.SYS_EXIT_GROUP && int(ev.TID) != pid && ev.Args[0] != 0
}

// aside reads the facts of a process that another thread than the main one is about to end,
// nil where the main one does not wait.
func aside(p *replay.Process) *hang.Facts {
	if t := p.Threads()[int32(p.Info.PID)]; t != nil {
		if _, _, in := t.Call(); in {
			return factsOf(p, pystate.Read)
		}
	}
	return nil
}

// factsText is how the index keeps facts.
func factsText(facts *hang.Facts) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if facts == nil || enc.Encode(facts) != nil {
		return nil
	}
	return b.Bytes()
}

// ReadFacts reads what the index keeps; nil where that is nothing.
func ReadFacts(index *recording.StackIndex, proc int) *hang.Facts {
	text := index.Facts(proc)
	if text == nil {
		return nil
	}
	facts := &hang.Facts{}
	if json.Unmarshal(text, facts) != nil || !facts.Sound() {
		return nil
	}
	facts.Proc = proc
	return facts
}

// Stopped says whether a process did not end by itself.
func Stopped(ev *recording.Event) bool {
	return ev.Why != recording.EndExited && ev.Why != recording.EndExec
}
