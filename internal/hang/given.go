package hang

import "strings"

// Left is a queue with items that nobody takes, by the name that a dict has for it.
type Left struct {
	Name  string `json:"name"`
	Items int    `json:"items"`
}

// Given is the name that a program gave one of its processes, "" for none. Own is what is
// known of that process, all what is known of those of which one may have made it; any may
// be nil.
func Given(pid int, own *Facts, all []*Facts) string {
	if own != nil && own.Self != "" {
		return own.Self
	}
	for _, maker := range all {
		if maker == nil {
			continue
		}
		if name := maker.Children[pid]; name != "" {
			return name
		}
		name := ""
		for i := range maker.Things {
			if t := &maker.Things[i]; t.Kind == Subprocess && t.Count == pid && t.Name != "" && t.Class != "Popen" && !strings.HasSuffix(t.Class, "Transport") {
				name = t.Name
			}
		}
		if name != "" {
			return name
		}
	}
	return ""
}

// sender says who has the only sender of a channel that is still open, if that is another.
func (j *judge) sender(n node, t *Thing) string {
	if len(t.Owed) != 1 || t.Owed[0] == n.unit {
		return ""
	}
	to := node{n.proc, t.Owed[0]}
	return ": " + j.name(to) + " has it" + j.where(to)
}
