package page

import (
	"cmp"
	"slices"

	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// sharedMemory is what is known of the memory of all processes, and of its words that
// they waited at.
type sharedMemory struct {
	of    []*logview.Memory // by process
	words map[logview.Word]*sharedWord
}

// maxWords bounds the words that are followed.
const maxWords = 10_000

// memoryOf begins to follow the memory of a process.
func (w *walk) memoryOf(info *recording.Process) *logview.Memory {
	var maker *logview.Memory
	for i := range w.memory.of {
		if w.procs[i].ID == info.Parent {
			maker = w.memory.of[i]
		}
	}
	m := logview.NewMemory(info, maker)
	w.memory.of = append(w.memory.of, m)
	return m
}

// sharedWord are the calls on a futex that processes share.
type sharedWord struct{ wakes, waits []touch }

// shared notes a call on a futex that is not private to its process: a semaphore of
// multiprocessing, say.
func (r *reader) shared(l int32, n uint64, enter, exit *recording.Event) {
	at := r.shares.Word(enter.Args[0])
	s := r.memory.words[at]
	if s == nil {
		if len(r.memory.words) >= maxWords {
			return
		}
		s = &sharedWord{}
		r.memory.words[at] = s
	}
	t := touch{event{r.proc, n}, l, enter.Time, max(exit.Time, exit.EndTime)}
	switch {
	case len(s.wakes)+len(s.waits) >= maxWakes:
	case isWait(enter):
		s.waits = append(s.waits, t)
	case exit.Ret > 0:
		s.wakes = append(s.wakes, t)
	}
}

// joinWords draws the arrows between threads and processes that share futexes.
func (w *walk) joinWords() {
	all, same := map[logview.Identity]*sharedWord{}, logview.NewWords(w.memory.words)
	for at, s := range w.memory.words {
		id := same.Of(at)
		if all[id] == nil {
			all[id] = &sharedWord{}
		}
		all[id].wakes = append(all[id].wakes, s.wakes...)
		all[id].waits = append(all[id].waits, s.waits...)
	}
	words := make([]*sharedWord, 0, len(all))
	for _, s := range all {
		byTime(s.wakes)
		byTime(s.waits)
		if len(s.waits) > 0 {
			words = append(words, s)
		}
	}
	// In the order of time, so that a page is made the same twice, whatever is left out.
	slices.SortFunc(words, func(a, b *sharedWord) int {
		x, y := &a.waits[0], &b.waits[0]
		return cmp.Or(cmp.Compare(x.from, y.from), cmp.Compare(x.proc, y.proc), cmp.Compare(x.n, y.n))
	})
	for _, s := range words {
		for i := range s.waits {
			w.join(&s.waits[i], s.wakes)
		}
	}
}
