//go:build linux && amd64

package main

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// TestJITOff holds that CPython's JIT is off in a recorded program also where another one
// sets its environment, and that all of its instructions are counted.
func TestJITOff(t *testing.T) {
	python := setup.Path("pbs314/bin/python3.14")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no interpreter with a JIT (scripts/interpreters.sh pbs314)")
	}
	dir := t.TempDir()
	out, said := filepath.Join(dir, "x.pyrr.zip"), filepath.Join(dir, "said.txt")
	const program = `
import sys
for i in range(300000):
    pass
open(sys.argv[1], "w").write(f"{sys._jit.is_available()} {sys._jit.is_enabled()}")
`
	_, _, errs := capturePyrr("record", "-o", out, "--", "env", "PYTHON_JIT=yes", python, "-c", program, said)
	const line = "warning: PYTHON_JIT=yes: recorded with the JIT off (PYTHON_JIT=0), as what it compiles can't be counted\n"
	if strings.Count(errs, line) != 1 || !strings.Contains(errs, ", verified\n") {
		t.Error(errs)
	}
	if got := readText(t, said); got != "True False" {
		t.Errorf("available and enabled: %q", got)
	}
	_, text, _ := capturePyrr("info", "--json", out)
	var info struct{ Instructions uint64 }
	if err := json.Unmarshal([]byte(text), &info); err != nil || info.Instructions < 600000 {
		t.Errorf("%d instructions were counted (%v): a loop of 300000 has two each", info.Instructions, err)
	}
}

// TestJITByItself holds the same of interpreters that have their JIT, or tier two, on where nobody
// asks for it: a line says that it is off, the program's environment has nothing of it, and -I,
// by which Python passes its environment by, changes nothing.
func TestJITByItself(t *testing.T) {
	var tried bool
	for _, name := range []string{"jit313", "tier2313"} {
		python := setup.Path(name + "/bin/python3.13")
		if _, err := os.Stat(python); err != nil {
			continue
		}
		tried = true
		out, said := filepath.Join(t.TempDir(), "x.pyrr.zip"), filepath.Join(t.TempDir(), "said.txt")
		const program = `
import os, sys
def work(n):
    for i in range(n):
        pass
for i in range(100):
    work(3000)
open(sys.argv[1], "w").write(os.environ.get("PYTHON_JIT", "nothing"))
`
		_, _, errs := capturePyrr("record", "-o", out, "--", python, "-I", "-c", program, said)
		line := "warning: " + python + " has its JIT on by itself: recorded with the JIT off, as by PYTHON_JIT=0, as what it compiles can't be counted\n"
		if strings.Count(errs, line) != 1 || strings.Contains(errs, "replayed, but not counted") || !strings.Contains(errs, ", verified\n") {
			t.Error(errs)
		}
		if got := readText(t, said); got != "nothing" {
			t.Errorf("%s: PYTHON_JIT=%s", name, got)
		}
		_, text, _ := capturePyrr("info", "--json", out)
		var info struct{ Instructions uint64 }
		if err := json.Unmarshal([]byte(text), &info); err != nil || info.Instructions < 600000 {
			t.Errorf("%s: %d instructions were counted (%v): loops of 300000 have two each", name, info.Instructions, err)
		}
	}
	if !tried {
		t.Skip("no interpreter with a JIT that is on by itself (scripts/interpreters.sh tier2313 jit313)")
	}
}

// TestJITOn holds that who comes to a program whose JIT is on already is told that what it
// compiled was not counted, when it is recorded and when it is asked, and that the replay is exact.
func TestJITOn(t *testing.T) {
	probe.Require(t)
	python := setup.Path("pbs314/bin/python3.14")
	if _, err := os.Stat(python); err != nil {
		t.Skip("no interpreter with a JIT (scripts/interpreters.sh pbs314)")
	}
	dir := t.TempDir()
	app, rec := filepath.Join(dir, "app.py"), filepath.Join(dir, "x.pyrr.zip")
	const program = `import time
def work():
    n = 0
    for i in range(20000):
        n += i & 3
    return n
for i in range(50):
    work()
print("warm", flush=True)
while True:
    work()
    time.sleep(0.001)
`
	if err := os.WriteFile(app, []byte(program), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, jit := range []string{"1", "0"} {
		cmd := exec.Command(python, app)
		cmd.Env = append(os.Environ(), "PYTHON_JIT="+jit)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "warm\n" {
			t.Fatal(line, err)
		}
		said, err := pyrrCommand("record", "--pid", strconv.Itoa(cmd.Process.Pid), "--for", "300ms", "-o", rec).CombinedOutput()
		if err != nil {
			t.Errorf("record: %v", err)
		}
		errs := string(said)
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		cmd.Wait()
		on := jit == "1"
		if strings.Contains(errs, "has the JIT on: what it compiled is replayed, but not counted") != on || !strings.Contains(errs, ", verified\n") {
			t.Errorf("PYTHON_JIT=%s: record says\n%s", jit, errs)
		}
		_, text, _ := capturePyrr("print", "--first", "3", rec, "app.py:12")
		_, _, all := capturePyrr("print", rec, "app.py:12")
		if strings.Contains(all, "the program's JIT was on") != on || !strings.Contains(text, "app.py:12") {
			t.Errorf("PYTHON_JIT=%s: print says\n%s%s", jit, text, all)
		}
		if err := os.Remove(rec); err != nil {
			t.Error(err)
		}
	}
}
