package pystate

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
)

// Bounds of what is kept of an exception.
const (
	maxRaisedFrames = 40
	maxVars         = 20
	maxValue        = 200
	maxMessage      = 2000
	maxCauses       = 5
)

// Failure finds the exception that a test failed with, in a process that stands
// at the end of its recording: pytest's call information in a frame, else what
// sys keeps of the last one. nil is for none.
func Failure(rt *cpython.Runtime, m mem.Reader, fsBase uint64) *hang.Raised {
	i := rt.Inspect(m)
	defer i.Release()
	phase, said := "", ""
	exc := uint64(0)
	all, _ := rt.Threads(m)
	for _, t := range all {
		if t.Ident != fsBase {
			continue
		}
		frames, _ := rt.Frames(m, t, cpython.Options{})
		for k := range frames {
			if last(frames[k].Func) != "pytest_runtest_makereport" {
				continue
			}
			vars := i.Vars(&frames[k])
			if e := vars["error"]; i.IsException(e) {
				exc, phase, said = e, i.Str(vars["phase"]), i.Str(vars["said"])
			}
			if text := i.Str(vars["words"]); exc == 0 && text != "" {
				return &hang.Raised{Type: "Failed", Text: cut(text, maxMessage), Phase: "call", Main: true, Frames: testOf(i, vars["item"])}
			}
			if exc == 0 {
				// ExceptionInfo._excinfo is (type, value, traceback).
				if tuple := i.Items(i.Attr(vars["call"], "excinfo._excinfo"), 3); len(tuple) > 1 && i.IsException(tuple[1]) {
					exc, phase = tuple[1], i.Str(i.Attr(vars["call"], "when"))
				}
			}
			if exc != 0 {
				break
			}
		}
	}
	if exc == 0 {
		if exc = lastRaised(i); exc == 0 {
			return nil
		}
		phase = "call"
	}
	out := raised(i, rt, m, exc, 0)
	out.Phase = phase
	shown(out, said)
	return out
}

// shown takes the message of an exception from what pytest shows of it, "TYPE: MESSAGE",
// which its own str() gave. That of doctest's says only which test it is.
func shown(r *hang.Raised, said string) {
	kind, text, ok := strings.Cut(said, ": ")
	if ok && !doctestErrors[r.Type] && (kind == r.Type || strings.HasSuffix(kind, "."+r.Type)) && text != "" {
		r.Text = cut(text, maxMessage)
	}
}

// testOf is where the function of a pytest item is: reportinfo() keeps it as
// (file, line from 0, name).
func testOf(i *cpython.Inspector, item uint64) []hang.RaisedFrame {
	loc := i.Items(i.Attr(item, "_location"), 3)
	path := i.Str(i.Attr(item, "path._str"))
	if len(loc) != 3 {
		loc = i.Items(i.Attr(item, "location"), 3)
	}
	if len(loc) != 3 {
		return nil
	}
	line, _ := i.Int(loc[1])
	if path == "" {
		path = i.Str(loc[0])
	}
	return []hang.RaisedFrame{{Frame: hang.Frame{Func: i.Str(loc[2]), File: path, Line: int(line) + 1}}}
}

// TestFailed finds the exception of the test that pytest reports in a frame of a
// thread, nil where it reports none: call_and_report has it while the outcome is
// written.
func TestFailed(rt *cpython.Runtime, m mem.Reader, t cpython.Thread) *hang.Raised {
	i := rt.Inspect(m)
	defer i.Release()
	frames, _ := rt.Frames(m, t, cpython.Options{})
	for k := range frames {
		if last(frames[k].Func) == "summary_errors" {
			return uncollected(i, i.Vars(&frames[k]))
		}
		if last(frames[k].Func) != "call_and_report" {
			continue
		}
		vars := i.Vars(&frames[k])
		if i.Str(i.Attr(vars["report"], "outcome")) != "failed" {
			return nil
		}
		tuple := i.Items(i.Attr(vars["call"], "excinfo._excinfo"), 3)
		if len(tuple) < 2 || !i.IsException(tuple[1]) {
			return nil
		}
		out := raised(i, rt, m, tuple[1], 0)
		out.Phase = i.Str(i.Attr(vars["call"], "when"))
		shown(out, i.Str(i.Attr(vars["report"], "longrepr.reprcrash.message")))
		return out
	}
	return nil
}

// lastRaised is what sys keeps of the last exception that nobody caught.
func lastRaised(i *cpython.Inspector) uint64 {
	for _, name := range []string{"last_exc", "last_value"} {
		if exc := i.Global("sys", name); i.IsException(exc) {
			return exc
		}
	}
	return 0
}

// Raised reads the exception that a thread is about to report: the one that it
// handles, else the last that nobody caught.
func Raised(rt *cpython.Runtime, m mem.Reader, t cpython.Thread) *hang.Raised {
	i := rt.Inspect(m)
	defer i.Release()
	exc := uint64(0)
	if _, handling, _ := rt.Exceptions(m, t); handling != nil {
		exc = handling.Addr
	}
	if exc == 0 {
		exc = lastRaised(i)
	}
	if exc == 0 {
		return nil
	}
	out := raised(i, rt, m, exc, 0)
	out.Greenlet = reportsGreenlet(rt, m, t)
	return out
}

