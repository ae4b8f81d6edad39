package printable

import "strings"

// Code is a text as code within a line of Markdown, its ticks included: whatever it
// holds, it mentions nobody, links nowhere and is no markup.
func Code(s string) string {
	s = Line(s)
	tick := "`"
	for strings.Contains(s, tick) {
		tick += "`"
	}
	if strings.TrimSpace(s) == "" || len(tick) > 1 {
		s = " " + s + " " // a blank on both sides is left out again
	}
	return tick + s + tick
}

// Fenced is a block of code of Markdown, whose fence is longer than any inside.
func Fenced(text string) string {
	fence := "```"
	for strings.Contains(text, fence) {
		fence += "`"
	}
	return fence + "text\n" + strings.Trim(Clean(text), "\n") + "\n" + fence + "\n"
}
