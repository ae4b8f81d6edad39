package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What gdb is asked.
const (
	where     = "info symbol $pc"
	atStart   = "p $pc == $start"
	libraries = "info sharedlibrary"
)

// librarySessions are gdb's commands, with what it answers and what it does not.
var librarySessions = [][]struct{ line, want, not string }{
	{
		{"set $start = $pc", "", ""},
		{"break deflateInit2_", "", ""},
		{"break sqlite3_open_v2", "", ""},
		{"continue", "", ""}, {where, "deflateInit2_", ""}, {libraries, "libz.so", "sqlite"},
		{"continue", "", ""}, {where, "sqlite3_open_v2", ""}, {libraries, "libsqlite3.so", ""},
		{"continue", "", ""}, {where, "deflateInit2_", ""}, {libraries, "libsqlite3.so", ""},
		{"reverse-continue", "", ""}, {where, "sqlite3_open_v2", ""},
		{"reverse-continue", "", ""}, {where, "deflateInit2_", ""}, {libraries, "libz.so", "sqlite"},
		{"reverse-continue", "", ""}, {atStart, "= 1", ""}, {libraries, "ld-linux", "libz.so"},
		{"continue", "", ""}, {where, "deflateInit2_", ""},
		{"continue", "", ""}, {where, "sqlite3_open_v2", ""}, {libraries, "libsqlite3.so", ""},
	},
	{
		{"set $start = $pc", "", ""},
		{"monitor goto 80%", "", ""}, {where, "_PyEval_EvalFrameDefault", ""}, {libraries, "libsqlite3.so", ""},
		{"break deflateInit2_", "Breakpoint 1 at", "pending"},
		{"continue", "", ""}, {where, "deflateInit2_", ""},
		{"up", "#1", ""}, {"monitor when", "instruction", "flush"}, {"frame", "#1", ""},
		{"monitor goto start", "", ""}, {atStart, "= 1", ""}, {libraries, "ld-linux", "libz.so"},
		{"continue", "", ""}, {where, "deflateInit2_", ""}, {libraries, "libz.so", "sqlite"},
	},
}

// TestGDBLibraries: gdb knows the libraries of each place that it comes to, also where
// it goes back to before they were loaded, and where a monitor command that gdb does not
// understand moves the process.
func TestGDBLibraries(t *testing.T) {
	t.Parallel()
	requireGDB(t)
	dir := t.TempDir()
	app, rec := filepath.Join(dir, "app.py"), filepath.Join(dir, "x.pyrr.zip")
	program := `import zlib
zlib.compress(b"x" * 100)
import sqlite3
sqlite3.connect(":memory:").close()
for n in range(20000):
    pass
zlib.compress(b"y" * 100)
`
	if err := os.WriteFile(app, []byte(program), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".gdbinit"), []byte("set debug-file-directory /nowhere\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := capturePyrr("record", "-o", rec, "--", gdbPython, "-I", app); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	session := func(lines ...string) []string {
		t.Helper()
		cmd := exec.Command(os.Args[0], "replay", "--gdb", rec)
		cmd.Args[0] = "pyrr"
		cmd.Env = []string{"HOME=" + dir}
		for _, l := range []string{"set pagination off", "set confirm off", "set width 0", `echo \n@@start\n`} {
			cmd.Args = append(cmd.Args, "-ex", l)
		}
		return gdbAnswers(t, cmd, lines)
	}
	// All symbols are read, where there are any.
	unread := regexp.MustCompile(`(?m)^0x.* No .*`)
	for _, s := range librarySessions {
		var lines []string
		for _, l := range s {
			lines = append(lines, l.line)
		}
		for i, got := range session(lines...) {
			if want := s[i].want; !strings.Contains(got, want) {
				t.Errorf("line %d, %s: no %q in\n%s", i, lines[i], want, got)
			}
			if not := s[i].not; not != "" && strings.Contains(got, not) {
				t.Errorf("line %d, %s: %q in\n%s", i, lines[i], not, got)
			}
			if lines[i] == libraries && unread.MatchString(got) {
				t.Errorf("line %d: symbols not read:\n%s", i, got)
			}
		}
	}
}
