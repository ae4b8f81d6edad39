package show

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/internal/hint"
	"pyrr/internal/linux"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// KindNames returns the names of all kinds of events.
func KindNames() []string {
	var names []string
	for k := recording.Kind(1); k < 128; k++ {
		if name := k.String(); !strings.HasPrefix(name, "kind(") {
			names = append(names, name)
		}
	}
	return names
}

// plainWords are what people call some system calls.
var plainWords = map[string]string{"receive": "recv", "wait": "futex", "lock": "futex", "sleep": "clock_nanosleep", "delete": "unlink", "spawn": "clone"}

// Filter chooses events; the zero value takes all.
type Filter struct {
	Threads map[int32]bool // by id; nil for all
	Kinds   map[recording.Kind]bool
	Calls   map[int32]bool
	signals map[int32]bool
}

// NewFilter reads the values of --kind.
func NewFilter(kinds []string) (*Filter, error) {
	out := &Filter{Kinds: map[recording.Kind]bool{}, Calls: map[int32]bool{}, signals: map[int32]bool{}}
	for _, name := range kinds {
		known := false
		if k, ok := recording.KindByName(name); ok {
			out.Kinds[k], known = true, true
		}
		for _, real := range append(linux.Aliases(name), name) {
			if nr, ok := linux.Number(real); ok {
				out.Calls[int32(nr)], known = true, true
			}
		}
		if strings.HasPrefix(strings.ToUpper(name), "SIG") {
			if n, ok := linux.SignalNumber(strings.ToUpper(name)); ok {
				out.signals[int32(n)], known = true, true
			}
		}
		if !known {
			err := hint.Usagef("events: %q is neither a kind of event, nor a system call, nor a signal", name)
			if near := assert.Nearest(name, append(KindNames(), linux.Names()...)); near != "" {
				err.Next = []string{"did you mean --kind " + near + "?"}
			} else if near := assert.Nearest(name, slices.Sorted(maps.Keys(plainWords))); near != "" {
				err.Next = []string{"did you mean --kind " + plainWords[near] + "?"}
			} else {
				err.Next = []string{"kinds are " + strings.Join(KindNames(), ", ")}
			}
			return nil, err
		}
	}
	return out, nil
}

func (f *Filter) Takes(ev *recording.Event) bool {
	if f.Threads != nil && !f.Threads[ev.TID] {
		return false
	}
	if len(f.Kinds)+len(f.Calls)+len(f.signals) == 0 || f.Kinds[ev.Kind] {
		return true
	}
	switch ev.Kind {
	case recording.KindSyscall, recording.KindEnter, recording.KindExit:
		return f.Calls[ev.Nr]
	case recording.KindSignal:
		return f.signals[ev.Nr]
	}
	return false
}

// List prints events.
type List interface {
	begin(*recording.Process) error
	event(*recording.Process, uint64, *recording.Event, *listing.View) error
	end() error
}

// Process prints the events of a process that the filter takes.
func Process(ctx context.Context, rec *recording.Recording, p *recording.Process, filter *Filter, l List) (uint64, error) {
	if err := l.begin(p); err != nil {
		return 0, err
	}
	var shown uint64
	each := logview.Each
	if _, ok := l.(*Raw); ok {
		each = logview.EachWhole
	}
	err := each(rec, p, func(f *logview.Follower, n uint64, ev *recording.Event, step logview.Step) error {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if !filter.Takes(ev) {
			return nil
		}
		shown++
		return l.event(p, n, ev, listing.NewView(ev, step.Enter, f))
	})
	return shown, errors.Join(l.end(), err)
}
