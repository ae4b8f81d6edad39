package logview_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/capture"
	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// A recording that begins in the middle of a process says what that had open.
func TestInherited(t *testing.T) {
	if r := probe.Machine(); !r.CanRecord() {
		t.Skip("this machine can't record")
	}
	script, err := filepath.Abs("testdata/late.py")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "r.pyrr.part")
	if _, err := capture.Record(context.Background(), capture.Options{Command: []string{"python3", script}, Dir: dir, From: 3000}); err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Open(dir + ".1")
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	proc, event := marked(t, rec, "end")
	s, err := logview.At(rec, proc, event)
	if err != nil {
		t.Fatal(err)
	}
	got := inherited(s)
	want := wanted(7, 16)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	for fd := range 3 {
		if f := s.Procs[0].FD(nil, fd); f == nil || f.Kind == linux.ObjUnknown {
			t.Errorf("descriptor %d is not known", fd)
		}
	}

	// A recording that is cut out of another one says the same about what was open there.
	cut := filepath.Join(t.TempDir(), "cut.pyrr.part")
	if err := replay.Shorten(rec, cut, proc, event, s.OpenFDs(proc), replay.Options{}); err != nil {
		t.Fatal(err)
	}
	short, err := recording.Open(cut)
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	if s, err = logview.At(short, proc, 1); err != nil {
		t.Fatal(err)
	}
	want = wanted(0, 0)
	if d := cmp.Diff(want, inherited(s)); d != "" {
		t.Errorf("of the cut one: -want +got:\n%s", d)
	}
}

// wanted is what inherited says of late.py, through whose pipe so many bytes went since.
func wanted(read, written int) []string {
	return []string{
		"epoll, watches socket, in 0 out 0",
		"file kept, in 0 out 0",
		fmt.Sprintf("pipe with its other end, writes false, inheritable, in %d out 0", read),
		fmt.Sprintf("pipe with its other end, writes true, in 0 out %d", written),
		"socket in, 0 waiting, in 0 out 0",
		"socket in, 1 waiting, in 0 out 0",
		"socket in, connected, 0 waiting, in 0 out 0",
		"socket in, with its other end, connected, 0 waiting, in 0 out 0",
		"socket in, with its other end, connected, 0 waiting, in 0 out 0",
		"socket un, with its other end, connected, 0 waiting, in 0 out 0",
		"socket un, with its other end, connected, 0 waiting, in 0 out 0",
	}
}

func describeSocket(f *logview.File) string {
	line := "socket " + map[uint32]string{1: "un", 2: "in"}[f.Domain]
	if f.Other != nil {
		line += ", with its other end"
	}
	if f.Connected != nil {
		line += ", connected"
	}
	return line + fmt.Sprintf(", %d waiting", len(f.Backlog))
}

// inherited describes the files of a state that were open before it began.
func inherited(s *logview.State) []string {
	var got []string
	for _, f := range s.Files {
		if len(f.Holders) == 0 || f.Holders[0].FD < 3 || !f.Inherited {
			continue
		}
		line := fmt.Sprint(f.Kind)
		if f.Path != "" {
			line += " " + filepath.Base(f.Path)
		}
		if f.Other != nil {
			line += fmt.Sprintf(" with its other end, writes %v", f.Writes)
		}
		if f.Kind == linux.ObjSocket {
			line = describeSocket(f)
		}
		for _, w := range f.Watched {
			line += fmt.Sprintf(", watches %v", w.File.Kind)
		}
		d := s.Procs[0].FDs[f.Holders[0].FD]
		if !d.Cloexec && f.Other == nil {
			continue // the test's own maker left it open
		}
		if !d.Cloexec {
			line += ", inheritable"
		}
		got = append(got, fmt.Sprintf("%s, in %d out %d", line, f.In.Bytes, f.Out.Bytes))
	}
	slices.Sort(got)
	return got
}
