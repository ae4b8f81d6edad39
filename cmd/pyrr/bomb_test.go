//go:build linux && amd64

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/cli"
	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// bomb makes a small recording of very many events.
func bomb(t *testing.T, events int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bomb"+recording.PartSuffix)
	w, err := recording.Create(dir, recording.Header{Tool: "pyrr", Command: []string{"bomb"}, Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s := w.Stream(1)
	ev := recording.Event{Kind: recording.KindStart, TID: 1, Regs: &linux.Regs{Rip: 4096, Cs: 0x33, Ss: 0x2b},
		Proc: &recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}}}
	for i := range events {
		if err := s.Append(&ev); err != nil {
			t.Fatal(err)
		}
		ev = recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_PREAD64, Reached: recording.Reached{PC: 4096}, Args: [6]uint64{3, 1 << 20, 100}, Ret: 100, Instr: uint64(i)}
	}
	if err := s.Append(&recording.Event{Kind: recording.KindEnd, TID: 1, Why: recording.EndExited}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(recording.Summary{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// tail keeps the end of what is written to it.
type tail struct {
	b     []byte
	lines atomic.Int64
}

func (t *tail) Write(b []byte) (int, error) {
	t.lines.Add(int64(bytes.Count(b, []byte("\n"))))
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-2000):]
	return len(b), nil
}

func (t *tail) String() string { return string(t.b) }

// No reader takes much memory for a small file that unpacks to very many events: readers
// that keep all events in memory refuse it.
func TestManyEventsInASmallFile(t *testing.T) {
	const most = 450 // MiB
	dir := bomb(t, 600_000)
	spec := filepath.Join(t.TempDir(), "spec.yaml")
	if err := os.WriteFile(spec, []byte("version: 1\nname: many\nrecording: "+dir+"\nexpect:\n  - pread64 on fd 3\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"info", dir}, {"events", "--raw", dir}, {"bt", dir}, {"explain", dir},
		{"diff", dir, dir}, {"check", spec}, {"report", "-o", filepath.Join(t.TempDir(), "page.html"), dir},
	} {
		cmd := exec.Command("/proc/self/exe", args...)
		cmd.Args[0] = "pyrr" // see TestMain
		var out tail
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.Run()
		used := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss >> 10
		t.Logf("%s: %d MiB, status %d: %.200s", args[0], used, cmd.ProcessState.ExitCode(), out.String())
		if used > most {
			t.Errorf("pyrr %s takes %d MiB", args[0], used)
		}
		switch holds := args[0] == "diff" || args[0] == "check"; {
		case strings.Contains(out.String(), "unpacks to more events") != holds:
			t.Errorf("pyrr %s says %s", args[0], out.String())
		case holds && cmd.ProcessState.ExitCode() != cli.ExitUnjudged:
			t.Errorf("pyrr %s: status %d", args[0], cmd.ProcessState.ExitCode())
		}
	}
}
