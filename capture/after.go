package capture

import (
	"golang.org/x/sys/unix"
)

// afterTests is the name of what a runner does after its last test: what other plugins
// do when the session ends, functions of atexit, threads that are waited for. It is
// recorded as a test is, and kept if it takes too long.
const afterTests = "after the last test"

// sessionEnds begins what comes after the last test.
func (r *recorder) sessionEnds(t *task) error {
	run := t.proc.runner
	if run == nil || run.test != nil && run.test.after {
		return nil
	}
	if run.test != nil {
		r.testOver(t.proc, "interrupted")
	}
	if !r.timesTests() || run.worker {
		return nil
	}
	run.deadline = r.limitOutside()
	if r.o.Tests != nil && r.o.Tests.Region == "" && run.ran && r.outside() > 0 {
		r.beginTest(t, &testRun{id: afterTests, after: true, limit: r.outside(), keep: r.o.Tests.Keep})
	}
	return nil
}

// endedAfter is how what comes after the last test ended with its process: tests that
// failed are told of by its exit status too.
func endedAfter(st unix.WaitStatus) string {
	if st.Exited() {
		return "passed"
	}
	return "crashed"
}
