package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/probe"
)

// gdbSignalProgram gets signals in an order that is the same in each run, each with
// different values in its siginfo. The last signal ends the program.
const gdbSignalProgram = `import ctypes, faulthandler, os, signal
seen = []
for s in signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM, signal.SIGCHLD, signal.SIGRTMIN + 1:
    signal.signal(s, lambda n, f: seen.append(n))
os.kill(os.getpid(), signal.SIGUSR1)
os.kill(os.getpid(), signal.SIGUSR2)
os.kill(os.getpid(), signal.SIGUSR1)
signal.setitimer(signal.ITIMER_REAL, 0.01)
while signal.SIGALRM not in seen:
    pass
os.kill(os.getpid(), signal.SIGRTMIN + 1)
if os.fork() == 0:
    os._exit(3)
os.wait()
assert len(seen) == 6, seen
faulthandler.enable()
ctypes.string_at(0x1230, 1)
`

var gdbReceived = regexp.MustCompile(`received signal (.*)`)

// TestGDBSignals compares the signals at which gdb stops in a recording, and what
// gdb says of them, with those at which it stops in the program itself.
func TestGDBSignals(t *testing.T) {
	probe.Require(t)
	for _, need := range []string{gdbPython, "/usr/bin/gdb"} {
		if _, err := os.Stat(need); err != nil {
			t.Skip(err)
		}
	}
	dir := t.TempDir()
	script, rec := filepath.Join(dir, "signals.py"), filepath.Join(dir, "signals.pyrr.zip")
	if err := os.WriteFile(script, []byte(gdbSignalProgram), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, ".gdbinit"), []byte("set debug-file-directory /nowhere\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	const segv = 128 + 11
	if status, _, errs := capturePyrr("record", "-o", rec, "--", gdbPython, "-I", script); status != segv {
		t.Fatalf("record: status %d\n%s", status, errs)
	}

	stop := []string{"continue", "p $_siginfo.si_signo", "p $_siginfo.si_code"}
	lines := append([]string{"handle SIGUSR2 nostop noprint pass"}, stop...) // SIGUSR1
	lines = append(lines, stop...)                                           // SIGUSR1, past SIGUSR2
	lines = append(lines, "handle SIGALRM stop print")
	lines = append(lines, stop...) // SIGALRM
	lines = append(lines, stop...) // the real-time one
	lines = append(lines, "p $_siginfo._sifields._rt.si_pid > 1", "handle SIGCHLD stop print")
	lines = append(lines, stop...) // SIGCHLD
	lines = append(lines, "p $_siginfo._sifields._sigchld.si_status")
	lines = append(lines, stop...) // SIGSEGV
	lines = append(lines, "p $_siginfo._sifields._sigfault.si_addr")
	common := []string{"-nx", "-q", "-batch", "-iex", "set pagination off", "-iex", "set confirm off", "-iex", "set width 0", "-iex", "set debug-file-directory /nowhere"}
	native := gdbAnswers(t, exec.Command("/usr/bin/gdb", common...), append([]string{"file " + gdbPython, "set args -I " + script, "starti"}, lines...))[3:]

	back := []string{"reverse-continue", "p $_siginfo.si_signo", "reverse-continue", "p $_siginfo.si_signo", "stepi", "info registers rip rdi", "p $_siginfo"}
	cmd := exec.Command(os.Args[0], "replay", "--gdb", rec)
	cmd.Args[0] = "pyrr"
	cmd.Env = []string{"HOME=" + dir}
	for _, l := range []string{"set pagination off", "set confirm off", "set width 0", `echo \n@@start\n`} {
		cmd.Args = append(cmd.Args, "-ex", l)
	}
	got := gdbAnswers(t, cmd, append(append([]string{}, lines...), back...))

	// Only what gdb says of a signal is compared, not the address: a recorded signal comes
	// between two of Python's instructions, not of the machine's.
	plain := func(line, answer string) string {
		if line == "continue" {
			if m := gdbReceived.FindStringSubmatch(answer); m != nil {
				return m[1]
			}
			return answer
		}
		return gdbValue.ReplaceAllString(strings.TrimSpace(answer), "")
	}
	stops := 0
	for i, l := range lines {
		if strings.HasPrefix(l, "handle") {
			continue
		}
		want := plain(l, native[i])
		if d := cmp.Diff(want, plain(l, got[i])); d != "" {
			t.Errorf("%s, line %d (-native +recording):\n%s", l, i, d)
		}
		if l == "continue" && want != native[i] {
			stops++
		}
	}
	if stops != 6 {
		t.Errorf("in the program itself gdb stopped at %d signals, not at 6:\n%s", stops, strings.Join(native, ""))
	}
	got = got[len(lines):]
	for i, want := range []string{"SIGCHLD", " = 17", "SIG35", " = 35", "", "0x23", "Unable to read siginfo"} {
		if !strings.Contains(got[i], want) {
			t.Errorf("%s, gone back: no %q in\n%s", back[i], want, got[i])
		}
	}
}
