package ask

import (
	"encoding/json"
	"io"
	"slices"
)

// traceEvent is one of the Trace Event Format, which Perfetto and Chrome read.
type traceEvent struct {
	Ph   string         `json:"ph"`
	Name string         `json:"name"`
	Cat  string         `json:"cat,omitempty"`
	PID  int            `json:"pid"`
	TID  int32          `json:"tid"`
	TS   float64        `json:"ts"` // µs
	Args map[string]any `json:"args,omitempty"`
}

// slice is a frame or a call for as long as it stays on a thread's stack, in ns.
type slice struct {
	key        frameKey
	begin, end int64
	depth      int
}

// slices makes slices of the stacks of each thread; order has the threads as they come up.
func (s *Stacks) slices() (of map[nameKey][]slice, names map[nameKey]string, order []nameKey) {
	of, names = map[nameKey][]slice{}, map[nameKey]string{}
	open := map[nameKey][]slice{}
	end := map[nameKey]int64{}
	cut := func(key nameKey, depth int, at int64) {
		st := open[key]
		for len(st) > depth {
			top := st[len(st)-1]
			st = st[:len(st)-1]
			if top.end = at; at > top.begin {
				of[key] = append(of[key], top)
			}
		}
		open[key] = st
	}
	for i := range s.Profile.Samples {
		x := &s.Profile.Samples[i]
		key := nameKey{x.Process, x.TID}
		if _, known := names[key]; !known {
			order, names[key] = append(order, key), threadName(x)
		}
		path := s.path(x)
		same := 0
		for st := open[key]; same < len(st) && same < len(path) && st[same].key == path[same]; same++ {
		}
		cut(key, same, x.Begin)
		for _, k := range path[same:] {
			open[key] = append(open[key], slice{key: k, begin: x.Begin, depth: len(open[key])})
		}
		if x.Wait != "" { // the next wait is another
			cut(key, len(path)-1, x.End)
		}
		end[key] = x.End
	}
	for _, key := range order {
		cut(key, 0, end[key])
		slices.SortFunc(of[key], func(a, b slice) int {
			if a.begin != b.begin {
				return int(min(max(a.begin-b.begin, -1), 1))
			}
			return a.depth - b.depth
		})
	}
	return of, names, order
}

// Perfetto writes the run as slices: frames while they stay on a thread's stack, and the
// system calls in which it waits. Each has a beginning and an end: from a length in µs a
// reader would compute an end that is not exactly that of the slice around it.
func (s *Stacks) Perfetto(w io.Writer) error {
	var events []traceEvent
	of, names, order := s.slices()
	for _, key := range order {
		add := func(ph string, x *slice, at int64) {
			cat := "python"
			if x.key.file == "system call" {
				cat = "wait"
			}
			events = append(events, traceEvent{Ph: ph, Name: s.label(x.key), Cat: cat, PID: key.proc, TID: key.tid, TS: float64(at) / 1e3})
		}
		events = append(events, traceEvent{Ph: "M", Name: "thread_name", PID: key.proc, TID: key.tid, Args: map[string]any{"name": names[key]}})
		var st []*slice
		list := of[key]
		for i := range list {
			for len(st) > 0 && st[len(st)-1].end <= list[i].begin {
				add("E", st[len(st)-1], st[len(st)-1].end)
				st = st[:len(st)-1]
			}
			st = append(st, &list[i])
			add("B", &list[i], list[i].begin)
		}
		for _, x := range slices.Backward(st) {
			add("E", x, x.end)
		}
	}
	return json.NewEncoder(w).Encode(map[string]any{"traceEvents": events, "displayTimeUnit": "ms"})
}
