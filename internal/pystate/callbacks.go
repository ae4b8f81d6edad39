package pystate

import (
	"maps"
	"slices"

	"pyrr/internal/hang"
)

// calledBack says of the result of a job of a multiprocessing.pool that the job is done,
// and that what is left is the program's own callback: the pool calls it before it tells
// anybody who waits.
func (r *reader) calledBack(t *hang.Thing, result uint64) bool {
	if left := r.Attr(result, "_number_left"); left != 0 { // of map
		if n, ok := r.Int(left); !ok || n != 0 {
			return false
		}
	} else if r.attr(result, "_value") == 0 { // it may be None
		return false
	}
	fn := r.Attr(result, "_callback")
	if success := r.Attr(result, "_success"); success != 0 && !r.True(success) {
		fn = r.Attr(result, "_error_callback")
	}
	if fn == 0 || r.None(fn) {
		return false
	}
	t.Callback = &hang.Frame{Func: r.FuncName(fn)}
	t.Callback.File, t.Callback.Line = r.FuncPlace(fn)
	for n, u := range r.units {
		for k := range u.frames {
			f := &u.frames[k]
			if ruleKey(f.File) == "multiprocessing/pool.py" && last(f.Func) == "_set" && r.local(u, k, "self") == result {
				t.Owed = append(t.Owed, n)
			}
		}
	}
	return true
}

// lies says whether a job with a number is in the queue of a pool.
func (r *reader) lies(queue uint64, job int64) bool {
	for _, item := range r.Items(queue, 10_000) {
		if parts := r.Items(item, 1); len(parts) == 1 {
			if n, ok := r.Int(parts[0]); ok && n == job {
				return true
			}
		}
	}
	return false
}

// completes notes which tasks complete which other futures, as those of asyncio.shield: by a
// callback that has the future in its closure. -1 is for one that several may complete. What
// completes such a future of the pool's does so for the one around it.
func (r *reader) completes() {
	for _, inner := range slices.Sorted(maps.Keys(r.chained)) {
		f := r.chained[inner]
		for _, cb := range r.TaskCallbacks(inner) {
			for _, cell := range r.Closure(cb) {
				if r.Type(cell) == "Future" && cell != inner && r.chained[cell] == 0 {
					r.chained[cell] = f
				}
			}
		}
	}
	for task, n := range r.task {
		for _, cb := range r.TaskCallbacks(task) {
			for _, cell := range r.Closure(cb) {
				if r.Type(cell) != "Future" {
					continue
				}
				by := n
				if old, ok := r.outer[cell]; ok && old != n {
					by = -1
				}
				r.outer[cell] = by
			}
		}
	}
}
