package show

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"pyrr/internal/contents"
	"pyrr/internal/listing"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/stack"
)

// Markdown prints a block for a bug report about a recording.
func Markdown(u *screen.UI, rec *recording.Recording, path string, r *reason.Reason) error {
	info, err := contents.Of(rec, path, func(uint64) {})
	if err != nil {
		return err
	}
	var b strings.Builder
	h := rec.Header()
	what := whatHappened(info, h.Test)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "- **%s** %s\n", name, fmt.Sprintf(format, args...))
	}
	command := printable.Shorten(printable.ShellJoin(h.Command), 120)
	fmt.Fprintf(&b, "### %s %s\n\n", printable.Code(cmp.Or(h.Test, command)), what)
	if h.Test != "" {
		row("Command:", "%s", printable.Code(command))
	}
	if len(info.Pythons) > 0 {
		row("Python:", "%s, Linux %s", printable.Code(strings.Join(info.Pythons, ", ")), printable.Code(info.Kernel))
	}
	switch {
	case info.TimedOut:
		row("Ended:", "by the time-out after %s", printable.Seconds(time.Duration(info.Seconds*1e9)))
	case info.Status != nil && h.Test == "":
		row("Ended:", "%s", listing.Status(*info.Status))
	}
	w, found := r.First()
	if found || r.Why.Raised != nil {
		row("Why:", "%s", printable.Code(reason.Text(r.Why)))
	}
	found = found && r.Why.Raised == nil
	if found {
		name := ""
		if w.Name != "" {
			name = ", " + printable.Code(w.Name)
		}
		row("Where:", "thread %d%s %s%s", w.Num, name, reason.WaitsFor(&w), Lasting(&w))
		if w.Call != "" {
			row("Call:", "%s at instruction %s", printable.Code(printable.Shorten(w.Call, 160)), printable.Grouped(w.Instr))
		}
		if f, ok := reason.OwnFrame(w.Stack); ok {
			file, _ := stack.Paths{Root: h.Cwd}.Short(f.File)
			row("At:", "%s in %s", printable.Code(fmt.Sprintf("%s:%d", file, f.Line)), printable.Code(f.Func))
		}
	}
	verified := "not verified"
	if info.Verified == "exact" {
		verified = "a replay of it was exact"
	}
	if h.Form == recording.FormIndex {
		verified = "events, stacks and output, no memory"
	}
	row("Recording:", "%s, %s, %s instructions, %s", printable.Code(filepath.Base(path)), printable.ByteSize(info.Sizes.Total), printable.Grouped(info.Instructions), verified)
	if manifest := info.Redacted; manifest != nil && len(manifest.Secrets) > 0 {
		var names []string
		for name := range strings.SplitSeq(manifest.Names(), ", ") {
			names = append(names, printable.Code(name))
		}
		row("Replaced:", "%s (known secrets only)", strings.Join(names, ", "))
	}
	markdownStacks(&b, rec, r, &w, found)
	base := printable.ShellQuote(filepath.Base(path))
	if h.Form == recording.FormIndex {
		fmt.Fprintf(&b, "\nTo look into it:\n\n%s", printable.Fenced("pyrr explain "+base+"\npyrr events "+base+"\n"))
	} else {
		fmt.Fprintf(&b, "\nTo see the same run again, on Linux x86-64, without the network or the files of it:\n\n%s",
			printable.Fenced("pyrr explain "+base+"\npyrr events "+base+"\npyrr replay --batch "+base+"\n"))
	}
	_, err = fmt.Fprint(u.Out, b.String())
	return err
}

// markdownStacks writes the stacks of a block: what was raised, of the thread that the
// verdict is about, if one was found, and of the others.
func markdownStacks(b *strings.Builder, rec *recording.Recording, r *reason.Reason, w *reason.Waiting, found bool) {
	if raised := RaisedLines(rec, r.Why.Raised); raised != "" {
		fmt.Fprintf(b, "\nWhere it was raised, innermost frame first:\n\n%s", printable.Fenced(raised))
	}
	if found && len(w.Stack.Frames) > 0 {
		folded, all := FoldedLines(rec, w.Stack), StackLines(rec, w.Stack)
		fmt.Fprintf(b, "\nThe stack of that thread, innermost frame first:\n\n%s", printable.Fenced(folded))
		if folded != all {
			fmt.Fprintf(b, "\n<details><summary>All its frames</summary>\n\n%s\n</details>\n", printable.Fenced(all))
		}
	}
	if others := otherThreads(rec, r.Ends, w); others != "" {
		title := "The other threads"
		if !found {
			title = "The threads at the end"
		}
		fmt.Fprintf(b, "\n<details><summary>%s</summary>\n\n%s\n</details>\n", title, printable.Fenced(others))
	}
}

// whatHappened says in a word or two how a recorded program, or test, came out.
func whatHappened(info *contents.Info, test string) string {
	switch {
	case info.TimedOut:
		return "hangs"
	case test != "" && info.Outcome != "":
		return map[string]string{"failed": "fails", "crashed": "ends its process", "cancelled": "was cancelled while it ran"}[info.Outcome]
	case test != "" && !info.Complete:
		return "was running when its recorder was killed"
	case info.Status != nil && *info.Status != 0:
		return "fails"
	}
	return "ended"
}

// Lasting says for how long a thread has been in its call.
func Lasting(w *reason.Waiting) string {
	if w.Call == "" {
		return ""
	}
	if w.Attached {
		return ", since before pyrr attached"
	}
	return ", for " + printable.Seconds(w.For)
}

// otherThreads lists the stacks of all threads but one.
func otherThreads(rec *recording.Recording, all []reason.Ending, but *reason.Waiting) string {
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
				fmt.Fprintf(&b, " %s", printable.Line(w.Name))
			}
			fmt.Fprintf(&b, ": %s%s\n%s", reason.WaitsFor(w), Lasting(w), StackLines(rec, w.Stack))
		}
	}
	return b.String()
}
