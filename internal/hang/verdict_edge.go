package hang

import "strings"

var _ = special{6, (*judge).unreadEdge}.enter()

// unreadEdge: it waits in an epoll of the program's own for what lies there already: the epoll
// has told of it before, and does so only once.
func (j *judge) unreadEdge(n node) (says, degree, kind, missing string) {
	c, u := j.call(n), j.unit(n)
	if c == nil || u == nil || u.Wait != nil || c.Loop != nil || !strings.HasPrefix(c.Call, "epoll") || len(u.Frames) == 0 || !u.Frames[0].own() && !strings.HasSuffix(u.Frames[0].File, "/selectors.py") {
		return "", "", "", ""
	}
	for _, p := range c.Peers {
		if p.Edge == "" || p.Unseen == 0 {
			continue
		}
		why := "was not armed again (" + p.Edge + ")"
		if p.Edge == "EPOLLET" {
			why = "tells only of what is new (EPOLLET)"
		}
		return "polls" + j.where(n) + " for the " + strings.TrimSpace(p.What+" "+p.Addr) + ", in which " + bytesText(p.Unseen) + " lie unread: its epoll " + why, Likely, "unread", "whether it waits for those"
	}
	return "", "", "", ""
}
