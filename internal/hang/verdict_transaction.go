package hang

import "fmt"

var _ = special{5, (*judge).openTransaction}.enter()

// openTransaction: a thread waits for the answer of a database, and a transaction is open
// on another connection to it.
func (j *judge) openTransaction(n node) (says, degree, kind, missing string) {
	c := j.call(n)
	if c == nil || c.Call == "" || c.Peer == nil || c.Peer.Transaction == nil {
		return "", "", "", ""
	}
	o := c.Peer.Transaction
	name, where := "a thread that ended", ""
	to, ok := j.threadNode(o.Proc, o.TID)
	if ok {
		name = j.name(to)
	}
	who := name
	if ok && to == n {
		who = "it"
	}
	if o.Where != nil {
		where = ", since " + j.at(*o.Where)
	}
	j.cite(Evidence{Text: name + " has had a transaction open on another connection to the database" + where, Proc: o.Proc, Event: o.Event})
	return fmt.Sprintf("waits for the answer of the database at %s%s: %s has a transaction open on another connection%s",
		address(c.Peer), j.where(n), who, where), Likely, "open transaction", "whether that has locked what is waited for"
}
