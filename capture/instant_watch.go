package capture

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// settleTime is how long threads get to be where they were before pyrr came.
const settleTime = 20 * time.Millisecond

// watch looks for a while which threads of the process go on waiting, and returns
// those. The process does not notice.
func (in *instant) watch(ctx context.Context) map[*still]bool {
	stayed := map[*still]bool{}
	if in.r.o.For <= 0 {
		return stayed
	}
	in.pass(ctx, settleTime)
	before := map[*still]string{}
	for _, t := range in.all {
		before[t] = in.turns(t)
	}
	in.pass(ctx, in.r.o.For)
	for t, was := range before {
		stayed[t] = was != "" && in.turns(t) == was
	}
	return stayed
}

// pass lets time pass.
func (in *instant) pass(ctx context.Context, d time.Duration) {
	for until := time.Now().Add(d); ctx.Err() == nil && time.Now().Before(until); {
		time.Sleep(5 * time.Millisecond)
		in.letGoLate()
	}
}

// turns is how often a thread was given a processor and gave it away (proc(5)), "" for
// one that is gone.
func (in *instant) turns(t *still) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", in.pid, t.tid))
	if err != nil {
		return ""
	}
	_, turns, _ := strings.Cut(string(b), "voluntary_ctxt_switches:")
	return turns
}
