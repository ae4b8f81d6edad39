package pystate

import (
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
)

// hubThread is the thread that runs the loop of gevent, where the process has but one of
// those: it is one of the greenlets, and suspended while another greenlet's code runs.
// 0 is for none, or several.
func (r *reader) hubThread(list []cpython.Greenlet) int32 {
	tid, hubs := int32(0), 0
	for k := range list {
		if list[k].Type != "Hub" {
			continue
		}
		hubs++
		if id, ok := r.Int(r.attr(list[k].Addr, "thread_ident")); ok {
			if n, ok := r.ident[uint64(id)]; ok {
				tid = r.facts.Units[n].TID
			}
		}
	}
	for n, u := range r.units {
		if u.thread == nil {
			continue
		}
		for k := range u.frames {
			if runsHub(&u.frames[k]) {
				tid = r.facts.Units[n].TID
				hubs++
			}
		}
	}
	if hubs != 1 {
		return 0
	}
	return tid
}

// reportsGreenlet tells a thread in gevent's report of an exception that ended a greenlet:
// Hub.handle_error.
func reportsGreenlet(rt *cpython.Runtime, m mem.Reader, t cpython.Thread) bool {
	frames, _ := rt.Frames(m, t, cpython.Options{})
	return slices.ContainsFunc(frames, func(f cpython.Frame) bool {
		return last(f.Func) == "handle_error" && strings.HasSuffix(f.File, "/gevent/hub.py")
	})
}

// suspended notes the generators and coroutines of the program's own that are suspended,
// where a thread runs Twisted's reactor: its Deferreds resume them (inlineCallbacks).
func (r *reader) suspended() {
	const most = 20
	at := map[uint64]bool{} // frames of threads and tasks
	runs := false
	for _, u := range r.units {
		for k := range u.frames {
			f := &u.frames[k]
			at[f.Addr] = true
			runs = runs || u.thread != nil && last(f.Func) == "mainLoop" && strings.HasSuffix(f.File, "/twisted/internet/base.py")
		}
	}
	if !runs {
		return
	}
	for _, gen := range slices.Concat(r.tracked.generators, r.tracked.coroutines) {
		frames := r.CoroFrames(gen)
		if len(frames) == 0 || at[frames[0].Addr] || hang.Library(frames[0].File) || len(r.facts.Suspended) == most {
			continue
		}
		at[frames[0].Addr] = true
		f := &frames[0]
		r.promisedToSuspended(f)
		r.facts.Suspended = append(r.facts.Suspended, hang.Frame{Func: f.Func, File: f.File, Line: f.Line})
	}
}
