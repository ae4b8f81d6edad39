package hang

import (
	"fmt"
	"strings"
)

var _ = special{2, (*judge).idleServer}.enter()

// idleServer: one that polls its listening sockets, or runs a server, and to which nobody
// connects: it does what it should.
func (j *judge) idleServer(n node) (says, degree, kind, missing string) {
	u, c := j.unit(n), j.call(n)
	if u != nil && u.Kind == Task && u.Wait != nil && u.Wait.How == HowServe {
		return "runs a server" + j.where(n) + " that waits for connections" + j.stuckFor(n, 0), None, "idle server", ""
	}
	if j.idleAcceptor(n) {
		return fmt.Sprintf("is a server that waits for the next connection%s; it has taken %s", j.where(n), countOf(c.Peer.Accepted)) + j.beside(n), None, "idle server", ""
	}
	if c == nil || c.Loop == nil || c.Loop.Moves || !listens(c) {
		return "", "", "", ""
	}
	return fmt.Sprintf("is a server that waits for connections%s, and none comes: it looked %d times in %s", j.where(n), c.Loop.Count, lasting(c.Loop.For)) + j.stuckFor(n, c.Loop.For/2), None, "idle server", ""
}

// listens says whether all that a call waits for are listening sockets.
func listens(c *Call) bool {
	all := c.Peers
	if len(all) == 0 && c.Peer != nil {
		all = []*Peer{c.Peer}
	}
	count := 0
	for _, p := range all {
		switch {
		case p.What == "listening socket":
			count++
		case p.What != EventFD && !strings.HasPrefix(p.What, "pipe"): // by which it is woken
			return false
		}
	}
	return count > 0
}

// idleAcceptor tells a thread that waits in accept, in a loop of the program's, for the next
// connection after others: a server that does what it should. One to which nobody ever
// came may be what others wait for.
func (j *judge) idleAcceptor(n node) bool {
	c := j.call(n)
	if c == nil || !strings.HasPrefix(c.Call, "accept") || c.Peer == nil || c.Peer.What != "listening socket" || c.Peer.Accepted == 0 {
		return false
	}
	_, inLoop := j.loopOf(n)
	return inLoop
}

func countOf(n int) string {
	if n == 1 {
		return "one"
	}
	return fmt.Sprint(n)
}

// HowServe is how a task waits that runs a server of its event loop.
const HowServe = "serve"
