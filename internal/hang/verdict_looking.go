package hang

import "strings"

var _ = special{4, (*judge).lookingTask}.enter()

// lookingTask: a task looks again and again for something, sleeping in between, and the one
// task or thread that has failed may be who should have brought that about. Without such a one
// it may merely be slow.
func (j *judge) lookingTask(n node) (says, degree, kind, missing string) {
	u, p := j.unit(n), j.procs[n.proc]
	if u == nil || u.Kind != Task || u.Wait == nil || u.Wait.How != "sleep" || len(u.Frames) == 0 {
		return "", "", "", ""
	}
	head := j.loopAt(n)
	if !strings.HasPrefix(head.text, "while ") {
		return "", "", "", ""
	}
	failed := j.died(n.proc, "")
	if f := p.Facts.Failed; failed == "" && f != nil {
		failed = f.Kind + " " + f.Name + " ended with " + or(j.value(f.Text), f.Type) + j.failedAt(n, f.Where)
	}
	if failed == "" {
		return "sleeps in" + head.in(" ") + j.where(n), None, "sleep", ""
	}
	return "looks again and again" + head.in(" ") + j.where(n) + "; " + failed, Likely, "poll", "what would end the loop"
}
