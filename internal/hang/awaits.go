package hang

import (
	"strings"

	"pyrr/internal/lazyregexp"
)

// awaits matches a call that is awaited: its name with the arguments, without more calls in
// those.
var awaits = lazyregexp.New(`\bawait ([A-Za-z_][\w.]*\.[A-Za-z_]\w*\([^()` + "`" + `]*\))(?:$|[^.(\[\w])`)

// awaitedText is the call that a task's own line awaits, where that gave it the future that it
// waits for: "slots.acquire()"; "" where the text has none, or a coroutine between.
func (j *judge) awaitedText(u *Unit) string {
	const longest = 40
	if j.in.Text == nil || u.Kind != Task || len(u.Frames) == 0 || !u.Frames[0].own() {
		return ""
	}
	m := awaits().FindStringSubmatch(strings.TrimSpace(j.in.Text(u.Frames[0].File, u.Frames[0].Line)))
	if m == nil || len(m[1]) > longest {
		return ""
	}
	return m[1]
}
