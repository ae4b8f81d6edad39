//go:build linux && amd64

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"pyrr/internal/stackwalk"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pyrr/cpython"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// truth is what a program says of itself in one line of output: the stacks of
// its threads, its asyncio tasks, or its local variables.
type truth struct {
	Point  int
	PID    int
	Stacks []struct {
		TID    int
		Name   string
		Frames []truthFrame
	}
	Tasks []struct {
		Addr    uint64
		Name    string
		Running bool
		Waits   string
		Frames  [][3]any
	}
	Frames [][][]any // local variables
}

type truthFrame struct {
	File, Func                 string
	Line, EndLine, Col, EndCol int
}

// TestReplayAgainstPython records programs that say, at random points, what
// Python knows of their stacks (the walk over frames that traceback and
// sys._current_frames make, with positions), of their asyncio tasks and of
// their local variables. At the write that says so, the replay has to show
// the same.
func TestReplayAgainstPython(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	full := os.Getenv("PYRR_E2E") == "full"
	pythons := testInterpreters()
	if len(pythons) == 0 {
		t.Skip("there is no Python")
	}
	programs := []struct {
		name string
		args func(seed, points int) []string
		// points by default, and in the full test
		few, many int
	}{
		{"stackpoints.py", func(s, n int) []string { return []string{fmt.Sprint(s), fmt.Sprint(n), "2"} }, 15, 120},
		{"taskpoints.py", func(s, n int) []string { return []string{fmt.Sprint(s), fmt.Sprint(n)} }, 10, 60},
		{"localpoints.py", func(s, n int) []string { return []string{fmt.Sprint(s), fmt.Sprint(n)} }, 20, 100},
	}
	total := 0
	for i, python := range pythons {
		if !full && i != 0 && i != len(pythons)-1 {
			continue // package cpython compares live processes of all versions
		}
		version := pythonVersion(python)
		if version == "" || strings.HasPrefix(version, "3.6") || strings.HasPrefix(version, "3.7") {
			continue
		}
		for _, p := range programs {
			t.Run(version+"/"+p.name, func(t *testing.T) {
				points := p.few
				if full {
					points = p.many
				}
				total += compareReplay(t, python, p.name, p.args(i+1, points), points)
			})
		}
	}
	t.Logf("%d points", total)
}

