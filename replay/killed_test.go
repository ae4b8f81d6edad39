package replay

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// Where the kernel, for lack of memory, or somebody else ends a replayed process, that
// says nothing about its recording: the replay did not diverge.
func TestKilledReplay(t *testing.T) {
	regs := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000, Rax: unix.SYS_GETPID}
	call := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_GETPID, Reached: recording.Reached{PC: 0x10002, RegSum: recording.RegSum(&regs)}, Ret: 1}
	next := call
	next.PC = 0x10100
	// A call, and then a loop.
	code := []byte{0x0f, 0x05, 0xeb, 0xfe}
	second := recording.Event{Kind: recording.KindThread, TID: 2, Regs: &regs}
	for name, test := range map[string]struct {
		when   time.Duration
		events []recording.Event
	}{
		"while it runs":           {300 * time.Millisecond, []recording.Event{call, next}},
		"while it stands":         {0, []recording.Event{call, next}},
		"while one of two runs":   {300 * time.Millisecond, []recording.Event{second, call, next}},
		"while one of two stands": {0, []recording.Event{second, call, next}},
	} {
		when := test.when
		t.Run(name, func(t *testing.T) {
			kill := func(p *Process, _ *Thread, ev *recording.Event) error {
				if ev.Kind == recording.KindSyscall && ev.PC == call.PC {
					pid := p.pid
					if when == 0 {
						unix.Kill(pid, unix.SIGKILL)
						time.Sleep(50 * time.Millisecond)
					} else {
						time.AfterFunc(when, func() { unix.Kill(pid, unix.SIGKILL) })
					}
				}
				return nil
			}
			_, err := Batch(forge(t, code, "", regs, test.events...), Options{OnEvent: kill})
			if _, ok := errors.AsType[*KilledError](err); !ok {
				t.Errorf("the replay says: %v", err)
			}
		})
	}
}
