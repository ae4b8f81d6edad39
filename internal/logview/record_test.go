package logview_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/capture"
	"pyrr/internal/logview"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
)

// record records a script of testdata.
func record(t *testing.T, script string) *recording.Recording {
	t.Helper()
	rec, _ := recordIn(t, script)
	return rec
}

// recordIn is record, and says in which folder.
func recordIn(t *testing.T, script string) (*recording.Recording, string) {
	t.Helper()
	if r := probe.Machine(); !r.CanRecord() {
		t.Skip("this machine can't record")
	}
	script, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r.pyrr.part")
	if _, err := capture.Record(context.Background(), capture.Options{Command: []string{"python3", script}, Dir: dir}); err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rec.Close() })
	return rec, dir
}

// marked finds the event of a program's os.access("/mark/NAME").
func marked(t *testing.T, rec *recording.Recording, name string) (proc int, event uint64) {
	t.Helper()
	procs, err := rec.Procs()
	if err != nil {
		t.Fatal(err)
	}
	for i := range procs {
		logview.Each(rec, &procs[i], func(_ *logview.Follower, n uint64, ev *recording.Event, _ logview.Step) error {
			if proc == 0 && ev.Kind != recording.KindExit && strings.TrimRight(string(ev.In), "\x00") == "/mark/"+name {
				proc, event = procs[i].ID, n
			}
			return nil
		})
	}
	if proc == 0 {
		t.Fatalf("no mark %s", name)
	}
	return proc, event
}

// dump is a state as text. Files are numbered in the order in which they are
// listed, since the interpreter opens some too.
func dump(s *logview.State) string {
	var b strings.Builder
	num := map[*logview.File]int{}
	// What was open before is of no concern here, and Pythons differ in what
	// of it they use.
	files := slices.DeleteFunc(slices.Clone(s.Files), func(f *logview.File) bool { return f.Inherited })
	for i, f := range files {
		num[f] = i + 1
	}
	for _, p := range s.Procs {
		if p.Ended != nil && p.Ended.Why == recording.EndExec {
			continue // between fork and exec, where vfork is not used
		}
		fmt.Fprintf(&b, "process %d", p.ID)
		if p.Parent != nil {
			fmt.Fprintf(&b, " of %d", p.Parent.ID)
		}
		if p.Ended != nil {
			fmt.Fprintf(&b, " ended %s %#x", p.Ended.Why, p.Ended.Status)
		}
		fmt.Fprintln(&b)
		for _, t := range p.Threads {
			b.WriteString("  thread")
			if t.Open != nil {
				// Pythons differ in which of these they make.
				fmt.Fprintf(&b, " in %s", strings.Replace(t.Open.Name(), "epoll_pwait", "epoll_wait", 1))
			}
			for _, w := range p.Wants(t) {
				fmt.Fprintf(&b, " for %d of file %d", w.Events, num[w.File])
			}
			fmt.Fprintln(&b)
		}
		for _, c := range p.Children {
			b.WriteString("  child")
			if c.Proc != nil {
				fmt.Fprintf(&b, " process %d", c.Proc.ID)
			}
			if c.Exe != "" {
				b.WriteString(" that executes another program")
			}
			if c.Reaped != nil {
				fmt.Fprintf(&b, " reaped %#x", c.Status)
			}
			fmt.Fprintln(&b)
		}
		for _, sig := range p.Sent {
			fmt.Fprintf(&b, "  sent %d\n", sig.Nr)
		}
	}
	for i, f := range files {
		dumpFile(&b, i+1, f, num)
	}
	return b.String()
}

// dumpFile writes a line about an open file, and its number.
func dumpFile(b *strings.Builder, n int, f *logview.File, num map[*logview.File]int) {
	fmt.Fprintf(b, "file %d %v", n, f.Kind)
	if f.Path != "" {
		fmt.Fprintf(b, " %s", filepath.Base(f.Path))
	}
	if f.Listening {
		fmt.Fprintf(b, " listens, backlog %d", len(f.Backlog))
	}
	if f.Other != nil {
		fmt.Fprintf(b, " other %d", num[f.Other])
		if !f.Sure {
			b.WriteString(" likely")
		}
	}
	if f.Lock != 0 {
		fmt.Fprintf(b, " lock %d", f.Lock)
	}
	if f.In.Calls > 0 {
		fmt.Fprintf(b, " in %d", f.In.Bytes)
	}
	if f.Out.Calls > 0 {
		fmt.Fprintf(b, " out %d", f.Out.Bytes)
	}
	for _, h := range f.Holders {
		if h.Proc != nil {
			fmt.Fprintf(b, " held by %d", h.Proc.ID)
		} else {
			b.WriteString(" held by another program")
		}
	}
	fmt.Fprintln(b)
}

func TestEnds(t *testing.T) {
	rec := record(t, "ends.py")
	for _, name := range []string{"all", "reaped"} {
		t.Run(name, func(t *testing.T) {
			proc, event := marked(t, rec, name)
			s, err := logview.At(rec, proc, event)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join("testdata", "ends_"+name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(string(want), dump(s)); d != "" {
				t.Errorf("-want +got:\n%s\n%s", d, dump(s))
			}
		})
	}
	s, err := logview.AtEnd(rec)
	if err != nil {
		t.Fatal(err)
	}
	want := `process 1 ended exited 0x300
  child process 2 reaped 0x9
  child that executes another program reaped 0x9
  sent 9
  sent 9
process 2 of 1 ended exited 0x9
`
	if d := cmp.Diff(want, dump(s)); d != "" {
		t.Errorf("at the end, -want +got:\n%s", d)
	}
}
