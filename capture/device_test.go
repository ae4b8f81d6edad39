package capture

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/probe"
)

// TestDevices: a program that opens a GPU goes on unrecorded, and so do the tests of a
// session; pyrr says so once. /dev/full plays the device.
func TestDevices(t *testing.T) {
	probe.Require(t)
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("no Python")
	}
	was := gpuDevices
	gpuDevices = []string{"/dev/fu*"}
	defer func() { gpuDevices = was }()
	const program = `
import os, sys
def mark(text):
    os.access("/dev/null/pyrr/1/" + text, 0)
def test(name, body):
    mark("start///" + name)
    body()
    mark("end/failed/" + name)
def gpu():
    global f
    f = os.open("/dev/full", os.O_RDWR)
mark("session/start/")
mark("session/run")
for name, body in ("before", lambda: None), ("uses", gpu), ("after", lambda: os.fstat(f)), ("last", lambda: os.stat("/")):
    test(name, body)
mark("session/finish")
sys.exit(7)
`
	for _, tests := range []bool{false, true} {
		var said []string
		dir := t.TempDir()
		o := Options{Command: []string{python, "-c", program}, Dir: filepath.Join(dir, "x.pyrr.part"),
			Warn: func(text string) { said = append(said, text) }}
		if tests {
			o.Tests = &Tests{Plugin: dir, Failures: true,
				Path:  func(test string) string { return filepath.Join(dir, strings.ReplaceAll(test, "/", "_")+".pyrr.part") },
				Final: func(part string) string { return part }}
		}
		info, err := Record(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if info.Status != 7 {
			t.Errorf("tests %v: status %d", tests, info.Status)
		}
		if n := strings.Count(strings.Join(said, "\n"), "/dev/full is open"); n != 1 {
			t.Errorf("tests %v: said %d times: %q", tests, n, said)
		}
		if !tests {
			continue
		}
		var kept []string
		for _, k := range info.Kept {
			kept = append(kept, k.Test)
		}
		if strings.Join(kept, " ") != "before" && strings.Join(kept, " ") != "before uses" {
			t.Errorf("kept %v", kept)
		}
	}
}
