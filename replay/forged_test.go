package replay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// forge writes a recording whose program is code, mapped at 0x10000 with the
// string path behind it, and which starts with regs; where events begin with a
// start of their own, it is that.
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
		Kind: recording.KindStart, TID: 1, Proc: &recording.Process{ID: 1, PID: 1, Argv: []string{"forged"}},
		Memory: recording.Memory{Maps: []recording.Mapping{{Start: 0x10000, End: 0x11000, Prot: 7}}, Mem: []recording.Write{{Addr: 0x10000, Data: page}}},
		Regs:   &regs,
	}
	if len(events) == 0 || events[0].Kind != recording.KindStart {
		events = append([]recording.Event{start}, events...)
	}
	for _, ev := range events {
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
	next := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_GETPID, Reached: recording.Reached{PC: 0x10002}, Ret: 1}
	again := next
	again.Nr, again.Args = unix.SYS_OPENAT, open.Args()
	again.RegSum = recording.RegSum(&open)
	trap := recording.Event{Kind: recording.KindInsn, Stop: recording.StopTrap, TID: 1, Regs: &atGadget, Reached: recording.Reached{PC: 0x10000}}
	child := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_CLONE, Child: 2, Reached: recording.Reached{PC: 0x10002}}
	mapped := recording.Event{Kind: recording.KindWrite, TID: 1, Memory: recording.Memory{Maps: []recording.Mapping{{Start: gadgetBase, End: gadgetBase + 4096, Prot: 7}}}}
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

// The code at the gadget is executed with real system calls, so nothing of a recording
// may get there by any way: no bytes and no mapping.
func TestForgedRecordingsLeaveTheGadgetAlone(t *testing.T) {
	loop := []byte{0xeb, 0xfe} // would keep an injected call from returning
	regs := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000}
	call := func(nr int32, ret int64, args ...uint64) recording.Event {
		// The thread does not have to run to the gadget: it is there from the start.
		ev := recording.Event{Kind: recording.KindSyscall, TID: 1, Nr: nr, Ret: ret, Reached: recording.Reached{PC: 0x10002}}
		copy(ev.Args[:], args)
		return ev
	}
	again := call(unix.SYS_MUNMAP, 0, 0x10000, 4096)
	clock := recording.Event{
		Kind: recording.KindStart, TID: 1, Proc: &recording.Process{ID: 1, PID: 1, Argv: []string{"forged"}}, Regs: &regs,
		Args:   [6]uint64{1, gadgetBase, 0x10800, 0x10900, 4, 0x9090909090909090},
		Memory: recording.Memory{Maps: []recording.Mapping{{Start: 0x10000, End: 0x11000, Prot: 7}}},
	}
	budget := recording.Event{Kind: recording.KindWrite, TID: 1, Args: [6]uint64{gadgetBase, 0x10000}}
	stopped := recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_GETPID, Reached: recording.Reached{PC: 0x10002}, Instr: 7}
	brk := clock // with a heap that ends right behind it
	brk.Args, brk.Proc = [6]uint64{}, &recording.Process{ID: 1, PID: 1, Argv: []string{"forged"}, Brk: gadgetBase + 4096}
	for _, test := range []struct {
		name   string
		events []recording.Event
	}{
		{"bytes", []recording.Event{{Kind: recording.KindWrite, TID: 1, Memory: recording.Memory{Mem: []recording.Write{{Addr: gadgetBase, Data: loop}}}}, again}},
		{"bytes that reach into it", []recording.Event{{Kind: recording.KindWrite, TID: 1, Memory: recording.Memory{Mem: []recording.Write{{Addr: 0x10000, Data: make([]byte, 4096)}, {Addr: gadgetBase - 1, Data: loop}}}}, again}},
		{"a budget", []recording.Event{budget, stopped}},
		{"munmap", []recording.Event{call(unix.SYS_MUNMAP, 0, gadgetBase, 1)}},
		{"munmap of all", []recording.Event{call(unix.SYS_MUNMAP, 0, 0, userTop)}},
		{"mprotect", []recording.Event{call(unix.SYS_MPROTECT, 0, gadgetBase, 4096, 7)}},
		{"madvise", []recording.Event{call(unix.SYS_MADVISE, 0, gadgetBase, 4096, unix.MADV_DONTNEED)}},
		{"mremap to it", []recording.Event{call(unix.SYS_MREMAP, gadgetBase, 0x10000, 4096, 4096, unix.MREMAP_MAYMOVE)}},
		{"mremap from it", []recording.Event{call(unix.SYS_MREMAP, 0x20000, gadgetBase, 4096, 4096, unix.MREMAP_MAYMOVE)}},
		{"brk", []recording.Event{brk, call(unix.SYS_BRK, gadgetBase)}},
		{"the clock's function", []recording.Event{clock}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Batch(forge(t, []byte{0x0f, 0x05, 0xcc}, "", regs, test.events...), Options{})
			if err == nil || !Damaged(err) || !strings.Contains(err.Error(), "the replay's own") {
				t.Errorf("the replay says: %v", err)
			}
		})
	}
}

// Events at which nothing runs may hold any amount of memory. Pyrr does not collect
// it: it writes the memory on the way, which fails here.
func TestForgedRecordingsDoNotFillMemory(t *testing.T) {
	regs := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000}
	bytes := []recording.Write{{Addr: 0x40000000, Data: make([]byte, maxHeld/2)}} // no mapping has this address
	var events []recording.Event
	for range 4 {
		events = append(events, recording.Event{Kind: recording.KindSyscall, TID: 1, Nr: unix.SYS_READ, Memory: recording.Memory{Mem: bytes}})
	}
	events = append(events, recording.Event{Kind: recording.KindEnd, TID: 1, Why: recording.EndExited})
	_, err := Batch(forge(t, nil, "", regs, events...), Options{})
	if err == nil || !strings.Contains(err.Error(), "event 3: damaged recording: write to memory") {
		t.Errorf("the replay says: %v", err)
	}
}

// A forked stub is made only where a process of the recording begins in it.
func TestForgedRecordingsForkNoMoreThanTheyNeed(t *testing.T) {
	regs := linux.Regs{Cs: 0x33, Ss: 0x2b, Eflags: 0x202, Rsp: 0x10f00, Rip: 0x10000}
	var events []recording.Event
	for i := range 50 {
		events = append(events, recording.Event{Kind: recording.KindSyscall, TID: 1, Nr: unix.SYS_FORK, Child: int32(100 + i), Ret: int64(100 + i)})
	}
	children := 0
	_, err := Batch(forge(t, nil, "", regs, events...), Options{OnEvent: func(p *Process, _ *Thread, _ *recording.Event) error {
		children = max(children, len(p.s.forks))
		return nil
	}})
	if err != nil || children > 0 {
		t.Errorf("%d stubs wait for nobody; %v", children, err)
	}
}
