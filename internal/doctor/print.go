package doctor

import (
	"fmt"
	"strings"

	"pyrr/internal/printable"
	"pyrr/internal/probe"
	"pyrr/internal/screen"
)

// Mark is a word for an answer, in colour where there is any.
func Mark(u *screen.UI, a probe.Answer, need probe.Need) string {
	switch {
	case a == probe.Yes && need == probe.NeedNothing:
		return u.Paint(screen.Dim, "    ")
	case a == probe.Yes:
		return u.Paint(screen.Green, "ok  ")
	case need == probe.NeedNothing || need == probe.NeedSpeed:
		return u.Paint(screen.Yellow, "note")
	case a == probe.Unsupported:
		return u.Paint(screen.Red, "FAIL")
	default:
		return u.Paint(screen.Yellow, "??? ")
	}
}

func (i *Interpreter) Print(u *screen.UI) {
	word := u.Paint(screen.Green, "ok  ")
	if !i.OK {
		word = u.Paint(screen.Red, "FAIL")
	}
	title := i.Name
	if i.Executable != "" && i.Executable != i.Name {
		title += " → " + i.Executable
	}
	fmt.Fprintf(u.Out, "  %s  %s\n", word, printable.Line(title))
	var about []string
	if i.Version != "" {
		about = append(about, strings.TrimSpace(i.Implementation+" "+i.Version))
	}
	if i.Table != "" {
		about = append(about, i.Table)
	}
	if len(about) > 0 {
		fmt.Fprintf(u.Out, "        %s\n", printable.Line(strings.Join(about, ", ")))
	}
	if i.Reason != "" {
		fmt.Fprintf(u.Out, "        %s\n", printable.Line(i.Reason))
	}
	if i.Remedy != "" {
		fmt.Fprintf(u.Out, "        try: %s\n", printable.Line(i.Remedy))
	}
}
