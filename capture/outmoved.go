package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strconv"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// moved is where a call takes the bytes from that it moves to the command's own output
// without the program's memory (sendfile, splice): a replay prints them, too, so the
// event of its result holds them.
type moved struct {
	file *os.File
	at   int64  // in a regular file
	have []byte // what a pipe held before the call
}

// Bounds of what one call may move: what an event holds (docs/format.md), and what is
// looked at of a pipe, whose greatest size is 1 MiB where nobody changed it.
const (
	mostMoved = 8 << 20
	mostPiped = 1 << 20
)

// whatMoves looks at the source of the call that t stands before. Nil is for one that
// can't be looked at.
func whatMoves(t *task) *moved {
	arg, _, offset, _ := linux.Moves(int(t.ev.Nr))
	fd := int(int32(t.ev.Args[arg]))
	// Not blocking: opening a pipe would wait for who writes to it.
	f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%d", t.pid, fd), os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	m := &moved{file: f}
	st, err := f.Stat()
	switch {
	case err != nil:
	case st.Mode().IsRegular():
		if m.at, err = positionOf(t, fd, offset); err == nil {
			return m
		}
	case st.Mode()&os.ModeNamedPipe != 0:
		if m.have, err = inPipe(f); err == nil {
			return m
		}
	}
	f.Close()
	return nil
}

// positionOf is where a call reads a regular file: at the offset that an argument points
// to, or where the descriptor stands (proc_pid_fdinfo(5)).
func positionOf(t *task, fd, offset int) (int64, error) {
	if offset >= 0 && t.ev.Args[offset] != 0 {
		var b [8]byte
		err := (ptrace.Mem)(t.tid).ReadAt(b[:], t.ev.Args[offset])
		return int64(binary.LittleEndian.Uint64(b[:])), err
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", t.pid, fd))
	if err != nil {
		return 0, err
	}
	_, rest, _ := bytes.Cut(b, []byte("pos:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strconv.ParseInt(string(bytes.TrimSpace(line)), 10, 64)
}

// inPipe copies what a pipe holds, and leaves it there (tee(2)).
func inPipe(f *os.File) ([]byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	defer w.Close()
	_, _ = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, mostPiped) // else it holds less
	n, err := unix.Tee(int(f.Fd()), int(w.Fd()), mostPiped, unix.SPLICE_F_NONBLOCK)
	if err == unix.EAGAIN {
		return nil, nil // it holds nothing
	}
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}

// takeMoved puts into the event of a call's result what it moved to the command's own
// output.
func (t *task) takeMoved(ev *recording.Event) error {
	if _, _, _, moves := linux.Moves(int(t.ev.Nr)); !moves || t.ev.Why == "" || ev.Ret <= 0 {
		return nil
	}
	defer t.forgetMoved()
	m := t.moved
	if m == nil || ev.Ret > mostMoved || len(m.have) < int(ev.Ret) && m.have != nil {
		return notSeen(t, ev)
	}
	if m.have != nil {
		ev.In = m.have[:ev.Ret]
		return nil
	}
	b := make([]byte, ev.Ret)
	if _, err := m.file.ReadAt(b, m.at); err != nil {
		return notSeen(t, ev)
	}
	ev.In = b
	return nil
}

// forgetMoved closes what was opened for a call that is over.
func (t *task) forgetMoved() {
	if t.moved != nil {
		t.moved.file.Close()
		t.moved = nil
	}
}

func notSeen(t *task, ev *recording.Event) error {
	return fmt.Errorf("%s moved %d bytes to the program's output which can't be seen", t.call.Name, ev.Ret)
}