func raised(i *cpython.Inspector, rt *cpython.Runtime, m mem.Reader, exc uint64, depth int) *hang.Raised {
	out := &hang.Raised{Type: i.Type(exc), Text: message(i, exc), Addr: exc}
	frames := i.Traceback(exc)
	for k := range frames {
		f := &frames[k]
		if len(out.Frames) == maxRaisedFrames {
			break
		}
		rf := hang.RaisedFrame{Frame: hang.Frame{Func: f.Func, File: f.File, Line: f.Line}}
		if !hang.Library(f.File) {
			rf.Vars = variables(rt, m, f)
		}
		out.Frames = append(out.Frames, rf)
	}
	if at := i.Items(secondOf(i.Args(exc)), 2); len(at) == 2 && i.IsA(exc, "SyntaxError") {
		if line, ok := i.Int(at[1]); ok && i.Str(at[0]) != "" { // (msg, (filename, lineno, …))
			out.Frames = slices.Insert(out.Frames, 0, hang.RaisedFrame{Frame: hang.Frame{Func: "<module>", File: i.Str(at[0]), Line: int(line)}})
			out.Addr = 0 // no frame of it was ever there
		}
	}
	if f, ok := doctested(i, exc); ok {
		out.Frames = slices.Insert(out.Frames, 0, hang.RaisedFrame{Frame: f})
		out.Addr = 0 // the text of a doctest has no frame
	}
	if args := i.Args(exc); depth == 0 && len(args) == 2 && i.IsA(exc, "BaseExceptionGroup") {
		for _, e := range i.Items(args[1], maxCauses) {
			if i.IsException(e) {
				out.Group = append(out.Group, *raised(i, rt, m, e, maxCauses))
			}
		}
	}
	if depth < maxCauses {
		if cause, from := i.Cause(exc); cause != 0 {
			out.Cause = raised(i, rt, m, cause, depth+1)
			out.From = "while handling"
			if from {
				out.From = "from"
			}
		}
	}
	return out
}

func secondOf(list []uint64) uint64 {
	if len(list) < 2 {
		return 0
	}
	return list[1]
}

// variables are those of a frame that tell something: not what a module is made of, nor
// those of pytest's rewritten asserts.
func variables(rt *cpython.Runtime, m mem.Reader, f *cpython.Frame) []hang.Var {
	var out []hang.Var
	vars, _ := rt.Locals(m, *f)
	for _, v := range vars {
		if len(out) == maxVars {
			break
		}
		if strings.HasPrefix(v.Name, "@py_") || strings.HasPrefix(v.Value, "<function ") || strings.HasPrefix(v.Value, "<module ") || strings.HasPrefix(v.Value, "<class ") {
			continue
		}
		out = append(out, hang.Var{Name: v.Name, Value: cut(v.Value, maxValue)})
	}
	return out
}

// message is what str() gives of most exceptions.
func message(i *cpython.Inspector, exc uint64) string {
	args := i.Args(exc)
	switch {
	case len(args) == 0:
		if msg := i.Str(i.Attr(exc, "msg")); msg != "" { // pytest's outcomes
			return cut(msg, maxMessage)
		}
		return ""
	case len(args) == 1 && i.Type(args[0]) == "str" && i.Type(exc) != "KeyError":
		return cut(i.Str(args[0]), maxMessage)
	case len(args) == 2 && i.IsA(exc, "SyntaxError"):
		return cut(i.Str(args[0]), maxMessage)
	case len(args) == 2 && i.IsA(exc, "BaseExceptionGroup"):
		n, word := i.Len(args[1]), "sub-exceptions"
		if n == 1 {
			word = "sub-exception"
		}
		return cut(fmt.Sprintf("%s (%d %s)", i.Str(args[0]), n, word), maxMessage)
	case i.IsA(exc, "CalledProcessError"), i.IsA(exc, "TimeoutExpired"):
		cmd := i.Text(i.Attr(exc, "cmd"), maxValue)
		if i.Type(i.Attr(exc, "cmd")) != "str" {
			cmd = "'" + cmd + "'"
		}
		if code, ok := i.Int(i.Attr(exc, "returncode")); ok {
			return cut(fmt.Sprintf("Command %s returned non-zero exit status %d.", cmd, code), maxMessage)
		}
		return cut(fmt.Sprintf("Command %s timed out after %s seconds", cmd, i.Text(i.Attr(exc, "timeout"), 20)), maxMessage)
	case len(args) == 3 && doctestErrors[i.Type(exc)]:
		return cut(doctestSays(i, args), maxMessage)
	case len(args) == 2 && i.IsA(exc, "OSError"):
		return cut("[Errno "+i.Text(args[0], 20)+"] "+i.Str(args[1]), maxMessage)
	}
	var parts []string
	for _, a := range args {
		parts = append(parts, i.Text(a, maxValue))
	}
	if len(parts) == 1 {
		return cut(parts[0], maxMessage)
	}
	return cut("("+strings.Join(parts, ", ")+")", maxMessage)
}

func cut(s string, n int) string {
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// Message is what str() gives of most exceptions.
func Message(rt *cpython.Runtime, m mem.Reader, exc uint64) string {
	i := rt.Inspect(m)
	defer i.Release()
	switch {
	case i.IsException(exc) || i.None(exc):
		return message(i, exc)
	case i.Type(exc) == "str": // up to 3.11 what C code raises is made an object late
		return cut(i.Str(exc), maxMessage)
	}
	return cut(i.Text(exc, maxValue), maxMessage)
}
