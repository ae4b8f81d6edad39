//go:build linux && amd64

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestSignalsToTheGroup sends signals to the whole process group, pyrr's own as
// well: the program handles them, and pyrr outlives them.
func TestSignalsToTheGroup(t *testing.T) {
	python := tracedPython(t)
	const program = `
import os, signal, time
for sig in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGTRAP):
    signal.signal(sig, lambda s, _: print(signal.Signals(s).name))
    os.kill(0, sig)
    time.sleep(0.01)
`
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "record", "-o", filepath.Join(dir, "x.pyrr.zip"), "--", python, "-I", "-c", program)
	cmd.Args[0] = "pyrr"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Errorf("record: %v", err)
	}
	if out.String() != "SIGABRT\nSIGSEGV\nSIGBUS\nSIGTRAP\n" || !strings.Contains(errs.String(), ", verified") {
		t.Errorf("it prints\n%s%s", out.String(), errs.String())
	}
}
