package main

import (
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"pyrr/internal/hang"
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
	// Args are those of the call; Early says that it was in it when the recording
	// of its process began.
	Args  [6]uint64
	Early bool
}

// ending is how a process ended, with its threads; main first.
type ending struct {
	Proc    recording.Proc
	Why     string // one of the End reasons
	Text    string
	At      recording.Pos
	Time    int64
	Status  int64
	Threads []waiting
	// Facts are what Python's objects said, nil where nobody read them.
	Facts *hang.Facts
}

// endings looks at all threads of the processes that were stopped by the
// time-out, or that the recording does not follow to the end; with all also
// at those that ended by themselves. The stacks come from the index, or from a
// replay where there is none.
func endings(rec *recording.Recording, all bool) ([]ending, error) {
	index, err := rec.StackIndex()
	if err == nil {
		return endingsOfIndex(rec, index, all)
	}
	if !errors.Is(err, recording.ErrNoIndex) {
		return nil, err
	}
	if err := canReplay(rec); err != nil {
		return nil, err
	}
	var out []ending
	died := map[int][]hang.Raised{}
	walk := newStackWalk(rec)
	follow := map[int]*follower{}
	_, err = replay.Batch(rec, replay.Options{OnEvent: func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		if t != nil && len(died[p.Info.ID]) < maxDied {
			if r := reported(p, t, ev); r != nil {
				died[p.Info.ID] = append(died[p.Info.ID], *r)
			}
		}
		walk.follow(p, ev)
		walk.name(p, t, ev)
		f := follow[p.Info.ID]
		if f == nil {
			f = newFollower(p.Info)
			follow[p.Info.ID] = f
		}
		f.event(p.Number, ev)
		if ev.Kind == recording.KindEnd && (all || stopped(ev)) {
			e := f.end(p.Number, ev)
			for i := range e.Threads {
				w := &e.Threads[i]
				w.Name = walk.names[threadKey{p.Info.ID, walk.procs[p.Info.ID].numbers[w.TID]}]
				w.Stack, _ = walk.stack(p, p.Threads()[w.TID])
			}
			e.Facts = endFacts(p, ev, died[p.Info.ID], nil)
			out = append(out, e)
		}
		return nil
	}})
	return out, err
}

// endingsOfIndex is endings without a replay.
func endingsOfIndex(rec *recording.Recording, index *recording.StackIndex, all bool) ([]ending, error) {
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	var out []ending
	for _, p := range procs {
		f := newFollower(p)
		if err := eachEvent(rec, p.ID, func(number uint64, ev *recording.Event) error {
			f.event(number, ev)
			if ev.Kind != recording.KindEnd || !all && !stopped(ev) {
				return nil
			}
			e := f.end(number, ev)
			for i := range e.Threads {
				w := &e.Threads[i]
				st, _, err := index.Stack(p.ID, w.TID, f.last[w.TID])
				if err != nil {
					return err
				}
				w.Stack, w.Name = st, index.Name(p.ID, w.TID, f.last[w.TID])
			}
			e.Facts = readFacts(index, p.ID)
			out = append(out, e)
			return nil
		}); err != nil {
			return out, err
		}
	}
	return out, nil
}

// stoppedOnes are the processes that did not end by themselves.
func stoppedOnes(all []ending) []ending {
	var out []ending
	for _, e := range all {
		if e.Why != recording.EndExited && e.Why != recording.EndExec {
			out = append(out, e)
		}
	}
	return out
}

// eachEvent calls f with the events of a process.
func eachEvent(rec *recording.Recording, proc int, f func(number uint64, ev *recording.Event) error) error {
	it, err := rec.Events(proc)
	if err != nil {
		return err
	}
	defer it.Close()
	var ev recording.Event
	for {
		number := it.Number()
		err := it.Next(&ev)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f(number, &ev); err != nil {
			return err
		}
	}
}

// stopped says whether a process did not end by itself.
func stopped(ev *recording.Event) bool {
	return ev.Why != recording.EndExited && ev.Why != recording.EndExec
}

// follower keeps track of the threads of a process and their open calls.
type follower struct {
	proc   recording.Proc
	order  []int32 // the threads that exist, in the order of appearance
	number map[int32]int
	count  int
	open   map[int32]recording.Event
	at     map[int32]uint64 // the number of the event that opened the call
	last   map[int32]uint64 // the last event of each thread
}

func newFollower(p recording.Proc) *follower {
	return &follower{proc: p, number: map[int32]int{}, open: map[int32]recording.Event{}, at: map[int32]uint64{}, last: map[int32]uint64{}}
}

func (f *follower) event(number uint64, ev *recording.Event) {
	if ev.TID == 0 {
		return
	}
	if f.number[ev.TID] == 0 {
		f.count++
		f.number[ev.TID] = f.count
		f.order = append(f.order, ev.TID)
	}
	f.last[ev.TID] = number
	switch ev.Kind {
	case recording.KindThread:
		// It was in its call before the recording began.
		if ev.Why == recording.InCall {
			f.open[ev.TID], f.at[ev.TID] = *ev, number
		}
	case recording.KindEnter:
		brief := *ev
		brief.Mem, brief.XState, brief.Clocks, brief.Maps = nil, nil, nil, nil
		f.open[ev.TID], f.at[ev.TID] = brief, number
	case recording.KindDeath:
		delete(f.open, ev.TID)
		delete(f.number, ev.TID)
		f.order = slices.DeleteFunc(f.order, func(tid int32) bool { return tid == ev.TID })
	case recording.KindExit, recording.KindSignal, recording.KindSyscall:
		delete(f.open, ev.TID)
	}
}

// end describes the threads at the end of the process.
func (f *follower) end(number uint64, ev *recording.Event) ending {
	e := ending{Proc: f.proc, Why: ev.Why, Text: ev.Text, At: recording.Pos{Instr: ev.Instr, Event: number}, Time: ev.Time, Status: ev.Ret}
	for _, tid := range f.order {
		w := waiting{Proc: f.proc, TID: tid, Num: f.number[tid], Instr: ev.Instr}
		if c, ok := f.open[tid]; ok {
			w.Call, w.Nr, w.Since, w.Event, w.Instr = callText(&c, &c, false), c.Nr, c.Time, f.at[tid], c.Instr
			w.For = time.Duration(max(0, ev.Time-c.Time))
			w.Args, w.Early = c.Args, c.Kind == recording.KindThread
		}
		e.Threads = append(e.Threads, w)
	}
	return e
}

// suspicion says how probably what a thread does is the reason of a hang: more
// for an answer that does not come than for servers that wait for work, and
// least for waiting for another thread.
func suspicion(w *waiting) int {
	name := linux.Name(int(w.Nr))
	switch {
	case w.Call == "":
		return 2 // it computes
	case strings.HasPrefix(name, "futex"), name == "rt_sigtimedwait", name == "pause":
		return 0
	case strings.HasPrefix(name, "accept"), strings.Contains(name, "poll"), strings.Contains(name, "select"), strings.HasPrefix(name, "epoll"):
		return 1
	}
	return 3
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
