//go:build linux && amd64

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/capture"
	"pyrr/internal/keeping"
	"pyrr/internal/naming"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// TestUncutIsKept finishes a test's recording whose cut form does not replay
// exactly: the whole recording is packed, and nothing else is left.
func TestUncutIsKept(t *testing.T) {
	python := tracedPython(t)
	dir := t.TempDir()
	made := filepath.Join(dir, "made.pyrr.zip")
	cmd := exec.Command(os.Args[0], "record", "--verify", "none", "-o", made, "--", python, "-I", "-S", "-c", "print('all of it')")
	cmd.Args[0] = "pyrr"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("record: %v\n%s", err, out)
	}
	rec, err := recording.Open(made)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	one := &naming.Target{Part: filepath.Join(dir, "x"+recording.PartSuffix), Packed: filepath.Join(dir, "x"+recording.PackedSuffix), Uncut: filepath.Join(dir, "x-uncut"+recording.PartSuffix)}
	if err := rec.Rewrite(one.Uncut, recording.Changes{}); err != nil {
		t.Fatal(err)
	}
	spoil := func(_ int, _ uint64, ev *recording.Event) {
		if ev.Kind == recording.KindSyscall {
			ev.PC++
		}
	}
	if err := rec.Rewrite(one.Part, recording.Changes{Event: spoil}); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	u := &screen.UI{Out: &out, Err: &errs, StatusWidth: 80}
	keeping.Finish(u, one, &keeping.Flags{Verify: "basic"}, &capture.Info{Procs: 1})
	if text := errs.String(); !strings.Contains(text, ", verified") || strings.Contains(text, "failed") {
		t.Errorf("pyrr says:\n%s", text)
	}
	if status, stdout, stderr := capturePyrr("replay", "--batch", one.Packed); status != 0 || stdout != "all of it\n" {
		t.Errorf("replay exits with %d\n%s%s", status, stdout, stderr)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "x*")); len(left) != 1 {
		t.Errorf("left are %v", left)
	}
}
