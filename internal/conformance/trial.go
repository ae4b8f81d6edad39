package conformance

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/setup"
)

// Trial runs cases with one build of pyrr. Use one per goroutine.
type Trial struct {
	// Pyrr is the binary.
	Pyrr string
	// Flags are further flags of `pyrr record`.
	Flags []string
	// Isolate replays without a network; it needs root and util-linux.
	Isolate bool
	// Scratch is where folders are made; the system's by default.
	Scratch string
	// Bad is where the recordings of trials go that were not good; "" for nowhere.
	Bad string
}

// Case is one program.
type Case struct {
	Name string
	// Argv is the command. It runs in a fresh folder; the folder's path stands
	// for every {} in it.
	Argv []string
	// Prepare puts what the program needs into the fresh folder; nil for nothing.
	Prepare func(folder string) error
	// Root is the folder that is the program's root, where the command is a
	// chroot: the fresh folder is below it, and {} its path as seen from there.
	Root string
	// Flags are further flags of `pyrr record`, after the trial's own.
	Flags []string
	// Incomplete says that the recording is to end early, with the program's
	// outcome as it is natively; there is no replay then.
	Incomplete bool
	// Judge compares a native with a recorded run and says what differs, or "".
	Judge func(native, recorded Output) string
	// Native says what a native run is worth; nil takes exit status 0 for a pass.
	Native func(Output) Verdict
	// NativeLimit ends the native run; recording and replaying may take a
	// multiple of what it took.
	NativeLimit time.Duration
}

// Run runs a case natively, recorded and replayed.
func (t *Trial) Run(ctx context.Context, c Case) (Row, error) {
	row := Row{Name: c.Name, Record: None, Replay: None}
	work, err := t.folders(c)
	if err != nil {
		return row, err
	}
	defer work.remove()

	native, err := command{c.at(work.inside), work.cwd, work.env(), c.NativeLimit}.run(ctx)
	if err != nil {
		return row, err
	}
	row.NativeSeconds = native.Seconds
	switch {
	case native.TimedOut:
		row.Native = Slow
	case c.Native != nil:
		row.Native = c.Native(native)
	case native.Status == 0:
		row.Native = Pass
	default:
		row.Native = Fail
	}
	if row.Native != Pass {
		row.Detail = lastLine(native)
		return row, ctx.Err()
	}
	if err := work.refresh(c); err != nil {
		return row, err
	}

	file := filepath.Join(work.base, "recording.pyrr.zip")
	limit := setup.Patience(time.Duration(math.Max(120, 30+10*native.Seconds)) * time.Second)
	argv := append([]string{t.Pyrr, "record", "--verify", "none", "-o", file}, slices.Concat(t.Flags, c.Flags)...)
	recorded, err := command{append(append(argv, "--"), c.at(work.inside)...), work.cwd, work.env(), limit}.run(ctx)
	if err != nil {
		return row, err
	}
	row.RecordSeconds = recorded.Seconds
	recorded.Stderr = withoutNotes(recorded.Stderr)
	switch detail := c.Judge(native, recorded); {
	case recorded.TimedOut:
		row.Record, row.Detail = TimedOut, fmt.Sprintf("recording took more than %v", limit)
		return row, ctx.Err()
	case detail != "":
		row.Record, row.Detail = Different, detail
	default:
		row.Record = Same
	}
	complete, why := t.complete(ctx, file, work)
	if c.Incomplete {
		// What had to end early is good when it did, and needs no replay.
		if row.Replay = Exact; complete {
			row.Replay, row.Detail = Different, "the recording is complete"
		}
		return row, ctx.Err()
	}
	// A process that outlives the command is let go; what it prints later is not in the recording.
	outlived := strings.Contains(why, "the command ended while")
	if !complete && !outlived && row.Record == Same {
		row.Record, row.Detail = Incomplete, why
	}

	err = t.replay(ctx, &row, work, file, limit, recorded, outlived)
	return row, errors.Join(err, t.keepBad(row, file), ctx.Err())
}

// keepBad moves the recording of a trial away that was not good: it shows how its outcome came about.
func (t *Trial) keepBad(row Row, file string) error {
	if t.Bad == "" || row.Good() {
		return nil
	}
	name := fmt.Sprintf("%s-%d.pyrr.zip", strings.ReplaceAll(row.Name, "/", "-"), time.Now().Unix())
	if err := os.Rename(file, filepath.Join(t.Bad, name)); err != nil {
		return fmt.Errorf("keep the recording of %s: %w", row.Name, err)
	}
	return nil
}

