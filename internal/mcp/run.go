package mcp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"
)

// Limits of answers, in bytes: by default, at most, of a page, of a line.
const (
	defaultBytes = 4000
	maxBytes     = 64 << 10
	maxPage      = 8 << 20
	maxLine      = 400
	// maxRead is what is read of a command's output before it is ended.
	maxRead = 1 << 20
)

// ran is what a command came to.
type ran struct {
	out  string
	more bool   // there was more than was read
	err  string // what it said where it failed
	rc   int
}

// exit statuses of commands that have answered all the same: an expectation that
// fails, nothing that matches.
const (
	exitFailed  = 1
	exitNothing = 5
)

// limited keeps the beginning of what is written to it, and calls full at its end.
type limited struct {
	b    bytes.Buffer
	left int
	full func()
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.left)
	l.b.Write(p[:n])
	if l.left -= n; n < len(p) {
		l.full()
	}
	return len(p), nil
}

// run executes a command of pyrr, up to so many bytes of output.
func (s *server) run(ctx context.Context, most int, args ...string) ran {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	case <-ctx.Done():
		return ran{err: "cancelled", rc: -1}
	}
	ctx, cancel := context.WithTimeout(ctx, s.o.Limit)
	defer cancel()
	enough, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(enough, s.o.Program, args...)
	cmd.Args[0] = "pyrr"
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "TERM=dumb", "CI=", "GITHUB_ACTIONS=", "GOMEMLIMIT=2GiB")
	// A group of its own, so that a replay's processes end with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	out := &limited{left: most, full: stop}
	errs := &limited{left: maxRead, full: func() {}}
	cmd.Stdout, cmd.Stderr = out, errs
	err := cmd.Run()
	r := ran{out: out.b.String(), more: out.left == 0 && enough.Err() != nil && ctx.Err() == nil}
	said := strings.TrimSpace(errs.b.String())
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case r.more || err == nil:
		return r
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		r.err = fmt.Sprintf("ended after %s: ask for less, such as a window, a thread or the first few", s.o.Limit)
	case failed && (exit.ExitCode() == exitNothing || exit.ExitCode() == exitFailed):
		r.rc = exit.ExitCode()
		if strings.TrimSpace(r.out) == "" {
			r.out = said
		}
	case said != "":
		r.rc, r.err = exitCode(exit), said
	default:
		r.rc, r.err = exitCode(exit), err.Error()
	}
	return r
}

func exitCode(e *exec.ExitError) int {
	if e == nil {
		return -1
	}
	return e.ExitCode()
}

// bounded cuts a text to some bytes at the end of a line, and says what is left
// out.
func bounded(text string, most int) (cut, left string) {
	var b strings.Builder
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if len(line) > maxLine {
			n := maxLine
			for n > 0 && !utf8.RuneStart(line[n]) {
				n--
			}
			line = fmt.Sprintf("%s… (%d bytes more)", line[:n], len(line)-n)
		}
		if b.Len()+len(line)+1 > most {
			return b.String(), fmt.Sprintf("%d of %d lines left out", len(lines)-i, len(lines))
		}
		b.WriteString(line + "\n")
	}
	return b.String(), ""
}

// The marks around what a recording says.
const (
	markBegin = "<recording>"
	markEnd   = "</recording>"
)

// marked puts the marks around a text, in which neither appears any more.
func marked(text string) string {
	text = strings.NewReplacer(markBegin, "<recording >", markEnd, "</recording >").Replace(text)
	return markBegin + "\n" + strings.TrimRight(text, "\n") + "\n" + markEnd
}
