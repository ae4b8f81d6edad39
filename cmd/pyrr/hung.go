package main

import (
	"slices"
	"strings"
	"time"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// waiting is a thread at the end of its process, and what it was doing.
type waiting struct {
	Proc recording.Proc
	TID  int32
	Num  int    // counts the threads of the process from 1
	Name string // in Python, "" for none
	// Call is the system call that it is in, Since when (ns after the
	// recording's start), For how long; "" for a thread that computes.
	Call  string
	Nr    int32
	Since int64
	For   time.Duration
	Stack stack.Stack
	Event uint64 // of the call
	Instr uint64
}

// ending is how a process ended, with its threads; main first.
type ending struct {
	Proc    recording.Proc
	Why     string // one of the End reasons
	Text    string
	At      recording.Pos
	Time    int64
	Threads []waiting
}

// endings replays a recording and looks at all threads of the processes that
// were stopped by the time-out, or that the recording does not follow to the
// end; with all also at those that ended by themselves.
func endings(rec *recording.Recording, all bool) ([]ending, error) {
	if err := canReplay(rec); err != nil {
		return nil, err
	}
	var out []ending
	walk := newStackWalk(rec)
	type key struct {
		proc int
		tid  int32
	}
	type call struct {
		ev     recording.Event
		number uint64
	}
	open := map[key]call{}
	_, err := replay.Batch(rec, replay.Options{OnEvent: func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		walk.follow(p, ev)
		walk.name(p, t, ev)
		k := key{p.Info.ID, ev.TID}
		switch ev.Kind {
		case recording.KindEnter:
			brief := *ev
			brief.Mem, brief.XState, brief.Clocks, brief.Maps = nil, nil, nil, nil
			open[k] = call{brief, p.Number}
		case recording.KindExit, recording.KindDeath, recording.KindSignal, recording.KindSyscall:
			delete(open, k)
		case recording.KindEnd:
			if !all && (ev.Why == recording.EndExited || ev.Why == recording.EndExec) {
				return nil
			}
			e := ending{Proc: p.Info, Why: ev.Why, Text: ev.Text, At: recording.Pos{Instr: ev.Instr, Event: p.Number}, Time: ev.Time}
			wp := walk.procs[p.Info.ID]
			for tid, th := range p.Threads() {
				w := waiting{Proc: p.Info, TID: tid, Num: wp.numbers[tid], Name: walk.names[threadKey{p.Info.ID, wp.numbers[tid]}], Instr: ev.Instr}
				if c, ok := open[key{p.Info.ID, tid}]; ok {
					w.Call, w.Nr, w.Since, w.Event, w.Instr = callText(&c.ev, &c.ev, false), c.ev.Nr, c.ev.Time, c.number, c.ev.Instr
					w.For = time.Duration(max(0, ev.Time-c.ev.Time))
				}
				w.Stack, _ = walk.stack(p, th)
				e.Threads = append(e.Threads, w)
			}
			slices.SortFunc(e.Threads, func(a, b waiting) int { return a.Num - b.Num })
			out = append(out, e)
		}
		return nil
	}})
	return out, err
}

// hung picks the thread that a report is about: the one that the others wait
// for, most probably. That is a thread which waits for something outside the
// program, the longest of them; else the main thread of the last process.
func hung(all []ending) (waiting, bool) {
	var best waiting
	found := false
	better := func(w waiting) bool {
		if !found {
			return true
		}
		a, b := outside(w.Nr) && w.Call != "", outside(best.Nr) && best.Call != ""
		if a != b {
			return a
		}
		if (len(w.Stack.Frames) > 0) != (len(best.Stack.Frames) > 0) {
			return len(w.Stack.Frames) > 0
		}
		return a && w.For > best.For
	}
	for _, e := range all {
		for _, w := range e.Threads {
			if better(w) {
				best, found = w, true
			}
		}
	}
	return best, found
}

// outside says whether a call waits for the network, a file, a child or the
// clock, and not for another thread.
func outside(nr int32) bool {
	name := linux.Name(int(nr))
	return name != "" && !strings.HasPrefix(name, "futex") && name != "rt_sigtimedwait"
}

// waitsFor says in words what a call waits for.
func waitsFor(w *waiting) string {
	switch name := linux.Name(int(w.Nr)); {
	case w.Call == "":
		return "computes, in no system call"
	case strings.HasPrefix(name, "futex"):
		return "waits for a lock, a condition or another thread"
	case strings.HasPrefix(name, "recv"):
		return "waits for data from a socket"
	case strings.HasPrefix(name, "accept"):
		return "waits for a connection"
	case name == "connect":
		return "waits for a connection to be made"
	case strings.HasPrefix(name, "send"):
		return "waits until a socket takes data"
	case name == "read" || name == "readv":
		return "waits for data from a file, pipe or terminal"
	case name == "write" || name == "writev":
		return "waits until a file or pipe takes data"
	case strings.Contains(name, "poll") || strings.Contains(name, "select") || strings.HasPrefix(name, "epoll"):
		return "waits for one of several descriptors, or a time-out"
	case strings.HasPrefix(name, "wait"):
		return "waits for a child process"
	case strings.Contains(name, "nanosleep") || name == "pause":
		return "sleeps"
	case name == "flock" || name == "fcntl":
		return "waits for a lock on a file"
	default:
		return "waits in " + name
	}
}
