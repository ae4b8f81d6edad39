package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pyrr/internal/cli"
	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hang"
	"pyrr/internal/hint"
	"pyrr/internal/keeping"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// glance says how to look at a living process: where it stands in an instant, and for
// how long it is watched then from outside; or by recording what it does, for so long.
type glance struct {
	pid           int // 0: a recording is looked at instead
	watch, record time.Duration
}

// watchForReasons is how long a process is watched to see which threads go on waiting.
const watchForReasons = time.Second / 2

// declareGlance declares the flags of a command that says why a process hangs.
func declareGlance(fs *pflag.FlagSet) *glance {
	g := &glance{watch: watchForReasons}
	fs.Var(flagvalue.NewProcess(&g.pid), "pid", "of the living process `PID`, in place of a recording: where it\nstands, and which threads go on waiting for half a second")
	fs.Var(flagvalue.NewDuration(&g.record), "for", "with --pid: record it for this `time`, which shows loops and who\npolls too, and stops it for longer")
	return g
}

// hint says how to see more than an instant shows.
func (g *glance) hint(u *screen.UI, r *reason.Reason) {
	if g.pid != 0 && g.record == 0 && r.Why.Degree == hang.None {
		u.Hint(fmt.Sprintf("pyrr explain --pid %d --for 1s", g.pid))
	}
}

// args are the flags of pyrr record that do it.
func (g glance) args() []string {
	switch {
	case g.record > 0:
		return []string{"--for", g.record.String()}
	case g.watch > 0:
		return []string{"--instant", "--for", g.watch.String()}
	}
	return []string{"--instant"}
}

// recordingOrProcess opens the recording that a command names, or one made of the
// living process that it names.
func recordingOrProcess(u *screen.UI, command string, g glance, args []string) (*recording.Recording, string, func(), error) {
	if g.pid != 0 {
		return look(u, command, g, args)
	}
	rec, path, err := find.One(command, args)
	if err != nil {
		return nil, "", nil, err
	}
	return rec, path, func() { rec.Close() }, nil
}

// look records a living process for a moment, for a command that is about
// recordings. The recording is gone when done is called.
func look(u *screen.UI, command string, g glance, args []string) (rec *recording.Recording, path string, done func(), err error) {
	pid := g.pid
	if len(args) > 0 {
		return nil, "", nil, hint.Usagef("%s: --pid %d and a recording exclude each other", command, pid)
	}
	if _, err := keeping.ProcessArgs(command, pid); err != nil {
		return nil, "", nil, err
	}
	dir, err := os.MkdirTemp("", "pyrr-look-")
	if err != nil {
		return nil, "", nil, fmt.Errorf("make a folder for the recording: %w", err)
	}
	remove := u.Cleanups.Add(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, fmt.Sprintf("%d%s", pid, recording.PackedSuffix))
	u.Status("looking at process %d", pid)
	var said bytes.Buffer
	err = lookBy(g, path, &said)
	u.ClearStatus()
	if err == nil {
		rec, err = recording.Open(path)
	}
	if err != nil {
		remove()
		lines := slices.DeleteFunc(strings.SplitAfter(said.String(), "\n"), stoodStill().MatchString)
		if text := strings.TrimSpace(strings.Join(lines, "")); text != "" {
			fmt.Fprintln(u.Err, strings.NewReplacer("error: record: ", "error: "+command+": ", "pyrr record --pid", "pyrr "+command+" --pid").Replace(text))
			return nil, "", nil, cli.Status(cli.ExitMachine)
		}
		return nil, "", nil, err
	}
	if stood := stoodStill().FindStringSubmatch(said.String()); stood != nil {
		u.Note("process %d stood still for %s", pid, stood[1])
	}
	return rec, path, func() { rec.Close(); remove() }, nil
}

// stoodStill is what pyrr record says of a process that it attached to.
var stoodStill = lazyregexp.New(`which stood still for ([0-9.]+[nµm]?s)\b`)

// lookBy is pyrr record --pid in a process of its own.
func lookBy(g glance, path string, said *bytes.Buffer) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find pyrr's own program: %w", err)
	}
	cmd := exec.Command(self)
	cmd.Args = append([]string{"pyrr", "record", "--pid", fmt.Sprint(g.pid), "--redact=never", "-o", path}, g.args()...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("look at process %d: %w", g.pid, err)
	}
	return nil
}
