package served

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a command may take where nobody says: how long, and how much memory.
const (
	Limit  = time.Minute
	Memory = int64(2 << 30)
)

// Runner runs commands of pyrr.
type Runner struct {
	program string
	limit   time.Duration
	// Memory bounds what a command and the processes that it replays have in memory
	// together, in bytes; 0 leaves that to the replay, which looks at the machine's.
	Memory int64

	busy    chan struct{}
	waiting atomic.Int32
	// most commands may run or wait for their turn; 0 for any number.
	most int32
	all  sync.WaitGroup
}

// Wait waits until nothing runs.
func (r *Runner) Wait() { r.all.Wait() }

// NewRunner makes a runner of a program of pyrr's, in which atOnce commands run at the
// same time, each for limit at most. More wait for their turn, so many that all
// together are no more than most; 0 is no bound.
func NewRunner(program string, limit time.Duration, atOnce, most int) *Runner {
	return &Runner{program: program, limit: limit, busy: make(chan struct{}, atOnce), most: int32(most)}
}

// MaxErrors is what is read of a command's standard error, in bytes.
const MaxErrors = 1 << 20

// Ran is what a command came to.
type Ran struct {
	Out  string
	More bool   // there was more than was read
	Err  string // what it said where it failed
	RC   int
	// Refused says that it did not run: too many did.
	Refused bool
}

// Exit statuses of commands that have answered all the same: an expectation that
// fails, nothing that matches.
const (
	ExitFailed  = 1
	ExitNothing = 5
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

// Run executes a command of pyrr, up to so many bytes of output. It ends, with all
// that it replays, when ctx does.
func (r *Runner) Run(ctx context.Context, most int, args ...string) Ran {
	if n := r.waiting.Add(1); r.most > 0 && n > r.most {
		r.waiting.Add(-1)
		return Ran{Err: "too many questions at once: wait for the answers", RC: -1, Refused: true}
	}
	defer r.waiting.Add(-1)
	r.all.Add(1)
	defer r.all.Done()
	select {
	case r.busy <- struct{}{}:
		defer func() { <-r.busy }()
	case <-ctx.Done():
		return Ran{Err: "cancelled", RC: -1}
	}
	ctx, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	enough, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(enough, r.program, args...)
	cmd.Args[0] = "pyrr"
	cmd.Env = append(os.Environ(), "NO_COLOR=1", "TERM=dumb", "CI=", "GITHUB_ACTIONS=", "GOMEMLIMIT=2GiB")
	ownGroup(cmd)
	cmd.WaitDelay = 5 * time.Second
	out := &limited{left: most, full: stop}
	errs := &limited{left: MaxErrors, full: func() {}}
	cmd.Stdout, cmd.Stderr = out, errs
	err := cmd.Start()
	var fat atomic.Bool
	if err == nil {
		if r.Memory > 0 {
			go watch(enough, cmd.Process.Pid, r.Memory, func() { fat.Store(true); stop() })
		}
		err = cmd.Wait()
	}
	got := Ran{Out: out.b.String(), More: !fat.Load() && out.left == 0 && enough.Err() != nil && ctx.Err() == nil}
	if got.More || err == nil {
		return got
	}
	said := strings.TrimSpace(errs.b.String())
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case fat.Load():
		got.RC, got.Err = -1, fmt.Sprintf("ended: its replay took more than %d MiB of memory", r.Memory>>20)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		got.RC, got.Err = -1, fmt.Sprintf("ended after %s: ask for less, such as a window, a thread or the first few", r.limit)
	case failed && (exit.ExitCode() == ExitNothing || exit.ExitCode() == ExitFailed):
		got.RC = exit.ExitCode()
		if strings.TrimSpace(got.Out) == "" {
			got.Out = said
		}
	case said != "":
		got.RC, got.Err = exitCode(exit), said
	default:
		got.RC, got.Err = exitCode(exit), err.Error()
	}
	return got
}

func exitCode(e *exec.ExitError) int {
	if e == nil {
		return -1
	}
	return e.ExitCode()
}
