package capture

import (
	"os"
	"time"

	"pyrr/internal/headroom"
	"pyrr/internal/recording"
)

// An image holds the memory that its process has changed since, which the
// program alone would not need. Where memory gets short, in the machine or in
// the control group, images go before the kernel ends anything.

// shortCheck is how often it is looked, and leastFree what has to be free: a
// tenth of the limit, and no more than programs fill between two looks.
const (
	shortCheck = 100 * time.Millisecond
	leastFree  = 256 << 20
)

// freeMemory is how many bytes may be used, and of how many.
var freeMemory = (*headroom.Meter).Free

// imageRoom is what the recorder takes while it writes an image.
const imageRoom = 64 << 20

// short reports whether memory is.
func (r *recorder) short() bool { return r.lacks(0) }

// roomToWrite reports whether the recorder may take what it needs to write an image.
func (r *recorder) roomToWrite() bool { return !r.lacks(imageRoom) }

// lacks reports whether memory is short for who takes so many bytes more.
func (r *recorder) lacks(more int64) bool {
	if r.meter == nil {
		r.meter = headroom.Open()
	}
	free, limit := freeMemory(r.meter)
	return free < min(limit/10, leastFree)+more
}

// dropImages gives up the recordings whose images take memory, where that is
// short. The tests go on unrecorded.
func (r *recorder) dropImages(now time.Time) {
	if len(r.epochs.list) == 0 || now.Before(r.nextShort) {
		return
	}
	r.nextShort = now.Add(shortCheck)
	if !r.short() {
		return
	}
	for _, ep := range append([]*epoch(nil), r.epochs.list...) {
		if ep.frozen == nil || ep == r.late {
			continue
		}
		for _, p := range r.processes {
			if p.runner != nil && p.runner.test != nil && p.runner.test.ep == ep {
				p.runner.test.ep = nil
			}
		}
		r.sayShort(ep.name)
		r.endEpoch(ep, recording.EndDetached, "memory is short")
		r.drop(ep)
	}
}

// sayShort says once why tests are not recorded.
func (r *recorder) sayShort(name string) {
	if !r.saidShort {
		r.saidShort = true
		r.warnf("%s is not recorded, nor are others while memory is short: the copy that a recording begins from would take what the program needs", name)
	}
}

// sayFull says once that a process may make no thread or process more, and what of that
// limit pyrr takes: natively the program may have come by with what is permitted.
func (r *recorder) sayFull(p *process) {
	if r.saidFull {
		return
	}
	r.saidFull = true
	own, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return
	}
	r.warnf("process %d (%s) could not make a thread or process, as too many are there: where that is by a limit of its user or its control group (ulimit -u, pids.max), pyrr's %d count in it, too", p.pid, shortName(p.exe), len(own))
}
