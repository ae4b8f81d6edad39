package replay

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// Segments and flags that the recorder never writes change what the machine
// code means, that of pyrr's own too: they are damage, wherever they stand,
// and are found at once.
func TestForgedModes(t *testing.T) {
	base := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000}
	in32, segment, steps := base, base, base
	in32.Cs = 0x23
	segment.FsBase = 1 << 63
	steps.Eflags |= 1 << 8 // TF
	second := func(r linux.Regs) recording.Event {
		return recording.Event{Kind: recording.KindThread, TID: 2, Regs: &r}
	}
	next := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_GETPID, Reached: recording.Reached{PC: 0x10002}, Ret: 1}
	death := recording.Event{Kind: recording.KindDeath, TID: 2}
	protect := recording.Event{Kind: recording.KindSyscall, TID: 1, Nr: unix.SYS_MPROTECT, Args: [6]uint64{0x10000, 4096, 7}}
	setregs := func(r linux.Regs) recording.Event { return recording.Event{Kind: recording.KindInsn, TID: 1, Regs: &r} }
	base31 := recording.Event{Kind: recording.KindSyscall, TID: 1, Nr: unix.SYS_ARCH_PRCTL, Args: [6]uint64{0x1002, 1 << 63}}
	printed := recording.Event{Kind: recording.KindSyscall, TID: 1, Nr: unix.SYS_WRITE, Why: recording.OutStdout, Args: [6]uint64{1, 0x10000, 1 << 62}, Ret: 1 << 40}
	code := []byte{0x0f, 0x05, 0xcc}
	far := []byte{0x6a, 0x23, 0x68, 0x10, 0x00, 0x01, 0x00, 0x48, 0xcb} // push 0x23; push 0x10010; retfq
	far = append(append(far, make([]byte, 16-len(far))...), 0x0f, 0x0b) // ud2, in 32-bit code
	for _, test := range []struct {
		name   string
		code   []byte
		regs   linux.Regs
		events []recording.Event
		want   string
	}{
		{"at the start", code, in32, []recording.Event{next}, "code segment 0x23"},
		{"of a second thread", code, base, []recording.Event{second(in32), death}, "code segment 0x23"},
		{"after an instruction", code, base, []recording.Event{setregs(in32), protect, next}, "code segment 0x23"},
		{"by the program's own jump", far, base, []recording.Event{next}, "code segment 0x23"},
		{"a base of a segment", code, segment, []recording.Event{next}, "segments at"},
		{"a base by arch_prctl", code, base, []recording.Event{base31, next}, "a segment at"},
		{"single steps, and a call", code, base, []recording.Event{setregs(steps), protect, next}, "diverged"},
		{"output without end", code, base, []recording.Event{printed}, "more than a call can"},
		{"a thread twice", code, base, []recording.Event{second(base), {Kind: recording.KindSyscall, TID: 1, Nr: unix.SYS_CLONE,
			Args: [6]uint64{unix.CLONE_VM}, Child: 2, Ret: 2}}, "exists already"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Batch(forge(t, test.code, "", test.regs, test.events...), Options{Stdout: &strings.Builder{}})
			if err == nil || !strings.Contains(err.Error(), test.want) || test.want != "diverged" && !Damaged(err) {
				t.Errorf("the replay says: %v", err)
			}
		})
	}
}

// More threads at a time than any program has are refused, instead of filling
// the kernel's memory.
func TestForgedThreads(t *testing.T) {
	regs := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000}
	defer func(n int) { maxThreads = n }(maxThreads)
	maxThreads = 5
	var events []recording.Event
	for i := int32(2); i < 10; i++ {
		events = append(events, recording.Event{Kind: recording.KindThread, TID: i, Regs: &regs})
	}
	if _, err := Batch(forge(t, nil, "", regs, events...), Options{}); !Damaged(err) {
		t.Errorf("the replay says: %v", err)
	}
}

// What a replayed process does between two events is limited: in time and in
// memory.
func TestForgedProgramsEnd(t *testing.T) {
	defer func(d time.Duration) { leastPatience = d }(leastPatience)
	leastPatience = 300 * time.Millisecond
	t.Setenv("PYRR_REPLAY_MEMORY", "64")
	base := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000}
	next := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_GETPID, Reached: recording.Reached{PC: 0x10002}, Ret: 1}
	hog := recording.Event{
		Kind: recording.KindStart, TID: 1, Proc: &recording.Process{ID: 1, PID: 1, Argv: []string{"forged"}}, Regs: &base,
		Memory: recording.Memory{Maps: []recording.Mapping{{Start: 0x10000, End: 0x6e0000000000, Prot: 7}}, Mem: []recording.Write{{Addr: 0x10000, Data: []byte{0x48, 0x81, 0xc4, 0, 0x10, 0, 0, 0x50, 0xeb, 0xf6}}}},
	}
	spin := []byte{0xeb, 0xfe}
	t.Run("time", func(t *testing.T) {
		_, err := Batch(forge(t, spin, "", base, next), Options{})
		if err == nil || !strings.Contains(err.Error(), "ran on without reaching the event") {
			t.Errorf("the replay says: %v", err)
		}
	})
	t.Run("memory", func(t *testing.T) {
		leastPatience = time.Minute
		for _, open := range []func(*recording.Recording) error{
			func(rec *recording.Recording) error { _, err := Batch(rec, Options{}); return err },
			func(rec *recording.Recording) error {
				x, err := Open(rec, Options{})
				if err != nil {
					return err
				}
				defer x.Close()
				_, err = x.Continue(nil)
				return err
			},
		} {
			err := open(forge(t, nil, "", base, hog, next))
			if _, ok := errors.AsType[*MemoryError](err); !ok {
				t.Errorf("the replay says: %v", err)
			}
		}
	})
}

func TestPatience(t *testing.T) {
	const least = 10 * time.Second
	for _, test := range []struct {
		from, to int64
		want     time.Duration
	}{
		{0, 0, least},
		{5, 1, least},
		{-1 << 63, 1<<63 - 1, least},
		{0, int64(time.Second), least + 4*time.Second},
		{0, 1<<63 - 1, mostPatience},
	} {
		if got := patience(test.from, test.to); got != test.want {
			t.Errorf("from %d to %d: %v, want %v", test.from, test.to, got, test.want)
		}
	}
}
