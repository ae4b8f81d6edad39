package pystate

import (
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/mem"
)

// Warned are the exceptions that ended threads in a test and of which pytest warns when that
// is over: until then they are in a list, whose append the module warnings has in place of
// its printing (Lib/warnings.py, catch_warnings). It has their text alone.
func Warned(rt *cpython.Runtime, m mem.Reader) (out []hang.Raised) {
	const most = 20
	i := rt.Inspect(m)
	defer i.Release()
	for _, w := range i.Items(i.BuiltinSelf(i.Global("warnings", "_showwarnmsg_impl")), 200) {
		msg := i.Attr(w, "message")
		if i.Type(msg) != "PytestUnhandledThreadExceptionWarning" || len(out) == most {
			continue
		}
		if args := i.Args(msg); len(args) == 1 {
			if r, ok := reportOf(i.Str(args[0])); ok {
				out = append(out, r)
			}
		}
	}
	return out
}

// reportedFrame matches a frame in the text of a traceback.
var reportedFrame = lazyregexp.New(`^ +File "(.+)", line (\d+), in (.+)$`)

// reportOf reads the text of what threading reports of an exception.
func reportOf(text string) (out hang.Raised, ok bool) {
	name, rest, _ := strings.Cut(text, "\n")
	out.Thread, ok = strings.CutPrefix(name, "Exception in thread ")
	_, rest, found := strings.Cut(rest, "Traceback (most recent call last):\n")
	if !ok || !found {
		return out, false
	}
	for _, line := range strings.Split(rest, "\n") {
		if f := reportedFrame().FindStringSubmatch(line); f != nil && len(out.Frames) < maxRaisedFrames {
			n, _ := strconv.Atoi(f[2])
			out.Frames = append([]hang.RaisedFrame{{Frame: hang.Frame{File: f[1], Line: n, Func: f[3]}}}, out.Frames...)
		} else if line != "" && line[0] != ' ' && out.Type == "" {
			out.Type, out.Text, _ = strings.Cut(line, ": ")
		} else if strings.HasPrefix(line, "Traceback (") {
			out.Frames, out.Type = nil, "" // it was raised from the one before
		}
	}
	out.Text = cut(out.Text, maxMessage)
	return out, out.Type != "" && len(out.Frames) > 0
}
