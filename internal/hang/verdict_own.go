package hang

import "fmt"

var _ = special{4, (*judge).ownLock}.enter()

// ownLock: a thread waits for a lock on a file, or a transaction, that it has itself.
func (j *judge) ownLock(n node) (says, degree, kind, missing string) {
	c := j.call(n)
	if c == nil || c.Call == "" || j.waiting(n) != nil {
		return "", "", "", ""
	}
	at, o := j.via(n), c.Owner
	if o == nil || o.Proc != n.proc || o.TID != c.TID {
		return "", "", "", ""
	}
	since := ""
	if o.Where != nil {
		since = " since " + j.at(*o.Where)
	}
	if c.Call == "flock" || c.Call == "fcntl" {
		j.cite(Evidence{Text: "it took " + o.What + since, Proc: n.proc, Event: o.Event})
		return "waits for " + o.What + at + ", which it holds itself" + since + ", by another descriptor", Proven, "self-deadlock", ""
	}
	if o.Lock && c.Loop != nil {
		j.cite(Evidence{Text: "it took " + o.What + since, Proc: n.proc, Event: o.Event})
		return fmt.Sprintf("has asked %d times in %s for %s%s, which it holds itself%s, by another descriptor", c.Loop.Count, lasting(c.Loop.For), o.What, at, since), Likely, "self-deadlock", "whether it would have given up"
	}
	return "retries" + at + ": " + o.What + " is held by a transaction of its own, on another connection," + since, Likely, "own transaction", "whether the transaction is another connection's"
}
