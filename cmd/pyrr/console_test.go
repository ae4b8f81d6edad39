//go:build linux && amd64

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const consoleProgram = `import threading

def double(x):
    y = x * 2
    return y

def work(n):
    total = 0
    for i in range(n):
        total += double(i)
    return total

t = threading.Thread(target=work, args=(3,), name="worker")
t.start()
t.join()
print(work(4), flush=True)
`

// consoleRecording records a small program with two threads.
func consoleRecording(t *testing.T) string { return recordText(t, consoleProgram) }

// recordText records a program.
func recordText(t *testing.T, program string) string {
	t.Helper()
	python := tracedPython(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "app.py"), []byte(program), 0o666); err != nil {
		t.Fatal(err)
	}
	rec := filepath.Join(dir, "x.pyrr.zip")
	if status, _, errs := capturePyrr("record", "-o", rec, "--", python, filepath.Join(dir, "app.py")); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	return rec
}

// typed runs commands in the console and returns what each printed.
func typed(t *testing.T, rec string, list ...string) map[string]string {
	t.Helper()
	args := []string{"replay"}
	for _, c := range list {
		args = append(args, "-ex", c)
	}
	status, out, errs := capturePyrr(append(args, "-ex", "quit", rec)...)
	if status != 0 {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	answers := map[string]string{}
	prompt := regexp.MustCompile(`(?m)^(?:start|end|\d+%) [\d,]+> (.*)$`)
	marks := prompt.FindAllStringSubmatchIndex(out, -1)
	for i, m := range marks {
		end := len(out)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		answers[out[m[2]:m[3]]] = out[m[1]:end]
	}
	return answers
}

// TestConsole goes forwards and back through a program and looks around.
func TestConsole(t *testing.T) {
	rec := consoleRecording(t)
	got := typed(t, rec,
		"break app.py:4 if x == 2", "tbreak app.py::work", "c", "info threads", "continue", "print x", "info locals",
		"step", "up", "info args", "down", "finish", "reverse-continue", "reverse-finish", "list 4", "reverse-step", "when", "python_bt",
		"bookmark here", "goto end", "goto here", "delete 1", "last i", "events 4", "x/2xg $rsp", "nonsense", "break nowhere if what +")
	for _, tt := range []struct{ command, want string }{
		{"break app.py:4 if x == 2", `Breakpoint 1: line app.py:4`},
		{"c", `\[New Thread \d+\]\n\[Switching to Thread \d+\]\n\nThread 2 "worker" hit Breakpoint 2, work \(\) at \S+app.py:\d`},
		{"info threads", `\*  2   \d+ +worker`},
		{"continue", `Thread 2 "worker" hit Breakpoint 1, double \(\) at \S+app.py:4\n4\t    y = x \* 2`},
		{"print x", `x = 2\n`},
		{"step", `double \(\) at \S+app.py:5`},
		{"up", `#1  work \(\) at \S+app.py:10`},
		{"info args", `n = 3\n`},
		{"finish", `work \(\) at \S+app.py:10`},
		{"reverse-continue", `Thread 2 "worker" hit Breakpoint 1, double`},
		{"reverse-finish", `work \(\) at \S+app.py:10`},
		{"list 4", `4\t    y = x \* 2\n`},
		{"reverse-step", `work \(\) at \S+app.py:10`},
		{"when", `instruction [\d,]+ of [\d,]+, before event \d+`},
		{"python_bt", `@\S+app.py:10\nwork\n@\S+threading.py:\d+\nrun\n`},
		{"goto end", `.`},
		{"goto here", `work \(\) at \S+app.py:10`},
		{"events 4", `(?m)^> +[\d,]+ +e\d+`},
		{"x/2xg $rsp", `0x[0-9a-f]+:\t0x[0-9a-f]{16}\t0x[0-9a-f]{16}`},
		{"nonsense", `undefined command: "nonsense"`},
		{"break nowhere if what +", `a condition is an expression`},
	} {
		if !regexp.MustCompile(tt.want).MatchString(got[tt.command]) {
			t.Errorf("%s: no match for %s in\n%s", tt.command, tt.want, got[tt.command])
		}
	}
}

// TestConsoleOnTerminal types commands, with completion and history.
func TestConsoleOnTerminal(t *testing.T) {
	rec := consoleRecording(t)
	r := onTerminal(t, filepath.Dir(rec), "replay", rec)
	r.until(t, "start 1> ")
	for _, step := range []struct{ keys, want string }{
		{"tbre\tapp.py:4\r", "Temporary breakpoint 1: line app.py:4"},
		{"c\r", "double () at"},
		{"p x\r", "x = 0"},
		{"\x1b[A\r", "x = 0"}, // the arrow up: the command before
		{"quit\r", ""},
	} {
		if _, err := r.master.WriteString(step.keys); err != nil {
			t.Fatal(err)
		}
		if step.want != "" {
			seen := r.until(t, step.want)
			if !strings.Contains(seen[strings.LastIndex(seen, step.want):], "> ") {
				r.until(t, "> ")
			}
		}
	}
	if out, status := r.rest(t); status != 0 {
		t.Errorf("exit status %d\n%s", status, out)
	}
}

// TestConsoleTab completes attributes and places, and finds in a second session what was
// typed in the first.
func TestConsoleTab(t *testing.T) {
	rec := recordText(t, valuesProgram)
	file := filepath.Join(t.TempDir(), "history")
	t.Setenv("PYRR_HISTORY", file)
	type step struct{ keys, want string }
	session := func(steps ...step) {
		t.Helper()
		r := onTerminal(t, filepath.Dir(rec), "replay", rec)
		r.until(t, "start 1> ")
		for _, s := range steps {
			if _, err := r.master.WriteString(s.keys); err != nil {
				t.Fatal(err)
			}
			r.until(t, s.want)
		}
		if out, status := r.rest(t); status != 0 {
			t.Errorf("exit status %d\n%s", status, out)
		}
	}
	session(
		step{"break ap\t", "break app.py:"},
		step{"\t", "  app.py::__init__  app.py::run  app.py::work"},
		step{"10\r", "line app.py:10"},
		step{"c\r", "hit Breakpoint 1"},
		step{"p self.\t", "self.log  self.n  self.state"},
		step{"st\t\r", "self.state = 'running'"},
		step{"quit\r", ""},
	)
	if text, err := os.ReadFile(file); err != nil || !strings.HasSuffix(string(text), "break app.py:10\nc\np self.state\nquit\n") {
		t.Errorf("the history is %q, %v", text, err)
	}
	session(step{"\x1b[A\x1b[A\x1b[A\x1b[A", "break app.py:10"}, step{"\r", "line app.py:10"}, step{"q\r", ""})
}

// TestGDB lets the real gdb go forwards and backwards through a recording.
func TestGDB(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("gdb"); err != nil {
		t.Skip("there is no gdb")
	}
	rec := consoleRecording(t)
	cmd := exec.Command(os.Args[0], "replay", "--gdb")
	cmd.Args[0] = "pyrr" // TestMain runs main for that name
	marks := 0
	say := func(commands ...string) {
		for _, c := range commands {
			cmd.Args = append(cmd.Args, "-ex", c)
		}
	}
	mark := func() { say("echo @@\\n"); marks++ }
	say("set pagination off", "set confirm off", "set width 0", "break write", "continue")
	mark()
	say("bt 3", "info threads", "monitor python-bt")
	mark()
	say("p/x $pc")
	mark()
	say("reverse-stepi", "reverse-stepi", "stepi", "stepi", "p/x $pc")
	mark()
	say("p/x $rsp", "info registers xmm0 ymm0", "x/2i $pc")
	mark()
	say("watch *(long*)($rsp-64)", "continue", "delete 2")
	mark()
	say("reverse-continue", "p/x $pc")
	mark()
	say("monitor when", "monitor python-bt", "monitor info threads", "monitor bt")
	mark()
	say("reverse-continue")
	mark()
	cmd.Args = append(cmd.Args, "-ex", "quit", rec)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	parts := strings.Split(string(out), "@@\n")
	if len(parts) != marks+1 {
		t.Fatalf("%d parts, not %d\n%s", len(parts), marks+1, out)
	}
	pc := regexp.MustCompile(`\$\d+ = (0x[0-9a-f]+)`)
	value := func(s string) string {
		m := pc.FindAllStringSubmatch(s, -1)
		if len(m) == 0 {
			t.Fatalf("no value in %q\n%s", s, out)
		}
		return m[len(m)-1][1]
	}
	if !regexp.MustCompile(`Breakpoint 1, .*write`).MatchString(parts[0]) {
		t.Errorf("continue did not stop at write:\n%s", parts[0])
	}
	if !strings.Contains(parts[1], "#0 ") || !strings.Contains(parts[1], "write") || !strings.Contains(parts[1], "* 1") {
		t.Errorf("bt and info threads:\n%s", parts[1])
	}
	if a, b := value(parts[2]), value(parts[3]); a != b {
		t.Errorf("two steps back and two forwards lead from %s to %s", a, b)
	}
	if !strings.Contains(parts[4], "v4_int64") && !strings.Contains(parts[4], "v4_double") {
		t.Errorf("no AVX registers:\n%s", parts[4])
	}
	if a, b := value(parts[2]), value(parts[6]); a != b {
		t.Errorf("reverse-continue from behind write leads to %s, not %s:\n%s", b, a, parts[6])
	}
	for _, part := range []string{parts[1], parts[7]} {
		if !strings.Contains(part, "app.py:") {
			t.Errorf("no Python frames:\n%s", part)
		}
	}
	if !strings.Contains(parts[7], "instruction ") {
		t.Errorf("monitor commands:\n%s", parts[7])
	}
	if !strings.Contains(parts[8], "No more reverse-execution history") {
		t.Errorf("no beginning:\n%s", parts[8])
	}
}

const valuesProgram = `LIMIT = 5
class Job:
    def __init__(self, n):
        self.n = n
        self.state = "new"
        self.log = {"host": "a", 1: [10, 20]}
    def run(self):
        self.state = "running"
        for i in range(3):
            self.n += i
            extra = (i, self.n)
        self.more = extra
        self.state = "done"
def work():
    j = Job(7)
    j.run()
    return j
w = work()
print(w.state, flush=True)
`

// TestConsoleValues reads and watches attributes and items, in conditions too.
func TestConsoleValues(t *testing.T) {
	t.Parallel()
	got := typed(t, recordText(t, valuesProgram),
		"break app.py:10 if self.n == 8", "c", "print self.n", "p self.state", `p self.log["host"]`, "p self.log[1][-1]", "p LIMIT", "p extra[1]",
		"p len(extra)", "p self.nosuch", "p nosuch", "p self.log[5]", "watch 3 +", "watch self.state", "info breakpoints", "continue", "rc", "reverse-continue", "delete",
		"tbreak app.py:17", "continue 1", "last j.n", "last self.state")
	for _, c := range []struct{ command, want string }{
		{"print self.n", "self.n = 8\n"},
		{"p self.state", "self.state = 'running'\n"},
		{`p self.log["host"]`, `self.log["host"] = 'a'` + "\n"},
		{"p self.log[1][-1]", "= 20\n"},
		{"p LIMIT", "LIMIT = 5\n"},
		{"p extra[1]", "extra[1] = 8\n"},
		{"p len(extra)", "= 2\n"},
		{"p self.nosuch", `this Job has no attribute "nosuch" of its own`},
		{"p nosuch", `no variable "nosuch" here`},
		{"p self.log[5]", "no key 5"},
		{"watch 3 +", "not a length"},
		{"watch self.state", "Hardware watchpoint 2: self.state"},
		{"info breakpoints", "watch self.state"},
		{"continue", "Old value = 'running'\nNew value = 'done'\nJob.run"},
		{"rc", "Old value = 'done'\nNew value = 'running'\nJob.run"},
		{"reverse-continue", "hit Breakpoint 1"},
		{"continue 1", "app.py:17"},
		{"last j.n", "j.n was 8 before this line, 10 after it\nJob.run"},
		{"last self.state", "self.state was 'new' before this line, 'running' after it\nJob.run"},
	} {
		if a := strings.ReplaceAll(got[c.command], "run () at", "Job.run () at"); !strings.Contains(strings.ReplaceAll(a, "Job.Job.", "Job."), c.want) {
			t.Errorf("%s:\n%s\nnot: %s", c.command, a, c.want)
		}
	}
}

// TestConsoleNative moves in C code, and stops where functions return.
func TestConsoleNative(t *testing.T) {
	got := typed(t, recordText(t, valuesProgram),
		"catch return", "catch return app.py::work", "c", "break write", "continue", "list", "p $rsp", "nexti", "ni 2", "cfinish", "p $sp", "x", "goto 5x", "thread 9", "help nexti")
	for _, c := range []struct{ command, want string }{
		{"catch return", "FILE::FUNCTION"},
		{"catch return app.py::work", "Catchpoint 1 (return app.py::work)"},
		{"c", "app.py:17\n17\t    return j"},
		{"continue", "write"},
		{"x", "x/4xg $rsp"},
		{"goto 5x", "eN for an event"},
		{"thread 9", "info threads lists them"},
		{"help nexti", "what it calls"},
	} {
		if !strings.Contains(got[c.command], c.want) {
			t.Errorf("%s:\n%s\nnot: %s", c.command, got[c.command], c.want)
		}
	}
	if a := got["list"]; !strings.Contains(a, "print(w.state, flush=True)") {
		t.Errorf("list at C code shows no Python:\n%s", a)
	}
	if before, after := got["p $rsp"], got["p $sp"]; before == "" || before >= after {
		t.Errorf("cfinish: the stack pointer was %s and is %s", before, after)
	}
}
