// Package traces reads and prints the stacks of threads and tasks at a place of a
// recording: from its index, else by a replay.
//
// It records and judges nothing. Begin with ParsePlace and Read.
package traces

import (
	"errors"
	"strconv"
	"strings"

	"pyrr/internal/hint"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/show"
)

// placeSpec is a value of --at.
type placeSpec struct {
	end    bool
	instr  *uint64
	event  *uint64
	filter *show.Filter
	nth    int
}

// ParsePlace reads a value of --at.
func ParsePlace(s string) (*placeSpec, error) {
	if s == "end" {
		return &placeSpec{end: true}, nil
	}
	if n, err := strconv.ParseUint(strings.ReplaceAll(s, ",", ""), 10, 64); err == nil {
		return &placeSpec{instr: &n}, nil
	}
	if rest, ok := strings.CutPrefix(s, "e"); ok {
		if n, err := strconv.ParseUint(strings.ReplaceAll(rest, ",", ""), 10, 64); err == nil {
			return &placeSpec{event: &n}, nil
		}
	}
	name, nth, counted := strings.Cut(s, ":")
	p := &placeSpec{nth: 1}
	if counted {
		n, err := strconv.Atoi(nth)
		if err != nil || n < 1 {
			return nil, hint.Usagef("bt: --at %s: a number from 1 on must follow the colon", s)
		}
		p.nth = n
	}
	var err error
	if p.filter, err = show.NewFilter([]string{name}); err != nil {
		out := hint.Usagef("bt: --at %s: neither end, a position, an event (e12), nor the name of a system call, signal or kind of event", s)
		for _, h := range hint.Of(err) {
			out.Next = append(out.Next, strings.Replace(h, "--kind", "--at", 1))
		}
		return nil, out
	}
	if len(p.filter.Calls) > 0 {
		clear(p.filter.Kinds) // write is the system call
	}
	return p, nil
}

// place is a point of a process's history: at its event, or before it, where
// instr says how many instructions had been executed.
type place struct {
	proc  recording.Process
	event uint64
	// instr is the position asked for; between is set where it is before the
	// event's own.
	instr   uint64
	between bool
	tid     int32
	text    string // of the event
	end     bool
	// calls are the system calls that threads are in.
	calls map[int32]string
}

// doing says what a thread does at the place, "" for nothing that is known.
func (p *place) doing(tid int32) string {
	if tid == p.tid && !p.end {
		return p.text
	}
	if call := p.calls[tid]; call != "" {
		return call
	}
	if p.end {
		return p.text
	}
	return ""
}

// between says whether a place is not at an event.
func between(places []place) bool {
	for i := range places {
		if places[i].between {
			return true
		}
	}
	return false
}

// Find looks for the place in the log: the first one in time, or the end of
// each process. process is a number or pid, 0 for any.
func (s *placeSpec) Find(rec *recording.Recording, process int) ([]place, error) {
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	var out []place
	first := int64(-1)
	known := process == 0
	for i := range procs {
		if process != 0 && process != procs[i].ID && process != procs[i].PID {
			continue
		}
		known = true
		found, time, err := s.findIn(rec, &procs[i])
		if err != nil {
			return nil, err
		}
		switch {
		case found == nil:
		case s.end:
			out = append(out, *found)
		case first < 0 || time < first:
			first, out = time, []place{*found}
		}
		if process == 0 && !s.end && s.filter == nil && found != nil {
			break // positions and numbers count within the first process
		}
	}
	if !known {
		return nil, hint.Usagef("bt: the recording has no process %d", process)
	}
	return out, nil
}

// findIn looks for the place in one process, and returns when it was.
func (s *placeSpec) findIn(rec *recording.Recording, proc *recording.Process) (*place, int64, error) {
	var last *place
	var time int64
	left := s.nth
	err := logview.Each(rec, proc, func(p *logview.Follower, n uint64, ev *recording.Event, step logview.Step) error {
		hit := false
		switch {
		case s.end:
			hit = ev.Kind == recording.KindEnd
		case s.event != nil:
			hit = n == *s.event
		case s.instr != nil:
			hit = ev.Instr >= *s.instr && ev.TID != 0
		case ev.Kind != recording.KindExit && s.filter.Takes(ev):
			left--
			hit = left == 0
		}
		if !hit {
			return nil
		}
		text := listing.NewView(ev, step.Enter, p).Text
		text, _, _ = strings.Cut(text, "\n")
		last = &place{proc: *proc, event: n, instr: ev.Instr, tid: ev.TID, text: text, end: s.end, calls: map[int32]string{}}
		for tid, t := range p.Threads {
			if t.Open != nil {
				last.calls[tid] = listing.Call(&t.Open.Enter, &t.Open.Enter, false) + " …"
			}
		}
		time = ev.Time
		if s.instr != nil {
			if last.between = ev.Instr > *s.instr; last.between {
				last.instr, last.text = *s.instr, ""
			}
		}
		if !s.end {
			return errFound
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, 0, err
	}
	return last, time, nil
}

// errFound ends the reading of events.
var errFound = errors.New("found")
