package capture

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// The copy of a process is its child, so something is left of it when it has ended, until
// the process waits for it: pyrr makes it do so. Where the tracer was killed before that,
// another pyrr does, and knows the copy by its name.

// copyName is the name that a copy gets (PR_SET_NAME of prctl(2)).
const copyName = "pyrr copy"

// reapPatience is how long the end of a copy may take: its memory is freed meanwhile.
const reapPatience = 5 * time.Second

// nameCopy names a fresh copy, whose one thread is stopped before it did anything, by way
// of the memory at room, which stays as it is. One without a name is a copy all the same.
func nameCopy(pid int, gadget, room uint64) {
	was := make([]byte, len(copyName)+1)
	if (ptrace.Mem)(pid).ReadAt(was, room) != nil || ptrace.Write(pid, room, []byte(copyName+"\x00")) != nil {
		return
	}
	_, _ = ptrace.Inject(pid, gadget, sys.SYS_PRCTL, [6]uint64{unix.PR_SET_NAME, room}, ignoreStops)
	_ = ptrace.Write(pid, room, was)
}

// copiesOf lists the copies of a process that are left of tracers that have ended. Such a
// copy ends, if it has not yet.
func copiesOf(pid int) (ended, ending []int) {
	list, err := threadsOf(pid)
	if err != nil {
		return nil, nil
	}
	for _, tid := range list {
		children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, tid)) // "" for one that is gone
		for _, s := range strings.Fields(string(children)) {
			child, err := strconv.Atoi(s)
			if err != nil {
				continue
			}
			name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", child))
			switch {
			case string(bytes.TrimSpace(name)) != copyName:
			case tracerOf(child) != 0: // another pyrr reads it
			case isZombie(child):
				ended = append(ended, child)
			default:
				ending = append(ending, child)
			}
		}
	}
	return ended, ending
}

// reap makes the process wait for children that have ended: they would be there, as such,
// until it ends itself.
func (in *instant) reap(children []int) {
	list, err := threadsOf(in.pid)
	if err != nil || len(children) == 0 {
		return // it has ended itself
	}
	for _, tid := range list {
		if old := in.byTID[tid]; old != nil && old.deaf || ptrace.Seize(tid, instantOptions|in.extra) != nil {
			continue
		}
		t := &still{tid: tid}
		if ptrace.Interrupt(tid) != nil || in.await([]*still{t}) != nil || !t.stopped {
			continue // one that does not stop is let go as soon as it does
		}
		for _, child := range children {
			var none int
			// An error leaves what has ended where it is, which harms nobody.
			_ = in.inject(t, sys.SYS_WAIT4, [6]uint64{uint64(child), 0, unix.WALL | unix.WNOHANG}, func(int64) bool { return true }, &none)
		}
		in.letGoOne(t)
		return
	}
}

// Reap takes away what a tracer that has ended, or was killed, has left of its copies of a process. The
// process stands still for a moment if there is any.
func Reap(pid int) {
	ended, ending := copiesOf(pid)
	for until := time.Now().Add(reapPatience); len(ending) > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
		ended, ending = copiesOf(pid)
	}
	if len(ended) == 0 {
		return
	}
	done := make(chan struct{})
	ptrace.Go(func() {
		defer close(done)
		waits, err := ptrace.NewWaits()
		if err != nil {
			return
		}
		defer waits.Close()
		maps, err := linux.ReadMaps(pid)
		if err != nil {
			return
		}
		in := &instant{r: &recorder{waits: waits}, pid: pid, byTID: map[int]*still{}}
		if in.gate, err = in.r.codePage(&task{tid: pid, pid: pid}, maps); err != nil {
			return
		}
		if filters(strconv.Itoa(pid)) <= filters("self") {
			in.reap(ended)
		}
	})
	<-done
}
