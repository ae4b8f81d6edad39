package gdbserver

import (
	"bytes"
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// TestGDBSignal holds the numbers to gdb's, and that no two signals are one.
func TestGDBSignal(t *testing.T) {
	for sig, want := range map[int]int{1: 1, 7: 10, 10: 30, 12: 31, 17: 20, 23: 16, 29: 23, 31: 12, 32: 77, 33: 45, 34: 46, 63: 75, 64: 78, 16: 143, 99: 143} {
		if got := gdbSignal(sig); got != want {
			t.Errorf("signal %d is gdb's %d, want %d", sig, got, want)
		}
	}
	seen := map[int]int{}
	for sig := 1; sig <= linux.MaxSignal; sig++ {
		n := gdbSignal(sig)
		if o := seen[n]; o != 0 {
			t.Errorf("signals %d and %d are both gdb's %d", o, sig, n)
		}
		seen[n] = sig
	}
}

func TestPassSignals(t *testing.T) {
	s := &Server{}
	usr1 := &recording.Event{Kind: recording.KindSignal, Nr: int32(unix.SIGUSR1)}
	alarm := &recording.Event{Kind: recording.KindSignal, Nr: int32(unix.SIGALRM)}
	for _, tt := range []struct {
		packet, want string
		usr1, alarm  bool
	}{
		{"QPassSignals:e;14", "OK", true, false},
		{"QPassSignals:zz", "E01", true, false},
		{"QPassSignals:1e", "OK", false, true},
		{"QPassSignals:", "OK", true, true},
	} {
		got, _, err := s.handle(tt.packet)
		if got != tt.want || err != nil {
			t.Errorf("%q: %q, %v", tt.packet, got, err)
		}
		if u, a := s.signalStops(usr1), s.signalStops(alarm); u != tt.usr1 || a != tt.alarm {
			t.Errorf("%q: SIGUSR1 stops: %v, SIGALRM: %v", tt.packet, u, a)
		}
	}
}

func TestSignalInfo(t *testing.T) {
	full := make([]byte, siginfoSize)
	for i := range 48 {
		full[i] = byte(i * 7)
	}
	binary.LittleEndian.PutUint32(full, 10)
	recorded := &recording.Event{Kind: recording.KindSignal, Nr: 10}
	for i := range recorded.Args {
		recorded.Args[i] = binary.LittleEndian.Uint64(full[8*i:])
	}
	frame := &recording.Event{Kind: recording.KindSignal, Nr: 10, Regs: &linux.Regs{Rsi: 0x1010},
		Memory: recording.Memory{Mem: []recording.Write{{Addr: 0x5000, Data: make([]byte, 4)}, {Addr: 0x1000, Data: append(make([]byte, 16), full...)}}}}
	other, short := *frame, *frame
	other.Nr = 12 // a handler that asked for no siginfo: the stack is as it was
	short.Mem = []recording.Write{{Addr: 0x1000, Data: frame.Mem[1].Data[:100]}}
	for _, tt := range []struct {
		name string
		ev   *recording.Event
		want []byte
	}{
		{"recorded", recorded, full}, {"in the frame", frame, full}, {"of another signal", &other, nil}, {"cut", &short, nil},
		{"without registers", &recording.Event{Kind: recording.KindSignal, Nr: 10}, nil},
	} {
		if got := signalInfo(tt.ev); !bytes.Equal(got, tt.want) {
			t.Errorf("%s: % x", tt.name, got)
		}
	}
}
