package facts

import (
	"slices"

	"pyrr/assert"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// openIndex returns the index of stacks of a recording, nil where there is
// none that serves: the recorder was killed, another version made it, or it
// is not of these events. A replay gives the same then.
func openIndex(rec *recording.Recording, events map[int]uint64) *recording.StackIndex {
	x, err := rec.StackIndex()
	if err != nil {
		return nil
	}
	for proc, n := range events {
		if x.Events(proc) != n {
			return nil
		}
	}
	return x
}

// index opens the index, once.
func (s *Source) index() *recording.StackIndex {
	if !s.indexTried {
		s.indexTried = true
		s.x = openIndex(s.rec, s.counts)
	}
	return s.x
}

// nameThreads gives events the names of their threads.
func (s *Source) nameThreads(x *recording.StackIndex) {
	for i := range s.events {
		ev := &s.events[i]
		ev.ThreadName = x.Name(ev.Proc, int32(ev.TID), ev.Pos.Event)
	}
}

// indexed returns the stacks at events as the index has them.
func (s *Source) indexed(x *recording.StackIndex, want []int) (map[int]assert.Stacks, error) {
	found := map[int]assert.Stacks{}
	for _, i := range want {
		ev := &s.events[i]
		st, ok, err := x.Stack(ev.Proc, int32(ev.TID), ev.Pos.Event)
		if err != nil {
			return nil, err
		}
		if ok {
			found[i] = bothStacks(ev.Proc, st, x.Full())
		}
	}
	return found, nil
}

// indexedEnds returns the stacks of the threads that were there at the end.
func (s *Source) indexedEnds(x *recording.StackIndex) ([]assert.Stacks, error) {
	var out []assert.Stacks
	for _, last := range s.alive {
		st, ok, err := x.Stack(last.proc, last.tid, last.event)
		if err != nil {
			return nil, err
		}
		if ok && !slices.ContainsFunc(st.Frames, func(f stack.Frame) bool { return f.Kind == stack.Python }) {
			continue // it runs no Python
		}
		if ok {
			out = append(out, bothStacks(last.proc, st, x.Full()))
		}
	}
	return out, nil
}

// bothStacks takes a stack of the index apart. What the evaluation loop does
// say the Python frames.
func bothStacks(proc int, st stack.Stack, full bool) assert.Stacks {
	out := assert.Stacks{Proc: proc, Python: st}
	out.Python.Frames = slices.DeleteFunc(slices.Clone(st.Frames), func(f stack.Frame) bool { return f.Kind != stack.Python })
	out.NoPython = full && len(out.Python.Frames) == 0 && st.Err() == ""
	if full {
		st.Frames = slices.DeleteFunc(st.Frames, func(f stack.Frame) bool { return f.Eval })
		out.Full = &st
	}
	return out
}

// lastSeen is where a thread was when the recording of its process ended.
type lastSeen struct {
	proc  int
	tid   int32
	event uint64
}
