package gdbserver

import (
	"encoding/binary"
	"strconv"
	"strings"

	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// gdbSignals numbers the signals as the remote protocol does on all systems
// (gdb's include/gdb/signals.def), by those of Linux.
var gdbSignals = map[unix.Signal]int{
	unix.SIGHUP: 1, unix.SIGINT: 2, unix.SIGQUIT: 3, unix.SIGILL: 4, unix.SIGTRAP: 5, unix.SIGABRT: 6, unix.SIGFPE: 8,
	unix.SIGKILL: 9, unix.SIGBUS: 10, unix.SIGSEGV: 11, unix.SIGSYS: 12, unix.SIGPIPE: 13, unix.SIGALRM: 14, unix.SIGTERM: 15,
	unix.SIGURG: 16, unix.SIGSTOP: 17, unix.SIGTSTP: 18, unix.SIGCONT: 19, unix.SIGCHLD: 20, unix.SIGTTIN: 21, unix.SIGTTOU: 22,
	unix.SIGIO: 23, unix.SIGXCPU: 24, unix.SIGXFSZ: 25, unix.SIGVTALRM: 26, unix.SIGPROF: 27, unix.SIGWINCH: 28,
	unix.SIGUSR1: 30, unix.SIGUSR2: 31, unix.SIGPWR: 32, 32: 77, 64: 78,
}

// gdbSignal returns gdb's number of a signal.
func gdbSignal(sig int) int {
	if n, ok := gdbSignals[unix.Signal(sig)]; ok {
		return n
	}
	if sig > 32 && sig < linux.MaxSignal { // SIG33 is 45, and so on
		return 45 + sig - 33
	}
	const unknown = 143
	return unknown
}

// passSignals answers QPassSignals: the signals that gdb need not hear of.
func (s *Server) passSignals(list string) string {
	pass := map[int]bool{}
	for n := range strings.SplitSeq(list, ";") {
		if n == "" {
			continue
		}
		sig, err := strconv.ParseUint(n, 16, 8)
		if err != nil {
			return "E01"
		}
		pass[int(sig)] = true
	}
	s.pass = pass
	return "OK"
}

// signalStops says whether gdb stops at an event: at the signals that are
// not passed to the program without a word. Only those with a handler are in
// a recording.
func (s *Server) signalStops(ev *recording.Event) bool {
	return ev.Kind == recording.KindSignal && !s.pass[gdbSignal(int(ev.Nr))]
}

// siginfo returns the siginfo_t of the signal that the thread gdb asks for is
// about to get, nil if there is none.
func (s *Server) siginfo() []byte {
	if s.Session == nil || !s.Session.Point().At {
		return nil
	}
	ev := s.Session.Next()
	if ev == nil || ev.Kind != recording.KindSignal || s.general != 0 && s.general != ev.TID {
		return nil
	}
	return signalInfo(ev)
}

// siginfoSize is that of a siginfo_t (asm-generic/siginfo.h).
const siginfoSize = 128

// signalInfo takes the siginfo_t of a signal from its event or, where that
// does not have it, from the frame, which has it where the handler was
// installed with SA_SIGINFO; nil where neither has.
func signalInfo(ev *recording.Event) []byte {
	info := make([]byte, siginfoSize)
	is := func() bool { return int32(binary.LittleEndian.Uint32(info)) == ev.Nr }
	for i, v := range ev.Args {
		binary.LittleEndian.PutUint64(info[8*i:], v)
	}
	if is() {
		return info
	}
	if ev.Regs == nil {
		return nil
	}
	// The kernel gives every handler the address of where siginfo is or would
	// be as its second argument (arch/x86/kernel/signal_64.c).
	at := ev.Regs.FuncArgs()[1]
	for _, w := range ev.Mem {
		if off := at - w.Addr; at >= w.Addr && off <= uint64(len(w.Data)) && uint64(len(w.Data))-off >= siginfoSize {
			copy(info, w.Data[off:])
			if is() {
				return info
			}
		}
	}
	return nil
}
