package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// ui holds the rules of printing: results on stdout; progress and errors on
// stderr; colour only on a terminal and never the only signal; a status line
// only on a terminal.
type ui struct {
	out, err io.Writer
	// colourOut and colourErr allow escape sequences on each.
	colourOut, colourErr bool
	// live allows a status line that is rewritten.
	live  bool
	width int // of the status line
	// outWidth is what results are fitted to, 0 for any.
	outWidth int

	cleanups cleanups

	shown time.Time // when the status line was last written, zero for not shown
	// slow prints a line now and then where there is no status line; nil for never.
	slow *slowWork
}

// slowWork says what takes long, where no line can be rewritten: in a pipe, in CI.
type slowWork struct {
	err   io.Writer
	every time.Duration

	mu    sync.Mutex
	text  string // what is being done, "" for nothing
	begun time.Time
	timer *time.Timer
}

// progressEvery is how often a line says what is being done.
const progressEvery = 10 * time.Second

func (s *slowWork) set(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		s.begun = time.Now()
		s.timer = time.AfterFunc(s.every, s.say)
	}
	s.text = text
}

func (s *slowWork) say() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text == "" {
		return
	}
	fmt.Fprintf(s.err, "pyrr: … %s, for %.0f s\n", s.text, time.Since(s.begun).Seconds())
	s.timer = time.AfterFunc(s.every, s.say)
}

func (s *slowWork) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.text != "" {
		s.text = ""
		s.timer.Stop()
	}
}

// newUI looks at the two files once. NO_COLOR is https://no-color.org.
func newUI(out, err *os.File) *ui {
	u := &ui{out: out, err: err, width: 80, outWidth: outWidth(out)}
	plain := os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb"
	u.colourOut = !plain && term.IsTerminal(int(out.Fd()))
	u.colourErr = !plain && term.IsTerminal(int(err.Fd()))
	u.live = os.Getenv("CI") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(err.Fd()))
	if w, _, sizeErr := term.GetSize(int(err.Fd())); sizeErr == nil && w > 10 {
		u.width = w
	}
	if os.Getenv("GITHUB_ACTIONS") == "true" {
		u.out, u.err = &commandGuard{w: out}, &commandGuard{w: err}
	}
	if !u.live {
		u.slow = &slowWork{err: err, every: progressEvery}
	}
	return u
}

// The colours in use: SGR parameters of ECMA-48.
const (
	red    = "1;31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
	bold   = "1"
	dim    = "2"
)

func paint(on bool, sgr, s string) string {
	if !on || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

// paintOut colours text for stdout.
func (u *ui) paintOut(sgr, s string) string { return paint(u.colourOut, sgr, s) }

// fail prints an error and its hints.
func (u *ui) fail(err error) {
	u.clearStatus()
	fmt.Fprintf(u.err, "pyrr: %s %s\n", paint(u.colourErr, red, "error:"), clean(err.Error()))
	for _, h := range hintsOf(err) {
		u.hint(h)
	}
}

// warn prints one line about something that the user should know.
func (u *ui) warn(msg string) {
	u.clearStatus()
	fmt.Fprintf(u.err, "pyrr: %s %s\n", paint(u.colourErr, yellow, "warning:"), clean(msg))
}

// Status and Warn are status and warn for packages whose work takes long.
func (u *ui) Status(format string, args ...any) { u.status(format, args...) }
func (u *ui) Warn(text string)                  { u.warn(text) }

// hint prints a command to paste.
func (u *ui) hint(h string) {
	fmt.Fprintf(u.err, "pyrr: %s %s\n", paint(u.colourErr, cyan, "hint:"), clean(h))
}

// note prints one line of progress that stays.
func (u *ui) note(format string, args ...any) {
	u.clearStatus()
	fmt.Fprintf(u.err, "pyrr: %s\n", clean(fmt.Sprintf(format, args...)))
}

// status rewrites the status line, at most ten times a second; without a
// terminal, a line every ten seconds says the same.
func (u *ui) status(format string, args ...any) {
	if u.slow != nil {
		u.slow.set(clean(fmt.Sprintf(format, args...)))
	}
	if !u.live || time.Since(u.shown) < 100*time.Millisecond {
		return
	}
	u.shown = time.Now()
	line := []rune(clean(fmt.Sprintf(format, args...)))
	if len(line) >= u.width {
		line = line[:u.width-1]
	}
	fmt.Fprintf(u.err, "\r\x1b[K%s", string(line))
}

// clearStatus takes the status line away.
func (u *ui) clearStatus() {
	if u.slow != nil {
		u.slow.clear()
	}
	if u.live && !u.shown.IsZero() {
		fmt.Fprint(u.err, "\r\x1b[K")
		u.shown = time.Time{}
	}
}

// commands is where workflow commands go, which nothing else may look like.
func (u *ui) commands() io.Writer {
	if g, ok := u.out.(*commandGuard); ok {
		return g.w
	}
	return u.out
}

// commandGuard keeps what pyrr prints in GitHub Actions from being a workflow command:
// the runner obeys each line of a step's output that begins with :: or ##[, blanks
// aside, and what a recording says may come from a stranger. A blank within is enough.
type commandGuard struct {
	w     io.Writer
	begun string // the first characters of the line, blanks aside
}

func (g *commandGuard) Write(p []byte) (int, error) {
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
	if _, err := g.w.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}

// printJSON writes one indented JSON document to stdout.
func (u *ui) printJSON(v any) error {
	enc := json.NewEncoder(newJSONWriter(u.out))
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}
