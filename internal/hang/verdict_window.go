package hang

import "fmt"

var _ = special{3, (*judge).fullWindow}.enter()

// fullWindow: it waits in a package's function that sends, and the package counts that the
// other end takes no more: who is there does not read.
func (j *judge) fullWindow(n node) (says, degree, kind, missing string) {
	u := j.waiting(n)
	if u == nil || u.Wait.Window == "" {
		return "", "", "", ""
	}
	unread := ""
	if u.Wait.Bytes > 0 {
		lie := "lie"
		if u.Wait.Bytes == 1 {
			lie = "lies"
		}
		unread = fmt.Sprintf("; %s %s unread in %s", bytesText(uint64(u.Wait.Bytes)), lie, u.Wait.Unread)
	}
	return "waits" + j.waitAt(u) + " until the other end takes more: " + u.Wait.Window + " is used up" + unread, Likely, "window", "who does not read there"
}

// leftOver says of one that looks again and again in a package's code which queue has items
// that nobody else has at hand: what it waits for may lie there.
func (j *judge) leftOver(n node) string {
	p := j.procs[n.proc]
	if p == nil || p.Facts == nil || len(p.Facts.Left) != 1 {
		return ""
	}
	l, queue := &p.Facts.Left[0], "a queue"
	if !j.in.NoValues { // what it is called by is a key of a dict
		queue = "queue " + j.value(l.Name)
	}
	return "; " + itemsOf(l.Items) + " in " + queue + " that nobody takes"
}
