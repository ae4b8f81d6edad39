package traces

import (
	"errors"
	"io"
	"slices"
	"strconv"

	"pyrr/cpython"
	"pyrr/internal/backtrace"
	"pyrr/internal/recording"
	"pyrr/internal/stackwalk"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// btStack is the stack of a thread at a place.
type btStack struct {
	at     *place
	thread int32
	name   string
	frames []Frame
	task   *btTask // nil for a thread's own stack

	// With variables: whether the thread has the GIL, and its exceptions.
	gil               bool
	raising, handling string
}

// Frame is one with all that is known of it.
type Frame = backtrace.Frame

// wantsThread says whether a thread is asked for.
func (f *Flags) wantsThread(at *place, tid int32, name string) bool {
	switch f.Thread {
	case "":
		return at.end || tid == at.tid
	case "all":
		return true
	}
	if n, err := strconv.Atoi(f.Thread); err == nil {
		return int32(n) == tid
	}
	return f.Thread == name
}

// indexedStacks reads stacks from the index of the recording.
func indexedStacks(rec *recording.Recording, f *Flags, places []place) ([]btStack, error) {
	index, err := rec.StackIndex()
	if err != nil {
		return nil, err
	}
	if !index.Full() && !f.Python {
		return nil, recording.ErrNoIndex
	}
	var out []btStack
	for i := range places {
		at := &places[i]
		events, order, err := lastEvents(rec, at)
		if err != nil {
			return nil, err
		}
		for _, tid := range order {
			st, ok, err := index.Stack(at.proc.ID, tid, events[tid])
			if err != nil {
				return nil, err
			}
			if !ok || !f.wantsThread(at, tid, st.Name) {
				continue
			}
			b := btStack{at: at, thread: tid, name: st.Name}
			for _, fr := range st.Frames {
				b.frames = append(b.frames, Frame{Frame: fr})
			}
			out = append(out, b)
		}
	}
	return out, nil
}

// lastEvents returns for each thread that exists at a place its last event up
// to there, and the threads in the order of their first events.
func lastEvents(rec *recording.Recording, at *place) (map[int32]uint64, []int32, error) {
	it, err := rec.Events(at.proc.ID)
	if err != nil {
		return nil, nil, err
	}
	defer it.Close()
	it.Brief()
	last := map[int32]uint64{}
	var order []int32
	dead := int32(0)
	var ev recording.Event
	for n := uint64(0); n <= at.event; n++ {
		if err := it.Next(&ev); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, nil, err
		}
		if dead != 0 {
			delete(last, dead)
			order = slices.DeleteFunc(order, func(t int32) bool { return t == dead })
			dead = 0
		}
		if ev.Kind == recording.KindDeath {
			dead = ev.TID
		}
		if ev.TID == 0 || ev.Kind == recording.KindEnd {
			continue
		}
		if _, known := last[ev.TID]; !known {
			order = append(order, ev.TID)
		}
		last[ev.TID] = n
	}
	return last, order, nil
}

// errRead ends a replay when all has been read.
var errRead = errors.New("all was read")

// btWalk reads the stacks that bt prints.
type btWalk struct{ backtrace.Walk }

func NewBtWalk(rec *recording.Recording) btWalk {
	return btWalk{backtrace.Walk{Walk: stackwalk.New(rec)}}
}

// want is what of frames the flags ask for.
func (f *Flags) want() backtrace.Want {
	return backtrace.Want{Args: f.Args || f.Format == "gdb", Locals: f.Locals}
}

// replayedStacks reads stacks during a replay.
func replayedStacks(rec *recording.Recording, f *Flags, places []place) ([]btStack, error) {
	walk := NewBtWalk(rec)
	walk.debuginfod(f)
	return atPlaces(rec, places, walk.Follow, func(p *replay.Process, at *place) ([]btStack, error) {
		return walk.full(p, at, f), nil
	})
}

// atPlaces replays as far as the last of some places, and reads at each. Each event on
// the way goes to follow first.
func atPlaces(rec *recording.Recording, places []place, follow func(*replay.Process, *recording.Event), read func(*replay.Process, *place) ([]btStack, error)) ([]btStack, error) {
	left := len(places)
	found := make([][]btStack, len(places))
	_, err := replay.Batch(rec, replay.Options{OnEvent: func(p *replay.Process, _ *replay.Thread, ev *recording.Event) error {
		follow(p, ev)
		for i := range places {
			if at := &places[i]; at.proc.ID == p.Info.ID && at.event == p.Number {
				var err error
				if found[i], err = read(p, at); err != nil {
					return err
				}
				left--
			}
		}
		if left == 0 {
			return errRead
		}
		return nil
	}})
	if err != nil && !errors.Is(err, errRead) {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// debuginfod lets missing debug files be fetched if that is asked for.
func (w btWalk) debuginfod(f *Flags) {
	if f.Debuginfod {
		w.Files.Find.Fetch = unwind.Debuginfod
	}
}

// full reads the stacks of the threads asked for, with all details.
func (w btWalk) full(p *replay.Process, at *place, f *Flags) []btStack {
	wp := w.Procs[p.Info.ID]
	threads := p.Threads()
	tids := make([]int32, 0, len(threads))
	for tid := range threads {
		tids = append(tids, tid)
	}
	slices.SortFunc(tids, func(a, b int32) int { return wp.Numbers[a] - wp.Numbers[b] })
	rt, all, _ := w.Threads(p)
	var out []btStack
	for _, tid := range tids {
		t := threads[tid]
		regs := t.Regs()
		st := btStack{at: at, thread: tid}
		for _, pt := range all {
			if !rt.Runs(pt, regs.TLS(), tid) {
				continue
			}
			if st.name == "" {
				st.name = pt.Name
			}
			if f.Locals {
				st.gil = st.gil || pt.HasGIL
				st.exceptions(rt, p, pt)
			}
		}
		if !f.wantsThread(at, tid, st.name) {
			continue
		}
		st.frames = w.Frames(p, t, rt, all, f.want())
		out = append(out, st)
	}
	return out
}

// exceptions notes what a thread raises and what it handles.
func (s *btStack) exceptions(rt *cpython.Runtime, p *replay.Process, pt cpython.Thread) {
	raising, handling, _ := rt.Exceptions(p.Mem(), pt) // those found before an error
	if raising != nil {
		s.raising = raising.Text
	}
	if handling != nil {
		s.handling = handling.Text
	}
}
