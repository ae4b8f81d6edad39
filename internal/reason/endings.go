package reason

import (
	"errors"
	"strings"
	"time"

	"pyrr/internal/listing"
	"pyrr/internal/stackwalk"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/replay"
)

// Waiting is a thread at the end of its process, and what it was doing.
type Waiting struct {
	Proc recording.Process
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
	// Attached says that it waited in the call before pyrr attached to its process.
	Attached bool
}

// Ending is how a process ended, with its threads; main first.
type Ending struct {
	Proc    recording.Process
	Why     string // one of the End reasons
	Text    string
	At      recording.Pos
	Time    int64
	Status  int64
	Threads []Waiting
	// Facts are what Python's objects said, nil where nobody read them.
	Facts *hang.Facts
	// Cut says, of a process that a watchdog ended, what did that and where; "" for others.
	Cut string
}

// Stopped says that the process did not end by itself.
func (e *Ending) Stopped() bool {
	return e.Cut != "" || e.Why != recording.EndExited && e.Why != recording.EndExec
}

// Endings looks at all threads of the processes that were stopped by the
// time-out, or that the recording does not follow to the end; with all also
// at those that ended by themselves. The stacks come from the index, or from a
// replay where there is none.
func Endings(rec *recording.Recording, all bool) ([]Ending, error) {
	index, err := rec.StackIndex()
	if err == nil {
		return endingsOfIndex(rec, index, all)
	}
	if !errors.Is(err, recording.ErrNoIndex) {
		return nil, err
	}
	if err := replay.Able(rec); err != nil {
		return nil, err
	}
	var out []Ending
	died := map[int][]hang.Raised{}
	walk := stackwalk.New(rec)
	follow := map[int]*logview.Follower{}
	_, err = replay.Batch(rec, replay.Options{Pass: stackwalk.ReportsNothing, OnEvent: func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		if t != nil && len(died[p.Info.ID]) < stackwalk.MaxDied {
			if r := stackwalk.Reported(p, t, ev); r != nil {
				died[p.Info.ID] = append(died[p.Info.ID], *r)
			}
		}
		walk.Follow(p, ev)
		walk.Name(p, t, ev)
		f := follow[p.Info.ID]
		if f == nil {
			f = logview.NewFollower(&p.Info)
			follow[p.Info.ID] = f
		}
		f.Take(p.Number, ev)
		if ev.Kind == recording.KindEnd && (all || stackwalk.Stopped(ev)) {
			e := endOf(f, p.Number, ev)
			for i := range e.Threads {
				w := &e.Threads[i]
				w.Name = walk.NameOf(p.Info.ID, w.TID)
				w.Stack, _ = walk.Stack(p, p.Threads()[w.TID])
			}
			e.Facts = stackwalk.EndFacts(p, ev, nil, died[p.Info.ID], nil)
			out = append(out, e)
		}
		return nil
	}})
	return out, err
}

// endingsOfIndex is endings without a replay.
func endingsOfIndex(rec *recording.Recording, index *recording.StackIndex, all bool) ([]Ending, error) {
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	var out []Ending
	for i := range procs {
		p := &procs[i]
		var aside []Waiting // what its threads did when one of them ended it
		if err := logview.Each(rec, p, func(f *logview.Follower, number uint64, ev *recording.Event, _ logview.Step) error {
			if stackwalk.EndsAside(p.PID, ev) {
				e := endOf(f, number, ev)
				aside = e.Threads
				return stacksOf(index, f, aside)
			}
			if ev.Kind != recording.KindEnd || !all && !stackwalk.Stopped(ev) {
				return nil
			}
			e := endOf(f, number, ev)
			if err := stacksOf(index, f, e.Threads); err != nil {
				return err
			}
			if aside != nil && ev.Why == recording.EndExited {
				e.Threads = aside
			}
			e.Facts = stackwalk.ReadFacts(index, p.ID)
			out = append(out, e)
			return nil
		}); err != nil {
			return out, err
		}
	}
	return out, nil
}

// stacksOf adds the stacks and names of threads, as they are now.
func stacksOf(index *recording.StackIndex, f *logview.Follower, threads []Waiting) error {
	for i := range threads {
		w := &threads[i]
		last := f.Threads[w.TID].Last
		st, _, err := index.Stack(f.Info.ID, w.TID, last)
		if err != nil {
			return err
		}
		w.Stack, w.Name = st, index.Name(f.Info.ID, w.TID, last)
	}
	return nil
}

// StoppedOnes are the processes that did not end by themselves.
func StoppedOnes(all []Ending) []Ending {
	var out []Ending
	for _, e := range all {
		if e.Stopped() {
			out = append(out, e)
		}
	}
	return out
}

// endOf describes the threads of a process at its end.
func endOf(f *logview.Follower, number uint64, ev *recording.Event) Ending {
	e := Ending{Proc: f.Info, Why: ev.Why, Text: ev.Text, At: recording.Pos{Instr: ev.Instr, Event: number}, Time: ev.Time, Status: ev.Ret}
	for _, t := range f.Ordered() {
		w := Waiting{Proc: f.Info, TID: t.TID, Num: t.Num, Instr: ev.Instr}
		if t.Open != nil {
			c := &t.Open.Enter
			w.Call, w.Nr, w.Since, w.Event, w.Instr = listing.Call(c, c, false), c.Nr, c.Time, t.Open.Event, c.Instr
			w.For = time.Duration(max(0, ev.Time-c.Time))
			w.Args, w.Attached = c.Args, t.Open.Attached
			w.Early = c.Kind == recording.KindThread && !w.Attached
		}
		e.Threads = append(e.Threads, w)
	}
	return e
}

// Suspicion says how probably what a thread does is the reason of a hang: more
// for an answer that does not come than for servers that wait for work, and
// least for waiting for another thread.
func Suspicion(w *Waiting) int {
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

// WaitsFor says in words what a call waits for.
func WaitsFor(w *Waiting) string {
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
	case name == "poll" && w.Args[1] == 1:
		return "waits for a descriptor, or a time-out"
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
