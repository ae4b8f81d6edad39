package hang

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/lazyregexp"
)

// Within are the frames of a unit that are of its process's own work: those of a child that
// multiprocessing, or a package after it, has forked go on with a copy of its parent's stack,
// to which it never returns.
func Within(frames []Frame) []Frame {
	for k := range frames {
		if f := &frames[k]; lastName(f.Func) == "_bootstrap" && strings.HasSuffix(f.File, "/process.py") {
			return frames[:k+1]
		}
	}
	return frames
}

// atEnd tells the main thread where no code of the program is left: in a function of the
// library that runs when the interpreter ends.
func atEnd(u *Unit) bool {
	return u != nil && u.Main && !slices.ContainsFunc(u.Frames, func(f Frame) bool { return f.own() }) &&
		len(u.Frames) > 0 && slices.Contains([]string{"_exit_function", "_run_finalizers", "_shutdown", "_stop", "__del__"}, lastName(u.Frames[len(u.Frames)-1].Func))
}

// rest says of one that waits for data of which a part has come how much that is: a line
// without its end, or fewer bytes than are read.
func rest(u *Unit, does string) string {
	const from = "waits for data from the "
	if u == nil || u.Wait == nil || u.Wait.Come == 0 && u.Wait.Of == 0 || !strings.HasPrefix(does, from) {
		return does
	}
	came := fmt.Sprintf("%d came", u.Wait.Come)
	if u.Wait.Of > 0 {
		return fmt.Sprintf("waits for %s (%s) from the ", bytesText(uint64(u.Wait.Of)), came) + strings.TrimPrefix(does, from)
	}
	return "waits for the end of a line (" + bytesText(uint64(u.Wait.Come)) + " came) from the " + strings.TrimPrefix(does, from)
}

// clock matches what reads a clock.
var clock = lazyregexp.New(`\btime\(\)|\bmonotonic\(\)|\bnow\(|\bperf_counter\(|\btoday\(`)

// frozen says whether the condition of a loop reads a clock that package freezegun has stopped,
// as far as the frames and the text of the program say.
func (j *judge) frozen(n node, head string) bool {
	u := j.unit(n)
	if u == nil || j.in.Source == nil || !clock().MatchString(head) {
		return false
	}
	return slices.ContainsFunc(u.Frames, func(f Frame) bool {
		return strings.HasSuffix(f.File, "/freezegun/api.py") || f.own() && strings.Contains(j.in.Source(f.File), "freeze_time(")
	})
}

// toEnd matches a call that reads all there is, until the other end is closed; condition
// one that is made until nothing comes.
var (
	toEnd     = lazyregexp.New(`\.(?:read|readall|readlines)\((?:-1)?\)`)
	condition = lazyregexp.New(`^while (?:\(?\w+ := )?[\w.]+\.(?:recv|read)\([^()]*\)\)?:`)
)

// readsAll says of one that waits for data from the other end of something that it reads until
// that one is closed: by the text of the line that reads.
func (j *judge) readsAll(n node, does string) string {
	const from = "waits for data from the "
	u := j.unit(n)
	if u == nil || u.Kind != Thread || j.in.Text == nil || !strings.HasPrefix(does, from) {
		return does
	}
	for k := range u.Frames {
		f := &u.Frames[k]
		if strings.HasSuffix(f.File, "/socket.py") || strings.HasSuffix(f.File, "/ssl.py") {
			continue // a file's object reads through those
		}
		if lastName(f.Func) == "handle_one_request" && strings.HasSuffix(f.File, "/http/server.py") {
			return "waits for the next request on the " + strings.TrimPrefix(does, from)
		}
		code := strings.TrimSpace(j.in.Text(f.File, f.Line))
		if toEnd().MatchString(code) || condition().MatchString(code) {
			return "reads to the end of the " + strings.TrimPrefix(does, from)
		}
		break
	}
	return does
}

// sharedQueue is the queue of multiprocessing for an item of which one waits at its pipe, nil
// for none.
func (j *judge) sharedQueue(n node) *Thing {
	u := j.unit(n)
	if u == nil || u.Wait == nil || u.Wait.How != "get" {
		return nil
	}
	if t := j.thing(n.proc, first(u.Wait.On)); t != nil && t.Kind == Queue {
		return t
	}
	return nil
}
