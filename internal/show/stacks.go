package show

import (
	"fmt"
	"slices"
	"strings"

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

// Code makes text fit for a code span of Markdown.
func Code(s string) string {
	return strings.ReplaceAll(printable.Line(s), "`", "'")
}

// Fenced makes a block of code, whose fence is longer than any inside.
func Fenced(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "text\n" + strings.TrimRight(printable.Clean(text), "\n") + "\n" + fence + "\n"
}
