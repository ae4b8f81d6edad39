package assert

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/goldentest"
	"pyrr/internal/recording"
)

// TestOnePass holds that a recording is opened once, its events read once and
// its stacks asked for in one pass, for the events that need them only,
// however many specs name it.
func TestOnePass(t *testing.T) {
	dir := t.TempDir()
	goldentest.Write(t, filepath.Join(dir, "golden/recv.stack"), recvGolden)
	specs := specIn(t, dir, `version: 1
recording: rec.pyrr.zip
expect:
  - connect as conn
  - recv at urllib3/connection.py:504 within 5000 instructions of conn as recv
  - sendto
  - recv blocked at end for > 2s
golden:
  - {at: recv, file: golden/recv.stack}
`)
	specs = append(specs, specIn(t, dir, `version: 1
recording: ./rec.pyrr.zip
expect:
  - sendto under requests/api.py::get between connect and recv
  - futex
`)...)
	f := slowHTTP()
	run := check(t, specs, f, Options{SourceText: sources})
	if run.Outcome() != OutcomePass {
		t.Fatalf("outcome %v: %+v", run.Outcome(), run.Specs)
	}
	if f.opened != 1 || f.passes != 1 {
		t.Errorf("opened %d times, %d passes", f.opened, f.passes)
	}
	if diff := cmp.Diff([]int{6, 8}, f.asked); diff != "" {
		t.Errorf("stacks asked for (-want +got):\n%s", diff)
	}
}

// TestNoStacks holds that checks which need no stacks ask for none.
func TestNoStacks(t *testing.T) {
	f := slowHTTP()
	run := check(t, specIn(t, t.TempDir(), `version: 1
recording: rec.pyrr.zip
expect: [connect as conn, recv within 5000 instructions of conn, recv blocked at end for > 2s]
`), f, Options{})
	if run.Outcome() != OutcomePass || f.passes != 0 {
		t.Errorf("outcome %v, %d passes", run.Outcome(), f.passes)
	}
}

// TestLateNames: names of threads that come with the stacks are used, and are
// no reason for a pass of their own.
func TestLateNames(t *testing.T) {
	f := slowHTTP()
	f.late = true
	run := check(t, specIn(t, t.TempDir(), `version: 1
recording: rec.pyrr.zip
expect:
  - recv by worker at urllib3/connection.py:504 as r
  - no sendto by MainThread
  - futex by "Main*" before r
`), f, Options{})
	if run.Outcome() != OutcomePass || f.passes != 1 {
		for _, c := range run.Specs[0].Checks {
			t.Log(c.Verdict, c.Want, c.Got)
		}
		t.Errorf("outcome %v, %d passes", run.Outcome(), f.passes)
	}
}

// TestEarliest holds that an expectation binds to the earliest event that
// satisfies all of its clauses, those about stacks included.
func TestEarliest(t *testing.T) {
	f := slowHTTP()
	for i := range 3 {
		e := f.events[8]
		e.Unfinished, e.Ret = false, 10
		e.Start += time.Duration(i) * ms
		e.Pos.Instr += uint64(i)
		e.ThreadInstr += uint64(i)
		f.events = append(f.events, e)
		f.stacks[len(f.events)-1] = f.stacks[6]
	}
	f.stacks[len(f.events)-2] = f.stacks[8]
	f.stacks[8] = f.stacks[5]
	run := check(t, specIn(t, t.TempDir(), `version: 1
recording: rec.pyrr.zip
expect:
  - recv at urllib3/connection.py:504 as r
  - exactly 1 recv after r
`), f, Options{})
	checks := run.Specs[0].Checks
	if len(checks[0].Moments) != 1 || checks[0].Moments[0].Index != len(f.events)-2 {
		t.Errorf("bound to %+v", checks[0].Moments)
	}
	if checks[1].Verdict != Pass {
		t.Errorf("%s: %s", checks[1].Verdict, checks[1].Got)
	}
}

