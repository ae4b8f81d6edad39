package capture

import (
	"encoding/binary"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// signalInfo is a siginfo_t as kill(2) makes one, told apart by who sent it.
func signalInfo(sig unix.Signal, from uint32) (info ptrace.SigInfo) {
	binary.LittleEndian.PutUint32(info[0:], uint32(sig))
	binary.LittleEndian.PutUint32(info[16:], from)
	return info
}

func senders(list []ptrace.SigInfo) (out []uint32) {
	for i := range list {
		out = append(out, binary.LittleEndian.Uint32(list[i][16:]))
	}
	return out
}

// Signals that wait for an exact place are kept as the kernel would keep them:
// standard signals once, real-time signals in a queue.
func TestDeferredSignals(t *testing.T) {
	const realTime = unix.Signal(34)
	tests := []struct {
		name string
		come []unix.Signal
		want []uint32 // by when they came, from 1
	}{
		{"one", []unix.Signal{unix.SIGUSR1}, []uint32{1}},
		{"the same twice", []unix.Signal{unix.SIGUSR1, unix.SIGUSR1}, []uint32{1}},
		{"two kinds", []unix.Signal{unix.SIGUSR1, unix.SIGUSR2, unix.SIGUSR1}, []uint32{1, 2}},
		{"real-time ones queue", []unix.Signal{realTime, realTime, realTime}, []uint32{1, 2, 3}},
		{"both", []unix.Signal{realTime, unix.SIGCHLD, realTime, unix.SIGCHLD}, []uint32{1, 2, 3}},
		{"the last standard one", []unix.Signal{unix.Signal(31), unix.Signal(31)}, []uint32{1}},
		{"the first of the others", []unix.Signal{unix.Signal(32), unix.Signal(32)}, []uint32{1, 2}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeRecorder(t, Options{})
			th := &task{}
			for i, sig := range tt.come {
				th.sigstop, th.info = int(sig), signalInfo(sig, uint32(i+1))
				f.deferSignal(th)
			}
			got := senders(th.deferred)
			if len(got) != len(tt.want) {
				t.Fatalf("kept are %v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Errorf("kept are %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestNothingIsDeliverableWhereNothingWaits(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	if i, err := f.deliverable(&task{tid: 1 << 28}); i != -1 || err != nil {
		t.Errorf("signal %d, %v", i, err)
	}
}

// A signal that redirect sent on arrives unchanged, and once.
func TestRedirectedSignalsKeepTheirSender(t *testing.T) {
	th := &task{signalState: signalState{redirected: []ptrace.SigInfo{signalInfo(unix.SIGUSR1, 1), signalInfo(unix.SIGUSR2, 2), signalInfo(unix.SIGUSR1, 3)}}}
	take := func(sig unix.Signal) uint32 {
		th.sigstop, th.info = int(sig), signalInfo(sig, 99)
		th.takeRedirected()
		return senders([]ptrace.SigInfo{th.info})[0]
	}
	for i, tt := range []struct {
		sig  unix.Signal
		want uint32
	}{{unix.SIGUSR2, 2}, {unix.SIGUSR2, 99}, {unix.SIGUSR1, 1}, {unix.SIGTERM, 99}, {unix.SIGUSR1, 3}, {unix.SIGUSR1, 99}} {
		if got := take(tt.sig); got != tt.want {
			t.Errorf("signal %d, %v, was sent by %d, not by %d", i+1, tt.sig, got, tt.want)
		}
	}
	if len(th.redirected) != 0 {
		t.Errorf("%d are left", len(th.redirected))
	}
}

// A signal is passed to the first thread only where that thread can take it. The signal
// goes to a thread of this test, where SIGURG does nothing.
func TestRedirectNeedsTheFirstThread(t *testing.T) {
	tests := []struct {
		name string
		set  func(lead, th *task)
		want bool
	}{
		{"it takes it", func(lead, th *task) {}, true},
		{"it is the first itself", func(lead, th *task) { th.tid = th.pid }, false},
		{"the first is dead", func(lead, th *task) { lead.dead = true }, false},
		{"it has ended before the others", func(lead, th *task) { lead.leadExit = true }, false},
		{"it is about to die", func(lead, th *task) { lead.state = stateDying }, false},
		{"it is of another address space", func(lead, th *task) { lead.proc = &process{} }, false},
		{"the signal is for the thread", func(lead, th *task) {
			const siTkill = -6
			code := int32(siTkill)
			binary.LittleEndian.PutUint32(th.info[8:], uint32(code))
		}, false},
		{"it can't be asked what it blocks", func(lead, th *task) { lead.tid = 1 << 28 }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeRecorder(t, Options{})
			p := &process{}
			lead := &task{tid: os.Getpid(), pid: os.Getpid(), proc: p, state: stateRun}
			th := &task{tid: lead.tid + 1, pid: lead.pid, proc: p}
			f.tasks[lead.pid] = lead
			th.sigstop, th.info = int(unix.SIGURG), signalInfo(unix.SIGURG, 1)
			tt.set(lead, th)
			if got := f.redirect(th); got != tt.want || (len(lead.redirected) == 1) != tt.want {
				t.Errorf("passed on: %v, kept %d", got, len(lead.redirected))
			}
		})
	}
}

// A thread is behind its call only if no register has changed since.
func TestAtCallEnd(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	th := &task{inCall: inCall{lastRet: 5, ev: recording.Event{Kind: recording.KindSyscall}}}
	th.regs = linux.Regs{Rip: 0x1000, Rsp: 0x7000, Rbx: 1, Rbp: 2, R12: 3, R13: 4, R14: 5, R15: 6, Rdi: 7, Rsi: 8, Rdx: 9, R8: 10, R9: 11, R10: 12, Rcx: 13}
	at := th.regs
	at.Rax, at.Rcx = 5, at.Rip // as syscall(2) leaves them
	if !f.atCallEnd(th, &at) {
		t.Fatal("it is not taken for behind its call")
	}
	for name, change := range map[string]func(r *linux.Regs){
		"rip": func(r *linux.Regs) { r.Rip++ }, "rax": func(r *linux.Regs) { r.Rax++ }, "rsp": func(r *linux.Regs) { r.Rsp -= 8 },
		"rbx": func(r *linux.Regs) { r.Rbx++ }, "rbp": func(r *linux.Regs) { r.Rbp++ }, "r12": func(r *linux.Regs) { r.R12++ },
		"r13": func(r *linux.Regs) { r.R13++ }, "r14": func(r *linux.Regs) { r.R14++ }, "r15": func(r *linux.Regs) { r.R15++ },
		"rdi": func(r *linux.Regs) { r.Rdi++ }, "rsi": func(r *linux.Regs) { r.Rsi++ }, "rdx": func(r *linux.Regs) { r.Rdx++ },
		"r8": func(r *linux.Regs) { r.R8++ }, "r9": func(r *linux.Regs) { r.R9++ }, "r10": func(r *linux.Regs) { r.R10++ },
		"rcx": func(r *linux.Regs) { r.Rcx++ },
	} {
		now := at
		change(&now)
		if f.atCallEnd(th, &now) {
			t.Errorf("with another %s it is taken for behind its call", name)
		}
	}
	th.ev.Kind = 0 // a handler ran since
	if f.atCallEnd(th, &at) {
		t.Error("with a handler in between it is taken for behind its call")
	}
}

// The count goes on from the rest in the cell, also where the rest is below zero.
func TestSetCount(t *testing.T) {
	p := &process{}
	for i, tt := range []struct {
		budget uint64
		cell   int64
		want   uint64
	}{{100, 40, 60}, {40, 40, 60}, {40, 0, 100}, {10, -1, 111}, {noBudget, noBudget - 5, 116}} {
		p.budget = tt.budget
		p.setCount(tt.cell)
		if p.base != tt.want || int64(p.budget) != tt.cell {
			t.Errorf("step %d: count %d, budget %d; want %d", i, p.base, int64(p.budget), tt.want)
		}
	}
}

// Slots of the scratch area are given back, and not twice.
func TestScratchSlots(t *testing.T) {
	p := &process{ownMemory: ownMemory{diverting: 0b1011}}
	th := &task{proc: p, inCall: inCall{outlet: outlet{diverted: scratchBase + scratchPart}}}
	th.endDiversion()
	if p.diverting != 0b1001 || th.diverted != 0 {
		t.Errorf("slots %b, diverted to %#x", p.diverting, th.diverted)
	}
	p.diverting |= 2 // another thread has it now
	th.endDiversion()
	if p.diverting != 0b1011 {
		t.Error("a slot that another thread uses was given back")
	}
}
