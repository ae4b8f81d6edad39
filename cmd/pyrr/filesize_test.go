//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/cli"
	"pyrr/internal/setup"
)

// hintsName holds that a recording that a hint of pyrr's names is there.
func hintsName(t *testing.T, out string) {
	t.Helper()
	for _, hint := range regexp.MustCompile(`(?m)^pyrr: hint: .*$`).FindAllString(out, -1) {
		for _, file := range regexp.MustCompile(`\S+\.pyrr\.(zip|part)`).FindAllString(hint, -1) {
			if _, err := os.Stat(file); err != nil {
				t.Errorf("a hint names what is not there: %v\n%s", err, out)
			}
		}
	}
}

// TestFileSizeLimit records where files may have so many bytes only (ulimit -f): what
// can't be packed stays as it is, is told of like any other, and no hint names the file
// that there is not.
func TestFileSizeLimit(t *testing.T) {
	python := tracedPython(t)
	// It computes for a while: the watchdog of a replay looks now and then at what it takes.
	const sleeps = "import time; print('hello', flush=True); sum(i * i for i in range(2_000_000)); time.sleep(60)"
	tests := []struct {
		name, limit, memory string
		status              int
		want                []string
	}{
		{"nothing would be left", "500", "", cli.ExitOwn, []string{"a file may have 512 kB at most", "hint: ulimit -f unlimited"}},
		{"the end is missing", "1100", "", cli.ExitTimeout, []string{"hello", "write recording: ", "file too large", "x.pyrr.part  not packed, ", "hint: ulimit -f unlimited"}},
		{"only the packed file is too large", "3300", "", cli.ExitTimeout, []string{"x.pyrr.part  not packed, ", ", verified", "hint: pyrr pack ", "why: MainThread sleeps"}},
		{"and its replay fails", "3300", "1", cli.ExitTimeout, []string{"the replay that verifies the recording failed", "hint: pyrr replay --batch "}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "x.pyrr.zip")
			// TestMain runs main for that name.
			cmd := exec.Command("bash", "-c", `ulimit -f "$1"; shift; exec -a pyrr "$@"`, "-", tt.limit,
				os.Args[0], "record", "--timeout", setup.Timeout("4s"), "-o", file, python, "-c", sleeps)
			cmd.Env = append(os.Environ(), "PYRR_REPLAY_MEMORY="+tt.memory)
			b, _ := cmd.CombinedOutput()
			out := string(b)
			if status := cmd.ProcessState.ExitCode(); status != tt.status {
				t.Errorf("status %d, not %d:\n%s", status, tt.status, out)
			}
			for _, want := range tt.want {
				if !strings.Contains(out, want) {
					t.Errorf("no %q in\n%s", want, out)
				}
			}
			hintsName(t, out)
		})
	}
}

// TestFileSizeLimitOfReplay holds that a replay names the limit that keeps it from a file of the
// recording, and what to do, with the status of a machine that can't.
func TestFileSizeLimitOfReplay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.pyrr.zip")
	if out, err := pyrrCommand("record", "-o", file, tracedPython(t), "-c", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command("bash", "-c", `ulimit -f 500; exec -a pyrr "$@"`, "-", os.Args[0], "replay", "--batch", file)
	b, _ := cmd.CombinedOutput()
	out := string(b)
	if status := cmd.ProcessState.ExitCode(); status != cli.ExitMachine || !strings.Contains(out, "a file may not have the ") || !strings.Contains(out, "(ulimit -f)\n") ||
		!strings.Contains(out, "hint: ulimit -f unlimited\n") {
		t.Errorf("status %d\n%s", status, out)
	}
}

// TestFileSizeLimitOfTest is the same of one test of pytest, whose report names the
// recording before it is packed.
func TestFileSizeLimitOfTest(t *testing.T) {
	tracedPython(t)
	python := setup.Path("venv-pytest/bin/python")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no pytest here: ", err)
	}
	dir := t.TempDir()
	const hangs = "import time\ndef test_hangs(): time.sleep(60)\n"
	if err := os.WriteFile(filepath.Join(dir, "test_it.py"), []byte(hangs), 0o666); err != nil {
		t.Fatal(err)
	}
	self, err := filepath.Abs(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", `ulimit -f 1100; exec -a pyrr "$@"`, "-", self, "record", "--keep", "timeout", "--timeout", setup.Timeout("2s"), "-o", ".",
		python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=junit.xml", "test_it.py")
	cmd.Dir = dir
	out, _ := cmd.CombinedOutput()
	junit, err := os.ReadFile(filepath.Join(dir, "junit.xml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{string(out), string(junit)} {
		if !strings.Contains(text, ".pyrr.part") || strings.Contains(text, ".pyrr.zip") || !strings.Contains(text, "the end of the recording is missing") {
			t.Errorf("it does not name what there is, and what is wrong with it:\n%s", text)
		}
	}
}

// TestHugePages holds that a recorded program gets huge pages as natively, though its
// recorder has none.
func TestHugePages(t *testing.T) {
	python := tracedPython(t)
	const asks = "print([l for l in open('/proc/self/status') if l.startswith('THP')])"
	want, err := exec.Command(python, "-c", asks).Output()
	if err != nil {
		t.Fatal(err)
	}
	got, err := pyrrCommand("record", "--keep", "never", python, "-c", asks).Output()
	if err != nil || string(got) != string(want) {
		t.Errorf("%v: %s, natively %s", err, got, want)
	}
}
