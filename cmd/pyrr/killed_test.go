//go:build linux && amd64

package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"pyrr/internal/cli"
	"pyrr/internal/recording"
)

// TestKilledRecorder kills pyrr in the middle of a recording. The program
// must end with it, and the part of the recording that was written must open, replay and
// say where it is cut.
func TestKilledRecorder(t *testing.T) {
	python := tracedPython(t)
	dir := t.TempDir()
	const program = `
import os, time
print(os.getpid(), flush=True)
n = 0
while True:
    n += 1
    os.stat("/")
    if n % 1000 == 0:
        os.write(1, b"line %d\n" % n)
`
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(program), 0o666); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "record", "-o", "x.pyrr.zip", python, "app.py")
	cmd.Args[0] = "pyrr"
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var seen []string
	for len(seen) < 4 && lines.Scan() {
		seen = append(seen, lines.Text())
	}
	if len(seen) < 4 {
		t.Fatalf("the program printed only %q", seen)
	}
	go func() { // the printing program must not wait for a reader
		for lines.Scan() {
		}
	}()
	// The events are flushed now and then; a folder that is being written
	// opens as well.
	part := filepath.Join(dir, "x.pyrr.part")
	waitFlushed(t, part)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait() // killed
	pid, err := strconv.Atoi(seen[0])
	if err != nil {
		t.Fatalf("the program printed %q", seen)
	}
	waitGone(t, pid)

	status, text, errs := capturePyrr("info", part)
	if status != 0 || !strings.Contains(text, "incomplete") || !strings.Contains(text, "truncated at instruction ") {
		t.Errorf("info: status %d\n%s%s", status, text, errs)
	}
	status, text, errs = capturePyrr("replay", "--batch", part)
	if status != 0 || !strings.Contains(errs, "exact as far as the recording goes: truncated at instruction ") {
		t.Errorf("replay: status %d, stderr %q", status, errs)
	}
	if want := strings.Join(seen[:3], "\n") + "\n"; !strings.HasPrefix(text, want) {
		t.Errorf("the replay printed\n%.300s, want it to begin with\n%s", text, want)
	}
	// The next recording with that name says what is in its way.
	status, _, errs = capturePyrr("record", "-o", filepath.Join(dir, "x.pyrr.zip"), "true")
	if status != cli.ExitOwn || !strings.Contains(errs, "is there already") {
		t.Errorf("record over it: status %d, stderr %q", status, errs)
	}
}

// TestKilledAtOnce reads what a recorder leaves that was killed before its first event
// was on the disk: every command that replays says that there is nothing, and why.
func TestKilledAtOnce(t *testing.T) {
	dir := t.TempDir()
	part := filepath.Join(dir, "x.pyrr.part")
	if _, err := recording.Create(part, recording.Header{Tool: "pyrr", Command: []string{"x"}, Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"replay", "--batch"}, {"explain"}, {"report", "-o", filepath.Join(dir, "x.html")}, {"pack", "-o", filepath.Join(dir, "x.pyrr.zip")}, {"profile"}} {
		status, out, errs := capturePyrr(append(command, part)...)
		if status != cli.ExitUnjudged || out != "" || !strings.Contains(errs, "nothing to replay in the recording: the recorder was killed before it had written an event") {
			t.Errorf("%s: status %d\n%s%s", command[0], status, out, errs)
		}
	}
	if status, out, errs := capturePyrr("info", part); status != 0 || !strings.Contains(out, "the recorder was killed, or is still at work") {
		t.Errorf("info: status %d\n%s%s", status, out, errs)
	}
}

// waitGone waits until a process is no more.
func waitGone(t *testing.T, pid int) {
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		err := syscall.Kill(pid, 0)
		stat, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == syscall.ESRCH || strings.Contains(string(stat), ") Z ") { // there may be no process to reap it
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("the program outlives its recorder: %v", err)
		}
	}
}

// waitFlushed waits until the events are in the folder: they are flushed now and then.
func waitFlushed(t *testing.T, part string) {
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		_, text, errs := capturePyrr("events", "--kind", "write", part)
		if strings.Contains(text, "line 3000") { // of the last lines some may be written only in part
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("nothing is flushed after three minutes:\n%s%s", text, errs)
		}
	}
}