// TestNearest holds which near misses are shown, and what of the story.
func TestNearest(t *testing.T) {
	f := slowHTTP()
	run := check(t, specIn(t, t.TempDir(), `version: 1
recording: rec.pyrr.zip
expect:
  - recv at urllib3/connection.py:504 within 2000 instructions of connect
  - openat by worker on /etc/hosts
`), f, Options{})
	c := run.Specs[0].Checks[0]
	if c.Got != "it came after 4,350" {
		t.Errorf("got %q", c.Got)
	}
	if got := run.Specs[0].Spec.Line(c.Mark.Line)[c.Mark.Col-1:][:c.Mark.Len]; got != "within" {
		t.Errorf("marked %q", got)
	}
	var story []string
	for _, m := range c.Moments {
		story = append(story, fmt.Sprintf("%v %s %s:%d %s", m.Chosen, m.Event, m.File, m.Line, m.Func))
	}
	want := []string{
		"false connect(3, 127.0.0.1:8888) urllib3/util/connection.py:73 create_connection",
		"false sendto(3, 148 bytes) urllib3/connection.py:441 HTTPConnection.request",
		"true recvfrom(3) unfinished 30s urllib3/connection.py:504 HTTPConnection.getresponse",
	}
	if diff := cmp.Diff(want, story); diff != "" {
		t.Errorf("story (-want +got):\n%s", diff)
	}
	var near []string
	for _, n := range run.Specs[0].Checks[1].Nearest {
		near = append(near, n.Moment.Event+" | "+n.Clause+" | "+n.Say)
	}
	want = []string{
		`openat("/etc/hosts") | by worker | it was made by thread 1 MainThread`,
		`openat("/etc/missing") ENOENT | by worker | it was made by thread 1 MainThread`,
	}
	if diff := cmp.Diff(want, near); diff != "" {
		t.Errorf("nearest (-want +got):\n%s", diff)
	}
}

// TestNearestOf holds that of events that fail the same clause the one comes
// first that fails it by the least.
func TestNearestOf(t *testing.T) {
	withCalls := func() *fake {
		f := slowHTTP()
		recv, stacks := f.events[8], f.stacks[8]
		for i := range 4 { // four calls that returned, before the one that did not
			e := recv
			e.Unfinished, e.Ret = false, 10
			e.Start -= time.Duration(6-i) * ms
			e.End = e.Start + time.Duration(i)*100*time.Microsecond
			e.Pos.Instr -= uint64(6 - i)
			e.ThreadInstr -= uint64(6 - i)
			f.events = append(f.events, e)
			f.stacks[len(f.events)-1] = stacks
		}
		return f
	}
	for _, tt := range []struct{ expect, want string }{
		{"recv blocked at end for > 60s", "recvfrom(3) unfinished 30s | it had lasted 30s at the end"},
		{"recv taking > 60s", "recvfrom(3) unfinished 30s | it had lasted 30s at the end"},
		{"recv blocked at end returning 10", "recvfrom(3) unfinished 30s | it had not returned at the end"},
		{"recv within 4000 instructions of connect", "recvfrom(3, 10 bytes) | it came after 4,344"},
		{"recv at urllib3/connection.py:504 returning > 10", "recvfrom(3) unfinished 30s | it had not returned at the end"},
		{"recv on fd 4", "recvfrom(3) unfinished 30s | its descriptor is 3"},
	} {
		run := check(t, specIn(t, t.TempDir(), "version: 1\nrecording: rec.pyrr.zip\nexpect:\n  - "+tt.expect+"\n"), withCalls(), Options{})
		if len(run.Specs[0].Checks) != 1 {
			t.Fatalf("%s: %+v", tt.expect, run.Specs[0])
		}
		c := run.Specs[0].Checks[0]
		if c.Verdict != Fail || len(c.Nearest) == 0 {
			t.Fatalf("%s: %s %q, nearest %+v", tt.expect, c.Verdict, c.Got, c.Nearest)
		}
		if got := c.Nearest[0].Moment.Event + " | " + c.Nearest[0].Say; got != tt.want {
			t.Errorf("%s: nearest is %s, want %s", tt.expect, got, tt.want)
		}
	}
}

