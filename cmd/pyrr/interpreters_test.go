package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/cli"
	"pyrr/internal/probe"
	"pyrr/internal/setup"
)

// testInterpreters lists the interpreters that are installed: they differ in
// how a module holds its runtime (an executable at a fixed address, a shared
// libpython, one made by BOLT), and in how frames are read.
func testInterpreters() []string {
	home, _ := os.UserHomeDir() // "" finds nothing
	var out []string
	for _, pattern := range []string{
		"/usr/bin/python3",
		filepath.Join(home, ".pyenv/versions/3.*/bin/python3"),
		setup.Path("pbs310/bin/python3.10"),
		setup.Path("pbs314/bin/python3.14"),
		setup.Path("nogil313/bin/python3.13t"),
		setup.Path("static313/bin/python3.13"),
	} {
		found, _ := filepath.Glob(pattern) // the patterns are well formed
		out = append(out, found...)
	}
	return out
}

// fetches is the end of a program with a function fetch that waits to receive something;
// nobody sends.
const fetches = `srv = socket.socket()
srv.bind(("127.0.0.1", 0))
srv.listen()
t = threading.Thread(target=fetch, args=(srv.getsockname(),), name="client")
t.start()
t.join()
`

// TestCheckOnInterpreters records a hanging recv on each interpreter and
// checks its line, its function and its thread's name.
func TestCheckOnInterpreters(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	if testing.Short() {
		t.Skip("records on every interpreter")
	}
	pythons := testInterpreters()
	if len(pythons) == 0 {
		t.Skip("there is no Python")
	}
	const program = `
import socket, threading
def fetch(addr):
    c = socket.create_connection(addr)
    return c.recv(100)
` + fetches
	const spec = `
version: 1
name: where it hangs
recording: hang.pyrr.zip
expect:
  - recv at hang.py:5 within 20000 instructions of connect
  - recv directly at hang.py::fetch blocked at end by client
  - no recv by main
`
	for _, python := range pythons {
		version := pythonVersion(python)
		if version == "" || strings.HasPrefix(version, "3.6") || strings.HasPrefix(version, "3.7") {
			continue // not a version that pyrr reads
		}
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for name, text := range map[string]string{"hang.py": program, "hang.yaml": spec} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			pyrr := func(want int, args ...string) string {
				t.Helper()
				cmd := exec.Command(os.Args[0], args...)
				cmd.Args[0] = "pyrr" // TestMain runs main for that name
				cmd.Dir = dir
				out, _ := cmd.CombinedOutput()
				if got := cmd.ProcessState.ExitCode(); got != want {
					t.Fatalf("%v: exit status %d, want %d\n%s", args, got, want, out)
				}
				return string(out)
			}
			for _, limit := range []string{"4", setup.Timeout("30")} { // where the machine is busy, Python's start alone may take the first
				out := pyrr(cli.ExitTimeout, "record", "--timeout", limit, "-o", "hang.pyrr.zip", python, "hang.py")
				if !strings.Contains(out, ", verified\n") {
					t.Errorf("not verified:\n%s", out)
				}
				if strings.Contains(pyrr(0, "events", "hang.pyrr.zip"), " recvfrom(") {
					break
				}
			}
			pyrr(0, "check", "-v", "hang.yaml")
			if out := pyrr(0, "info", "hang.pyrr.zip"); !strings.Contains(out, "python        "+version) {
				t.Errorf("info does not name %s:\n%s", version, out)
			}
		})
	}
}

func pythonVersion(python string) string {
	out, err := exec.Command(python, "-c", "import platform; print(platform.python_version())").Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
