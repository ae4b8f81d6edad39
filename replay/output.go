package replay

import (
	"bytes"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// mostKept bounds what is kept of what a thread in a call has given to it to
// write: another may change those bytes before the call returns.
const mostKept = 1 << 20

// checkOutput holds what a call is given to write to the command's own output,
// at its entry, against the recording.
func (p *Process) checkOutput(t *Thread, ev *recording.Event) error {
	if err := p.flush(nil); err != nil {
		return err
	}
	m := p.Mem()
	sum := linux.GivenSum(int(ev.Nr), ev.Args, m)
	switch {
	case p.adapting():
		ev.OutSum = sum
	case sum != ev.OutSum:
		return p.diverged(ev, "it writes other bytes to the program's output")
	}
	if ev.Kind != recording.KindEnter {
		return nil
	}
	t.given = nil
	for _, r := range linux.Given(int(ev.Nr), ev.Args, m, nil) {
		n := len(t.given)
		if r.Len > uint64(mostKept-n) {
			t.given = nil // it is read where it is printed
			break
		}
		t.given = slices.Grow(t.given, int(r.Len))[:n+int(r.Len)]
		if err := m.ReadAt(t.given[n:], r.Addr); err != nil {
			return p.damaged("what %s is to write: %v", name(ev.Nr), err)
		}
	}
	return nil
}

// echo prints what a call wrote to the command's own output.
func (p *Process) echo(t *Thread, call, ev *recording.Event) error {
	given := t.given
	t.given = nil
	w := p.s.o.Stdout
	if ev.Why == recording.OutStderr {
		w = p.s.o.Stderr
	}
	if on := p.s.o.OnOutput; on != nil && ev.Why != "" {
		var all bytes.Buffer
		w = &all
		defer func() {
			if all.Len() > 0 {
				on(p, ev.Why == recording.OutStderr, all.Bytes())
			}
		}()
	}
	if ev.Why == "" || w == nil || ev.Ret <= 0 {
		return nil
	}
	// No call transfers more (MAX_RW_COUNT of the kernel, write(2)).
	const mostWritten = 0x7ffff000
	if ev.Ret > mostWritten {
		return p.damaged("%s wrote %d bytes, more than a call can", name(call.Nr), ev.Ret)
	}
	if _, _, _, moves := linux.Moves(int(call.Nr)); moves {
		// The bytes were never in the program's memory; older recordings lack them.
		if n := uint64(len(ev.In)); n > uint64(ev.Ret) {
			return p.damaged("%s wrote %d bytes, and moved %d", name(call.Nr), ev.Ret, n)
		}
		w.Write(ev.In)
		return nil
	}
	left := uint64(ev.Ret)
	if uint64(len(given)) >= left {
		w.Write(given[:left])
		return nil
	}
	if err := p.flush(nil); err != nil {
		return err
	}
	m := p.Mem()
	for _, r := range linux.Given(int(call.Nr), call.Args, m, nil) {
		const most = 1 << 20
		for addr, n := r.Addr, min(r.Len, left); n > 0; {
			b := make([]byte, min(n, most))
			if err := m.ReadAt(b, addr); err != nil {
				return p.damaged("what %s wrote, at %#x: %v", name(call.Nr), addr, err)
			}
			w.Write(b)
			addr, n, left = addr+uint64(len(b)), n-uint64(len(b)), left-uint64(len(b))
		}
	}
	if left > 0 {
		return p.damaged("%s wrote %d bytes more than it was given", name(call.Nr), left)
	}
	return nil
}