// TestProcesses holds what references and distances mean over processes.
func TestProcesses(t *testing.T) {
	f := slowHTTP()
	server := f.events[5]
	server.Proc, server.PID, server.Start = 4, 400, 1005*ms
	f.events = append(f.events, server)
	end := Event{Proc: 4, Kind: KindEnd, Start: 2000 * ms, Call: Call{FD: -1}}
	f.events = append(f.events, end)
	run := check(t, specIn(t, t.TempDir(), `version: 1
recording: rec.pyrr.zip
expect:
  - recv within 4350 instructions of connect
  - 2nd connect as other
  - recv within 10 instructions of other
  - recv within 5 ms of other
  - recv within 1 events of other
  - recv on same fd after other
  - exactly 4 end
`), f, Options{})
	var got []string
	for _, c := range run.Specs[0].Checks {
		got = append(got, string(c.Verdict)+" "+c.Got)
	}
	want := []string{
		"pass ", "pass ",
		"unjudged connect was made by another process, and each counts its own instructions",
		"pass ", "pass ", "fail it was made by another process than other", "pass ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSpecVerdicts(t *testing.T) {
	const head = "version: 1\nrecording: rec.pyrr.zip\n"
	tests := []struct {
		name    string
		spec    string
		change  func(f *fake)
		verdict Verdict
		reason  string
		outcome Outcome
	}{
		{name: "holds", spec: head + "expect: [connect]\n", verdict: Pass, outcome: OutcomePass},
		{name: "fails", spec: head + "expect: [connect, bind]\n", verdict: Fail, outcome: OutcomeFail},
		{name: "not judged", spec: head + "expect: [connect, test start]\n", verdict: Unjudged, outcome: OutcomeUnjudged},
		{name: "failed and not judged", spec: head + "expect: [test start, bind]\n", verdict: Fail, outcome: OutcomeFail},
		{name: "xfail", spec: head + "xfail: issue 412\nexpect: [bind]\n", verdict: XFailed, reason: "issue 412", outcome: OutcomePass},
		{name: "xpass", spec: head + "xfail: issue 412\nexpect: [connect]\n", verdict: XPassed, reason: "it holds, but xfail says: issue 412", outcome: OutcomePass},
		{name: "strict xpass", spec: head + "xfail: {reason: issue 412, strict: true}\nexpect: [connect]\n", verdict: XPassed,
			reason: "it holds, but xfail says: issue 412", outcome: OutcomeFail},
		{name: "xfail not judged", spec: head + "xfail: issue 412\nexpect: [test start]\n", verdict: Unjudged, outcome: OutcomeUnjudged},
		{name: "python fits", spec: head + "requires: {python: '>=3.8,<3.12'}\nexpect: [connect]\n", verdict: Pass, outcome: OutcomePass},
		{name: "python does not fit", spec: head + "requires: {python: '>=3.12'}\nexpect: [connect]\n", verdict: Skip,
			reason: "needs CPython >=3.12, the recording has 3.11.2", outcome: OutcomeNothing},
		{name: "arch", spec: head + "requires: {arch: arm64}\nexpect: [connect]\n", verdict: Skip, reason: "needs arm64, the recording is of amd64", outcome: OutcomeNothing},
		{name: "no recording", spec: "version: 1\nrecording: none-*.zip\nexpect: [connect]\n", verdict: Unjudged, reason: "no recording is called DIR/none-*.zip", outcome: OutcomeUnjudged},
		{name: "damaged", spec: head + "expect: [connect]\n", change: func(f *fake) { f.err = errors.New("bad checksum at 12") }, verdict: Unjudged,
			reason: "bad checksum at 12", outcome: OutcomeUnjudged},
		{name: "damaged, of an unknown Python", spec: head + "requires: {python: '>=3.8'}\nexpect: [connect]\n", change: func(f *fake) {
			f.info.Pythons, f.info.Err = nil, errors.New("bad checksum at 12")
		}, verdict: Unjudged, reason: "bad checksum at 12", outcome: OutcomeUnjudged},
		{name: "damaged, of unknown tests", spec: head + "test: t.py::test_a\nexpect: [connect]\n", change: func(f *fake) { f.info.Err = errors.New("bad checksum at 12") },
			verdict: Unjudged, reason: "bad checksum at 12", outcome: OutcomeUnjudged},
		{name: "diverged", spec: head + "expect: [recv at a.py:1]\n", change: func(f *fake) {
			f.stackErr = fmt.Errorf("replay: %w", &Divergence{Proc: 1, Pos: recording.Pos{Instr: 181380, Event: 7}, Recorded: "connect(3)", Came: "close(3)"})
		}, verdict: Unjudged, reason: "replay: replay diverged at 181,380 (event 7 of process 1): recorded connect(3), came close(3)", outcome: OutcomeUnjudged},
		{name: "its test", spec: head + "test: t.py::test_a\nexpect: [connect]\n", change: func(f *fake) { f.info.Tests = []string{"t.py::test_a[1]"} }, verdict: Pass, outcome: OutcomePass},
		{name: "another test", spec: head + "test: t.py::test_a\nexpect: [connect]\n", change: func(f *fake) { f.info.Tests = []string{"t.py::test_b"} },
			verdict: Unjudged, reason: "no recording holds the test t.py::test_a", outcome: OutcomeBroken},
		{name: "record without permission", spec: "version: 1\nrecord: {run: python x.py, timeout: 5s}\nexpect: [connect]\n", verdict: Unjudged,
			reason: "needs to record a command, which was not allowed here", outcome: OutcomeUnjudged},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := slowHTTP()
			if tt.change != nil {
				tt.change(f)
			}
			dir := t.TempDir()
			run := check(t, specIn(t, dir, tt.spec), f, Options{})
			if len(run.Specs) != 1 {
				t.Fatalf("%d results", len(run.Specs))
			}
			s := run.Specs[0]
			if reason := strings.ReplaceAll(s.Reason, dir, "DIR"); s.Verdict != tt.verdict || reason != tt.reason || run.Outcome() != tt.outcome {
				t.Errorf("%s %q, outcome %v\nwant %s %q, outcome %v", s.Verdict, reason, run.Outcome(), tt.verdict, tt.reason, tt.outcome)
			}
			if strings.Contains(tt.name, "diverged") != (s.Divergence != nil) {
				t.Errorf("divergence %+v", s.Divergence)
			}
		})
	}
}

