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
	p := t.proc
	if p.cur == t {
		r.release(p)
	}
	return r.schedule(p)
}

// ended handles the end of a thread.
func (r *recorder) ended(t *task, st unix.WaitStatus) error {
	p := t.proc
	if t.tid == r.rootPID {
		r.status, r.over = st, true
	}
	if t.dead {
		delete(r.tasks, t.tid)
		return nil
	}
	wasLead := t.leadExit
	if p != nil && p.mode == modeRecord {
		r.logLast(t)
		if st.Signaled() && !wasLead {
			r.logEnter(t) // it was killed in its call, which kept the slot
		}
	}
	r.bury(t)
	if p == nil || p.mode != modeRecord {
		return nil
	}
	if len(p.tasks) == 0 {
		r.countNow(p)
		ev := recording.Event{Kind: recording.KindEnd, TID: int32(t.tid), Instr: p.base, Why: recording.EndExited, Ret: int64(uint32(st))}
		r.log(p, &ev)
		r.close(p)
		r.endedInTest(p, st)
		return nil
	}
	if !wasLead {
		r.logDeath(t)
	}
	if p.cur == t {
		r.release(p)
	}
	return r.schedule(p)
}

// logDeath logs the end of a thread and the word that the kernel cleared.
func (r *recorder) logDeath(t *task) {
	p := t.proc
	ev := recording.Event{Kind: recording.KindDeath, TID: int32(t.tid), Instr: p.base}
	words := t.died
	if t.ctid != 0 {
		words = append(words, t.ctid)
	}
	if len(words) > 0 {
		for _, o := range p.tasks {
			if !o.dead && !o.leadExit {
				ev.Mem = wordsOf(o.tid, words)
				break
			}
		}
	}
	r.log(p, &ev)
}

// bury forgets a thread that ended.
func (r *recorder) bury(t *task) {
	t.dead = true
	delete(r.tasks, t.tid)
	p := t.proc
	if p == nil {
		return
	}
	t.endDiversion()
	p.leaveStack(t)
	delete(p.tasks, t.tid)
	p.leave(t)
	r.preparationEnds(p)
}

func (r *recorder) close(p *process) {
	p.ended = true
	r.quit(p)
	p.mode = modeLeave
	delete(r.recheck, p)
	for len(p.quiet) > 0 {
		r.dropQuiet(p.quiet[0])
	}
	if len(p.tasks) == 0 {
		r.endShared(p)
	}
}
