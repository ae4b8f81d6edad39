package compare

import (
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/stack"
)

// pluginFolder matches the folder with which a recorder that keeps tests, or failures
// only, comes into sys.path (package capture/pytest).
var pluginFolder = lazyregexp.New(`/pyrr-pytest-[0-9]+(/|$)`)

// recorders finds the events that a recorder has added to the program: what concerns its
// folder in sys.path, and what its code there does. One of two recordings may have them, as
// record --until-fail does, and they are no difference. Looking for a sitecustomize is such
// an event too: there is one in the folder.
func recorders(events []assert.Event, stacks map[int]assert.Stacks) (out map[int]bool, plugin bool) {
	type descriptor struct{ proc, fd int }
	open := map[descriptor]bool{}
	out = map[int]bool{}
	for i := range events {
		e := &events[i]
		d := descriptor{e.Proc, e.FD}
		folder := pluginFolder().MatchString(e.Path)
		plugin = plugin || folder
		out[i] = folder || e.FD >= 0 && open[d] || slices.ContainsFunc(stacks[i].Python.Frames, added)
		switch {
		case e.Kind != assert.KindSyscall || e.Errno != "" || e.Unfinished:
		case e.Name == "open" || e.Name == "openat":
			open[descriptor{e.Proc, int(e.Ret)}] = folder
		case e.Name == "close":
			delete(open, d)
		}
	}
	return out, plugin
}

// leaveOutAdded leaves out, where the recorder came into sys.path of one of two runs only,
// what their imports do as well: the modules that its code needs are there already when the
// program imports them.
func leaveOutAdded(a, b *Side) {
	if a.plugin == b.plugin {
		return
	}
	for _, s := range []*Side{a, b} {
		for i := range s.events {
			if f := s.stacks[i].Python.Frames; len(f) > 0 && strings.HasPrefix(f[0].File, "<frozen importlib") {
				s.added[i] = true
			}
		}
	}
}

// added tells a frame of the recorder's own code, or of the search for it.
func added(f stack.Frame) bool {
	return pluginFolder().MatchString(f.File) || f.Func == "execsitecustomize" && strings.Contains(f.File, "site")
}
