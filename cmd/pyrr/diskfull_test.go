//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/cli"
)

// TestDiskFull records onto a small disk a program that reads more random
// bytes than fit. The program must not notice, and the part that fitted must replay.
func TestDiskFull(t *testing.T) {
	python := tracedPython(t)
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=40m"); err != nil {
		t.Skipf("no small disk can be mounted: %v", err)
	}
	defer unix.Unmount(disk, unix.MNT_DETACH)
	const program = `
import os
n = 0
for i in range(1500):
    n += len(os.urandom(65536))
print("done", n)
`
	app := filepath.Join(t.TempDir(), "app.py")
	if err := os.WriteFile(app, []byte(program), 0o666); err != nil {
		t.Fatal(err)
	}
	record := func() (int, string) {
		cmd := exec.Command(os.Args[0], "record", "-o", filepath.Join(disk, "x.pyrr.zip"), python, app)
		cmd.Args[0] = "pyrr" // TestMain runs main for that name
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	status, out := record()
	if status != 0 || !strings.Contains(out, "done 98304000") {
		t.Errorf("the program ended with %d:\n%s", status, out)
	}
	if !strings.Contains(out, "no space left on device") || !strings.Contains(out, "x.pyrr.part  not packed, ") || !strings.Contains(out, "incomplete") {
		t.Errorf("pyrr does not say what happened:\n%s", out)
	}
	hintsName(t, out)
	part := filepath.Join(disk, "x.pyrr.part")
	status, _, errs := capturePyrr("replay", "--batch", part)
	if status != 0 || !strings.Contains(errs, "truncated at instruction ") {
		t.Errorf("replay: status %d, stderr %q", status, errs)
	}
	// With a disk that is full already nothing is run.
	status, out = record()
	if status != cli.ExitOwn || strings.Contains(out, "done") {
		t.Errorf("on a full disk: status %d\n%s", status, out)
	}
	if err := os.RemoveAll(part); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(disk, "ballast"), make([]byte, 30<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	status, out = record()
	if status != cli.ExitOwn || !strings.Contains(out, "are free in ") || strings.Contains(out, "done") {
		t.Errorf("on an almost full disk: status %d\n%s", status, out)
	}
}
