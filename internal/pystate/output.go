package pystate

import "slices"

// unreadOutput notes of a child that asyncio's loop has stopped to read its output, as the
// program takes none of it: the child waits as soon as its pipe is full.
func (w *waiter) unreadOutput(transport uint64) {
	if w.found == nil || len(w.found.On) == 0 {
		return
	}
	var full []string
	w.Pairs(w.Attr(transport, "_pipes"), func(fd, proto uint64) bool {
		names := map[int64]string{1: "stdout", 2: "stderr"}
		if n, ok := w.Int(fd); ok && names[n] != "" && w.True(w.Attr(proto, "pipe._paused")) {
			full = append(full, names[n])
		}
		return true
	})
	if len(full) > 0 {
		slices.Sort(full)
		w.facts.Things[w.found.On[0]].State = full[0]
	}
}
