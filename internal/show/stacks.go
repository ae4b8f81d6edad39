package show

import (
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
)

// stackRows prints a stack for people.
func stackRows(u *screen.UI, rec *recording.Recording, s stack.Stack) string {
	var rows []screen.FrameRow
	frames := normalFrames(rec, s)
	for i := range frames[:min(len(frames), mostFrames)] {
		rows = append(rows, rowOf(&frames[i]))
	}
	text := u.FrameLines(rows)
	if n := len(frames) - mostFrames; n > 0 {
		text += fmt.Sprintf("… %s\n", printable.Plural(uint64(n), "more frame", "more frames"))
	}
	if err := s.Err(); err != "" {
		text += fmt.Sprintf("… %s\n", printable.Line(err))
	}
	return text
}

// normalFrames are the frames of a stack as goldens hold them: short names of files,
// and the text of the lines where the recording has it.
func normalFrames(rec *recording.Recording, s stack.Stack) []stack.Frame {
	paths := stack.Paths{Root: rec.Header().Cwd}
	normal := paths.Normal(s, func(file string, line int) (string, bool) {
		text := reason.SourceLine(rec, file, line)
		return text, text != ""
	})
	// What the evaluation loop does say the Python frames.
	return slices.DeleteFunc(normal.Frames, func(f stack.Frame) bool { return f.Eval })
}

// mostFrames bounds the frames that are printed of a stack.
const mostFrames = 80

// StackLines prints a stack as goldens hold it.
func StackLines(rec *recording.Recording, s stack.Stack) string {
	var b strings.Builder
	frames := normalFrames(rec, s)
	for i, f := range frames {
		if i == mostFrames {
			fmt.Fprintf(&b, "… %s\n", printable.Plural(uint64(len(frames)-mostFrames), "more frame", "more frames"))
			break
		}
		b.WriteString(frameLine(&f))
		b.WriteByte('\n')
	}
	if err := s.Err(); err != "" {
		fmt.Fprintf(&b, "… %s\n", printable.Line(err))
	}
	return b.String()
}

// mostPlumbing is how many frames are shown of a stack in which none is the user's.
const mostPlumbing = 8

// FoldedLines prints the user's frames of a stack, and counts the others. Where none is
// the user's, it prints the innermost ones.
func FoldedLines(rec *recording.Recording, s stack.Stack) string {
	own, folded := reason.FoldStack(s)
	if folded == 0 && len(own.Frames) > mostPlumbing {
		folded = len(own.Frames) - mostPlumbing
		own.Frames = own.Frames[:mostPlumbing]
	}
	out := StackLines(rec, own)
	if folded > 0 {
		out += fmt.Sprintf("… %s\n", printable.Plural(uint64(folded), "more frame", "more frames"))
	}
	return out
}

// RaisedLines prints the user's frames that an exception came through, the innermost first.
func RaisedLines(rec *recording.Recording, x *hang.Raised) string {
	if x == nil {
		return ""
	}
	var b strings.Builder
	paths := stack.Paths{Root: rec.Header().Cwd}
	for i := range x.Frames {
		f := &x.Frames[i]
		if hang.Machinery(f.File) || hang.Library(f.File) && i > 0 {
			continue
		}
		short, _ := paths.Short(f.File)
		fmt.Fprintf(&b, "Py  %-32s  %-32s  %s\n", printable.Line(f.Func), printable.Line(fmt.Sprintf("%s:%d", short, f.Line)), printable.Line(strings.TrimSpace(reason.SourceLine(rec, f.File, f.Line))))
	}
	return b.String()
}

// frameLine is a frame as goldens show it, without the escapes that make it a
// pattern.
func frameLine(f *stack.Frame) string {
	r := rowOf(f)
	return strings.TrimRight(fmt.Sprintf("%s  %-32s  %-32s  %s", r.Kind, r.Name, r.Place, r.Text), " ")
}

// rowOf is a frame in a list.
func rowOf(f *stack.Frame) screen.FrameRow {
	kind, place, name := "Py", f.File, f.Func
	if f.Kind == stack.C {
		kind, place = "C ", f.Module
	} else if f.Line > 0 {
		place += fmt.Sprintf(":%d", f.Line)
	}
	if name == "" {
		name = "?"
	}
	return screen.FrameRow{Kind: kind, Name: printable.Line(name), Place: printable.Line(place), Text: printable.Line(strings.TrimSpace(f.Text))}
}
