// Package facts lets specs see a recording, as package assert asks: its events with
// their stacks, what its threads did at the ends, values at an execution.
//
// It judges nothing. Begin with New.
package facts

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"pyrr/assert"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
	"pyrr/internal/stackwalk"
	"pyrr/replay"
)

// Source lets specs see a recording: its events as the log has
// them, and the stacks at some of them from the index, or by a replay where
// there is none.
type Source struct {
	rec  *recording.Recording
	info assert.Info

	events []assert.Event
	// at tells which of events stand for an event of the log.
	at map[eventKey][]int

	// counts and alive are what the index of stacks is asked with, see
	// eventReader; x is nil where there is none.
	counts     map[int]uint64
	alive      []lastSeen
	x          *recording.StackIndex
	indexTried bool
	texts      map[string][]string // lines of the Python files

	// standing is what the log knows before each of its events, by process, and
	// hitStacks are the stacks of what an execution showed, by events.
	standing  map[int]stands
	hitStacks map[int]assert.Stacks

	tidy func(func()) func()
	// passed is set once a replay went to the end; ends is what it found there.
	passed bool
	ends   []assert.Stacks
}

// eventKey is an event of the log: the process's number and its own.
type eventKey struct {
	proc  int
	event uint64
}

// New lets specs see an open recording, which Close closes. tidy registers
// what is to be removed where the program ends early; nil does not.
func New(rec *recording.Recording, tidy func(func()) func()) *Source {
	return &Source{rec: rec, tidy: tidy}
}

// Close implements assert.Source.
func (s *Source) Close() error { return s.rec.Close() }

// Info implements assert.Source.
func (s *Source) Info() assert.Info {
	if err := s.read(); err != nil {
		// Events says so too, and is where errors are expected.
		s.info.Truncated, s.info.Why, s.info.Err = true, err.Error(), err
	}
	return s.info
}

// Events implements assert.Source.
func (s *Source) Events() ([]assert.Event, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	// Names of threads lie in the memory of Python.
	if x := s.index(); x != nil {
		s.nameThreads(x)
	} else if s.manyThreads() && !s.passed {
		if _, err := s.pass(nil); err != nil {
			return nil, err
		}
	}
	return s.events, nil
}

func (s *Source) manyThreads() bool {
	for i := range s.events {
		if s.events[i].Thread > 1 {
			return true
		}
	}
	return false
}

// Stacks implements assert.Source.
func (s *Source) Stacks(want []int, c bool) (map[int]assert.Stacks, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	found := map[int]assert.Stacks{}
	// The stacks of an execution's events came with them.
	rest := slices.DeleteFunc(slices.Clone(want), func(i int) bool {
		if st, ok := s.hitStacks[i]; ok {
			found[i] = st
		}
		return s.events[i].Executed()
	})
	var more map[int]assert.Stacks
	var err error
	switch x := s.index(); {
	case len(rest) == 0:
		return found, nil
	case x != nil:
		more, err = s.indexed(x, rest)
	case len(rest) > manyStacks:
		more, err = s.passIndexed(rest)
	default:
		more, err = s.pass(rest)
	}
	maps.Copy(found, more)
	return found, err
}

// EndStacks implements assert.Source.
func (s *Source) EndStacks(c bool) ([]assert.Stacks, error) {
	if err := s.read(); err != nil {
		return nil, err
	}
	if x := s.index(); x != nil {
		return s.indexedEnds(x)
	}
	if !s.passed {
		if _, err := s.pass(nil); err != nil {
			return nil, err
		}
	}
	return s.ends, nil
}

// read reads the log, once.
func (s *Source) read() error {
	if s.at != nil {
		return nil
	}
	r := newEventReader(s.rec)
	if err := r.readAll(); err != nil {
		return err
	}
	s.info, s.events, s.at, s.counts, s.alive = r.info, r.events, r.at, r.counts, r.alive
	s.standing = r.standing
	return nil
}

// manyStacks is how many stacks an index is made for: reading them one by one
// takes ten times as long.
const manyStacks = 500

