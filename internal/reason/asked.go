package reason

import (
	"errors"
	"strconv"
	"strings"

	"pyrr/internal/lazyregexp"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
)

var quotedText = lazyregexp.New(`"(?:[^"\\]|\\.)*"`)

// askedBy is what a process sent at an event, in a few words, where that is text: a command
// of Redis' protocol, the first line of others. It is "" for what is none.
func askedBy(rec *recording.Recording, proc int, event uint64) string {
	procs, err := rec.Procs()
	if err != nil {
		return ""
	}
	text, found := "", errors.New("found")
	for i := range procs {
		if procs[i].ID != proc {
			continue
		}
		_ = logview.Each(rec, &procs[i], func(_ *logview.Follower, n uint64, ev *recording.Event, s logview.Step) error {
			if n < event {
				return nil
			}
			if done := s.Done(ev); done != nil && s.Enter != nil {
				text = listing.Call(s.Enter, ev, true)
			}
			return found
		})
	}
	sent, err := strconv.Unquote(quotedText().FindString(text))
	if err != nil {
		return ""
	}
	return firstWords(sent)
}

// firstWords are the words of a request: of the strings of Redis' protocol each, of others
// the first line; "" where that is no text.
func firstWords(sent string) string {
	lines := strings.Split(sent, "\r\n")
	line, _, _ := strings.Cut(lines[0], "\n")
	if strings.HasPrefix(line, "*") && len(lines) > 2 && strings.HasPrefix(lines[1], "$") {
		var words []string
		for k := 2; k < len(lines); k += 2 {
			words = append(words, lines[k])
		}
		line = strings.Join(words, " ")
	}
	line = strings.TrimSpace(line)
	for _, c := range line {
		if c < ' ' || c > '~' || c == '`' {
			return ""
		}
	}
	if len(line) < 3 {
		return ""
	}
	return printable.Shorten(line, 40)
}
