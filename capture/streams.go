package capture

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// streams are the sockets of which a receive takes what there is, so that it can be tried:
// not those of messages, of which one is gone after an attempt, whatever came of it.
type streams struct {
	// known says of an inode whether it is one.
	known map[uint64]bool
	// marked: a low-water mark was set, which counts only where a receive waits.
	marked bool
}

// maxStreams bounds what is known of sockets; of others the kernel is asked.
const maxStreams = 1 << 16

// kind is inject.FDStream, or 0, for a descriptor that is a socket.
func (s *streams) kind(pid, fd int, inode uint64) byte {
	is, ok := s.known[inode]
	if !ok {
		is = asksStream(pid, fd)
		s.set(inode, is)
	}
	if is && !s.marked {
		return inject.FDStream
	}
	return 0
}

func (s *streams) set(inode uint64, is bool) {
	if s.known == nil || len(s.known) >= maxStreams {
		s.known = map[uint64]bool{}
	}
	s.known[inode] = is
}

// isStream says whether a socket made with such arguments is one.
func isStream(domain, kind, protocol int) bool {
	const mask = 0xf // the rest are flags
	return kind&mask == unix.SOCK_STREAM && (domain == unix.AF_UNIX ||
		(domain == unix.AF_INET || domain == unix.AF_INET6) && (protocol == 0 || protocol == unix.IPPROTO_TCP))
}

// asksStream asks the kernel about a socket of which no recorded call told. Where that is
// not allowed it is none.
func asksStream(pid, fd int) bool {
	sock := borrow(pid, fd)
	if sock < 0 {
		return false
	}
	defer unix.Close(sock)
	var is [4]int
	var err error
	for i, option := range []int{unix.SO_DOMAIN, unix.SO_TYPE, unix.SO_PROTOCOL, unix.SO_RCVLOWAT} {
		if is[i], err = unix.GetsockoptInt(sock, unix.SOL_SOCKET, option); err != nil {
			return false
		}
	}
	return isStream(is[0], is[1], is[2]) && is[3] <= 1
}

// noteSocket notes of a call that made sockets whether they are streams.
func (r *recorder) noteSocket(t *task, ev *recording.Event) {
	inode := func(fd int) uint64 {
		var st unix.Stat_t
		if unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", t.pid, fd), &st) != nil {
			return 0
		}
		return st.Ino
	}
	is := isStream(int(int32(t.ev.Args[0])), int(int32(t.ev.Args[1])), int(int32(t.ev.Args[2])))
	switch t.ev.Nr {
	case sys.SYS_SOCKET:
		r.streams.set(inode(int(t.lastRet)), is)
	case sys.SYS_SOCKETPAIR:
		if len(ev.Mem) == 1 && len(ev.Mem[0].Data) == 8 {
			for _, b := range [][]byte{ev.Mem[0].Data[:4], ev.Mem[0].Data[4:]} {
				r.streams.set(inode(int(int32(binary.LittleEndian.Uint32(b)))), is)
			}
		}
	case sys.SYS_ACCEPT, sys.SYS_ACCEPT4:
		fd := int(int32(t.ev.Args[0]))
		of := inode(fd)
		r.streams.kind(t.pid, fd, of) // it may have been made without a stop
		r.streams.set(inode(int(t.lastRet)), r.streams.known[of])
	}
}

// noteLimits notes of a returned call that it set what attempts would not keep to: filters
// of system calls, which know nothing of the calls by which others are tried (seccomp(2)),
// and a low-water mark (socket(7)).
func (r *recorder) noteLimits(t *task) {
	if t.lastRet < 0 {
		return
	}
	switch args := t.ev.Args; t.ev.Nr {
	case sys.SYS_SECCOMP:
		t.proc.sifts = t.proc.sifts || args[0] == seccompSetFilter || args[0] == seccompSetStrict
	case sys.SYS_PRCTL:
		t.proc.sifts = t.proc.sifts || args[0] == unix.PR_SET_SECCOMP
	case sys.SYS_SETSOCKOPT:
		if int32(args[1]) == unix.SOL_SOCKET && int32(args[2]) == unix.SO_RCVLOWAT {
			r.streams.marked = true
			r.forgetStreams() // again: another process may have made some before it stopped
		}
	}
}

const seccompSetStrict, seccompSetFilter = 0, 1 // linux/seccomp.h

// forgetStreams has all processes receive with a stop: which descriptors stand for the
// socket that got a mark the maps do not say.
func (r *recorder) forgetStreams() {
	for _, p := range r.processes {
		if p.mode != modeRecord || p.calls == nil {
			continue
		}
		for _, t := range p.tasks {
			if !t.dead && p.forgetStreams(t.tid) == nil {
				break
			}
		}
	}
}

func (p *process) forgetStreams(tid int) error {
	fds := p.calls.img.FDs
	var kinds [inject.CallFDs]byte
	if err := (ptrace.Mem)(tid).ReadAt(kinds[:], fds); err != nil {
		return err
	}
	var spans []ptrace.Span
	for fd, kind := range kinds {
		if kind&inject.FDStream != 0 {
			spans = append(spans, ptrace.Span{Addr: fds + uint64(fd), Data: []byte{kind &^ inject.FDStream}})
		}
	}
	return ptrace.WriteV(tid, spans)
}
