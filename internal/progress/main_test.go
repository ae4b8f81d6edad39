package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestProgress holds what is printed of a run in which tests pass, fail, are
// skipped, and are cut off by a panic.
func TestProgress(t *testing.T) {
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var out strings.Builder
	s := newState(&out, begun)
	at := func(seconds int, events ...event) {
		for _, e := range events {
			b, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			s.line(string(b)+"\n", begun.Add(time.Duration(seconds)*time.Second))
		}
	}
	at(0, event{Action: "start", Package: "p"}, event{Action: "run", Package: "p", Test: "TestA"},
		event{Action: "output", Package: "p", Test: "TestA", Output: "what a passing test says\n"})
	s.progress(begun.Add(1 * time.Second))
	at(2, event{Action: "pass", Package: "p", Test: "TestA"},
		event{Action: "run", Package: "p", Test: "TestB"},
		event{Action: "output", Package: "p", Test: "TestB", Output: "=== RUN   TestB\n"},
		event{Action: "output", Package: "p", Test: "TestB", Output: "    b_test.go:7: no sid: it's gone\n"},
		event{Action: "output", Package: "p", Test: "TestB", Output: "--- SKIP: TestB (0.00s)\n"},
		event{Action: "skip", Package: "p", Test: "TestB"},
		event{Action: "run", Package: "p", Test: "TestC"},
		event{Action: "output", Package: "p", Test: "TestC", Output: "    c_test.go:1: 3 is not 4\n"},
		event{Action: "fail", Package: "p", Test: "TestC", Elapsed: 12.5},
		event{Action: "run", Package: "p", Test: "TestD"},
		event{Action: "output", Package: "p", Test: "TestD", Output: "panic: oh\n"})
	s.progress(begun.Add(65 * time.Second))
	at(66, event{Action: "output", Package: "p", Output: "FAIL\tp\t66.0s\n"}, event{Action: "fail", Package: "p"},
		event{Action: "start", Package: "q"}, event{Action: "output", Package: "q", Output: "?   \tq\t[no test files]\n"}, event{Action: "skip", Package: "q"},
		event{Action: "build-output", ImportPath: "r", Output: "r.go:1: no\n"})
	s.line("not an event\n", begun)
	s.finish()
	want := `… 1s, 0 tests done; p TestA (1 s)
    c_test.go:1: 3 is not 4
… 1m5s, 3 tests done; p TestD (63 s)
FAIL	p	66.0s
panic: oh
r.go:1: no
not an event
3 tests, 1 of them skipped
     1 skipped: no sid: it's gone
    12 s: p TestC
FAILED p TestC
FAILED p TestD
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
