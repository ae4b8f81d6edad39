package linux

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"pyrr/internal/mem"
)

// What a real kernel does is held by the tests of logview, of recorded
// programs; here are the cases that a program seldom meets.
func TestEffects(t *testing.T) {
	memory := map[uint64][]byte{
		0x100: le(uint32(8), uint32(9)),
		0x200: append(make([]byte, 32), le(uint64(0x300), uint64(20))...),
		0x300: le(uint64(20), uint32(1), uint32(1), uint32(11)),
	}
	memory[0x200] = append(memory[0x200], make([]byte, 8)...)
	read := func(addr uint64, n int) []byte {
		if b := memory[addr]; len(b) >= n {
			return b[:n]
		}
		return nil
	}
	for _, tt := range []struct {
		name string
		nr   int
		args [6]uint64
		ret  int64
		in   []byte
		want []Effect
	}{
		{"a pipe", unix.SYS_PIPE2, [6]uint64{0x100, unix.O_CLOEXEC}, 0, nil, []Effect{
			{Do: DoOpen, Object: ObjPipe, Cloexec: true, Pair: true, FD: 8}, {Do: DoOpen, Object: ObjPipe, Cloexec: true, FD: 9}}},
		{"a pipe whose numbers are not known", unix.SYS_PIPE2, [6]uint64{0x999}, 0, nil, nil},
		{"a close that fails closes", unix.SYS_CLOSE, [6]uint64{5}, -int64(unix.EIO), nil, []Effect{{Do: DoClose, FD: 5, Last: 5}}},
		{"a close of nothing", unix.SYS_CLOSE, [6]uint64{5}, -int64(unix.EBADF), nil, nil},
		{"an open that fails", unix.SYS_OPENAT, [6]uint64{}, -int64(unix.ENOENT), []byte("/x"), nil},
		{"dup2 onto itself", unix.SYS_DUP2, [6]uint64{5, 5}, 5, nil, nil},
		{"dup3", unix.SYS_DUP3, [6]uint64{5, 6, unix.O_CLOEXEC}, 6, nil, []Effect{{Do: DoCopy, From: 5, FD: 6, Last: 6, Cloexec: true}}},
		{"a connection on its way", unix.SYS_CONNECT, [6]uint64{5}, -int64(unix.EINPROGRESS), []byte("addr"),
			[]Effect{{Do: DoConnect, FD: 5, Last: 5, Addr: []byte("addr")}}},
		{"a peek takes nothing", unix.SYS_RECVFROM, [6]uint64{5, 0x500, 10, unix.MSG_PEEK}, 4, nil, nil},
		{"a read at the end takes nothing", unix.SYS_READ, [6]uint64{5, 0x500, 10}, 0, nil, nil},
		{"a received descriptor", unix.SYS_RECVMSG, [6]uint64{5, 0x200}, 1, nil, []Effect{
			{Do: DoRead, FD: 5, Last: 5, Bytes: 1}, {Do: DoTake, FD: 11, From: 5}}},
		{"a sent descriptor", unix.SYS_SENDMSG, [6]uint64{5, 0x200}, 1, memory[0x300], []Effect{
			{Do: DoHand, FD: 5, From: 11}, {Do: DoWrite, FD: 5, Last: 5, Bytes: 1}}},
		{"control data that is longer than it is", unix.SYS_SENDMSG, [6]uint64{5, 0x200}, 1, le(uint64(1<<40), uint32(1), uint32(1), uint32(11)),
			[]Effect{{Do: DoWrite, FD: 5, Last: 5, Bytes: 1}}},
		{"close_range that only marks", unix.SYS_CLOSE_RANGE, [6]uint64{3, 0xffffffff, unix.CLOSE_RANGE_CLOEXEC}, 0, nil,
			[]Effect{{Do: DoKeep, FD: 3, Last: 0xffffffff, Cloexec: true}}},
		{"a mask of a signalfd", unix.SYS_SIGNALFD4, [6]uint64{4}, 4, nil, nil},
		{"an unknown call", 9999, [6]uint64{}, 0, nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Effects(&Done{Nr: tt.nr, Args: tt.args, Ret: tt.ret, In: tt.in, Read: read}, nil)
			if d := cmp.Diff(tt.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
			if !HasEffects(tt.nr) && len(tt.want) > 0 {
				t.Error("HasEffects says that it has none")
			}
		})
	}
}

// Every row must name arguments that the call has.
func TestUsesAreSound(t *testing.T) {
	for _, s := range table {
		if s == nil {
			continue
		}
		for _, u := range s.FDs {
			for _, arg := range []int8{u.On, u.From, u.By, u.Flags, u.Data} {
				if int(arg) >= len(s.Args) {
					t.Errorf("%s has no argument %d", s.Name, arg)
				}
			}
			if u.On >= 0 && s.Args[u.On].Kind != FD && s.Nr != sysCloseRange || u.From >= 0 && s.Args[u.From].Kind != FD {
				t.Errorf("%s: an argument is not a descriptor", s.Name)
			}
			if u.Do == DoOpen && u.Object == ObjUnknown || u.Vector && u.Data < 0 {
				t.Errorf("%s: %+v", s.Name, u)
			}
		}
	}
}

func TestGiven(t *testing.T) {
	m := spans{0x100: le(uint64(0x1000), uint64(3), uint64(0x2000), uint64(4))}
	if got, want := Given(unix.SYS_WRITEV, [6]uint64{1, 0x100, 2}, m, nil), []mem.Range{{Addr: 0x1000, Len: 3}, {Addr: 0x2000, Len: 4}}; !cmp.Equal(got, want) {
		t.Errorf("writev gives %v", got)
	}
	if got, want := Given(unix.SYS_WRITE, [6]uint64{1, 0x100, 2}, m, nil), []mem.Range{{Addr: 0x100, Len: 2}}; !cmp.Equal(got, want) {
		t.Errorf("write gives %v", got)
	}
	if got := Given(unix.SYS_READ, [6]uint64{1, 0x100, 2}, m, nil); got != nil {
		t.Errorf("read gives %v", got)
	}
}

// spans is memory by the addresses where it begins.
type spans map[uint64][]byte

func (s spans) ReadAt(p []byte, addr uint64) error {
	b, ok := s[addr]
	if !ok || len(b) < len(p) {
		return errors.New("not mapped")
	}
	copy(p, b)
	return nil
}
