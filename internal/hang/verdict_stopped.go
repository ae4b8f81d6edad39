package hang

var _ = special{1, (*judge).stopped}.enter()

// stopped: a signal stopped the process, and nobody continues it.
func (j *judge) stopped(n node) (says, degree, kind, missing string) {
	p := j.procs[n.proc]
	if p == nil || p.Stopped == nil {
		return "", "", "", ""
	}
	s := p.Stopped
	says = "is stopped by " + s.Signal
	if from, ok := j.threadNode(s.Proc, s.TID); ok {
		says += " of " + j.name(from)
	}
	if s.Where != nil {
		says += " (" + j.at(*s.Where) + ")"
		j.cite(Evidence{Text: s.Signal + " was sent at " + j.at(*s.Where), Proc: s.Proc, Event: s.Event, File: s.Where.File, Line: s.Where.Line})
	}
	return says + "; nobody continues it", Proven, "stopped", ""
}
