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
	if o.Commits {
		return "retries" + at + " to commit: " + j.readers(n, o), Likely, "open statement", "whether it would have been read on"
	}
	return "retries" + at + ": " + o.What + " is held by a transaction of its own, on another connection," + since, Likely, "own transaction", "whether the transaction is another connection's"
}

// readers says who keeps a thread from its commit in SQLite: cursors of its process that were
// not read to their end, by their names.
func (j *judge) readers(n node, o *Owner) string {
	cursors := j.procs[n.proc].Facts.Cursors
	switch {
	case len(cursors) == 0 || !o.Only:
		return "another connection still reads " + o.What
	case cursors[0] == "":
		return "a cursor of another connection was not read to its end, and keeps " + o.What + " from being written"
	}
	return "cursor " + cursors[0] + " of another connection was not read to its end, and keeps " + o.What + " from being written"
}
