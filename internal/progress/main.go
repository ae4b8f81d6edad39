// Command progress reads what `go test -json` writes and prints what a person who
// waits wants to know: each package as it ends, what a failed test printed, every
// half minute what is running, and in the end what was skipped and why, and what took longest.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// event is a line of test2json (go doc test2json), as far as it is used.
type event struct {
	Action     string
	Package    string
	ImportPath string // of build-output
	Test       string
	Elapsed    float64 // seconds
	Output     string
}

// name is a test within its package; a test of "" is the package itself.
type name struct{ pkg, test string }

// ended is a test that is not part of another, and how long it took.
type ended struct {
	name
	seconds float64
}

type state struct {
	out     io.Writer
	begun   time.Time
	running map[name]time.Time
	printed map[name][]string
	done    int
	failed  []name
	ended   []ended
	skipped map[string]int // by reason
}

func main() {
	s := newState(os.Stdout, time.Now())
	lines := make(chan string)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(os.Stdin, 1<<20)
		for {
			line, err := r.ReadString('\n')
			if line != "" {
				lines <- line
			}
			if err != nil {
				return
			}
		}
	}()
	tick := time.NewTicker(30 * time.Second)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				s.finish()
				return
			}
			s.line(line, time.Now())
		case now := <-tick.C:
			s.progress(now)
		}
	}
}

func newState(out io.Writer, now time.Time) *state {
	return &state{out: out, begun: now, running: map[name]time.Time{}, printed: map[name][]string{}, skipped: map[string]int{}}
}

// line takes in one line; what is not an event is printed as it is.
func (s *state) line(line string, now time.Time) {
	var e event
	if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &e) != nil {
		fmt.Fprint(s.out, line)
		return
	}
	n := name{e.Package, e.Test}
	switch e.Action {
	case "start", "run", "cont":
		s.running[n] = now
	case "pause":
		delete(s.running, n)
	case "build-output":
		fmt.Fprint(s.out, e.Output)
	case "output":
		s.printed[n] = append(s.printed[n], e.Output)
	case "pass", "fail", "skip":
		s.end(n, e)
	}
}

// end notes that a test or package ended. What a test printed is kept until then.
func (s *state) end(n name, e event) {
	delete(s.running, n)
	printed := s.printed[n]
	delete(s.printed, n)
	if n.test != "" {
		s.done++
		if !strings.Contains(n.test, "/") {
			s.ended = append(s.ended, ended{n, e.Elapsed})
		}
		switch e.Action {
		case "fail":
			s.failed = append(s.failed, n)
			fmt.Fprintf(s.out, "%s", strings.Join(printed, ""))
		case "skip":
			s.skipped[reason(printed)]++
		}
		return
	}
	// Of a package: ok, FAIL or no test files, and what it printed outside of tests.
	for _, line := range printed {
		if line != "PASS\n" && (e.Action == "fail" || !strings.Contains(line, "[no test files]")) {
			fmt.Fprint(s.out, line)
		}
	}
	if e.Action == "fail" { // it may have been ended within a test: by a panic, by its time limit
		for _, t := range slices.SortedFunc(maps.Keys(s.printed), compare) {
			if t.pkg == n.pkg {
				s.failed = append(s.failed, t)
				fmt.Fprintf(s.out, "%s", strings.Join(s.printed[t], ""))
				delete(s.printed, t)
				delete(s.running, t)
			}
		}
	}
}

func compare(a, b name) int {
	return strings.Compare(a.pkg+"\x00"+a.test, b.pkg+"\x00"+b.test)
}

// reason is what a skipped test says: "    file_test.go:12: there is no Python".
func reason(printed []string) string {
	for _, line := range slices.Backward(printed) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "--- ") || strings.HasPrefix(line, "=== ") {
			continue
		}
		if file, rest, ok := strings.Cut(line, ": "); ok && strings.Contains(file, "_test.go:") {
			return rest
		}
		return line
	}
	return "no reason given"
}

// progress says what is running: of each package the test that runs longest.
func (s *state) progress(now time.Time) {
	longest := map[string]name{}
	for n, since := range s.running {
		if n.test == "" {
			continue
		}
		if l, ok := longest[n.pkg]; !ok || since.Before(s.running[l]) || since.Equal(s.running[l]) && len(n.test) > len(l.test) {
			longest[n.pkg] = n
		}
	}
	var parts []string
	for _, pkg := range slices.Sorted(maps.Keys(longest)) {
		n := longest[pkg]
		parts = append(parts, fmt.Sprintf("%s %s (%.0f s)", pkg, n.test, now.Sub(s.running[n]).Seconds()))
	}
	if len(parts) == 0 {
		parts = append(parts, "building")
	}
	fmt.Fprintf(s.out, "… %v, %d tests done; %s\n", now.Sub(s.begun).Round(time.Second), s.done, strings.Join(parts, "; "))
}

// finish lists what was skipped, what took longest and what failed.
func (s *state) finish() {
	total := 0
	for _, n := range s.skipped {
		total += n
	}
	fmt.Fprintf(s.out, "%d tests, %d of them skipped\n", s.done, total)
	for _, r := range slices.SortedFunc(maps.Keys(s.skipped), func(a, b string) int {
		if d := s.skipped[b] - s.skipped[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	}) {
		fmt.Fprintf(s.out, "  %4d skipped: %s\n", s.skipped[r], r)
	}
	slices.SortStableFunc(s.ended, func(a, b ended) int { return cmp.Compare(b.seconds, a.seconds) })
	for _, e := range s.ended[:min(len(s.ended), 12)] {
		if e.seconds >= 10 {
			fmt.Fprintf(s.out, "  %4.0f s: %s %s\n", e.seconds, e.pkg, e.test)
		}
	}
	for _, n := range s.failed {
		fmt.Fprintf(s.out, "FAILED %s %s\n", n.pkg, n.test)
	}
}
