package logview_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// TestForged gives the reader events that no recorder writes: of few threads,
// descriptors and processes, so that they meet, in any order, with processes
// that are made by each other. It must not fail, and what it says has to fit together.
func TestForged(t *testing.T) {
	calls := []int{unix.SYS_OPENAT, unix.SYS_CLOSE, unix.SYS_DUP2, unix.SYS_PIPE2, unix.SYS_SOCKETPAIR, unix.SYS_SOCKET, unix.SYS_BIND, unix.SYS_LISTEN,
		unix.SYS_CONNECT, unix.SYS_ACCEPT4, unix.SYS_GETSOCKNAME, unix.SYS_SENDMSG, unix.SYS_RECVMSG, unix.SYS_READ, unix.SYS_WRITE, unix.SYS_CLONE,
		unix.SYS_VFORK, unix.SYS_EXECVE, unix.SYS_WAIT4, unix.SYS_EPOLL_CTL, unix.SYS_PIDFD_OPEN, unix.SYS_PIDFD_GETFD, unix.SYS_UNSHARE, unix.SYS_CLOSE_RANGE,
		unix.SYS_FLOCK, unix.SYS_KILL, unix.SYS_FCNTL, unix.SYS_POLL}
	addr := []byte{2, 0, 0, 80, 127, 0, 0, 1}
	rights := []byte{20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0}
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var procs [][]recording.Event
		for id := range 4 {
			events := []recording.Event{{Kind: recording.KindStart, TID: int32(id), Proc: &recording.Process{
				ID: id + 1, PID: rnd.IntN(5), Parent: rnd.IntN(6), ParentEvent: uint64(rnd.IntN(30)), Fork: rnd.IntN(2) == 0}}}
			for range 200 {
				ev := recording.Event{Kind: []recording.Kind{recording.KindSyscall, recording.KindEnter, recording.KindExit, recording.KindSyscall,
					recording.KindDeath, recording.KindSignal, recording.KindTimeout, recording.KindSwitch}[rnd.IntN(8)],
					TID: int32(rnd.IntN(5)), Time: rnd.Int64N(1000) - 10, Nr: 1}
				switch ev.Kind {
				case recording.KindSyscall, recording.KindEnter, recording.KindExit:
					ev.Nr, ev.Ret = int32(calls[rnd.IntN(len(calls))]), int64(rnd.IntN(8)-1)
					for i := range ev.Args {
						ev.Args[i] = uint64(rnd.IntN(9)) - 1
						if rnd.IntN(6) == 0 {
							ev.Args[i] = rnd.Uint64() >> rnd.IntN(64)
						}
					}
					ev.In = [][]byte{nil, addr, rights, []byte("/a/path\x00")}[rnd.IntN(4)]
					for at := range uint64(8) {
						b := make([]byte, 64)
						b[0], b[4] = byte(rnd.IntN(6)), byte(rnd.IntN(6))
						ev.Mem = append(ev.Mem, recording.Write{Addr: at, Data: b})
					}
					ev.Child = int32(rnd.IntN(5) - 1)
				case recording.KindDeath:
					ev.Why = []string{"", recording.EndExec}[rnd.IntN(2)]
				}
				events = append(events, ev)
			}
			events = append(events, recording.Event{Kind: recording.KindEnd, Why: []string{recording.EndExited, recording.EndExec, recording.EndTimeout}[rnd.IntN(3)]})
			procs = append(procs, events)
		}
		rec := write(t, procs...)
		s, err := logview.AtEnd(rec)
		if err != nil {
			t.Fatal(err)
		}
		sound(t, s)
		all, err := logview.Channels(rec, 1000)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, c := range all {
			n += len(c.Writes) + len(c.Reads)
		}
		if n > 6000 {
			t.Fatalf("%d transfers and turns", n)
		}
		for range 4 {
			s, err := logview.At(rec, 1+rnd.IntN(4), uint64(rnd.IntN(200)))
			if err != nil {
				t.Fatal(err)
			}
			sound(t, s)
		}
	}
}

// sound holds what is true of every state.
func sound(t *testing.T, s *logview.State) {
	t.Helper()
	for _, f := range s.Files {
		if o := f.Other; o != nil && (o == f || o.Other != f || o.Sure != f.Sure) {
			t.Fatalf("file %d is the other end of %d, which is that of %v", f.Num, o.Num, o.Other)
		}
		for _, h := range f.Holders {
			if h.Proc == nil && h.Of == nil || h.Proc != nil && h.TID == 0 && h.Proc.FDs[h.FD].File != f {
				t.Fatalf("file %d has a holder that does not have it", f.Num)
			}
		}
	}
	for _, p := range s.Procs {
		if p.Ended != nil && p.Ended.Exited() && len(p.Threads)+len(p.FDs) > 0 {
			t.Fatalf("process %d has ended and has %d threads, %d descriptors", p.ID, len(p.Threads), len(p.FDs))
		}
		for _, th := range p.Threads {
			p.Wants(th)
		}
	}
}

// A recorder that was killed leaves a stream that ends anywhere.
func TestPrefix(t *testing.T) {
	rec, from := recordIn(t, "ends.py")
	whole, err := logview.AtEnd(rec)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	os.Remove(filepath.Join(dir, "summary.json"))
	stream := filepath.Join(dir, "events", "0001")
	b, err := os.ReadFile(stream)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 8 {
		n := rnd.IntN(len(b))
		if err := os.WriteFile(stream, b[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		cut, err := recording.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		s, err := logview.AtEnd(cut)
		cut.Close()
		if err != nil {
			t.Fatalf("%d of %d bytes: %v", n, len(b), err)
		}
		sound(t, s)
		if len(s.Procs) > len(whole.Procs) {
			t.Errorf("%d processes, of %d", len(s.Procs), len(whole.Procs))
		}
	}
}
