package traces

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"pyrr/assert"
	"pyrr/internal/hint"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
)

// threadThere is a thread of a recording.
type threadThere struct {
	proc int
	tid  int32
	name string // in Python, "" where nobody knows it
}

func (t threadThere) String() string {
	if t.name == "" {
		return strconv.Itoa(int(t.tid))
	}
	return fmt.Sprintf("%d %s", t.tid, t.name)
}

// ThreadsThere lists the threads of some processes, by their first event.
func ThreadsThere(rec *recording.Recording, procs []recording.Process, names *recording.StackIndex) []threadThere {
	var out []threadThere
	for i := range procs {
		p := &procs[i]
		at := map[int32]int{}
		last := map[int32]uint64{}
		// What precedes damage is enough to choose from.
		_ = logview.Each(rec, p, func(_ *logview.Follower, n uint64, ev *recording.Event, _ logview.Step) error {
			if _, ok := at[ev.TID]; !ok && ev.TID != 0 {
				at[ev.TID] = len(out)
				out = append(out, threadThere{proc: p.ID, tid: ev.TID})
			}
			last[ev.TID] = n
			return nil
		})
		for tid, k := range at {
			if names != nil {
				out[k].name = names.Name(p.ID, tid, last[tid])
			}
		}
	}
	return out
}

// ThreadsNamed returns the ids of the threads that a word means: a number, a name or
// a part of one. An error says what there is.
func ThreadsNamed(word, path string, all []threadThere) (map[int32]bool, error) {
	out := map[int32]bool{}
	n, numErr := strconv.Atoi(word)
	for _, t := range all {
		if numErr == nil && int32(n) == t.tid || t.name == word {
			out[t.tid] = true
		}
	}
	if len(out) > 0 {
		return out, nil
	}
	return nil, hint.With(fmt.Errorf("%s has no thread %s", path, word), ThreadHint(word, all))
}

// ThreadHint says which threads there are, first the one that was probably meant.
func ThreadHint(word string, all []threadThere) string {
	var names, list []string
	for _, t := range all {
		if t.name != "" && !slices.Contains(names, t.name) {
			names = append(names, t.name)
		}
		list = append(list, t.String())
	}
	const most = 8
	if n := len(list) - most; n > 0 {
		list = append(list[:most], fmt.Sprintf("%d more", n))
	}
	hint := "it has " + strings.Join(list, ", ")
	if near := assert.Nearest(word, names); near != "" {
		hint = "did you mean --thread " + printable.ShellQuote(near) + "? " + hint
	}
	return hint
}
