package replay

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// forge writes a recording whose program is code, mapped at 0x10000 with the
// string path behind it, and which starts at pc with regs.
func forge(t *testing.T, code []byte, path string, regs linux.Regs, events ...recording.Event) *recording.Recording {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "forged.pyrr.part")
	w, err := recording.Create(dir, recording.Header{Tool: "pyrr", Command: []string{"forged"}, Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	s := w.Stream(1)
	page := make([]byte, 4096)
	copy(page, code)
	copy(page[1024:], path)
	start := recording.Event{
		Kind: recording.KindStart, TID: 1, Proc: &recording.Proc{ID: 1, PID: 1, Argv: []string{"forged"}},
		Maps: []recording.Mapping{{Start: 0x10000, End: 0x11000, Prot: 7}},
		Mem:  []recording.Write{{Addr: 0x10000, Data: page}},
		Regs: &regs,
	}
	for _, ev := range append([]recording.Event{start}, events...) {
		if err := s.Append(&ev); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(recording.Summary{}); err != nil {
		t.Fatal(err)
	}
	r, err := recording.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// A recording is untrusted: whatever code and registers it holds, nothing of
// it may reach the kernel.
func TestForgedRecordingsReachNothing(t *testing.T) {
	made := filepath.Join(t.TempDir(), "made")
	// Segment selectors of a 64-bit program.
	base := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00}
	open := base
	open.Rax, open.Rdi, open.Rsi, open.Rdx, open.R10 = unix.SYS_OPENAT, ^uint64(99), 0x10000+1024, unix.O_CREAT|unix.O_WRONLY, 0o666
	atCode, atGadget, atThirtyTwo := open, open, open
	atCode.Rip, atGadget.Rip, atThirtyTwo.Rip = 0x10000, gadgetBase, 0x10000
	// The 32-bit entry: creat(path) is call 8 there.
	atThirtyTwo.Rax, atThirtyTwo.Rbx, atThirtyTwo.Rcx = 8, 0x10000+1024, 0o666
	next := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_GETPID, PC: 0x10002, Ret: 1}
	again := next
	again.Nr, again.Args = unix.SYS_OPENAT, open.Args()
	again.RegSum = recording.RegSum(&open)
	trap := recording.Event{Kind: recording.KindInsn, Stop: recording.StopTrap, TID: 1, Regs: &atGadget, PC: 0x10000}
	child := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_CLONE, Child: 2, PC: 0x10002}
	mapped := recording.Event{Kind: recording.KindWrite, TID: 1, Maps: []recording.Mapping{{Start: gadgetBase, End: gadgetBase + 4096, Prot: 7}}}
	for _, test := range []struct {
		name   string
		code   []byte
		regs   linux.Regs
		events []recording.Event
	}{
		{"a call of its own code", []byte{0x0f, 0x05, 0xcc}, atCode, []recording.Event{next}},
		{"a call that the log agrees to", []byte{0x0f, 0x05, 0xcc}, atCode, []recording.Event{again, next}},
		{"a call at the gadget", nil, atGadget, []recording.Event{next}},
		{"a call at the gadget after a trap", []byte{0x0f, 0x0b}, atCode, []recording.Event{trap, next}},
		{"a call of the 32-bit kind", []byte{0xcd, 0x80, 0xcc}, atThirtyTwo, []recording.Event{next}},
		{"a thread that is not in its code", []byte{0x0f, 0x05, 0xcc}, atCode, []recording.Event{child}},
		{"a mapping over the gadget", []byte{0xcc}, atCode, []recording.Event{mapped, next}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Batch(forge(t, test.code, made+"\x00", test.regs, test.events...), Options{})
			if err == nil {
				t.Error("the replay calls it exact")
			}
			if _, err := os.Stat(made); err == nil {
				t.Errorf("the program made %s", made)
			}
		})
	}
}
