// Package rectest makes a recording by hand, for the tests of what reads one.
package rectest

import (
	"encoding/binary"
	"path/filepath"
	"testing"
	"time"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/recording"

	unix "pyrr/internal/sys"
)

// Write makes a small recording by hand: two processes, a call that
// waits, a signal, a fork, a time-out in the middle of a recv.
func Write(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "made.pyrr.part")
	started := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w, err := recording.Create(dir, recording.Header{
		Tool: "pyrr", Command: []string{"python3", "app.py", "a b"}, Cwd: "/home/u", Started: started,
		Host:    recording.Host{Kernel: "6.1", CPU: "Test CPU", Features: []string{"avx2", "sse4_2"}, XSaveSize: 2432, Cores: 2},
		Options: map[string]string{"chaos": "7"},
	})
	if err != nil {
		t.Fatal(err)
	}
	write := func(proc int, evs ...recording.Event) {
		s := w.Stream(proc)
		for i := range evs {
			if err := s.Append(&evs[i]); err != nil {
				t.Fatalf("event %d of process %d: %v", i, proc, err)
			}
		}
	}
	sockaddr := make([]byte, 16)
	binary.LittleEndian.PutUint16(sockaddr, unix.AF_INET)
	binary.BigEndian.PutUint16(sockaddr[2:], 8888)
	copy(sockaddr[4:], []byte{127, 0, 0, 1})
	ms := int64(time.Millisecond)
	const run = recording.StopSyscall
	write(1,
		recording.Event{Kind: recording.KindStart, TID: 100, Proc: &recording.Process{ID: 1, PID: 100, Exe: "/usr/bin/python3.11",
			Argv: []string{"python3", "app.py", "a b"}, Cwd: "/home/u", Start: started.UnixNano()}},
		recording.Event{Kind: recording.KindWrite, TID: 100, Time: ms, Args: [6]uint64{0x1000, 0x2000, 0x3000}, Text: "3.11.7"},
		recording.Event{Kind: recording.KindInsn, Stop: recording.StopTrap, TID: 100, Instr: 5, Time: 2 * ms, Nr: int32(inject.Cpuid), Regs: &linux.Regs{Rip: 1}},
		recording.Event{Kind: recording.KindSyscall, Stop: run, TID: 100, Instr: 1000, Nr: unix.SYS_OPENAT, Time: 3 * ms, EndTime: 4 * ms,
			Args: [6]uint64{0xffffff9c, 0x7000, unix.O_RDONLY | unix.O_CLOEXEC}, In: []byte("/etc/\x1b[31mhosts\x00"), Ret: -int64(unix.ENOENT)},
		recording.Event{Kind: recording.KindSyscall, Stop: run, TID: 100, Instr: 181380, Nr: unix.SYS_CONNECT, Time: 5 * ms, EndTime: 5*ms + 1500,
			Args: [6]uint64{3, 0x7100, 16}, In: sockaddr},
		recording.Event{Kind: recording.KindEnter, Stop: run, TID: 100, Instr: 182000, Nr: unix.SYS_RECVFROM, Time: 6 * ms, Args: [6]uint64{3, 0x7200, 8192}},
		recording.Event{Kind: recording.KindSyscall, Stop: run, TID: 101, Instr: 183000, Nr: unix.SYS_WRITE, Time: 7 * ms, EndTime: 7*ms + 500,
			Args: [6]uint64{1, 0x7300, 3}, In: []byte("hi\n"), Ret: 3, Why: recording.OutStdout},
		recording.Event{Kind: recording.KindExit, TID: 100, Instr: 183000, Nr: unix.SYS_RECVFROM, Time: 3006 * ms, Ret: 4,
			Memory: recording.Memory{Mem: []recording.Write{{Addr: 0x7200, Data: []byte("HTTP")}}}},
		recording.Event{Kind: recording.KindSignal, TID: 100, Instr: 183500, Nr: int32(unix.SIGCHLD), Time: 3007 * ms, Regs: &linux.Regs{Rip: 2},
			Memory: recording.Memory{Mem: []recording.Write{{Addr: 0x8000, Data: make([]byte, 64)}}}},
		recording.Event{Kind: recording.KindSwitch, Stop: recording.StopInstr, TID: 101, Instr: 383500, Time: 3010 * ms},
		recording.Event{Kind: recording.KindEnter, Stop: run, TID: 100, Instr: 384000, Nr: unix.SYS_RECVFROM, Time: 3011 * ms, Args: [6]uint64{4, 0x7200, 8192}},
		recording.Event{Kind: recording.KindTimeout, TID: 100, Instr: 384000, Time: 30011 * ms},
		recording.Event{Kind: recording.KindEnd, TID: 100, Instr: 384000, Time: 30011 * ms, Why: recording.EndTimeout},
	)
	write(2,
		recording.Event{Kind: recording.KindStart, TID: 102, Instr: 183200, Time: 8 * ms, Proc: &recording.Process{ID: 2, PID: 102, Parent: 1, ParentEvent: 6, Fork: true,
			Exe: "/usr/bin/python3.11", Argv: []string{"python3", "app.py", "a b"}, Python: "3.11.7"}},
		recording.Event{Kind: recording.KindSyscall, Stop: run, TID: 102, Instr: 183300, Nr: unix.SYS_EXIT_GROUP, Time: 9 * ms, EndTime: 9 * ms, Args: [6]uint64{2}},
		recording.Event{Kind: recording.KindDeath, TID: 102, Instr: 183300, Time: 9 * ms},
		recording.Event{Kind: recording.KindEnd, TID: 102, Instr: 183300, Time: 10 * ms, Why: recording.EndExited, Ret: 2 << 8},
	)
	if err := w.Close(recording.Summary{Status: 130, Ended: started.Add(31 * time.Second), Events: 17, Instructions: 1}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Reopen closes a recording that was written, and opens it to be read.
func Reopen(t testing.TB, w *recording.Writer, dir string) *recording.Recording {
	t.Helper()
	if err := w.Close(recording.Summary{}); err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rec.Close() })
	return rec
}
