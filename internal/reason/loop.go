package reason

import (
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/hang"
	"pyrr/internal/lazyregexp"
	"pyrr/internal/linux"
	"pyrr/internal/listing"
	"pyrr/internal/logview"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// loopDepth is how many of a thread's last calls are looked at for a loop.
const loopDepth = 1 << 14

// turn is a call of a thread, as far as loops are concerned.
type turn struct {
	nr    int32
	event uint64
	time  int64
	instr uint64
	own   uint64 // instructions that the thread itself has executed
	// moved says that the call moved data or woke somebody; wakes that it is to do that.
	moved, wakes bool
	// got says that it waited for another thread, without a time limit, and no longer does.
	got bool
	// failed is the call with its error, "" where it did not fail for good; begun is a
	// connect that goes on.
	failed, errno, begun string
	// alive is a child of which the call asked whether it has ended: it has not.
	alive int
	// refused is a call that did not get a lock on a file and does not wait for it, nil
	// for another.
	refused *askedLock
	// opened is the path of a file that the call has opened, as descriptor fd.
	opened string
	fd     int
}

// loopOf says since when and how often a thread has made the call that it is in
// from the function of the program that it is still in; nil for fewer than three
// times. lock is a call by which each turn asks for a lock on a file and does not get it,
// nil for none.
func loopOf(rec *recording.Recording, index *recording.StackIndex, proc recording.Process, c *hang.Call, nr int32) (out *hang.Loop, lock *askedLock) {
	if index == nil {
		return nil, nil
	}
	ring := turnsOf(rec, &proc, c.TID)
	if nr == lastRepeated {
		k := len(ring) - 1
		for k >= 0 && k > len(ring)-20 && !repeats(ring[k].nr) {
			k--
		}
		if k < 0 || !repeats(ring[k].nr) {
			return nil, nil
		}
		nr = ring[k].nr
	}
	if len(ring) == 0 {
		return nil, nil
	}
	at, ok := stackAt(index, proc.ID, c.TID, ring[len(ring)-1].event)
	where, own := OwnFrame(at)
	if !ok || !own {
		return nil, nil
	}
	// What the function calls, of the program's other functions too, is of the loop.
	in := func(event uint64) bool {
		st, ok := stackAt(index, proc.ID, c.TID, event)
		return ok && slices.ContainsFunc(st.Frames, func(f stack.Frame) bool { return f.Func == where.Func && f.File == where.File })
	}
	out = &hang.Loop{Call: linux.Name(int(nr))}
	var times []int64
	first := len(ring)
	for i := len(ring) - 1; i >= 0 && in(ring[i].event); i-- {
		if ring[i].nr == nr && !ring[i].wakes {
			times = append(times, ring[i].time)
			out.Event, first = ring[i].event, i
		}
	}
	if len(times) < 3 {
		return nil, nil
	}
	out.Fails, out.Failed = failing(ring[first:], nr, len(times))
	out.PID = askedFor(ring[first:], len(times))
	lock = lockAsked(ring[first:], len(times))
	moved := map[int]bool{}
	var instrs []uint64
	for i, turn := first, 0; i < len(ring); i++ {
		if ring[i].nr == nr && !ring[i].wakes {
			turn++
			instrs = append(instrs, ring[i].instr)
			if ring[i].got {
				moved[turn] = true
			}
		} else if ring[i].moved {
			moved[turn] = true
		}
	}
	// What it did in its last turns counts: it may have worked before it hung.
	const recent = 8
	lately := 0
	for turn := max(1, len(times)-recent+1); turn <= len(times); turn++ {
		if moved[turn] {
			lately++
		}
	}
	out.Moves = 2*lately >= min(recent, len(times))
	out.Instr = sameSteps(instrs)
	out.Still = still(ring[first:], nr)
	n := len(times)
	out.Count, out.For = n, time.Duration(times[0]-times[n-1])
	out.Every, out.Last = out.For/time.Duration(n-1), times[0]
	late, early := times[0]-times[1], times[n-2]-times[n-1]
	out.Grows = n >= 4 && early > 0 && late > 3*early/2 && times[1]-times[2] > early
	return out, lock
}

// still says whether a thread has been in one call all through most of a loop's turns: it has
// executed no instruction of its own.
func still(ring []turn, nr int32) bool {
	last, same, all := ring[len(ring)-1], 0, 0
	for i := range ring {
		if ring[i].nr == nr && !ring[i].wakes {
			if all++; ring[i].own == last.own {
				same++
			}
		}
	}
	return last.own > 0 && same >= 3 && 2*same > all
}

// turnsOf are the last calls of a thread.
func turnsOf(rec *recording.Recording, proc *recording.Process, tid int32) []turn {
	var ring []turn
	var before, own uint64
	if logview.Each(rec, proc, func(_ *logview.Follower, n uint64, ev *recording.Event, s logview.Step) error {
		if ev.TID == tid && ev.Instr > before { // one runs at a time
			own += ev.Instr - before
		}
		before = max(before, ev.Instr)
		if ev.TID == tid && (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter) {
			if len(ring) == 2*loopDepth {
				ring = append(ring[:0], ring[loopDepth:]...)
			}
			ring = append(ring, turn{nr: ev.Nr, event: n, time: ev.Time, instr: ev.Instr, own: own, wakes: wakes(linux.Name(int(ev.Nr)), ev.Args[1])})
		}
		if done := s.Done(ev); done != nil && ev.TID == tid && len(ring) > 0 && ring[len(ring)-1].event == s.EnterEvent {
			ring[len(ring)-1].fails(s.Enter, ev)
			if last := len(ring) - 1; last > 0 {
				ring[last].connectFailed(done, ring[:last])
				ring[last].opens(s.Enter, ev, ring[:last])
			}
			ring[len(ring)-1].moved = moves(linux.Name(int(ev.Nr)), s.Enter.Args[1], ev.Ret)
			ring[len(ring)-1].got = got(linux.Name(int(ev.Nr)), &s.Enter.Args, ev.Ret)
		}
		return nil
	}) != nil {
		return nil
	}
	return ring
}

// lastRepeated stands for the last call of a thread with which one waits a while.
const lastRepeated = -1

// between is the loop of a thread that computes at the end: one that was caught between
// two of its waits. It counts only where its turns are alike and short, or fail alike: one
// that computes for long and sleeps now and then is at work.
func between(rec *recording.Recording, index *recording.StackIndex, proc recording.Process, c *hang.Call, end int64) (*hang.Loop, *askedLock) {
	const short = 20_000 // instructions
	out, lock := loopOf(rec, index, proc, c, lastRepeated)
	if out == nil || time.Duration(end-out.Last) > 2*out.Every+time.Second/4 {
		return nil, nil
	}
	if alike := out.Instr > 0 && out.Instr < short; !alike && lock == nil && out.Fails == "" {
		return nil, nil
	}
	return out, lock
}

// addresses are arguments that only say where memory is.
var addresses = lazyregexp.New(`, 0x[0-9a-f]{6,}`)

// moves says whether a call that returned moved data or woke another thread.
func moves(name string, op uint64, ret int64) bool {
	switch {
	case ret <= 0:
		return false
	case strings.HasPrefix(name, "futex"):
		return wakes(name, op)
	}
	for _, p := range []string{"read", "recv", "write", "send", "pread", "pwrite", "splice", "accept"} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// wakes tells a call that wakes a thread.
func wakes(name string, op uint64) bool {
	const wake = 1 // FUTEX_WAKE of futex(2), below its flags
	return name == "futex" && op&0x7f == wake
}

// got tells a wait for a lock of Python's, or what is made of them, that is over: the one
// for the interpreter's own lock has a time limit each time.
func got(name string, args *[6]uint64, ret int64) bool {
	const waitBitset = 9 // FUTEX_WAIT_BITSET, as sem_wait(3) takes it
	return name == "futex" && args[1]&0x7f == waitBitset && args[3] == 0 && (ret == 0 || linux.Errno(int(-ret)) == "EAGAIN")
}

// sameSteps returns how many instructions lie between each two of the last turns,
// 0 where that differs.
func sameSteps(at []uint64) uint64 {
	const turns = 6
	if len(at) < turns {
		return 0
	}
	at = at[len(at)-turns:]
	step := at[1] - at[0]
	for i := 2; i < len(at); i++ {
		if at[i]-at[i-1] != step {
			return 0
		}
	}
	return step
}

// failing finds the call that fails in each turn of a loop, of so many that begin
// with the call nr, and its error; how often.
func failing(ring []turn, nr int32, turns int) (text string, count int) {
	in := map[string]int{} // turns in which it failed
	last := map[string]int{}
	texts := map[string]string{}
	turn := 0
	for i := range ring {
		t := &ring[i]
		if t.nr == nr {
			turn++
			continue
		}
		if t.failed == "" {
			continue
		}
		key := linux.Name(int(t.nr)) + " " + t.errno
		if last[key] != turn {
			in[key]++
		}
		last[key], texts[key] = turn, t.failed
	}
	for key, n := range in {
		if n >= 3 && 4*n >= 3*turns && (n > count || n == count && texts[key] < text) {
			text, count = texts[key], n
		}
	}
	return text, count
}

// askedFor finds the child of which nearly all turns of a loop ask whether it has
// ended, 0 for none.
func askedFor(ring []turn, turns int) int {
	asked := map[int]int{}
	for i := range ring {
		if pid := ring[i].alive; pid > 0 {
			if asked[pid]++; asked[pid] >= 3 && 4*asked[pid] >= 3*turns {
				return pid
			}
		}
	}
	return 0
}

// connectFailed notes that a connect which had begun before failed: the program asked for the
// error of its socket.
func (t *turn) connectFailed(done *linux.Done, before []turn) {
	const (
		solSocket = 1 // sys/socket.h
		soError   = 4
	)
	if linux.Name(done.Nr) != "getsockopt" || done.Ret != 0 || done.Args[1] != solSocket || done.Args[2] != soError || done.Read == nil {
		return
	}
	b := done.Read(done.Args[3], 4)
	if len(b) < 4 || b[0] == 0 || b[1] != 0 {
		return
	}
	name := linux.Errno(int(b[0]))
	for i := len(before) - 1; i >= 0 && i >= len(before)-8; i-- {
		if text, ok := strings.CutSuffix(before[i].begun, "EINPROGRESS"); ok && strings.HasPrefix(name, "E") {
			t.errno, t.failed = name, text+name
			return
		}
	}
}

// fails notes that a call failed, except for errors by which one waits.
func (t *turn) fails(enter, exit *recording.Event) {
	const noHang = 1 // WNOHANG of sys/wait.h
	if linux.Name(int(enter.Nr)) == "wait4" && exit.Ret == 0 && enter.Args[2]&noHang != 0 {
		t.alive = max(0, int(int32(enter.Args[0])))
	}
	if exit.Ret >= 0 || exit.Ret < -4095 {
		return
	}
	if linux.Name(int(enter.Nr)) == "connect" && linux.Errno(int(-exit.Ret)) == "EINPROGRESS" {
		t.begun = printable.Shorten(addresses().ReplaceAllString(listing.Call(enter, exit, true), ""), 100)
	}
	if name := linux.Errno(int(-exit.Ret)); name == "EAGAIN" || name == "EACCES" {
		if _, _, _, ok := linux.LockWanted(int(enter.Nr), enter.Args, enter.In); ok {
			t.refused = &askedLock{Event: recording.Event{Nr: enter.Nr, Args: enter.Args, In: slices.Clone(enter.In)}}
			return
		}
	}
	switch name := linux.Errno(int(-exit.Ret)); name {
	case "EAGAIN", "EINTR", "EINPROGRESS", "EALREADY", "ETIMEDOUT", "ENOTTY", "ESPIPE":
	default:
		if strings.HasPrefix(name, "E") {
			t.errno, t.failed = name, printable.Shorten(addresses().ReplaceAllString(listing.Call(enter, exit, true), ""), 100)
		}
	}
}

func stackAt(index *recording.StackIndex, proc int, tid int32, event uint64) (stack.Stack, bool) {
	st, ok, err := index.Stack(proc, tid, event)
	return st, ok && err == nil
}

// ownerOf finds who holds what a thread waits for in the kernel or retries: a
// lock on a file, a transaction of SQLite that is open. asked is the call by which it asks
// for a lock in a loop, nil for none.
func ownerOf(state *logview.State, index *recording.StackIndex, w *Waiting, c *hang.Call, asked *askedLock) *hang.Owner {
	if state == nil {
		return nil
	}
	p := state.Proc(w.Proc.ID)
	if p == nil {
		return nil
	}
	owner := func(what string, at logview.Moment) *hang.Owner { return ownerAt(index, what, at) }
	var self *hang.Owner // a transaction of its own, on another connection
	switch {
	case asked != nil && !inSQLite(w):
		if at, f, ok := state.BlockerOf(p, p.Thread(w.TID), &asked.Event, asked.path); ok && f.Path != "" {
			out := owner("the lock on "+filepath.Base(f.Path), at)
			out.Lock = true
			return out
		}
	case c.Call == "flock", c.Call == "fcntl":
		if at, f, ok := state.Blocker(p, p.Thread(w.TID)); ok && f.Path != "" {
			return owner("the lock on "+filepath.Base(f.Path), at)
		}
	case strings.Contains(c.Call, "nanosleep") && inSQLite(w):
		if f := pendingOf(state, p, w.TID); f != nil {
			if l := readLock(state, p, f); l != nil {
				return owner("the database "+filepath.Base(f.Path), l.At)
			}
			return &hang.Owner{What: "the database " + filepath.Base(f.Path), Proc: w.Proc.ID, TID: w.TID, Commits: true, Only: onlyRead(state, p, f)}
		}
		if l := sqliteLock(state, p, w); l != nil {
			return owner("the database "+filepath.Base(strings.TrimSuffix(l.File.Path, "-shm")), l.At)
		}
		for _, f := range state.Files {
			base, ok := strings.CutSuffix(f.Path, "-journal")
			if ok && len(f.Holders) > 0 && (f.Made.TID != w.TID || f.Made.Proc != w.Proc.ID) {
				return owner("the database "+filepath.Base(base), f.Made)
			}
			if ok && len(f.Holders) > 0 {
				self = owner("the database "+filepath.Base(base), f.Made)
			}
		}
		return self
	}
	return nil
}

// sqliteLock finds the lock with which another thread or process keeps one from
// writing to a database that it has open: on the byte of the writer in the file
// of the index of the write-ahead log, or on that of a reservation in the database
// itself (WAL_WRITE_LOCK, RESERVED_BYTE of sqlite3.c).
func sqliteLock(state *logview.State, p *logview.Process, w *Waiting) *logview.RecordLock {
	const (
		walWrite = 120
		reserved = 0x40000001
	)
	for i := range state.Locks {
		l := &state.Locks[i]
		if l.Shared || l.File.Path == "" || l.At.TID == w.TID && l.At.Proc == w.Proc.ID {
			continue
		}
		at := uint64(reserved)
		if strings.HasSuffix(l.File.Path, "-shm") {
			at = walWrite
		}
		if at < l.Start || at >= l.End {
			continue
		}
		for _, fd := range p.FDs {
			if fd.File != nil && fd.File.Path == l.File.Path {
				return l
			}
		}
	}
	return nil
}

// inSQLite tells a thread that is in the code of SQLite.
func inSQLite(w *Waiting) bool {
	for _, f := range w.Stack.Frames {
		// Where SQLite is part of the interpreter, its sleep is told from Python's,
		// which is clock_nanosleep or select.
		if strings.Contains(filepath.Base(f.Module), "sqlite3") || f.Func == "nanosleep" || f.Func == "usleep" {
			return true
		}
	}
	return false
}

// repeats tells the calls with which a thread waits a while to look again.
func repeats(nr int32) bool {
	switch name := linux.Name(int(nr)); name {
	case "nanosleep", "clock_nanosleep", "select", "pselect6", "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_pwait2", "sched_yield", "futex":
		return true
	}
	return false
}