// replay replays the recording in file and compares what it printed with what the
// recorded run did. outlived: a process of it went on behind its end.
func (t *Trial) replay(ctx context.Context, row *Row, work *folders, file string, limit time.Duration, recorded Output, outlived bool) error {
	// It has nothing but the recording: no files, no network.
	if err := work.clear(); err != nil {
		return err
	}
	argv := []string{t.Pyrr, "replay", "--batch", file}
	if t.Isolate {
		argv = append([]string{"unshare", "-n", "--"}, argv...)
	}
	replayed, err := command{argv, work.base, work.env(), limit}.run(ctx)
	if err != nil {
		return err
	}
	row.ReplaySeconds = replayed.Seconds
	detail := ""
	switch {
	case replayed.TimedOut:
		row.Replay, detail = TimedOut, fmt.Sprintf("replaying took more than %v", limit)
	case replayed.Status != 0:
		row.Replay, detail = Diverged, firstLine(withoutProgress(replayed.Stderr))
	case replayed.Stdout != recorded.Stdout && !(outlived && strings.HasPrefix(recorded.Stdout, replayed.Stdout)):
		row.Replay, detail = Different, "stdout: "+firstDifference(recorded.Stdout, replayed.Stdout)
	case withoutNotes(replayed.Stderr) != recorded.Stderr:
		row.Replay, detail = Different, "stderr: "+firstDifference(recorded.Stderr, replayed.Stderr)
	default:
		row.Replay = Exact
	}
	if row.Detail == "" {
		row.Detail = detail
	}
	return nil
}

// complete asks pyrr whether the whole run is in the recording.
func (t *Trial) complete(ctx context.Context, file string, work *folders) (bool, string) {
	out, err := command{[]string{t.Pyrr, "info", "--json", file}, work.base, work.env(), time.Minute}.run(ctx)
	if err != nil {
		return false, err.Error()
	}
	var info struct {
		Complete bool   `json:"complete"`
		Why      string `json:"why"`
	}
	if err := json.Unmarshal([]byte(out.Stdout), &info); err != nil {
		return false, "no recording: " + firstLine(out.Stderr)
	}
	return info.Complete, info.Why
}

// at is the command with the fresh folder's path in it.
func (c Case) at(folder string) []string {
	argv := make([]string, len(c.Argv))
	for i, arg := range c.Argv {
		argv[i] = strings.ReplaceAll(arg, "{}", folder)
	}
	return argv
}

// folders is where a case runs: base holds the recording and, where the program
// has the usual root, the rest.
type folders struct {
	base, top, inside, cwd string
}

func (t *Trial) folders(c Case) (*folders, error) {
	base, err := os.MkdirTemp(t.Scratch, "t")
	if err != nil {
		return nil, fmt.Errorf("make a folder for %s: %w", c.Name, err)
	}
	f := &folders{base: base, top: base}
	if c.Root != "" {
		if f.top, err = os.MkdirTemp(filepath.Join(c.Root, "tmp"), "t"); err != nil {
			os.RemoveAll(base)
			return nil, fmt.Errorf("make a folder for %s: %w", c.Name, err)
		}
	}
	f.cwd = filepath.Join(f.top, "cwd")
	f.inside = strings.TrimPrefix(f.cwd, c.Root)
	if err := f.refresh(c); err != nil {
		f.remove()
		return nil, err
	}
	return f, nil
}

// env is the environment with the folders' paths as the program sees them.
func (f *folders) env() []string {
	top := filepath.Dir(f.inside)
	return environment(filepath.Join(top, "home"), filepath.Join(top, "tmp"))
}

// refresh makes the program's folders as they were before the first run.
func (f *folders) refresh(c Case) error {
	if err := f.clear(); err != nil {
		return err
	}
	for _, name := range []string{"cwd", "home", "tmp"} {
		if err := os.Mkdir(filepath.Join(f.top, name), 0o755); err != nil {
			return fmt.Errorf("prepare %s: %w", c.Name, err)
		}
	}
	if c.Prepare != nil {
		if err := c.Prepare(f.cwd); err != nil {
			return fmt.Errorf("prepare %s: %w", c.Name, err)
		}
	}
	return nil
}

// clear removes what the program worked on and keeps the recording.
func (f *folders) clear() error {
	for _, name := range []string{"cwd", "home", "tmp"} {
		if err := removeAll(filepath.Join(f.top, name)); err != nil {
			return fmt.Errorf("remove a program's files: %w", err)
		}
	}
	return nil
}

func (f *folders) remove() {
	removeAll(f.base)
	removeAll(f.top)
}

// removeAll removes a folder in which a test may have taken permissions away.
func removeAll(path string) error {
	if os.RemoveAll(path) == nil {
		return nil
	}
	filepath.WalkDir(path, func(name string, d os.DirEntry, err error) error {
		if d != nil && d.IsDir() {
			os.Chmod(name, 0o700)
		}
		return nil
	})
	return os.RemoveAll(path)
}

// CanIsolate says whether a command can be run without a network here.
func CanIsolate() bool {
	return os.Geteuid() == 0 && exec.Command("unshare", "-n", "true").Run() == nil
}

// withoutProgress drops the lines by which a long replay says how far it is.
func withoutProgress(stderr string) string {
	var kept strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "pyrr: …") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// withoutNotes drops the lines that pyrr itself wrote to a recorded program's stderr.
func withoutNotes(stderr string) string {
	var kept strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "pyrr: ") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}
