//go:build linux && amd64

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pyrr/internal/cli"
	"pyrr/internal/hint"
	"pyrr/internal/recording"
	"pyrr/internal/show"
	"pyrr/replay"
)

// TestLackingProcessor: a recording that needs a feature which this processor does not
// have is refused before anything runs; the message names the feature.
func TestLackingProcessor(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x.pyrr.part")
	w, err := recording.Create(dir, recording.Header{Tool: "pyrr", Command: []string{"x"}, Host: recording.Host{Features: []string{"avx1024f", "avx1024vl"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(recording.Summary{}); err != nil {
		t.Fatal(err)
	}
	status, _, errs := capturePyrr("replay", "--batch", dir)
	if status != cli.ExitMachine || !strings.Contains(errs, "this processor lacks what the recording needs: avx1024f, avx1024vl") {
		t.Errorf("replay: status %d, stderr %q", status, errs)
	}
	status, out, _ := capturePyrr("info", dir)
	if status != 0 || !strings.Contains(out, "not here: avx1024f avx1024vl") {
		t.Errorf("info: status %d\n%s", status, out)
	}
}

// TestDivergenceText checks what is shown of a divergence: both sides, and what
// came before.
func TestDivergenceText(t *testing.T) {
	d := &replay.Divergence{
		Process: 1, PID: 100, Pos: recording.Pos{Instr: 182500, Event: 7},
		Want: recording.Event{Kind: recording.KindSyscall, TID: 100, Instr: 182500, Nr: unix.SYS_CLOSE, Args: [6]uint64{3}},
		Got:  "system call write(1, \x1b[31m) at 0x1234",
		Before: []recording.Event{
			{Kind: recording.KindEnter, TID: 100, Instr: 182000, Nr: unix.SYS_READ, Args: [6]uint64{3, 0x7200, 16}},
			{Kind: recording.KindSyscall, TID: 101, Instr: 182100, Nr: unix.SYS_GETPID, Ret: 100},
			{Kind: recording.KindExit, TID: 100, Instr: 182100, Nr: unix.SYS_READ, Ret: 0},
		},
	}
	want := `the replay diverged at instruction 182,500, event 7 of process 1 (pid 100), so nothing was judged
  recorded  close(3) = 0, by thread 100 at instruction 182,500
  came      system call write(1, \x1b[31m) at 0x1234
  before it, the same in both:
     182,000         4      100  read(3, 16 bytes) …
     182,100         5      101  getpid() = 100
     182,100         6      100  … read(3, 16 bytes) = 0`
	if diff := cmp.Diff(want, show.DivergenceText(d)); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if err := show.ReplayFailed(d, "a b.pyrr.zip"); hint.Of(err)[0] != "pyrr events 'a b.pyrr.zip' --process 1" {
		t.Errorf("hints: %q", hint.Of(err))
	}
	if got := replayCommand().ExitStatus(show.ReplayFailed(d, "x")); got != cli.ExitUnjudged {
		t.Errorf("exit status %d, want %d", got, cli.ExitUnjudged)
	}
}
