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
