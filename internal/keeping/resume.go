//go:build linux

package keeping

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"pyrr/capture"
	"pyrr/capture/pytest"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/screen"
)

// recordTests records the command, and where a session of pytest had to be ended
// because of one test, the same command again for the tests behind it.
func recordTests(ctx context.Context, u *screen.UI, o *capture.Options, t *naming.Target, f *Flags) (*capture.Info, error) {
	info, err := capture.Record(ctx, *o)
	if o.Tests == nil {
		return info, err
	}
	var ran []string
	most := math.MaxInt // tests that may be left: fewer each time
	for err == nil && len(info.Stuck) > 0 && ctx.Err() == nil {
		var again bool
		for _, s := range info.Stuck {
			left, err := pytest.Left(o.Tests.Plugin, s.PID, append(slices.Clone(ran), append(s.Done, s.Test)...))
			switch {
			case err != nil:
				u.Warn("the tests behind " + printable.Line(s.Test) + " did not run: " + err.Error())
			case s.Root && !f.noResume && len(left) < most:
				most = len(left)
				ran = append(ran, append(s.Done, s.Test)...)
				if err := pytest.Resume(o.Tests.Plugin, ran, s.Test, "Timeout: "+s.Why+"; its process was ended", s.Limit); err != nil {
					u.Warn(err.Error())
					sayLeft(u, left)
					break
				}
				again = true
				if len(left) > 0 {
					u.Note("%s did not run yet: a fresh session goes on (--no-resume: does not)", printable.Plural(uint64(len(left)), "test", "tests"))
				} else {
					u.Note("no test is left: a fresh session reports")
				}
			default:
				sayLeft(u, left)
			}
		}
		if !again {
			return info, nil
		}
		if err := t.Discard(); err != nil {
			return nil, err
		}
		if err := Prepare(t); err != nil {
			return nil, err
		}
		o.Tests.Before += len(info.Kept)
		var next *capture.Info
		if next, err = capture.Record(ctx, *o); err != nil {
			return info, nil // what there is of the first counts
		}
		next.Kept = append(info.Kept, next.Kept...)
		next.Images = append(info.Images, next.Images...)
		next.Surplus.Same += info.Surplus.Same
		next.Surplus.More += info.Surplus.More
		next.Runner = true
		info = next
	}
	return info, err
}

// sayLeft names the tests that did not run.
func sayLeft(u *screen.UI, left []string) {
	if len(left) == 0 {
		return
	}
	const most = 10
	names := make([]string, 0, most)
	for _, id := range left[:min(most, len(left))] {
		names = append(names, printable.Line(id))
	}
	more := ""
	if len(left) > most {
		more = fmt.Sprintf(", and %d more", len(left)-most)
	}
	u.Warn(fmt.Sprintf("%s did not run: %s%s", printable.Plural(uint64(len(left)), "test", "tests"), strings.Join(names, ", "), more))
}
