package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/probe"
)

// TestGDBPythonScript lets the script that Debian ships for gdb and its own Python
// read a recording, at a place and again after going back to it.
func TestGDBPythonScript(t *testing.T) {
	probe.Require(t)
	const python, script = "/usr/bin/python3.11", "/usr/share/gdb/auto-load/usr/bin/python3.11-gdb.py"
	for _, need := range []string{"/usr/bin/gdb", python, script} {
		if _, err := os.Stat(need); err != nil {
			t.Skip(err)
		}
	}
	if _, err := exec.LookPath("python3.11-dbg"); err != nil {
		t.Skip("python3.11-dbg is not installed: the script needs its debug information")
	}
	dir := t.TempDir()
	app, rec := filepath.Join(dir, "app.py"), filepath.Join(dir, "x.pyrr.zip")
	if err := os.WriteFile(app, []byte("import socket\na, b = socket.socketpair()\ndef talk(n):\n    a.send(b'x' * n)\nfor i in (1, 2):\n    talk(i)\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, "-I", app); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	cmd := exec.Command(os.Args[0], "replay", "--gdb", rec)
	cmd.Args[0] = "pyrr"
	lines := []string{"set pagination off", "set confirm off", "set width 0", "break send", "continue", "source " + script, "py-bt", "continue", "py-up", "py-locals", "reverse-continue", "py-bt"}
	for i, a := range gdbAnswers(t, cmd, lines) {
		want := map[int][]string{6: {"app.py\", line 4, in talk", "app.py\", line 6, in <module>"}, 11: {"app.py\", line 4, in talk"}}[i]
		for _, w := range want {
			if !strings.Contains(a, w) {
				t.Errorf("%s: no %q in\n%s", lines[i], w, a)
			}
		}
	}
}