// passIndexed is pass for many events: it makes an index, in a copy of the
// recording.
func (s *Source) passIndexed(want []int) (map[int]assert.Stacks, error) {
	if err := replay.Able(s.rec); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "pyrr-index-")
	if err != nil {
		return nil, err
	}
	remove := func() { os.RemoveAll(dir) }
	if s.tidy != nil {
		remove = s.tidy(remove)
	}
	defer remove()
	whole := filepath.Join(dir, "whole"+recording.PartSuffix)
	if err := s.rec.Rewrite(whole, recording.Changes{}); err != nil {
		return nil, err
	}
	rec, err := recording.Open(whole)
	if err != nil {
		return nil, err
	}
	defer rec.Close()
	indexErr, err := stackwalk.Replay(rec, stackwalk.FromRecording, replay.Options{})
	if err != nil {
		return nil, sourceError(err)
	}
	x := openIndex(rec, s.counts)
	if indexErr != nil || x == nil {
		return s.pass(want)
	}
	if s.ends, err = s.indexedEnds(x); err != nil {
		return nil, err
	}
	s.nameThreads(x)
	s.passed = true
	return s.indexed(x, want)
}

// pass replays the recording to its end and takes the stacks of the wanted
// events, those at the end and the names of the threads.
func (s *Source) pass(want []int) (map[int]assert.Stacks, error) {
	if err := replay.Able(s.rec); err != nil {
		return nil, err
	}
	wanted := map[eventKey][]int{}
	for _, i := range want {
		key := eventKey{s.events[i].Proc, s.events[i].Pos.Event}
		wanted[key] = append(wanted[key], i)
	}
	found := map[int]assert.Stacks{}
	walk := stackwalk.New(s.rec)
	var ends []endStacks
	pass := func(proc int, number uint64, _ *recording.Event) bool { return wanted[eventKey{proc, number}] == nil }
	_, err := replay.Batch(s.rec, replay.Options{Pass: pass, OnEvent: func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		walk.Follow(p, ev)
		for _, i := range wanted[eventKey{p.Info.ID, p.Number}] {
			if st, ok := walk.Stack(p, t); ok {
				found[i] = assert.Stacks{Proc: p.Info.ID, Python: st}
			}
		}
		walk.Name(p, t, ev)
		if ev.Kind == recording.KindEnd && ev.Why != recording.EndExited && ev.Why != recording.EndExec {
			ends = append(ends, endStacks{p.Info.ID, walk.All(p)})
		}
		return nil
	}})
	if err != nil {
		return nil, sourceError(err)
	}
	slices.SortFunc(ends, func(a, b endStacks) int { return a.proc - b.proc })
	s.ends = nil
	for _, e := range ends {
		for _, st := range e.stacks {
			s.ends = append(s.ends, assert.Stacks{Proc: e.proc, Python: st})
		}
	}
	for i := range s.events {
		ev := &s.events[i]
		if ev.ThreadName == "" {
			ev.ThreadName = walk.Named(ev.Proc, ev.Thread)
		}
		if ev.ThreadName == "" && ev.TID == ev.PID && (s.info.Pythons[ev.Proc] != "" || s.info.Uncounted[ev.Proc]) {
			ev.ThreadName = stackwalk.MainThread
		}
	}
	s.passed = true
	return found, nil
}

// endStacks are the stacks of a process at its end.
type endStacks struct {
	proc   int
	stacks []stack.Stack
}

// sourceError says in the words of package assert why a replay failed.
func sourceError(err error) error {
	d, ok := errors.AsType[*replay.Divergence](err)
	if !ok {
		return err
	}
	out := &assert.Divergence{Proc: d.Process, Pos: d.Pos, Recorded: listing.Event(&d.Want), Came: d.Got}
	p := logview.NewFollower(&recording.Process{ID: d.Process})
	for i := range d.Before {
		ev := &d.Before[i]
		out.Around = append(out.Around, fmt.Sprintf("%s %d %s", printable.Grouped(ev.Instr), ev.TID, listing.NewView(ev, p.Take(uint64(i), ev).Enter, p).Text))
	}
	return out
}

// since turns a time of the log into one that package assert uses.
func since(ns int64) time.Duration { return time.Duration(ns) }
