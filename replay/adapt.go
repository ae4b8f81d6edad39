package replay

import (
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// A recording in which bytes were replaced by others (a password by a
// placeholder) is one of a program that was given those. Mostly it does the
// same; sometimes it gets there by a few instructions more or less, because a
// table of characters misses, or has a byte at another address, because the
// interpreter keeps an object for each. Such differences are adopted where
// Options.Adapt is set: what comes out is an exact recording of the other run.
// Everything else stays a divergence: another call, another number, another
// place in the code, another use of the clock.

// slack is how many instructions more than recorded lead to an event.
const slack = 1 << 22

// relocation is a buffer that is at another address than it was recorded at.
type relocation struct{ from, to uint64 }

// adapting says whether differences are adopted.
func (p *Process) adapting() bool { return p.s.o.Adapt != nil }

// shifted counts an event as much later as those before it were.
func (p *Process) shifted(ev *recording.Event) {
	if p.shift != 0 {
		ev.Instr = uint64(int64(ev.Instr) + p.shift)
	}
}

// adopt makes of an event what came instead of it, if that may be adopted.
func (p *Process) adopt(t *Thread, ev *recording.Event, count uint64, atStub bool) {
	r := &t.regs
	if ev.Stop == recording.StopInstr {
		if atStub {
			ev.PC = r.PC()
		}
	} else if !atStub && p.cell != 0 {
		p.shift += int64(count - ev.Instr)
		ev.Instr = count
	}
	if ev.Kind != recording.KindSignal { // whose frame holds the registers as they were
		ev.RegSum = recording.RegSum(r)
	}
	if ev.Stop != recording.StopSyscall && ev.Stop != recording.StopBuffered || atStub || int32(r.Number()) != ev.Nr || r.PC() != ev.PC {
		return
	}
	sys, ok := linux.Lookup(int(ev.Nr))
	class, _ := linux.ClassOf(int(ev.Nr), ev.Args)
	args := r.Args()
	t.moves = t.moves[:0]
	for i := range args {
		const lowest = 1 << 16 // vm.mmap_min_addr: below it are numbers
		switch {
		case args[i] == ev.Args[i], ok && i >= len(sys.Args): // what is in the register is not an argument
		case ok && class == linux.Plain && isPointer(sys.Args[i].Kind) && args[i] >= lowest && ev.Args[i] >= lowest:
			t.moves = append(t.moves, relocation{ev.Args[i], args[i]})
		default:
			return // compare says what it is
		}
	}
	ev.Args = args
	t.moveOutput(ev)
}

// isPointer says whether an argument is an address that nothing but this call
// goes by.
func isPointer(k linux.ArgKind) bool {
	switch k {
	case linux.Pointer, linux.Path, linux.String, linux.OutString, linux.InBytes, linux.OutSockAddr, linux.InSockAddr, linux.SockLen,
		linux.OutInts, linux.OutInt, linux.PollFDs, linux.OutEpoll, linux.InEpoll, linux.FDSet, linux.Timespec, linux.Timeval,
		linux.TimerIn, linux.Sigset, linux.WaitStatus, linux.Errno32, linux.Iovecs, linux.Msg:
		return true
	}
	return false
}

// moveOutput puts what a call wrote to where its buffers are now.
func (t *Thread) moveOutput(ev *recording.Event) {
	if len(t.moves) == 0 || len(ev.Mem) == 0 {
		return
	}
	ev.Mem = slices.Clone(ev.Mem)
	for i := range ev.Mem {
		for _, m := range t.moves {
			const reach = 1 << 20 // of a buffer
			if off := ev.Mem[i].Addr - m.from; off < reach {
				ev.Mem[i].Addr = m.to + off
				break
			}
		}
	}
	t.moves = t.moves[:0]
}

// adapted tells of an event that differs from the recorded one.
func (p *Process) adapted(ev *recording.Event, was *recording.Event) {
	if ev.Instr != was.Instr || ev.PC != was.PC || ev.RegSum != was.RegSum || ev.OutSum != was.OutSum || ev.Args != was.Args || ev.Regs != was.Regs || len(ev.Mem) > 0 && &ev.Mem[0] != &was.Mem[0] {
		p.s.o.Adapt(p.Info.ID, p.Number, ev)
	}
}
