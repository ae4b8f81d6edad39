package replay

import (
	"errors"
	"hash/crc32"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// What a program printed is compared, byte by byte, with what its replay is about to
// print; where another thread changes the bytes before the call returns, the bytes
// that the call was given count.
func TestOutputIsCompared(t *testing.T) {
	const text = 0x10000 + 1024
	regs := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000, Rax: unix.SYS_WRITE, Rdi: 1, Rsi: text, Rdx: 5}
	sum := func(s string) uint32 { return crc32.Checksum([]byte(s), castagnoli) }
	call := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_WRITE, Reached: recording.Reached{PC: 0x10002, RegSum: recording.RegSum(&regs), OutSum: sum("hello")}, Args: [6]uint64{1, text, 5}, Ret: 5, Why: recording.OutStdout}
	enter := call
	enter.Kind, enter.Ret = recording.KindEnter, 0
	exit := recording.Event{Kind: recording.KindExit, TID: 1, Nr: unix.SYS_WRITE, Ret: 3, Why: recording.OutStdout}
	change := recording.Event{Kind: recording.KindWrite, TID: 1, Memory: recording.Memory{Mem: []recording.Write{{Addr: text, Data: []byte("HE")}}}}
	short, other, lost, more := call, call, call, exit
	short.Ret, other.OutSum, lost.OutSum, more.Ret = 2, sum("hellO"), sum("hell"), 6
	end := recording.Event{Kind: recording.KindEnd, TID: 1, Why: recording.EndExited}
	for _, test := range []struct {
		name    string
		events  []recording.Event
		printed string
		differs bool
	}{
		{"the same", []recording.Event{call, end}, "hello", false},
		{"a part of it", []recording.Event{short, end}, "he", false},
		{"another byte", []recording.Event{other, end}, "", true},
		{"a byte less", []recording.Event{lost, end}, "", true},
		{"changed by another thread", []recording.Event{enter, change, exit, end}, "hel", false},
		{"more than it was given", []recording.Event{enter, more, end}, "", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var out strings.Builder
			_, err := Batch(forge(t, []byte{0x0f, 0x05, 0xcc}, "hello", regs, test.events...), Options{Stdout: &out})
			if _, diverged := errors.AsType[*Divergence](err); (diverged || Damaged(err)) != test.differs || err != nil && !test.differs {
				t.Errorf("the replay says: %v", err)
			}
			if !test.differs && out.String() != test.printed {
				t.Errorf("it prints %q, not %q", out.String(), test.printed)
			}
		})
	}
}
