package capture

import (
	"strings"
	"time"

	"pyrr/internal/recording"
)

// A region is a part of a program that the program itself tells of: what a service
// does for a request, say. It is recorded as a test is, except for its time: where that
// is up, nobody interrupts it, and its recording is kept when it ends.

// region handles the marks of a region.
func (r *recorder) region(t *task, what, rest string) error {
	p := t.proc
	tests := r.o.Tests
	switch what {
	case "begin":
		if tests == nil || tests.Region == "" {
			r.noteMark(t, recording.MarkTestStart, rest)
			return nil
		}
		if rest != tests.Region || p.runner != nil && p.runner.test != nil {
			return nil // another one, or one within one
		}
		if p.runner == nil {
			p.runner = &runner{}
		}
		return r.regionBegin(t, rest)
	case "end":
		outcome, name, _ := strings.Cut(rest, "/")
		if tests == nil || tests.Region == "" {
			r.noteMark(t, recording.MarkTestEnd, outcome+" "+name)
			return nil
		}
		if p.runner == nil || p.runner.test == nil || p.runner.test.id != name {
			return nil
		}
		r.noteMark(t, recording.MarkTestEnd, outcome+" "+name)
		r.testOver(p, outcome)
	}
	return nil
}

// regionBegin begins the recording of a region.
func (r *recorder) regionBegin(t *task, name string) error {
	run := t.proc.runner
	r.runners = true
	test := &testRun{id: name, region: true, began: time.Now(), keep: r.o.Tests.Keep, dir: r.o.Tests.Path(name)}
	run.test, run.ran = test, true
	if r.short() {
		r.sayShort(name)
		return nil
	}
	ep, err := r.beginEpoch(t, test.dir, name)
	if err != nil {
		r.warnf("%s is not recorded: %v", name, err)
		return nil
	}
	test.ep = ep
	r.noteMark(t, recording.MarkTestStart, name)
	return nil
}
