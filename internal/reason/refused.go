package reason

import (
	"slices"
	"strings"
	"time"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// refusedOf finds, in a process of which a thread waits in native code of a library, the
// connection that a thread without Python code asks for again and again and does not get, as
// libzmq's do. It is nil for none.
func refusedOf(rec *recording.Recording, e *Ending, p *hang.Process) *hang.Loop {
	const (
		most   = 8 // threads that are looked at
		least  = 3 // refusals
		recent = 400
		spare  = time.Second
	)
	native := func(c *hang.Call) bool { return c.Peer != nil && c.Peer.What == hang.EventFD }
	if !p.Hangs || !slices.ContainsFunc(p.Threads, native) {
		return nil
	}
	looked := 0
	for _, c := range p.Threads {
		if len(c.Frames) > 0 || c.TID == int32(p.PID) || looked == most {
			continue
		}
		looked++
		ring := turnsOf(rec, &e.Proc, c.TID)
		ring = ring[max(0, len(ring)-recent):]
		var out *hang.Loop
		first := int64(0)
		for i := range ring {
			t := &ring[i]
			if !strings.HasPrefix(t.failed, "connect(") {
				continue
			}
			if out == nil {
				out, first = &hang.Loop{Call: linux.Name(int(t.nr)), Event: t.event}, t.time
			}
			out.Every = time.Duration(t.time - out.Last)
			out.Fails, out.Last = t.failed, t.time
			out.Failed++
		}
		if out == nil || out.Failed < least || time.Duration(e.Time-out.Last) > 2*out.Every+spare {
			continue // it may have got one since
		}
		out.Count, out.For = out.Failed, time.Duration(out.Last-first)
		return out
	}
	return nil
}
