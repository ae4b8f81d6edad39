package capture

import (
	"bytes"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// A test runner tells the recorder what it does by access(2) of paths below
// markPrefix, which fail without a recorder too; package capture/pytest is
// the other side. The rest of the path is a word and what belongs to it:
//
//	load                           the plugin is loaded
//	session/start|worker/handles   a session begins; it minds signalExpired
//	session/controller             of a process that only hands out tests
//	session/run                    the collected tests begin
//	session/ends                   its tests are over; others finish the session now
//	session/finish                 the session ends
//	collect/ID                     a file is going to be collected
//	start/LIMIT/FLAGS/ID           a test begins; its own time limit in seconds;
//	                               flags, with commas: minded, if somebody else minds
//	                               the limit too, keep=always|timeout|failure|never
//	minds/SIGNAL                   this signal tells the next test that its time is up
//	phase/setup|call|teardown
//	reason/TEXT                    why a test failed; of what has the same one
//	                               a few are enough
//	end/OUTCOME/ID
//
// A program that is not a test runner tells of a part of itself:
//
//	region/begin/NAME
//	region/end/OUTCOME/NAME        passed or failed
//
// readlink(2) of markPrefix+"why" gives the reason of a signalExpired.
const (
	markPrefix = "/dev/null/pyrr/1/"
	markWhy    = markPrefix + "why"
	// signalExpired is the signal that tells a runner that its test's time is
	// up. No C library and few programs use it.
	signalExpired = 60
)

var markBytes = []byte(markPrefix)

// isMark reports whether the call that t has just made is a mark.
func isMark(t *task) bool {
	return t.ev.Nr == sys.SYS_ACCESS && t.lastRet < 0 && bytes.HasPrefix(t.ev.In, markBytes)
}

// runner is a process that runs tests.
type runner struct {
	handles bool // signalExpired has a handler
	worker  bool
	ran     bool // its first test was seen
	minds   int  // the signal by which the runner's own time limit comes
	test    *testRun
	phase   string   // of the test
	done    []string // the ids of the tests that ended, as the marks have them
	// deadline is of what happens outside of tests.
	deadline time.Time
}

// testRun is a test between its marks.
type testRun struct {
	id       string
	reason   string // of its failure, "" where none was said
	limit    time.Duration
	deadline time.Time
	ep       *epoch // nil where there is none
	dir      string
	minded   bool      // the runner has a time limit of its own for it
	keep     string    // when to keep it, "" as Options say
	expireBy time.Time // set while its time-out waits for a computing thread
	expired  bool
	// cancelled: not its time is up, but that of the whole command.
	cancelled bool
	why       string // what a runner gets to know of it
	killAt    time.Time
	region    bool
	after     bool // not a test: what comes after the last one
	began     time.Time
	again     []time.Time // when to interrupt it again, unless it heeds
}

// mark takes in what a test runner says. t is at the exit of the call, and
// holds the slot.
func (r *recorder) mark(t *task) error {
	path := readString(t.tid, t.ev.Args[0], unix.PathMax) // the event has its beginning
	word, rest, _ := strings.Cut(strings.TrimPrefix(path, markPrefix), "/")
	p := t.proc
	if p.within != nil {
		return nil // a session that a test runs
	}
	switch word {
	case "session":
		what, flags, _ := strings.Cut(rest, "/")
		r.noteMark(t, recording.MarkSession, what)
		return r.session(t, what, flags)
	case "load":
		if r.timesTests() {
			r.startUp()
		}
	case "region":
		what, rest, _ := strings.Cut(rest, "/")
		return r.region(t, what, rest)
	case "collect":
		if p.runner != nil && r.timesTests() {
			p.runner.deadline = r.limitOutside()
		}
	case "start":
		f := strings.SplitN(rest, "/", 3)
		if len(f) == 3 && p.runner != nil {
			return r.testStart(t, f[2], f[0], f[1])
		}
	case "minds":
		if p.runner != nil {
			p.runner.minds, _ = strconv.Atoi(rest) // 0 is none
		}
	case "phase":
		r.noteMark(t, recording.MarkTestPhase, rest)
		if p.runner != nil {
			p.runner.enterPhase(rest, r.o.Grace)
		}
	case "reason":
		if p.runner != nil && p.runner.test != nil {
			p.runner.test.reason = rest
		}
	case "end":
		outcome, id, _ := strings.Cut(rest, "/")
		if p.runner != nil {
			r.noteMark(t, recording.MarkTestEnd, outcome+" "+id)
			r.testEnd(t, outcome)
		}
	}
	return nil
}

// noteMark logs a mark.
func (r *recorder) noteMark(t *task, why, text string) {
	r.log(t.proc, &recording.Event{Kind: recording.KindNote, TID: int32(t.tid), Instr: t.proc.base, Why: why, Text: text})
}

func (r *recorder) limitFrom(limit time.Duration) time.Time {
	if limit <= 0 {
		return time.Time{}
	}
	return time.Now().Add(limit)
}

// limitOutside is until when the next thing that is not a test has to be done:
// the import of a file of tests may take longer than a test should.
func (r *recorder) limitOutside() time.Time { return r.limitFrom(r.outside()) }

// outside is how long that may take; 0 is for ever.
func (r *recorder) outside() time.Duration {
	if r.testLimit() <= 0 {
		return 0
	}
	return max(r.testLimit(), time.Minute)
}

// session handles the marks of a whole session.
func (r *recorder) session(t *task, what, flags string) error {
	p := t.proc
	tests := r.o.Tests
	switch what {
	case "start", "worker":
		p.runner = &runner{handles: flags == "handles", worker: what == "worker"}
		r.runners = true
		if r.timesTests() {
			// From here on what counts is the time of each test, and of each
			// file that is collected.
			r.deadline = time.Time{}
			p.runner.deadline = r.limitOutside()
		}
	case "controller":
		r.runners = true
		if r.timesTests() {
			r.deadline = time.Time{}
		}
		if tests != nil {
			if r.attached {
				return nil // who attached lets go of it when the session is over
			}
			return r.onlyWatch(p, "it only hands out tests")
		}
	case "run":
		if p.runner != nil {
			p.runner.deadline = time.Time{}
		}
		if tests != nil && p.runner != nil {
			if old := p.ep; old != nil {
				r.part(p, &recording.Event{Kind: recording.KindEnd, TID: int32(p.pid), Instr: p.base, Why: recording.EndTest, Text: "its tests begin"})
				r.abandoned(old)
			} else if r.command != nil {
				r.abandoned(r.command) // it grew too large before
			}
		}
	case "ends", "finish":
		return r.sessionEnds(t)
	}
	return nil
}

// testStart begins the recording of a test.
func (r *recorder) testStart(t *task, id, limit, flags string) error {
	p := t.proc
	run := p.runner
	if r.o.Tests == nil {
		run.test = &testRun{id: id, limit: r.testLimit()}
		if r.timesTests() {
			run.test.own(limit, strings.Contains(flags, "minded"))
			run.test.deadline = r.limitFrom(run.test.limit)
		}
		r.noteMark(t, recording.MarkTestStart, id)
		return nil
	}
	if run.test != nil {
		r.testOver(p, "crashed")
	}
	test := &testRun{id: id, limit: r.o.Tests.Limit, keep: r.o.Tests.Keep}
	for flag := range strings.SplitSeq(flags, ",") {
		if keep, ok := strings.CutPrefix(flag, "keep="); ok && test.keep == "" {
			test.keep = keep
		} else if flag == "minded" {
			test.minded = true
		}
	}
	test.own(limit, test.minded)
	r.beginTest(t, test)
	return nil
}

// beginTest begins the recording of a test, or goes on with that of the test before.
func (r *recorder) beginTest(t *task, test *testRun) {
	p, id := t.proc, test.id
	run, last := p.runner, p.ep
	test.dir = r.o.Tests.Path(id)
	run.test, run.ran = test, true
	if last != nil && last.lead == p && r.young(last) {
		r.joinTest(t, last, test)
		return
	}
	if short := r.short(); short || p.device != "" {
		if short && !test.after {
			r.sayShort(id)
		}
		if last != nil && last.lead == p {
			r.endEpoch(last, recording.EndTest, "another test begins")
			r.drop(last)
		}
		test.deadline = r.limitFrom(test.limit)
		return
	}
	ep, err := r.beginEpoch(t, test.dir, id)
	switch {
	case err == nil:
		test.ep = ep
		if last != nil && last.lead == p {
			r.endEpoch(last, recording.EndTest, "another test begins")
			r.drop(last)
		}
	case last != nil && last.lead == p:
		if !test.after {
			r.warnf("%s is recorded together with the test before it: %v", id, err)
		}
		r.joinTest(t, last, test)
		return
	case !test.after:
		r.warnf("%s is not recorded: %v", id, err)
	}
	test.deadline = r.limitFrom(test.limit)
	r.noteMark(t, recording.MarkTestStart, id)
}

// own gives a test its own time limit, in seconds, where it has one. That of its runner
// comes first where it minds it.
func (test *testRun) own(limit string, minded bool) {
	const after = 5 * time.Second
	if s, err := strconv.ParseFloat(limit, 64); err == nil && s >= 0 && s < 1e8 {
		if test.limit = time.Duration(s * float64(time.Second)); minded && s > 0 {
			test.limit += after
		}
	}
}

// An image for each test would cost short ones more than they take: a fork,
// and then a fault for each page that is written to. So they share one for
// youth, or until so much was logged. What is kept is cut to begin at its test
// afterwards.
const (
	youth    = 300 * time.Millisecond
	smallLog = 2 << 20
)

func (r *recorder) young(ep *epoch) bool {
	return !ep.ended && time.Duration(r.since()-ep.began) < youth && ep.w.Size() < smallLog
}

// joinTest adds a test to an epoch that began before it.
func (r *recorder) joinTest(t *task, ep *epoch, test *testRun) {
	ep.name, ep.from = test.id, t.proc.events
	ep.dir = ep.w.Rename(test.dir, test.id)
	test.dir, test.ep = ep.dir, ep
	test.deadline = r.limitFrom(test.limit)
	r.noteMark(t, recording.MarkTestStart, test.id)
}

// testEnd decides what becomes of a test's recording.
func (r *recorder) testEnd(t *task, outcome string) {
	run := t.proc.runner
	if run.test == nil {
		return
	}
	if r.o.Tests == nil {
		run.test = nil
		return
	}
	run.done = append(run.done, run.test.id)
	r.testOver(t.proc, outcome)
}

// testOver ends the test of a process: by its mark, or with the process.
func (r *recorder) testOver(p *process, outcome string) {
	test := p.runner.test
	p.runner.test, p.runner.minds = nil, 0
	ep := test.ep
	if ep == nil || test.expired {
		return
	}
	wanted := r.wanted(test, outcome)
	switch {
	case wanted && r.room(test.reason):
		r.endEpoch(ep, recording.EndTest, outcome)
		r.keep(ep, outcome, test.reason)
	case ep.ended:
		r.drop(ep)
	case p.ended || test.region:
		r.endEpoch(ep, recording.EndTest, outcome)
		r.drop(ep)
	}
	// Else it goes on until the next test has its own: if that fails, the
	// next test is recorded from here.
}

// wanted says whether the recording of a test with this outcome is kept.
func (r *recorder) wanted(test *testRun, outcome string) bool {
	failed := outcome == "failed" || outcome == "crashed"
	if limit := r.o.Tests.Limit; test.region && limit > 0 && time.Since(test.began) > limit {
		outcome = "timeout" // it goes on nevertheless
	}
	switch test.keep {
	case "always":
		return true
	case "never":
		return false
	case "timeout":
		return outcome == "timeout"
	case "failure":
		return outcome == "timeout" || failed
	}
	return outcome == "timeout" || r.o.Tests.Failures && failed
}

// ownLimit ends the recording of a test when the signal comes by which its runner
// ends what takes too long: what follows is the runner's work, and where the test
// waited is what one wants to see. t is in a system call. Whether the recording is
// kept is decided as ever, when the test has ended.
func (r *recorder) ownLimit(t *task) {
	run := t.proc.runner
	if run == nil || run.minds == 0 || run.minds != t.sigstop || run.test == nil || run.test.expired || r.o.Tests == nil {
		return
	}
	ep := run.test.ep
	if ep == nil || ep.ended {
		return
	}
	for o := range ep.live {
		r.logOpen(o)
		r.log(o, &recording.Event{Kind: recording.KindTimeout, TID: int32(o.pid), Instr: r.countNow(o)})
	}
	r.endEpoch(ep, recording.EndTimeout, "by the runner's own limit")
}

// keepTest keeps the recording of a test, if not too many were.
func (r *recorder) keepTest(ep *epoch, outcome string) {
	if !r.room("") {
		r.drop(ep)
		return
	}
	r.keep(ep, outcome, "")
}

// room says whether one more recording is to be kept, of a test that failed for
// a reason, and counts it. Where a database is down, a thousand tests fail alike:
// the first few tell all there is to tell.
func (r *recorder) room(reason string) bool {
	tests := r.o.Tests
	switch {
	case tests.MaxKept > 0 && len(r.kept)+tests.Before >= tests.MaxKept:
		r.surplus.More++
		return false
	case reason == "":
		return true
	case tests.MaxSame > 0 && r.reasons[reason] >= tests.MaxSame:
		r.surplus.Same++
		return false
	}
	if r.reasons == nil {
		r.reasons = map[string]int{}
	}
	r.reasons[reason]++
	return true
}
