package capture

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// livingThreads counts the threads of process pid.
func (r *recorder) livingThreads(pid int) int {
	n := 0
	for _, t := range r.tasks {
		if t.pid == pid && !t.dead && !t.leadExit {
			n++
		}
	}
	return n
}

// leaderExit waits until the exiting leader is a zombie: from then on it
// runs no more code, and the kernel has cleared its thread id word.
func (r *recorder) leaderExit(t *task) error {
	path := fmt.Sprintf("/proc/%d/task/%d/stat", t.pid, t.tid)
	for range 2000 {
		b, err := os.ReadFile(path)
		if err != nil {
			break
		}
		i := strings.LastIndexByte(string(b), ')')
		if i >= 0 && i+2 < len(b) && (b[i+2] == 'Z' || b[i+2] == 'X') {
			break
		}
		ptrace.Yield()
	}
	t.leadExit = true
	r.logDeath(t)
	sp := t.sp
	if sp.cur == t {
		r.release(sp)
	}
	return r.schedule(sp)
}

// ended handles the end of a thread.
func (r *recorder) ended(t *task, st unix.WaitStatus) error {
	sp := t.sp
	if t.tid == r.rootPID {
		r.status, r.over = st, true
	}
	if t.dead {
		delete(r.tasks, t.tid)
		return nil
	}
	wasLead := t.leadExit
	if sp != nil && sp.mode == modeRecord {
		r.logLast(t)
		if st.Signaled() && !wasLead {
			r.logEnter(t) // it was killed in its call, which kept the slot
		}
	}
	r.bury(t)
	if sp == nil || sp.mode != modeRecord {
		return nil
	}
	if len(sp.tasks) == 0 {
		r.countNow(sp)
		ev := recording.Event{Kind: recording.KindEnd, TID: int32(t.tid), Instr: sp.base, Why: recording.EndExited, Ret: int64(uint32(st))}
		r.log(sp, &ev)
		r.close(sp)
		r.endedInTest(sp, st)
		return nil
	}
	if !wasLead {
		r.logDeath(t)
	}
	if sp.cur == t {
		r.release(sp)
	}
	return r.schedule(sp)
}

// logDeath logs the end of a thread and the word that the kernel cleared.
func (r *recorder) logDeath(t *task) {
	sp := t.sp
	ev := recording.Event{Kind: recording.KindDeath, TID: int32(t.tid), Instr: sp.base}
	words := t.died
	if t.ctid != 0 {
		words = append(words, t.ctid)
	}
	if len(words) > 0 {
		for _, o := range sp.tasks {
			if !o.dead && !o.leadExit {
				ev.Mem = wordsOf(o.tid, words)
				break
			}
		}
	}
	r.log(sp, &ev)
}

// bury forgets a thread that ended.
func (r *recorder) bury(t *task) {
	t.dead = true
	delete(r.tasks, t.tid)
	sp := t.sp
	if sp == nil {
		return
	}
	t.endDiversion()
	sp.leaveStack(t)
	delete(sp.tasks, t.tid)
	sp.leave(t)
}

func (r *recorder) close(sp *space) {
	sp.ended = true
	r.quit(sp)
	sp.mode = modeLeave
	delete(r.recheck, sp)
	for len(sp.quiet) > 0 {
		r.dropQuiet(sp.quiet[0])
	}
	if len(sp.tasks) == 0 {
		r.endShared(sp)
	}
}
