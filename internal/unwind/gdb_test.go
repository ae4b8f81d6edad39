package unwind

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/mem"
)

// gdbStop is what gdb saw at a stop.
type gdbStop struct {
	PID    int
	Regs   map[string]uint64
	Frames []gdbFrame
}

type gdbFrame struct {
	Kind, Name, File, Text string
	PC                     uint64
	Line                   int
}

var dwarfNames = strings.Fields("rax rdx rcx rbx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip")

// eachStop runs a program under gdb and calls f at each of the first n stops.
func eachStop(t *testing.T, n int, argv []string, f func(*gdbStop)) {
	t.Helper()
	gdb, err := exec.LookPath("gdb")
	if err != nil {
		t.Skip("no gdb: apt-get install gdb")
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ackR, ackW, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(gdb, append([]string{"-nx", "-batch", "-iex", "set auto-load off", "-x", "testdata/stops.gdb.py", "--args"}, argv...)...)
	cmd.ExtraFiles = []*os.File{outW, ackR}
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBUGINFOD_URLS=", "PYTHONDONTWRITEBYTECODE=1")
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	outW.Close()
	ackR.Close()
	lines := bufio.NewScanner(outR)
	lines.Buffer(nil, 64<<20)
	seen := 0
	for seen < n && lines.Scan() {
		var s gdbStop
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		f(&s)
		seen++
		fmt.Fprintln(ackW, "on")
	}
	ackW.Close()
	outR.Close()
	cmd.Wait()
	if seen == 0 {
		t.Skipf("gdb could not run the program: %s", said.String())
	}
	if seen < n {
		t.Errorf("the program ended after %d stops, before %d:\n%s", seen, n, said.String())
	}
}

// stopsWanted is how many stops the comparison takes.
func stopsWanted() int {
	if os.Getenv("PYRR_E2E") == "full" {
		return 400
	}
	return 24
}

func TestStacksEqualGDB(t *testing.T) {
	const python = "/usr/bin/python3.11"
	if _, err := os.Stat(python); err != nil {
		t.Skip(err)
	}
	n := stopsWanted()
	images := &Images{Find: &Finder{DebugDirs: []string{SystemDebugDir}}}
	var c comparison
	eachStop(t, n, []string{python, "testdata/work.py", fmt.Sprint(n), "0.013"}, func(g *gdbStop) { c.stop(t, images, g) })
	c.report(t)
}

// comparison counts what was held against gdb.
type comparison struct {
	stops, frames, sources, args, differ int
	modules                              map[string]int
}

func (c *comparison) report(t *testing.T) {
	t.Logf("%d stops, %d frames, %d of them with source lines, %d arguments; %d stops differ; innermost in %v",
		c.stops, c.frames, c.sources, c.args, c.differ, c.modules)
	if c.frames < 5*c.stops {
		t.Errorf("only %d frames at %d stops", c.frames, c.stops)
	}
}

func (c *comparison) stop(t *testing.T, images *Images, g *gdbStop) {
	var regs [numRegs]uint64
	for i, name := range dwarfNames {
		regs[i] = g.Regs[name]
	}
	m := mem.Live{PID: g.PID}
	s, err := LiveSpace(g.PID, m, images)
	if err != nil {
		t.Fatal(err)
	}
	c.stops++
	got := s.Explain(m, s.Walk(m, AllRegs(regs), 0))
	if c.modules == nil {
		c.modules = map[string]int{}
	}
	c.modules[path.Base(got[0].Module)]++
	if d := c.diff(s, g.Frames, got); d != "" {
		c.differ++
		t.Errorf("stop %d: %s\npyrr:\n%sgdb:\n%s", c.stops, d, describedText(got), gdbText(g.Frames))
	}
}

// diff returns the first difference, "" for none.
func (c *comparison) diff(s *Space, want []gdbFrame, got []Described) string {
	for i := range min(len(want), len(got)) {
		w, g := &want[i], &got[i]
		c.frames++
		if w.PC != g.PC {
			return fmt.Sprintf("frame %d: pc %#x, gdb has %#x", i, g.PC, w.PC)
		}
		if w.Kind == "signal" {
			continue
		}
		if name := PlainName(w.Name); name != g.Func {
			mod := s.Find(g.PC)
			_, start, ok := mod.Symbol(g.PC - mod.Bias)
			if !ok || !mod.hasName(start, w.Name) { // another name of the same
				return fmt.Sprintf("frame %d: function %q, gdb has %q", i, g.Func, name)
			}
		}
		if (w.Kind == "inline") != g.Inlined || (w.Kind == "tail") != g.Tail {
			return fmt.Sprintf("frame %d: inlined %v, tail call %v, gdb has a frame that is %s", i, g.Inlined, g.Tail, w.Kind)
		}
		if w.Line == 0 {
			continue
		}
		c.sources++
		if !sameFile(g.File, w.File) || g.Line != w.Line {
			return fmt.Sprintf("frame %d: %s at %s:%d, gdb has %s:%d", i, g.Func, g.File, g.Line, w.File, w.Line)
		}
		text, ok := gdbArgs(w)
		if !ok {
			return fmt.Sprintf("frame %d: can't read gdb's %q", i, w.Text)
		}
		c.args += len(g.Args)
		if have := ArgText(g.Args); have != text {
			return fmt.Sprintf("frame %d: %s (%s)\n         gdb has (%s)", i, g.Func, have, text)
		}
	}
	if len(want) != len(got) {
		return fmt.Sprintf("%d frames, gdb has %d", len(got), len(want))
	}
	return ""
}

// sameFile compares a path that may be relative to the compiler's folder.
func sameFile(got, full string) bool {
	if filepath.IsAbs(got) {
		return path.Clean(full) == got
	}
	for strings.HasPrefix(got, "../") {
		got = got[3:]
	}
	full = path.Clean(full)
	return full == got || strings.HasSuffix(full, "/"+got)
}

var gdbLine = regexp.MustCompile(`^#\d+ +(?:0x[0-9a-f]+ in )?(.*)$`)

// gdbArgs takes the arguments out of a line of bt.
func gdbArgs(f *gdbFrame) (string, bool) {
	m := gdbLine.FindStringSubmatch(f.Text)
	if m == nil {
		return "", false
	}
	rest, ok := strings.CutPrefix(m[1], f.Name+" (")
	if !ok {
		return "", false
	}
	i := strings.LastIndex(rest, ") at ")
	if i < 0 {
		i = strings.LastIndex(rest, ")")
	}
	if i < 0 {
		return "", false
	}
	return rest[:i], true
}

func describedText(ds []Described) string {
	var b strings.Builder
	for i, d := range ds {
		fmt.Fprintf(&b, "  #%d %#x %s (%s) at %s:%d %v %v %s\n", i, d.PC, d.Func, ArgText(d.Args), d.File, d.Line, d.Inlined, d.Tail, d.Err)
	}
	return b.String()
}

func gdbText(fs []gdbFrame) string {
	var b strings.Builder
	for _, f := range fs {
		fmt.Fprintf(&b, "  %s  [%s]\n", f.Text, f.Kind)
	}
	return b.String()
}
