package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// printMarkdown prints a block for a bug report about a recording.
func printMarkdown(u *ui, rec *recording.Recording, path string, r *reasoned) error {
	info, err := summarize(rec, path, func(uint64) {})
	if err != nil {
		return err
	}
	var b strings.Builder
	h := rec.Header()
	what := "ended"
	switch {
	case info.TimedOut:
		what = "hangs"
	case h.Test != "" && info.Outcome != "":
		what = map[string]string{"failed": "fails", "crashed": "ends its process", "cancelled": "was cancelled while it ran"}[info.Outcome]
	case h.Test != "" && !info.Complete:
		what = "was running when its recorder was killed"
	case info.Status != nil && *info.Status != 0:
		what = "fails"
	}
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "- **%s** %s\n", name, fmt.Sprintf(format, args...))
	}
	command := shorten(shellJoin(h.Command), 120)
	fmt.Fprintf(&b, "### `%s` %s\n\n", code(cmp.Or(h.Test, command)), what)
	if h.Test != "" {
		row("Command:", "`%s`", code(command))
	}
	if len(info.Pythons) > 0 {
		row("Python:", "%s, Linux %s", strings.Join(info.Pythons, ", "), cleanLine(info.Kernel))
	}
	switch {
	case info.TimedOut:
		row("Ended:", "by the time-out after %s", seconds(time.Duration(info.Seconds*1e9)))
	case info.Status != nil && h.Test == "":
		row("Ended:", "%s", describeStatus(*info.Status))
	}
	w, found := r.First()
	if found || r.Why.Raised != nil {
		row("Why:", "%s", code(reasonText(r.Why)))
	}
	found = found && r.Why.Raised == nil
	if found {
		name := ""
		if w.Name != "" {
			name = ", `" + code(w.Name) + "`"
		}
		row("Where:", "thread %d%s %s%s", w.Num, name, waitsFor(&w), lasting(&w))
		if w.Call != "" {
			row("Call:", "`%s` at instruction %s", code(shorten(w.Call, 160)), grouped(w.Instr))
		}
		if f, ok := ownFrame(w.Stack); ok {
			file, _ := stack.Paths{Root: h.Cwd}.Short(f.File)
			row("At:", "`%s:%d` in `%s`", code(file), f.Line, code(f.Func))
		}
	}
	verified := "not verified"
	if info.Verified == "exact" {
		verified = "a replay of it was exact"
	}
	if h.Form == recording.FormIndex {
		verified = "events, stacks and output, no memory"
	}
	row("Recording:", "`%s`, %s, %s instructions, %s", code(filepath.Base(path)), byteSize(info.Sizes.Total), grouped(info.Instructions), verified)
	if manifest := info.Redacted; manifest != nil && len(manifest.Secrets) > 0 {
		var names []string
		for name := range strings.SplitSeq(manifest.Names(), ", ") {
			names = append(names, "`"+code(name)+"`")
		}
		row("Replaced:", "%s (known secrets only)", strings.Join(names, ", "))
	}
	if found && len(w.Stack.Frames) > 0 {
		fmt.Fprintf(&b, "\nThe stack of that thread, innermost frame first:\n\n%s", fenced(stackLines(rec, w.Stack)))
	}
	if others := otherThreads(rec, r.Ends, &w); others != "" {
		fmt.Fprintf(&b, "\n<details><summary>The other threads</summary>\n\n%s\n</details>\n", fenced(others))
	}
	base := shellQuote(filepath.Base(path))
	if h.Form == recording.FormIndex {
		fmt.Fprintf(&b, "\nTo look into it:\n\n%s", fenced("pyrr explain "+base+"\npyrr events "+base+"\n"))
	} else {
		fmt.Fprintf(&b, "\nTo see the same run again, on Linux x86-64, without the network or the files of it:\n\n%s",
			fenced("pyrr explain "+base+"\npyrr events "+base+"\npyrr replay --batch "+base+"\n"))
	}
	_, err = fmt.Fprint(u.out, b.String())
	return err
}

// lasting says for how long a thread has been in its call.
func lasting(w *waiting) string {
	if w.Call == "" {
		return ""
	}
	if w.Attached {
		return ", since before pyrr attached"
	}
	return ", for " + seconds(w.For)
}

// otherThreads lists the stacks of all threads but one.
func otherThreads(rec *recording.Recording, all []ending, but *waiting) string {
	var b strings.Builder
	for _, e := range all {
		for i := range e.Threads {
			w := &e.Threads[i]
			if w.Proc.ID == but.Proc.ID && w.TID == but.TID || len(w.Stack.Frames) == 0 && w.Call == "" {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('\n')
			}
			fmt.Fprintf(&b, "# process %d, thread %d", e.Proc.ID, w.Num)
			if w.Name != "" {
				fmt.Fprintf(&b, " %s", cleanLine(w.Name))
			}
			fmt.Fprintf(&b, ": %s%s\n%s", waitsFor(w), lasting(w), stackLines(rec, w.Stack))
		}
	}
	return b.String()
}

// normalFrames are the frames of a stack as goldens hold them: short names of files,
// and the text of the lines where the recording has it.
func normalFrames(rec *recording.Recording, s stack.Stack) []stack.Frame {
	paths := stack.Paths{Root: rec.Header().Cwd}
	normal := paths.Normal(s, func(file string, line int) (string, bool) {
		text := sourceLine(rec, file, line)
		return text, text != ""
	})
	// What the evaluation loop does say the Python frames.
	return slices.DeleteFunc(normal.Frames, func(f stack.Frame) bool { return f.Eval })
}

// mostFrames bounds the frames that are printed of a stack.
const mostFrames = 80

// stackLines prints a stack as goldens hold it.
func stackLines(rec *recording.Recording, s stack.Stack) string {
	var b strings.Builder
	frames := normalFrames(rec, s)
	for i, f := range frames {
		if i == mostFrames {
			fmt.Fprintf(&b, "… %s\n", plural(uint64(len(frames)-mostFrames), "more frame", "more frames"))
			break
		}
		b.WriteString(frameLine(&f))
		b.WriteByte('\n')
	}
	if err := s.Err(); err != "" {
		fmt.Fprintf(&b, "… %s\n", cleanLine(err))
	}
	return b.String()
}

// frameLine is a frame as goldens show it, without the escapes that make it a
// pattern.
func frameLine(f *stack.Frame) string {
	r := rowOf(f)
	return strings.TrimRight(fmt.Sprintf("%s  %-32s  %-32s  %s", r.kind, r.name, r.place, r.text), " ")
}

// rowOf is a frame in a list.
func rowOf(f *stack.Frame) frameRow {
	kind, place, name := "Py", f.File, f.Func
	if f.Kind == stack.C {
		kind, place = "C ", f.Module
	} else if f.Line > 0 {
		place += fmt.Sprintf(":%d", f.Line)
	}
	if name == "" {
		name = "?"
	}
	return frameRow{kind: kind, name: cleanLine(name), place: cleanLine(place), text: cleanLine(strings.TrimSpace(f.Text))}
}

// code makes text fit for a code span of Markdown.
func code(s string) string {
	return strings.ReplaceAll(cleanLine(s), "`", "'")
}

// fenced makes a block of code, whose fence is longer than any inside.
func fenced(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "text\n" + strings.TrimRight(clean(text), "\n") + "\n" + fence + "\n"
}
