package hang

import "slices"

// pastShutdown leaves out of a way, as it is told, how asyncio waits for the threads of its
// default executor when it is done: by a task of its own, and a thread. It returns what a
// sentence begins with instead.
func (j *judge) pastShutdown(shown []hop) (rest []hop, begins string) {
	in := func(h hop, fn string) bool {
		u := j.unit(h.node)
		return u != nil && slices.ContainsFunc(u.Frames, func(f Frame) bool { return lastName(f.Func) == fn && Library(f.File) })
	}
	if len(shown) < 3 || !in(shown[0], "shutdown_default_executor") || !in(shown[1], "_do_shutdown") {
		return shown, ""
	}
	return shown[2:], "The event loop is done and waits for the threads of its default executor; "
}
