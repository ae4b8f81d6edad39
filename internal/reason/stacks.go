package reason

import (
	"slices"
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// ThreadsByVerdict orders threads: those that the verdict names come first.
func ThreadsByVerdict(why *hang.Verdict, ends []Ending) []*Waiting {
	var out []*Waiting
	named := map[*Waiting]bool{}
	for _, r := range why.Units {
		for i := range ends {
			for k := range ends[i].Threads {
				if w := &ends[i].Threads[k]; w.Proc.ID == r.Proc && w.TID == r.TID && !named[w] {
					named[w] = true
					out = append(out, w)
				}
			}
		}
	}
	for i := range ends {
		for k := range ends[i].Threads {
			if w := &ends[i].Threads[k]; !named[w] {
				out = append(out, w)
			}
		}
	}
	return out
}

// FoldStack leaves out the frames that are not of the user's code, except for the
// innermost one of Python's, and says how many those are.
func FoldStack(st stack.Stack) (stack.Stack, int) {
	out := st
	out.Frames = nil
	folded, python, runner := 0, 0, false
	for _, f := range st.Frames {
		if f.Eval {
			continue
		}
		keep := f.Err != ""
		if f.Kind == stack.Python {
			runner = runner || hang.Machinery(f.File)
			keep = keep || python == 0 && !hang.Machinery(f.File) || !hang.Library(f.File) && !(runner && strings.HasPrefix(f.File, "<"))
			python++
		}
		if keep {
			out.Frames = append(out.Frames, f)
		} else {
			folded++
		}
	}
	if len(out.Frames) == 0 {
		return st, 0
	}
	return out, folded
}

// OwnFrame returns the innermost Python frame outside the standard library and
// installed packages, else the innermost Python frame.
func OwnFrame(s stack.Stack) (stack.Frame, bool) {
	var inner stack.Frame
	found := false
	for _, f := range s.Frames {
		if f.Kind != stack.Python {
			continue
		}
		if !found {
			inner, found = f, true
		}
		if !stack.IsLibrary(f.File) {
			return f, true
		}
	}
	return inner, found
}

// SourceLine returns the text of a line, "" where the recording does not have it.
func SourceLine(rec *recording.Recording, file string, line int) string {
	texts, err := rec.Sources()
	if err != nil || line < 1 {
		return ""
	}
	lines := strings.SplitN(string(texts[file]), "\n", line+1)
	if len(lines) < line {
		return ""
	}
	return strings.TrimRight(lines[line-1], "\r")
}

// HasOwn says whether a frame of a stack is of the user's code.
func HasOwn(st stack.Stack) bool {
	return slices.ContainsFunc(st.Frames, func(f stack.Frame) bool { return f.Kind == stack.Python && !hang.Library(f.File) })
}
