package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/setup"
)

// sessionReasons are the reasons that a session must find, by the test in testdata/sessions.
var sessionReasons = map[string]string{
	"Hangs.test_event":      `event ready \(\S*:10\), which nobody sets`,
	"Hangs.test_deadlock":   `Deadlock: MainThread waits for lock right .*held by other, which waits for lock left .*held by MainThread`,
	"Hangs.test_queue":      `item of queue jobs \(\S*:28\), which is empty`,
	"Hangs.test_recv":       `waits for data from the connection to .*\(\S*:33\)`,
	"Hangs.test_join":       `joins waiter \(\S*:39\), which waits for event stop`,
	"Hangs.test_child":      `waits for the end of child \d+ \(sleep\) \(\S*:42\)`,
	"Hangs.test_future":     `awaits a future \(\S*:46\) that nobody completes`,
	"Hangs.test_condition":  `condition changed \(\S*:52\), which nobody notifies`,
	"Hangs.test_pipe":       `the pipe \(\S*:56\), whose writing end this process has open itself`,
	"Hangs.test_lock_twice": `waits for lock lock \(\S*:61\)`,
	"Fails.test_key":        `KeyError: 'b' at \S*:65`,
	"Fails.test_assert":     `AssertionError: 3 != 4 at \S*:68`,
	"Fails.test_none":       `'NoneType' object has no attribute 'name' at \S*:72`,
	"Fails.test_zero":       `ZeroDivisionError: division by zero at \S*:76`,
	"Fails.test_index":      `IndexError: list index out of range at \S*:80`,
	"Fails.test_file":       `FileNotFoundError: .* at \S*:83`,
	"Fails.test_type":       `TypeError: can only concatenate str .* at \S*:86`,
	"Fails.test_decode":     `UnicodeDecodeError.* at \S*:89`,
	"Fails.test_connect":    `ConnectionRefusedError: .* at \S*:94`,
	"Fails.test_cause":      `RuntimeError: bad settings at \S*:100`,
}

// TestAgentFindsReasons: who starts with explain and then makes only calls that the answers
// suggest finds the reason of ten hangs and ten failures in at most six calls.
func TestAgentFindsReasons(t *testing.T) {
	t.Parallel()
	probe.Require(t)
	if testing.Short() {
		t.Skip("records twenty tests")
	}
	if testPython() == "" {
		t.Skip("there is no Python")
	}
	const most = 6
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "record", "--keep", "failure", "--timeout", setup.Timeout("2s"), "--verify-time", "1ms", "-o", dir, testPython(), "-m", "unittest", "-q", "cases")
	cmd.Args[0] = "pyrr" // TestMain runs main for that name
	cmd.Dir = "testdata/sessions"
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	out, _ := cmd.CombinedOutput() // the error only says that tests failed
	a := startAgent(t, dir)
	for name, reason := range sessionReasons {
		t.Run(name, func(t *testing.T) {
			found, _ := filepath.Glob(filepath.Join(dir, "*"+name+"-*"+recording.PackedSuffix)) // the pattern is right
			if len(found) != 1 {
				t.Fatalf("%d recordings:\n%s", len(found), out)
			}
			want := regexp.MustCompile(reason)
			var said []string
			queue := []nextCall{{"explain", map[string]any{"recording": filepath.Base(found[0])}}}
			for n := 0; n < most && len(queue) > 0; n++ {
				text, next, _ := a.call(queue[0].Tool, queue[0].Arguments)
				if said = append(said, text); want.MatchString(text) {
					return
				}
				queue = append(queue[1:], next...)
			}
			t.Errorf("%s is not reached in %d calls:\n%s", reason, len(said), strings.Join(said, "\n"))
		})
	}
}
