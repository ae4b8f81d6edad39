//go:build linux && amd64

package main

import (
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/probe"
)

// framesProgram has Python frames with C frames between them, among which there are
// inlined ones where the interpreter has debug information.
const framesProgram = `import socket, functools
class Client:
    def __init__(self):
        self.who = "client"
        self.n = 0
    def fetch(self, port):
        self.n += 1
        return functools.partial(socket.create_connection, ("localhost", port))()
class Outer:
    def __init__(self): self.who = "outer"
    def run(self):
        try: Client().fetch(1)
        except OSError as e: print(e, flush=True)
Outer().run()
`

// TestConsoleFrames holds that frame N is the frame that bt numbers so, and that
// variables are that frame's.
func TestConsoleFrames(t *testing.T) {
	rec := recordText(t, framesProgram)
	list := []string{"break connect", "continue", "bt", "tbreak app.py:8", "reverse-continue", "last self.n", "print self.n", "print self.who"}
	got := typed(t, rec, list...)
	for command, want := range map[string]string{"last self.n": "self.n was 0 before this line, 1 after it\nClient.fetch () at", "print self.n": "self.n = 0\n", "print self.who": "self.who = 'client'\n"} {
		if !strings.Contains(got[command], want) {
			t.Errorf("%s:\n%s\nnot: %s", command, got[command], want)
		}
	}
	frame := regexp.MustCompile(`(?m)^#(\d+) +<python> (\S+) \(\) at (\S+:\d+)$`)
	found := frame.FindAllStringSubmatch(got["bt"], -1)
	if len(found) < 4 || !strings.Contains(got["bt"], "#0 ") {
		t.Fatalf("no stack:\n%s", got["bt"])
	}
	t.Logf("%d frames of C are inlined", len(regexp.MustCompile(`(?m)^#\d+ +[^<0\s]`).FindAllString(got["bt"], -1)))
	more := list[:2:2]
	locally := func(i int) string { return "info locals" + strings.Repeat(" ", i) } // told apart by blanks
	for i, m := range found {
		more = append(more, "frame "+m[1], locally(i))
	}
	got = typed(t, rec, more...)
	locals := map[string]string{"fetch": "self = Client(", "run": "self = Outer(", "create_connection": "address = ('localhost', 1)", "getaddrinfo": "host = 'localhost'"}
	for i, m := range found {
		if a := got["frame "+m[1]]; !strings.HasPrefix(a, fmt.Sprintf("\n#%-3s%s () at %s\n", m[1], m[2], m[3])) {
			t.Errorf("bt has %s, frame %s shows%s", m[0], m[1], a)
		}
		name := m[2][strings.LastIndexByte(m[2], '.')+1:]
		if want := locals[name]; !strings.Contains(got[locally(i)], want) {
			t.Errorf("info locals in frame %s:\n%s\nnot: %s", m[1], got[locally(i)], want)
		}
		delete(locals, name)
	}
	if len(locals) > 0 {
		t.Errorf("no frames of %v in\n%s", locals, got["bt"])
	}
}

// clangRecording records a Python that calls the library of testdata/clang.
func clangRecording(t *testing.T) string {
	t.Helper()
	python := tracedPython(t)
	lib, err := os.ReadFile("testdata/clang/lib.so")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "lib.so")
	if err := os.WriteFile(file, lib, 0o666); err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(dir, "x.pyrr.zip")
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, "-c", "import ctypes; ctypes.CDLL("+pythonString(file)+").outer(4)"); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	return rec
}

func pythonString(s string) string { return "'" + strings.ReplaceAll(s, "'", `\'`) + "'" }

// askGDB runs commands in gdb on a recording and returns what each printed.
func askGDB(t *testing.T, rec string, first []string, list ...string) map[string]string {
	t.Helper()
	if _, err := exec.LookPath("gdb"); err != nil {
		t.Skip("there is no gdb: apt-get install gdb")
	}
	cmd := exec.Command(os.Args[0], "replay", "--gdb")
	cmd.Args[0] = "pyrr" // TestMain runs main for that name
	for _, c := range append([]string{"set pagination off", "set confirm off", "set width 0"}, first...) {
		cmd.Args = append(cmd.Args, "-ex", c)
	}
	for _, c := range list {
		cmd.Args = append(cmd.Args, "-ex", "echo @@"+c+"@@\\n", "-ex", c)
	}
	cmd.Args = append(cmd.Args, "-ex", "echo @@@@\\n", "-ex", "quit", rec)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answers := map[string]string{}
	parts := strings.Split(string(out), "@@")
	for i := 1; i+1 < len(parts); i += 2 {
		answers[parts[i]] = strings.TrimPrefix(parts[i+1], "\n")
	}
	return answers
}

// TestConsoleClang holds the stack of a library that Clang and lld have made
// against gdb's: arguments whose locations go by number, in a file whose first page
// is mapped several times.
func TestConsoleClang(t *testing.T) {
	rec := clangRecording(t)
	at := []string{"break held", "continue", "delete", "break write", "continue"}
	got := typed(t, rec, append(append([]string{}, at...), "bt 3")...)
	if want := regexp.MustCompile(`\n#1 +0x\w+ in held \(n=n@entry=7, m=m@entry=8, why=0x\w+ "waits", p=0x\w+ <table>\) at lib.c:\d+\n#2 +0x\w+ in outer \(k=4\) at lib.c:\d+\n`); !want.MatchString(got["bt 3"]) {
		t.Errorf("the stack is\n%s", got["bt 3"])
	}
	gdb := askGDB(t, rec, []string{"break write", "continue"}, "bt 3")
	if a, b := frameLines(got["bt 3"]), frameLines(gdb["bt 3"]); a != b {
		t.Errorf("pyrr:\n%s\ngdb:\n%s", a, b)
	}
}

// frameLines are the frames behind the innermost, without addresses of returns.
func frameLines(bt string) string {
	return strings.Join(regexp.MustCompile(`(?m)^#[12] .*`).FindAllString(bt, -1), "\n")
}

// TestConsoleStripped: in an interpreter without symbols, functions have the names that its
// own tables give them.
func TestConsoleStripped(t *testing.T) {
	probe.Require(t)
	stripped := ""
	for _, python := range testInterpreters() {
		path, err := filepath.EvalSymlinks(python)
		if err != nil {
			continue
		}
		f, err := elf.Open(path)
		if err != nil {
			continue
		}
		if f.Section(".symtab") == nil && f.Section(".gnu_debuglink") == nil && !dynamicPython(f) {
			stripped = python
		}
		f.Close()
	}
	if stripped == "" {
		t.Skip("each interpreter here has symbols, in itself or in a separate file")
	}
	dir := t.TempDir()
	file, rec := filepath.Join(dir, "app.py"), filepath.Join(dir, "x.pyrr.zip")
	if err := os.WriteFile(file, []byte("import time\ndef key(x):\n    time.sleep(0.01)\n    return x\n[1, 2].sort(key=key)\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := capturePyrr("record", "-o", rec, "--", stripped, file); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	got := typed(t, rec, "catch syscall clock_nanosleep", "continue", "bt")
	if want := regexp.MustCompile(`(?s)#1 .* in time\.sleep \(\) .*<python> key \(\) at .* in list\.sort \(\) `); !want.MatchString(got["bt"]) {
		t.Errorf("%s:\n%s", stripped, got["bt"])
	}
}

// dynamicPython says whether a program has its interpreter in a library.
func dynamicPython(f *elf.File) bool {
	libs, _ := f.ImportedLibraries() // none, if it can't be read
	return strings.Contains(strings.Join(libs, " "), "libpython")
}
