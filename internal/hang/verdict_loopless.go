package hang

var _ = special{1, (*judge).loopStopped}.enter()

// loopStopped: a task can't go on, whatever it waits for, since its event loop does not run.
func (j *judge) loopStopped(n node) (says, degree, kind, missing string) {
	u := j.unit(n)
	if u == nil || u.Kind != Task || !u.Stopped {
		return "", "", "", ""
	}
	says = "stands still" + j.where(n) + ": its event loop does not run any more"
	if p := j.procs[n.proc]; p != nil && len(p.Facts.Dead) > 0 {
		if d := &p.Facts.Dead[len(p.Facts.Dead)-1]; d.Name != "" {
			says += "; thread " + d.Name + " has ended"
		}
	}
	return says, Likely, "loop stopped", "whether somebody was to run it again"
}
