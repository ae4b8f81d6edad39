package pystate

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/mem"
)

// syntaxAt is where a traceback says that a SyntaxError is.
var syntaxAt = lazyregexp.New(`^E\s+File "([^"]+)", line (\d{1,9})$`)

// PhaseCollection is the phase of an exception that kept pytest from collecting.
const PhaseCollection = "collection"

// Uncollected finds, where pytest writes the last of its output, at the end of
// console_main, the report of an error while it collected: it is still there, since
// pytest's objects refer to each other.
func Uncollected(rt *cpython.Runtime, m mem.Reader, t cpython.Thread) *hang.Raised {
	frames, _ := rt.Frames(m, t, cpython.Options{Limit: 1})
	if len(frames) == 0 || !strings.HasSuffix(frames[0].Func, "console_main") {
		return nil
	}
	i := rt.Inspect(m)
	defer i.Release()
	vars := map[string]uint64{}
	i.EachTracked(func(obj uint64, class string) bool {
		switch class {
		case "CollectReport":
			if vars["rep"] == 0 && i.Str(i.Attr(obj, "outcome")) == "failed" {
				vars["rep"] = obj
			}
		case "TerminalReporter":
			vars["self"] = obj
		}
		return vars["rep"] == 0 || vars["self"] == 0
	})
	return uncollected(i, vars)
}

// uncollected reads what pytest shows of an error while it collected: the report that
// the variables of TerminalReporter.summary_errors have. Its longrepr is the text that
// was made of an exception which is gone (_pytest/_code/code.py, ExceptionChainRepr),
// or a text alone, of an ImportError.
func uncollected(i *cpython.Inspector, vars map[string]uint64) *hang.Raised {
	rep := vars["rep"]
	long := i.Attr(rep, "longrepr")
	if i.Type(rep) != "CollectReport" || long == 0 {
		return nil
	}
	out := &hang.Raised{Phase: PhaseCollection, Main: true}
	root := i.Str(i.Attr(vars["self"], "startpath._str"))
	abs := func(file string) string {
		if !path.IsAbs(file) && root != "" && !strings.HasPrefix(file, "<") {
			file = path.Join(root, file)
		}
		return file
	}
	message := i.Str(i.Attr(long, "reprcrash.message"))
	for _, entry := range i.Items(i.Attr(long, "reprtraceback.reprentries"), maxRaisedFrames) {
		loc := i.Attr(entry, "reprfileloc")
		line, ok := i.Int(i.Attr(loc, "lineno"))
		if file := i.Str(i.Attr(loc, "path")); ok && file != "" {
			name := strings.TrimPrefix(i.Str(i.Attr(loc, "message")), "in ")
			out.Frames = append(out.Frames, hang.RaisedFrame{Frame: hang.Frame{Func: name, File: abs(file), Line: int(line)}})
		}
	}
	slices.Reverse(out.Frames)
	if text := i.Str(i.Attr(long, "longrepr")); message == "" && text != "" {
		// The traceback in short form: "FILE:LINE: in NAME" for each frame, then the
		// exception behind E.
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if m := syntaxAt().FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[2])
				out.Frames = slices.Insert(out.Frames, 0, hang.RaisedFrame{Frame: hang.Frame{Func: "<module>", File: abs(m[1]), Line: n}})
			} else if rest, ok := strings.CutPrefix(line, "E  "); ok {
				message = strings.TrimSpace(rest)
			} else if where, name, ok := strings.Cut(line, ": in "); ok {
				file, number, _ := strings.Cut(where, ":")
				if n, err := strconv.Atoi(number); err == nil {
					out.Frames = slices.Insert(out.Frames, 0, hang.RaisedFrame{Frame: hang.Frame{Func: name, File: abs(file), Line: n}})
				}
			}
		}
	}
	if message == "" {
		return nil
	}
	out.Type, out.Text, _ = strings.Cut(cut(message, maxMessage), ": ")
	return out
}