func TestRecord(t *testing.T) {
	dir := t.TempDir()
	specs := specIn(t, dir, "version: 1\nrecord: {run: python x.py, timeout: 5s}\nexpect: [connect]\n")
	f := slowHTTP()
	removed := false
	opts := Options{Record: func(_ context.Context, in string, c RecordCommand) (string, func(), error) {
		if in != dir || c.Run != "python x.py" || c.Timeout != 5*time.Second {
			t.Errorf("%s %+v", in, c)
		}
		return "fresh", func() { removed = true }, nil
	}}
	run := check(t, specs, f, opts)
	if run.Outcome() != OutcomePass || !removed || run.Specs[0].Recording != "a fresh recording of python x.py" {
		t.Errorf("outcome %v, removed %v, %+v", run.Outcome(), removed, run.Specs[0])
	}
	opts.Record = func(context.Context, string, RecordCommand) (string, func(), error) {
		return "", nil, errors.New("no such program")
	}
	if run := check(t, specs, f, opts); run.Specs[0].Reason != "the command could not be recorded: no such program" {
		t.Errorf("%+v", run.Specs[0])
	}
}

// TestUnmatched: of two recordings one has the test.
func TestUnmatched(t *testing.T) {
	dir, _ := many(t, 2)
	specs := specIn(t, dir, "version: 1\nrecording: many/*.zip\ntest: t.py::a\nexpect: [connect]\n")
	run, err := Check(t.Context(), specs, func(path string) (Source, error) {
		f := slowHTTP()
		if strings.HasSuffix(path, "001.zip") {
			f.info.Tests = []string{"t.py::a"}
		}
		return f, nil
	}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Specs) != 1 || run.Specs[0].Verdict != Pass || len(run.Unmatched) != 1 || filepath.Base(run.Unmatched[0]) != "000.zip" {
		t.Errorf("%+v, unmatched %v", run.Specs, run.Unmatched)
	}
}

