package logview_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/internal/recording/rectest"
)

// write makes a recording of the events of some processes, which are numbered
// from 1.
func write(t testing.TB, procs ...[]recording.Event) *recording.Recording {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "r.pyrr.part")
	w, err := recording.Create(dir, recording.Header{})
	if err != nil {
		t.Fatal(err)
	}
	for i, events := range procs {
		s := w.Stream(i + 1)
		for k := range events {
			if err := s.Append(&events[k]); err != nil {
				t.Fatal(err)
			}
		}
	}
	return rectest.Reopen(t, w, dir)
}

// BenchmarkAtEnd reads a million events of calls that are usual in a program
// that opens files and talks to a socket.
func BenchmarkAtEnd(b *testing.B) {
	const rounds = 200_000
	events := []recording.Event{{Kind: recording.KindStart, TID: 10, Proc: &recording.Process{ID: 1, PID: 10}}}
	add := func(nr int, ret int64, in string, args ...uint64) {
		ev := recording.Event{Kind: recording.KindSyscall, TID: 10 + int32(len(events)%4), Instr: uint64(len(events)) * 100,
			Time: int64(len(events)) * 1000, EndTime: int64(len(events))*1000 + 500, Nr: int32(nr), Ret: ret, In: []byte(in)}
		copy(ev.Args[:], args)
		events = append(events, ev)
	}
	for i := range rounds {
		add(unix.SYS_OPENAT, 7, fmt.Sprintf("/some/path/of/a/file%d\x00", i))
		add(unix.SYS_READ, 4096, "", 7)
		add(unix.SYS_CLOSE, 0, "", 7)
		add(unix.SYS_SENDTO, 100, "", 5)
		add(unix.SYS_RECVFROM, 100, "", 5)
	}
	events = append(events, recording.Event{Kind: recording.KindEnd, Why: recording.EndTimeout})
	rec := write(b, events)
	b.ReportAllocs()
	for b.Loop() {
		s, err := logview.AtEnd(rec)
		if err != nil || len(s.Procs) != 1 || s.Partial {
			b.Fatal(err)
		}
	}
}
