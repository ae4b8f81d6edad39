package hang

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// limitedAt is where a unit waits, and for how long at most if there is a limit: not of one
// that waits again and again.
func (j *judge) limitedAt(n node, u *Unit) string {
	at := j.waitAt(u)
	if c := j.call(n); !u.Wait.Limit || u.Wait.How == "sleep" || u.Wait.How == "cancel" || c != nil && c.Loop != nil {
		return at
	}
	limit := "with a time limit"
	if s := u.Wait.Seconds; s > 0 {
		limit = "for at most " + strconv.FormatFloat(s, 'g', 4, 64) + " s"
	}
	if in, ok := strings.CutSuffix(at, ")"); ok {
		return in + ", " + limit + ")"
	}
	return " " + limit
}

// cancelledFor says why a task group has cancelled the task that it waits for.
func (j *judge) cancelledFor(w *Wait) string {
	if w.Failed == "" {
		return ""
	}
	failed := w.Failed
	if j.in.NoValues {
		failed, _, _ = strings.Cut(failed, ":")
	}
	return " (cancelled, as another failed with " + strings.ReplaceAll(failed, "%", "%%") + ")"
}

// afterLimit is what is not known of one that waits with a time limit.
func (j *judge) afterLimit(h *hop) string {
	limit := ""
	if h.edge.limit > time.Nanosecond {
		limit = " of " + lasting(h.edge.limit)
	}
	return fmt.Sprintf("what %s does when its time limit%s is over", j.name(h.node), limit)
}
