package hang

import "strings"

// finalFuture is a wait for the result of a job, or a future that nobody completes.
func (j *judge) finalFuture(n node, t *Thing, at, nobody, fate string) (says, degree, kind, missing string) {
	if t.Pending {
		return j.finalPending(n, t, at, fate)
	}
	if t.Queued {
		return j.finalQueued(n, t, at)
	}
	if t.Class == "AsyncResult" { // of gevent
		return "waits for " + strings.TrimSpace("AsyncResult "+t.Name) + at + ", which nobody sets" + nobody, Likely, "future", "who should have set it"
	}
	if t.Async {
		if expr := j.awaitedText(j.unit(n)); expr != "" {
			return "awaits `" + expr + "`" + at + ", a future that nobody completes" + nobodyButFate(fate), Likely, "future", "who should have completed the future"
		}
		return "awaits a future" + at + " that nobody completes" + nobodyButFate(fate), Likely, "future", "who should have completed the future"
	}
	if d := j.initializerFails(n.proc); d != "" {
		return "waits for the result of a job" + at + "; " + d, Likely, "pool", "whether those are the workers of its pool"
	}
	if d := j.handlerDied(n.proc); d != "" {
		return "waits for the result of a job" + at + " that nobody takes any more; " + d, Likely, "future", "whether that thread is of the same pool"
	}
	if fate == "" {
		nobody += j.stuckFor(n, 0)
	}
	return "waits for the result of a job" + at + " that nobody runs" + nobody, Likely, "future", "who should have run it"
}
