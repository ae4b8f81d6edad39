package replay

import (
	"errors"
	"fmt"
	"io"

	unix "pyrr/internal/sys"

	"pyrr/internal/hint"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// LostError says that a replay can't go on, as the program needs what is not in the
// recording. Up to there it was exact.
type LostError struct {
	Process int
	Pos     recording.Pos
	// Why is a *recording.NotKeptError for bytes of a mapped file, a *VsyscallError, or a
	// *hint.Machine for an instruction that this processor lacks.
	Why error
}

func (e *LostError) Error() string {
	needs := "it " + e.Why.Error()
	if kept, ok := e.Why.(*recording.NotKeptError); ok {
		needs = fmt.Sprintf("it needs bytes of %.200s that are not in the recording: %v", kept.File.Path, kept)
	}
	return fmt.Sprintf("process %d was exact up to event %d, instruction %d; there %s", e.Process, e.Pos.Event, e.Pos.Instr, needs)
}

func (e *LostError) Unwrap() error { return e.Why }

// VsyscallError is a call of the kernel's vsyscall page by an address that was computed
// (one that stands in code is led elsewhere while recording). No tracer is told of it, so
// that the recording does not have its answer.
type VsyscallError struct {
	Call string // its name
	PC   uint64 // where it returns to
}

func (e *VsyscallError) Error() string {
	return fmt.Sprintf("calls the kernel's vsyscall page (%s, from %#x), whose answers can't be recorded: let it call %s of the C library", e.Call, e.PC, e.Call)
}

// lost is the error of a thread that stopped because it needs what can't be had: by a
// fault because a file was not kept as far as it is mapped, or in the vsyscall page. It is
// nil for any other stop, such as those of the event. Where the program itself came to
// the end of its file, the log says so.
func (p *Process) lost(t *Thread, ev *recording.Event, sig unix.Signal, count uint64) error {
	var info ptrace.SigInfo
	if sig != unix.SIGBUS && sig != unix.SIGSYS && sig != unix.SIGILL || ptrace.GetSigInfo(t.tid, &info) != nil {
		return nil
	}
	const bySeccomp = 1 // SYS_SECCOMP, asm-generic/siginfo.h
	var why error
	switch {
	case sig == unix.SIGSYS && info.Code() == bySeccomp && inject.InVsyscall(info.Addr()):
		why = &VsyscallError{name(info.Syscall()), t.regs.PC()}
	case sig == unix.SIGBUS && ev.Kind != recording.KindSignal:
		kept, err := p.notKept(info.Addr())
		if kept == nil || err != nil {
			return err
		}
		why = kept
	case sig == unix.SIGILL && ev.Kind != recording.KindInsn && (ev.Kind != recording.KindSignal || ev.Nr != int32(sig)):
		if why = lacking(t); why == nil {
			return nil
		}
	default:
		return nil
	}
	at := recording.Pos{Instr: count, Event: p.Number}
	if !p.calls.empty() { // some of which it has not come to
		made, err := p.calls.feed.Made(p.Mem())
		if err != nil {
			return err
		}
		at.Event -= uint64(max(len(p.calls.want)-made, 0))
	}
	return &LostError{p.Info.ID, at, why}
}

// lacking says of a thread at an instruction that this processor refuses which instruction set that
// is of. Programs are not shown those that most processors lack; one that was built for the
// processor it ran on (-march=native) has them all the same.
func lacking(t *Thread) error {
	pc := t.regs.PC()
	code := make([]byte, min(15, 4096-pc%4096)) // as long as an instruction may be, on its page
	if (ptrace.Mem)(t.tid).ReadAt(code, pc) != nil {
		return nil
	}
	name := inject.Host().Lacking(code)
	if name == "" {
		return nil
	}
	return hint.Machinef("runs an instruction of %s, at %#x, which this processor lacks: that code asks no processor whether it has it (it may be built with -march=native)", name, pc)
}

// notKept says of the file that is mapped at an address that it was not kept as a whole;
// nil where it was, or where there is none.
func (p *Process) notKept(addr uint64) (*recording.NotKeptError, error) {
	maps, err := linux.ReadMaps(p.pid)
	if err != nil {
		return nil, err
	}
	for _, m := range maps {
		if addr < m.Start || addr >= m.End || m.Ino == 0 {
			continue
		}
		for id, fd := range p.s.files {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) != nil || st.Ino != m.Ino || st.Dev != m.Dev {
				continue
			}
			file, _, err := p.s.rec.ReadFile(id)
			if c, ok := file.(io.Closer); ok {
				c.Close()
			}
			if kept, ok := errors.AsType[*recording.NotKeptError](err); ok {
				return kept, nil
			}
		}
	}
	return nil, nil
}
