package hang

import (
	"slices"
	"strings"
)

// managed leads from one that has called a manager of multiprocessing, and whose call
// waits there for a lock, straight to the client for whose call that was taken: the
// manager's own threads do only what clients ask for.
func (j *judge) managed(n node, steps []edge) []edge {
	var out []edge
	for _, e := range steps {
		if e.kind != "other end" || !j.callsManager(n) || !j.servesClient(e.to) {
			out = append(out, e)
			continue
		}
		u, lock := j.unit(e.to), "a lock"
		if w := j.unit(n).Wait; w != nil && w.How == HowManager {
			if t := j.thing(n.proc, first(w.On)); t != nil && t.Name != "" {
				lock = "lock " + t.Name
			}
		}
		var held []edge
		for _, h := range j.steps(e.to) {
			client, ok := j.clientOf(h.to)
			if u.Wait == nil || h.kind != "holds" || !ok {
				continue
			}
			held = append(held, edge{to: client, sure: h.sure, kind: "holds", thing: -1,
				say: "%[1]s waits for " + lock + " of " + j.procName(j.procs[e.to.proc]) + j.where(n) + ", which %[2]s holds"})
		}
		if len(held) == 0 {
			e.say = "%[1]s waits" + j.where(n) + " for the answer of %[2]s"
			held = []edge{e}
		}
		out = append(out, held...)
	}
	return out
}

// inManagers says whether a unit is in a function of multiprocessing's managers.
func (j *judge) inManagers(n node, name string) bool {
	u := j.unit(n)
	return u != nil && u.Kind == Thread && slices.ContainsFunc(u.Frames, func(f Frame) bool {
		return lastName(f.Func) == name && strings.HasSuffix(f.File, "/multiprocessing/managers.py")
	})
}

func (j *judge) callsManager(n node) bool { return j.inManagers(n, "_callmethod") }
func (j *judge) servesClient(n node) bool { return j.inManagers(n, "serve_client") }

// clientOf is the thread that has the other end of the connection that a thread of a
// manager serves.
func (j *judge) clientOf(server node) (node, bool) {
	u := j.unit(server)
	if !j.servesClient(server) {
		return node{}, false
	}
	if c := j.call(server); c != nil && c.Peer != nil { // it waits for the client's next call
		for _, e := range c.Peer.Ends {
			if p := j.procs[e.Proc]; p != nil && p.Hangs && e.Proc != server.proc {
				if list := j.havers(node{}, p, []int{e.FD}); len(list) == 1 {
					return list[0], true
				}
				return j.mainOf(p), true
			}
		}
		return node{}, false
	}
	for _, p := range j.in.Procs {
		for _, c := range p.Threads {
			if c.Peer == nil || p.ID == server.proc || !p.Hangs {
				continue
			}
			for _, e := range c.Peer.Ends {
				if e.Proc == server.proc && slices.Contains(u.FDs, e.FD) {
					return j.threadNode(p.ID, c.TID)
				}
			}
		}
	}
	return node{}, false
}
