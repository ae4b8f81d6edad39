package conformance

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const passed = `0:00:00 load avg: 1.00 Run tests sequentially
0:00:00 load avg: 1.00 [1/1] test_poll
test_poll1 (test.test_poll.PollTests.test_poll1) ... ok
test_poll2 (test.test_poll.PollTests.test_poll2) ... skipped 'no'

----------------------------------------------------------------------
Ran 2 tests in 0.012s

OK (skipped=1)

== Tests result: SUCCESS ==

1 test OK.
`

const failed = `ERROR: test_b (test.test_x.X.test_b)
----
FAIL: test_a (test.test_x.X.test_a)
----
FAIL: test_a (test.test_x.X.test_a)
Ran 3 tests in 1.000s

FAILED (failures=1, errors=1)

== Tests result: FAILURE ==
`

func TestParseOutcome(t *testing.T) {
	for _, test := range []struct {
		name    string
		out     Output
		want    Outcome
		verdict Verdict
	}{
		{"passed", Output{Stdout: passed}, Outcome{Result: "SUCCESS", Ran: []string{"2 OK (skipped=1)"}}, Pass},
		{"failed", Output{Status: 2, Stdout: failed}, Outcome{Status: 2, Result: "FAILURE",
			Ran: []string{"3 FAILED (failures=1, errors=1)"},
			Bad: []string{"ERROR test_b (test.test_x.X.test_b)", "FAIL test_a (test.test_x.X.test_a)"}}, Fail},
		{"skipped", Output{Stdout: "test_winreg skipped -- No module named 'winreg'\n\n== Tests result: SUCCESS ==\n"},
			Outcome{Result: "SUCCESS", Skipped: true}, Skip},
		{"no resource", Output{Status: 4, Stdout: "test_curses skipped (resource denied)\n\n== Tests result: NO TESTS RAN ==\n"},
			Outcome{Status: 4, Result: "NO TESTS RAN", Skipped: true}, Skip},
		{"crashed", Output{Status: 139, Stderr: "Fatal Python error\n"}, Outcome{Status: 139}, Fail},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ParseOutcome(test.out)
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("outcome (-want +got):\n%s", d)
			}
			if got.Verdict() != test.verdict {
				t.Errorf("verdict %s, want %s", got.Verdict(), test.verdict)
			}
		})
	}
}

func TestOutcomeDiff(t *testing.T) {
	native := ParseOutcome(Output{Stdout: passed})
	for _, test := range []struct {
		name     string
		recorded Output
		want     string
	}{
		{"same", Output{Stdout: strings.Replace(passed, "0.012s", "9.9s", 1)}, ""},
		{"another count", Output{Stdout: strings.Replace(passed, "Ran 2", "Ran 1", 1)}, "ran 1 OK (skipped=1) instead of 2 OK (skipped=1)"},
		{"a test failed", Output{Status: 2, Stdout: "FAIL: test_poll1 (test.test_poll.PollTests.test_poll1)\n" + passed},
			"FAIL test_poll1 (test.test_poll.PollTests.test_poll1)"},
		{"killed", Output{Status: 137, Stdout: passed}, "status 137 instead of 0"},
		{"environment changed", Output{Stdout: strings.Replace(passed, "SUCCESS", "ENV CHANGED", 1)}, "ENV CHANGED instead of SUCCESS"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := native.Diff(ParseOutcome(test.recorded)); got != test.want {
				t.Errorf("Diff = %q, want %q", got, test.want)
			}
		})
	}
}
