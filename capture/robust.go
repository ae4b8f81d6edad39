package capture

import (
	"encoding/binary"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// Layout of struct robust_list_head, and of a futex word (linux/futex.h).
const (
	robustHeadSize  = 24
	robustLimit     = 2048 // ROBUST_LIST_LIMIT
	futexTIDMask    = 0x3fffffff
	robustPIPointer = 1 // the lowest bit of an entry marks a mutex with priority inheritance
)

// robustWords lists the futex words that the kernel will mark with
// FUTEX_OWNER_DIED when t ends: those of the robust mutexes that it holds
// (exit_robust_list, kernel/futex/core.c).
func (t *task) robustWords() []uint64 {
	if t.robust == 0 {
		return nil
	}
	m := ptrace.Mem(t.tid)
	var head [robustHeadSize]byte
	if m.ReadAt(head[:], t.robust) != nil {
		return nil
	}
	next := binary.LittleEndian.Uint64(head[0:])
	offset := binary.LittleEndian.Uint64(head[8:])
	pending := binary.LittleEndian.Uint64(head[16:])
	var words []uint64
	add := func(entry uint64) {
		var w [4]byte
		at := entry&^robustPIPointer + offset
		if m.ReadAt(w[:], at) == nil && binary.LittleEndian.Uint32(w[:])&futexTIDMask == uint32(t.tid) {
			words = append(words, at)
		}
	}
	for n := 0; next&^robustPIPointer != t.robust && n < robustLimit; n++ {
		add(next)
		var b [8]byte
		if m.ReadAt(b[:], next&^robustPIPointer) != nil {
			break
		}
		next = binary.LittleEndian.Uint64(b[:])
	}
	if pending != 0 {
		add(pending)
	}
	return words
}

// dyingWords lists the words that the kernel writes when the call at hand ends
// threads.
func (r *recorder) dyingWords(t *task) []uint64 {
	switch t.ev.Nr {
	case sys.SYS_EXIT:
		return t.robustWords()
	case sys.SYS_EXIT_GROUP:
		var words []uint64
		for _, o := range t.proc.tasks {
			if o.pid == t.pid {
				words = append(words, o.robustWords()...)
			}
		}
		return words
	}
	return nil
}

// wordsOf reads 32-bit words from the memory of a thread.
func wordsOf(tid int, at []uint64) []recording.Write {
	var ws []recording.Write
	for _, a := range at {
		b := make([]byte, 4)
		if (ptrace.Mem)(tid).ReadAt(b, a) == nil {
			ws = append(ws, recording.Write{Addr: a, Data: b})
		}
	}
	return ws
}

// logWord puts into the log what the kernel has made of the word of a lock with
// priority inheritance, where other threads may run before the call of t is over: that
// somebody waits, or who has the lock now. Whoever unlocks it looks there.
func (r *recorder) logWord(t *task) {
	at := linux.FutexWord(int(t.ev.Nr), t.ev.Args)
	if at == 0 {
		return
	}
	if ws := wordsOf(t.tid, []uint64{at}); len(ws) > 0 {
		r.log(t.proc, &recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Instr: t.proc.base, Memory: recording.Memory{Mem: ws}})
	}
}

// lostWord reports whether the kernel could not write the word of a lock with priority
// inheritance, as another process holds the memory that it lies in: it writes there when
// the owner has died, once the thread that waits is woken.
func (t *task) lostWord() bool {
	at := linux.FutexWord(int(t.ev.Nr), t.ev.Args)
	m := t.proc.findShared(at)
	return at != 0 && m != nil && m.obj.holder[m.unitOf(at)] != m
}

// makeAgain lets a thread that stands behind a call make the same call again, as the
// kernel does with one that was interrupted.
func (r *recorder) makeAgain(t *task) error {
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return err
	}
	regs.BeforeCall(uint64(t.ev.Nr))
	if err := ptrace.SetRegs(t.tid, &regs); err != nil {
		return err
	}
	r.logEnter(t)
	t.sys.move(moveInterrupt)
	return r.resume(t, 0)
}