func TestLoadFolder(t *testing.T) {
	dir := t.TempDir()
	const good = "version: 1\nrecording: a\nexpect: [connect]\n"
	goldentest.Write(t, filepath.Join(dir, "b.yaml"), good)
	goldentest.Write(t, filepath.Join(dir, "sub/a.yml"), "version: 1\nparams: {x: [1, 2], y: [p, q]}\nrecording: 'a${x}'\nexpect: [connect on fd $c.fd, 'socket with type=${y} as c']\n")
	goldentest.Write(t, filepath.Join(dir, ".hidden/c.yaml"), "bad")
	goldentest.Write(t, filepath.Join(dir, "notes.txt"), "bad")
	specs, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, s := range specs {
		ids = append(ids, strings.TrimPrefix(s.ID(), dir+"/")+" "+s.Recording)
	}
	want := []string{"b.yaml a", "sub/a.yml[1-p] a1", "sub/a.yml[1-q] a1", "sub/a.yml[2-p] a2", "sub/a.yml[2-q] a2"}
	if diff := cmp.Diff(want, ids); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	goldentest.Write(t, filepath.Join(dir, "c.yaml"), "version: 3\n")
	goldentest.Write(t, filepath.Join(dir, "d.yaml"), "version: 4\n")
	specs, err = Load(dir)
	if len(specs) != 5 || err == nil || strings.Count(err.Error(), "version 1 of specs only") != 2 {
		t.Errorf("%d specs, %v", len(specs), err)
	}
	if _, err := Load(filepath.Join(dir, "none.yaml")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// TestMapForm holds that the map form means what the sentence means.
func TestMapForm(t *testing.T) {
	tests := []struct{ sentence, form string }{
		{"at least 1 close with fd=$conn.fd after conn as close", "{id: close, event: close, with: {fd: $conn.fd}, after: conn, quantity: {at least: 1}}"},
		{"at least 2 close", "{event: close, quantity: at least 2}"},
		{"no recv", "{event: recv, quantity: no}"},
		{"2nd recv", "{event: recv, quantity: 2nd}"},
		{"recv at a.py:1 at b.py:2 in f under c.py::g directly at d.py:4", "{event: recv, at: ['a.py:1', 'b.py:2'], in: f, under: 'c.py::g', directly at: 'd.py:4'}"},
		{"recv through f by main on fd 3 to 127.0.0.1:*", "{event: recv, through: f, by: main, fd: 3, to: '127.0.0.1:*'}"},
		{"recv on same fd between conn and end", "{event: recv, fd: same, between: [conn, end]}"},
		{"recv on same fd between conn and end", "{event: recv, on: same fd, between: conn and end}"},
		{"read on /etc/hosts returning > 0 taking < 5ms", "{event: read, on: /etc/hosts, returning: '> 0', taking: '< 5ms'}"},
		{"read failing", "{event: read, failing: true}"},
		{"read failing with EIO", "{event: read, failing: EIO}"},
		{"read blocked", "{event: read, blocked: true}"},
		{"read blocked at end for > 2s", "{event: read, blocked: at end for > 2s}"},
		{"read within 5 ms of conn before end", "{event: read, within: 5 ms of conn, before: end}"},
		{`read with fd=3, buf="a, b"`, "{event: read, with: {fd: 3, buf: 'a, b'}}"},
		{"read with fd=3, count=5", "{event: read, with: 'fd=3, count=5'}"},
	}
	ignore := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Place" }, cmp.Ignore())
	targets := cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".target" }, cmp.Ignore())
	for _, tt := range tests {
		t.Run(tt.form, func(t *testing.T) {
			load := func(item string) *Expectation {
				specs, err := Parse("x.yaml", []byte("version: 1\nrecording: a\nexpect:\n  - connect as conn\n  - "+item+"\n"))
				if err != nil {
					t.Fatal(err)
				}
				return specs[0].Expect[1]
			}
			if diff := cmp.Diff(load(tt.sentence), load(tt.form), ignore, targets, cmp.AllowUnexported(Ref{}, Capture{})); diff != "" {
				t.Errorf("-sentence +map:\n%s", diff)
			}
		})
	}
}
