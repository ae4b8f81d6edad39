package facts

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pyrr/assert"
	"pyrr/internal/recording"
	"pyrr/internal/recording/rectest"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestCheckEvents holds what specs see of a recording made by hand.
func TestCheckEvents(t *testing.T) {
	rec, err := recording.Open(rectest.Write(t))
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	r := newEventReader(rec)
	if err := r.readAll(); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"1.0 thread 1 at 0 (own 0): thread start ",
		"1.3 thread 1 at 1000 (own 1000): syscall openat ENOENT path=/etc/\x1b[31mhosts 1ms",
		"1.4 thread 1 at 181380 (own 181380): syscall connect fd=3 addr=127.0.0.1:8888 1.5µs",
		"1.5 thread 1 at 182000 (own 182000): syscall recvfrom fd=3 ret=4 3s",
		"1.6 thread 2 at 183000 (own 1000): thread start ",
		"1.6 thread 2 at 183000 (own 1000): syscall write fd=1 ret=3 500ns",
		"1.8 thread 1 at 183500 (own 182500): signal SIGCHLD",
		"1.10 thread 1 at 384000 (own 183000): syscall recvfrom fd=4 unfinished 27s",
		"1.11 thread 1 at 384000 (own 183000): timeout ",
		"1.12 thread 1 at 384000 (own 183000): end ",
		"2.0 thread 1 at 183200 (own 0): thread start ",
		"2.1 thread 1 at 183300 (own 100): syscall exit_group 0s",
		"2.2 thread 1 at 183300 (own 100): thread exit ",
		"2.3 thread 0 at 183300 (own 0): exit  ret=2",
		"2.3 thread 0 at 183300 (own 0): end ",
	}
	var got []string
	for i := range r.events {
		got = append(got, eventText(&r.events[i]))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	info := r.info
	if info.Root != "/home/u" || info.Truncated || info.NoClock || info.Wall != 30011*time.Millisecond {
		t.Errorf("info: %+v", info)
	}
	if diff := cmp.Diff(map[int]string{1: "3.11.7", 2: "3.11.7"}, info.Pythons); diff != "" {
		t.Errorf("pythons (-want +got):\n%s", diff)
	}
	for key, list := range r.at {
		for _, i := range list {
			if e := r.events[i]; (eventKey{e.Proc, e.Pos.Event}) != key {
				t.Errorf("%v leads to %s", key, eventText(&e))
			}
		}
	}
}

// What an execution shows comes before the event that its thread was on the way
// to, with the thread's own count there.
func TestInsertHits(t *testing.T) {
	ev := func(n, instr uint64, kind string) assert.Event {
		return assert.Event{Proc: 1, TID: 7, Pos: recording.Pos{Instr: instr, Event: n}, Kind: kind}
	}
	s := &Source{
		events: []assert.Event{ev(0, 0, "start"), ev(2, 50, "syscall"), ev(4, 90, "end")},
		standing: map[int]stands{1: {
			{tid: 7, thread: 1},
			{tid: 7, thread: 1, time: 5},
			{tid: 7, thread: 1, instr: 20, threadInstr: 20, time: 9},
			{tid: 8, thread: 2, instr: 50, threadInstr: 0, time: 11},
			{tid: 7, thread: 1, instr: 80, threadInstr: 50, time: 12},
		}},
	}
	first := ev(2, 30, "call")
	other := ev(3, 60, "call")
	other.TID = 8
	last := ev(4, 85, "line")
	stranger := ev(4, 86, "line")
	stranger.TID = 99
	s.insert([]hit{{Event: first, known: true}, {Event: other}, {Event: last}, {Event: stranger}})
	got := []string{}
	for i, e := range s.events {
		got = append(got, fmt.Sprintf("%d %s %d/%d %v", e.Pos.Event, e.Kind, e.Thread, e.ThreadInstr, e.Start.Nanoseconds()))
		if list := s.at[eventKey{1, e.Pos.Event}]; !slices.Contains(list, i) {
			t.Errorf("event %d is not found at %d: %v", i, e.Pos.Event, list)
		}
	}
	want := []string{"0 start 0/0 0", "2 call 1/30 9", "2 syscall 0/0 0", "3 call 2/10 11", "4 line 1/55 12", "4 end 0/0 0"}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got:\n%s", d)
	}
	if _, ok := s.hitStacks[1]; !ok || len(s.hitStacks) != 1 {
		t.Errorf("stacks of %v", s.hitStacks)
	}
}

func eventText(e *assert.Event) string {
	s := fmt.Sprintf("%d.%d thread %d at %d (own %d): %s %s", e.Proc, e.Pos.Event, e.Thread, e.Pos.Instr, e.ThreadInstr, e.Kind, e.Name)
	if e.Errno != "" {
		s += " " + e.Errno
	}
	if e.FD >= 0 {
		s += fmt.Sprintf(" fd=%d", e.FD)
	}
	if e.Addr != "" {
		s += " addr=" + e.Addr
	}
	if e.Path != "" {
		s += " path=" + e.Path
	}
	if e.Ret > 0 {
		s += fmt.Sprintf(" ret=%d", e.Ret)
	}
	if e.Unfinished {
		s += " unfinished"
	}
	if e.Kind == assert.KindSyscall {
		s += fmt.Sprintf(" %v", e.End-e.Start)
	}
	return s
}

// An address that the kernel puts somewhere is known behind the call alone, also where
// the log has the call in two events.
func TestAddressBehindCall(t *testing.T) {
	const at, size = 0x7f0000001000, 0x7f0000002000
	name := []byte{unix.AF_INET, 0, 0x1f, 0x90, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}
	enter := &recording.Event{Kind: recording.KindEnter, Nr: unix.SYS_GETSOCKNAME, Args: [6]uint64{3, at, size}}
	exit := &recording.Event{Kind: recording.KindExit, Nr: unix.SYS_GETSOCKNAME,
		Memory: recording.Memory{Mem: []recording.Write{{Addr: size, Data: []byte{16, 0, 0, 0}}, {Addr: at, Data: name}}}}
	r := &processReader{eventReader: &eventReader{events: []assert.Event{{Call: assert.Call{FD: -1}}}}}
	r.finish(0, enter, nil)
	if e := r.events[0]; e.Addr != "" || !e.Unfinished {
		t.Errorf("in the call: address %q, unfinished %v", e.Addr, e.Unfinished)
	}
	r.finish(0, enter, exit)
	if e := r.events[0]; e.Addr != "127.0.0.1:8080" || e.Unfinished {
		t.Errorf("behind it: address %q, unfinished %v", e.Addr, e.Unfinished)
	}
}
