// Package screen is what pyrr prints with: results, errors with their hints, a status
// line, widths and colours of the terminal, and text that can't act on it.
//
// It knows nothing of recordings. Begin with New.
package screen

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"pyrr/internal/hint"
	"pyrr/internal/printable"

	"golang.org/x/term"
)

// UI holds the rules of printing: results on stdout; progress and errors on
// stderr; colour only on a terminal and never the only signal; a status line
// only on a terminal.
type UI struct {
	Out, Err io.Writer
	// colourOut and colourErr allow escape sequences on each.
	ColourOut, ColourErr bool
	// live allows a status line that is rewritten.
	Live        bool
	StatusWidth int // of the status line
	// outWidth is what results are fitted to, 0 for any.
	outWidth int

	Cleanups cleanups

	shown time.Time // when the status line was last written, zero for not shown
	// slow prints a line now and then where there is no status line; nil for never.
	Slow *Slow
}

// Slow says what takes long, where no line can be rewritten: in a pipe, in CI.
type Slow struct {
	err   io.Writer
	every time.Duration

	mu    sync.Mutex
	text  string // what is being done, "" for nothing
	begun time.Time
	timer *time.Timer
}

// progressEvery is how often a line says what is being done.
const progressEvery = 10 * time.Second

func (s *Slow) set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		s.begun = time.Now()
		s.timer = time.AfterFunc(s.every, s.say)
	}
	s.text = text
}

func (s *Slow) say() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		return
	}
	fmt.Fprintf(s.err, "pyrr: … %s, for %.0f s\n", s.text, time.Since(s.begun).Seconds())
	s.timer = time.AfterFunc(s.every, s.say)
}

func (s *Slow) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text != "" {
		s.text = ""
		s.timer.Stop()
	}
}

// New looks at the two files once. NO_COLOR is https://no-color.org.
func New(out, err *os.File) *UI {
	u := &UI{Out: out, Err: err, StatusWidth: 80, outWidth: outWidth(out)}
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	u.ColourOut = !plain && term.IsTerminal(int(out.Fd()))
	u.ColourErr = !plain && term.IsTerminal(int(err.Fd()))
	u.Live = os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(err.Fd()))
	if w, _, sizeErr := term.GetSize(int(err.Fd())); sizeErr == nil && w > 10 {
		u.StatusWidth = w
	}
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		u.Out, u.Err = &CommandGuard{W: out}, &CommandGuard{W: err}
	}
	if !u.Live {
		u.Slow = &Slow{err: err, every: progressEvery}
	}
	return u
}

// The colours in use: SGR parameters of ECMA-48.
const (
	Red    = "1;31"
	Green  = "32"
	Yellow = "33"
	cyan   = "36"
	Bold   = "1"
	Dim    = "2"
)

func Paint(on bool, sgr, s string) string {
	if !on || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// Paint colours text for stdout.
func (u *UI) Paint(sgr, s string) string { return Paint(u.ColourOut, sgr, s) }

// Fail prints an error and its hints.
func (u *UI) Fail(err error) {
	u.ClearStatus()
	fmt.Fprintf(u.Err, "pyrr: %s %s\n", Paint(u.ColourErr, Red, "error:"), printable.Clean(wordsInLine(err.Error(), os.Args[1:])))
	for _, h := range hint.Of(err) {
		u.Hint(h)
	}
}

// longWord is how long a word of the command may be that a message repeats, and shortWord
// what is left of a longer one, in characters.
const longWord, shortWord = 400, 120

// wordsInLine is a message in which no word of the command, nor the value of a flag, is on
// more than one line, or longer than anybody reads: a message itself may have lines.
func wordsInLine(msg string, words []string) string {
	for _, w := range words {
		if strings.HasPrefix(w, "--") {
			if _, value, ok := strings.Cut(w, "="); ok {
				w = value
			}
		}
		if strings.ContainsAny(w, "\n\t\r") {
			msg = strings.ReplaceAll(msg, w, printable.Line(w))
			w = printable.Line(w)
		}
		if utf8.RuneCountInString(w) > longWord {
			msg = strings.ReplaceAll(msg, w, printable.ShortMiddle(w, shortWord))
		}
	}
	return msg
}

// Warn prints one line about something that the user should know.
func (u *UI) Warn(msg string) {
	u.ClearStatus()
	fmt.Fprintf(u.Err, "pyrr: %s %s\n", Paint(u.ColourErr, Yellow, "warning:"), printable.Line(msg))
}

// Hint prints a command to paste.
func (u *UI) Hint(h string) {
	fmt.Fprintf(u.Err, "pyrr: %s %s\n", Paint(u.ColourErr, cyan, "hint:"), printable.Line(h))
}

// Note prints one line of progress that stays.
func (u *UI) Note(format string, args ...any) {
	u.ClearStatus()
	fmt.Fprintf(u.Err, "pyrr: %s\n", printable.Line(fmt.Sprintf(format, args...)))
}

// Status rewrites the status line, at most ten times a second; without a
// terminal, a line every ten seconds says the same.
func (u *UI) Status(format string, args ...any) {
	if u.Slow != nil {
		u.Slow.set(printable.Line(fmt.Sprintf(format, args...)))
	}
	if !u.Live || time.Since(u.shown) < 100*time.Millisecond {
		return
	}
	u.shown = time.Now()
	line := []rune(printable.Line(fmt.Sprintf(format, args...)))
	if len(line) >= u.StatusWidth {
		line = line[:u.StatusWidth-1]
	}
	fmt.Fprintf(u.Err, "\r\x1b[K%s", string(line))
}

// ClearStatus takes the status line away.
func (u *UI) ClearStatus() {
	if u.Slow != nil {
		u.Slow.clear()
	}
	if u.Live && !u.shown.IsZero() {
		fmt.Fprint(u.Err, "\r\x1b[K")
		u.shown = time.Time{}
	}
}

// Commands is where workflow commands go, which nothing else may look like.
func (u *UI) Commands() io.Writer {
	if g, ok := u.Out.(*CommandGuard); ok {
		return g.W
	}
	return u.Out
}

// CommandGuard keeps what pyrr prints in GitHub Actions from being a workflow command:
// the runner obeys each line of a step's output that begins with :: or ##[, blanks
// aside, and what a recording says may come from a stranger. A blank within is enough.
type CommandGuard struct {
	W     io.Writer
	begun string // the first characters of the line, blanks aside
}

func (g *CommandGuard) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)+8)
	for _, c := range p {
		if g.begun == ":" && c == ':' || g.begun == "##" && c == '[' {
			out = append(out, ' ')
		}
		switch {
		case c == '\n' || c == '\r':
			g.begun = ""
		case len(g.begun) < 3 && (g.begun != "" || c != ' ' && c != '\t'):
			g.begun += string(rune(c))
		}
		out = append(out, c)
	}
	if _, err := g.W.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// PrintJSON writes one indented JSON document to stdout.
func (u *UI) PrintJSON(v any) error {
	enc := json.NewEncoder(NewJSONWriter(u.Out))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