// compareReplay returns the number of points compared.
func compareReplay(t *testing.T, python, name string, args []string, points int) int {
	dir := t.TempDir()
	text, err := os.ReadFile(filepath.Join("../../cpython/testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, name)
	if err := os.WriteFile(program, text, 0o666); err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"record", "--keep", "always", "-o", "x.pyrr.zip", "--", python, program}, args...)
	cmd := exec.Command(os.Args[0], argv...)
	cmd.Args[0], cmd.Dir = "pyrr", dir
	cmd.Stdin = strings.NewReader(strings.Repeat("x", points))
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Run(); err != nil || !strings.Contains(errs.String(), ", verified") {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	rec, err := recording.Open(filepath.Join(dir, "x.pyrr.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	c := truthChecker{t: t, walk: stackwalk.New(rec)}
	if c.x, err = rec.StackIndex(); err != nil {
		t.Fatal(err)
	}
	_, err = replay.Batch(rec, replay.Options{OnEvent: c.event})
	if err != nil {
		t.Fatal(err)
	}
	if c.points != points {
		t.Errorf("%d of %d points came", c.points, points)
	}
	return c.points
}

type truthChecker struct {
	t      *testing.T
	walk   *stackwalk.Walk
	x      *recording.StackIndex
	points int
}

// event compares at a write of a line of JSON to the standard output.
func (c *truthChecker) event(p *replay.Process, th *replay.Thread, ev *recording.Event) error {
	c.walk.Follow(p, ev)
	isWrite := ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter
	if !isWrite || ev.Nr != unix.SYS_WRITE || ev.Args[0] != 1 || c.t.Failed() {
		return nil
	}
	line := make([]byte, ev.Args[2])
	if err := p.Mem().ReadAt(line, ev.Args[1]); err != nil {
		return err
	}
	var want truth
	if json.Unmarshal(line, &want) != nil || want.Point == 0 {
		return nil
	}
	c.points++
	rt, threads, _ := c.walk.Threads(p)
	if rt == nil {
		c.t.Error("there is no runtime")
		return nil
	}
	if len(want.Stacks) > 0 {
		c.stacks(p, rt, threads, ev, &want)
	}
	if len(want.Tasks) > 0 {
		c.tasks(p, rt, &want)
	}
	if len(want.Frames) > 0 {
		c.locals(p, rt, threads, &want)
	}
	if c.t.Failed() {
		c.t.Logf("at point %d", want.Point)
	}
	return nil
}

func (c *truthChecker) stacks(p *replay.Process, rt *cpython.Runtime, threads []cpython.Thread, ev *recording.Event, want *truth) {
	frame := func(f *cpython.Frame) truthFrame {
		return truthFrame{f.File, f.Func, f.Line, f.EndLine, f.Col, f.EndCol}
	}
	type one struct {
		Name   string
		Frames []truthFrame
	}
	wanted, got := map[int]one{}, map[int]one{}
	for _, s := range want.Stacks {
		if s.TID == int(ev.TID) {
			// The program names the line where it will read its order to go on, but it is
			// still at the write before that line.
			s.Frames[0].Line--
			if s.Frames[0].EndLine > 0 {
				s.Frames[0].EndLine--
				s.Frames[0].EndCol = 21
			}
		}
		wanted[s.TID] = one{s.Name, s.Frames}
	}
	for _, th := range threads {
		frames, err := rt.Frames(p.Mem(), th, cpython.Options{})
		if err != nil {
			c.t.Error(err)
		}
		o := one{Name: th.Name}
		for i := range frames {
			o.Frames = append(o.Frames, frame(&frames[i]))
		}
		got[th.NativeID] = o
	}
	if d := cmp.Diff(wanted, got); d != "" {
		c.t.Errorf("stacks (-Python +replay):\n%s", d)
	}
	st, _, err := c.x.Stack(p.Info.ID, ev.TID, p.Number)
	if err != nil {
		c.t.Error(err)
	}
	var indexed []truthFrame
	for _, f := range pythonFrames(st.Frames) {
		indexed = append(indexed, truthFrame{f.File, f.Func, f.Line, f.EndLine, f.Col, f.EndCol})
	}
	if w := wanted[int(ev.TID)]; !slices.Equal(w.Frames, indexed) || w.Name != st.Name {
		c.t.Errorf("stack in the index (-Python +index):\n%s", cmp.Diff(w, one{st.Name, indexed}))
	}
}

func (c *truthChecker) tasks(p *replay.Process, rt *cpython.Runtime, want *truth) {
	tasks, err := rt.Tasks(p.Mem())
	if err != nil {
		c.t.Error(err)
	}
	wanted, got := map[uint64]string{}, map[uint64]string{}
	for _, t := range want.Tasks {
		wanted[t.Addr] = fmt.Sprint(t.Name, t.Running, t.Waits, t.Frames)
	}
	for _, t := range tasks {
		frames := [][3]any{}
		for _, f := range t.Frames {
			frames = append(frames, [3]any{f.File, f.Func, float64(f.Line)})
		}
		got[t.Addr] = fmt.Sprint(t.Name, t.Running, t.Waits, frames)
	}
	if d := cmp.Diff(wanted, got); d != "" {
		c.t.Errorf("tasks (-Python +replay):\n%s", d)
	}
}

func (c *truthChecker) locals(p *replay.Process, rt *cpython.Runtime, threads []cpython.Thread, want *truth) {
	frames, err := rt.Frames(p.Mem(), threads[0], cpython.Options{})
	if err != nil {
		c.t.Error(err)
	}
	text := func(name, value, arg any) string { return fmt.Sprint(name, " = ", value, " ", arg) }
	var wanted, got [][]string
	for _, vars := range want.Frames {
		list := []string{}
		for _, v := range vars {
			list = append(list, text(v[0], v[1], v[2]))
		}
		sort.Strings(list)
		wanted = append(wanted, list)
	}
	for _, f := range frames {
		if f.File != "made.py" {
			continue
		}
		vars, err := rt.Locals(p.Mem(), f)
		if err != nil {
			c.t.Error(err)
		}
		list := []string{}
		for _, v := range vars {
			list = append(list, text(v.Name, v.Value, v.Arg))
		}
		sort.Strings(list)
		got = append(got, list)
	}
	if d := cmp.Diff(wanted, got); d != "" {
		c.t.Errorf("locals (-Python +replay):\n%s", d)
	}
}
