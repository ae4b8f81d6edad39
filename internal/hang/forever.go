package hang

import "slices"

// foreverSteps lead from the main thread, which runs its event loop for no task in
// particular (run_forever), to the only task of the program's own code that waits for
// anything but time and connections, and for which no other task waits. A server's loop is
// to wait.
func (j *judge) foreverSteps(n node, u *Unit) []edge {
	p := j.procs[n.proc]
	if !u.Main || j.watches(n) {
		return nil
	}
	var out []edge
	for k := range p.Facts.Units {
		t := &p.Facts.Units[k]
		if t.Kind != Task || t.TID != u.TID || t.Stopped || t.Wait == nil || t.Wait.Limit || t.Wait.How == "sleep" || t.Wait.How == HowServe {
			continue
		}
		if !slices.ContainsFunc(t.Frames, func(f Frame) bool { return f.own() }) || j.awaited(p, k) {
			continue
		}
		out = append(out, edge{to: node{n.proc, k}, sure: true, kind: "loop", thing: -1, say: "%[1]s runs the event loop for %[2]s"})
	}
	if len(out) != 1 {
		return nil
	}
	return out
}

// awaited says whether another unit of a process waits for one.
func (j *judge) awaited(p *Process, unit int) bool {
	for k := range p.Facts.Units {
		if w := p.Facts.Units[k].Wait; k != unit && w != nil && slices.Contains(w.Units, unit) {
			return true
		}
	}
	return false
}

// watches says whether the loop of a thread watches a listening socket, or a connection to
// somewhere else: then it waits for what may come from there.
func (j *judge) watches(n node) bool {
	c := j.call(n)
	if c == nil {
		return true
	}
	return slices.ContainsFunc(c.Peers, func(p *Peer) bool { return p.What == "listening socket" || p.Addr != "" })
}
