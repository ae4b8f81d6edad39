package capture

import (
	"encoding/binary"
	"fmt"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/ptrace"
)

// The instruction count of a process is base + budget − cell, where cell is the
// word in the process that every dispatch decrements. A dispatch that makes
// it negative traps, and is counted already: a thread at such a trap stands
// before the count'th instruction.

// noBudget lets a process run for ever.
const noBudget = 1 << 60

// counters reads the counting cell and the number of buffered clock readings,
// and with them an input argument of at most n bytes; one call to the kernel.
func (r *recorder) counters(t *task, inAddr uint64, n int) (in []byte, readings int, err error) {
	p := t.proc
	const cells = 56 // the count of pauses lies behind that of clock readings
	b := r.buf[:cells]
	in = r.bytes.cut(n)
	spans := r.spans[:0]
	head := 0
	if p.clock != nil {
		spans = append(spans, ptrace.Span{Addr: p.clock.Budget, Data: b[0:16]})
		head += 16
	}
	if p.area != nil {
		spans = append(spans, ptrace.Span{Addr: p.area.Time.Count, Data: b[16:48]})
		head += 32
	}
	if p.calls != nil {
		spans = append(spans, ptrace.Span{Addr: p.calls.img.Pos, Data: b[48:56]})
		head += 8
	}
	more := len(spans)
	spans = p.remote.ask(spans)
	more = 8 * (len(spans) - more)
	head += more
	if n > 0 {
		// A string may end before the page does: two spans keep a fault in
		// the second page from losing the first.
		first := min(n, int(4096-inAddr%4096))
		spans = append(spans, ptrace.Span{Addr: inAddr, Data: in[:first]})
		if first < n {
			spans = append(spans, ptrace.Span{Addr: inAddr + uint64(first), Data: in[first:]})
		}
	}
	r.spans = spans[:0]
	got := 0
	if len(spans) > 0 {
		got, err = ptrace.ReadV(t.tid, spans)
		if got < head && got >= head-more {
			p.remote.on = false // what it looks at is gone
			return r.counters(t, inAddr, n)
		}
		if got < head {
			return nil, 0, fmt.Errorf("read the counters of thread %d: %w", t.tid, err)
		}
	}
	if p.clock != nil {
		cell := int64(binary.LittleEndian.Uint64(b[0:8]))
		p.setCount(cell)
		r.sayCompiled(p, b[cpython.CompiledCell])
	}
	if p.area != nil {
		readings = int(binary.LittleEndian.Uint64(b[16:24]))
		p.pauses.left = binary.LittleEndian.Uint64(b[40:48])
	}
	if p.calls != nil {
		p.callPos = binary.LittleEndian.Uint64(b[48:56])
	}
	if more > 0 && p.remote.came() {
		p.remote.on = false
		return nil, 0, errRemote
	}
	return in[:max(0, got-head)], readings, nil
}

// setCount folds a cell value into base, so that budget = cell afterwards.
func (p *process) setCount(cell int64) {
	p.base += uint64(int64(p.budget) - cell)
	p.budget = uint64(cell)
}

// clocksIn is room for the clock readings that are in the buffer at a moment, and
// what is to be read for it.
func readingsIn(m *moment) ([]byte, []ptrace.Span, error) {
	if m.readings <= 0 {
		return nil, nil, nil
	}
	c := &m.t.proc.area.Time
	if m.readings > c.Cap {
		return nil, nil, fmt.Errorf("the clock buffer of process %d was overwritten: it says %d readings", m.t.pid, m.readings)
	}
	b := make([]byte, m.readings*inject.ReadingSize)
	return b, []ptrace.Span{{Addr: c.Buf, Data: b}}, nil
}

// emptyBuffers reads the contents of the buffers of clock readings and of calls of
// t's process, and empties both: one call to the kernel for each of the two.
func (r *recorder) emptyBuffers(t *task, contents []ptrace.Span) error {
	want := 0
	for _, s := range contents {
		want += len(s.Data)
	}
	if want == 0 {
		return nil
	}
	if n, err := ptrace.ReadV(t.tid, contents); n < want {
		return fmt.Errorf("read the buffers of thread %d: %w", t.tid, err)
	}
	p := t.proc
	empty := []ptrace.Span{{Addr: p.area.Time.Count, Data: make([]byte, 8)}}
	if p.calls != nil {
		p.callPos = p.calls.img.Buf
		empty = append(empty, ptrace.Span{Addr: p.calls.img.Pos, Data: binary.LittleEndian.AppendUint64(nil, p.callPos)})
	}
	if err := ptrace.WriteV(t.tid, empty); err != nil {
		return fmt.Errorf("empty the buffers of thread %d: %w", t.tid, err)
	}
	return nil
}

// arm sets how many instructions may start before the next trap.
func (r *recorder) arm(t *task, n uint64) error {
	p := t.proc
	if p.clock == nil {
		return nil
	}
	p.budget = n
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], n)
	spans := append(r.spans[:0], ptrace.Span{Addr: p.clock.Budget, Data: b[0:8]})
	if p.calls != nil {
		binary.LittleEndian.PutUint64(b[8:], p.base+n)
		spans = append(spans, ptrace.Span{Addr: p.calls.img.Total, Data: b[8:16]})
	}
	if err := ptrace.WriteV(t.tid, spans); err != nil {
		return fmt.Errorf("set the budget of thread %d: %w", t.tid, err)
	}
	return nil
}

// armAnywhere is arm for a thread that may stand anywhere, after counters: also where a
// call of the buffer has read the one of the two that are set, and not the other.
func (r *recorder) armAnywhere(t *task, n uint64) error {
	if err := r.arm(t, n); err != nil || t.proc.calls == nil || t.proc.clock == nil {
		return err
	}
	pc, err := ptrace.PC(t.tid)
	if err != nil {
		return err
	}
	if left, ok := t.proc.calls.img.Recount(pc, n); ok {
		return ptrace.SetCount(t.tid, left)
	}
	return nil
}

// countNow is the instruction count of a process, as far as it can be had.
func (r *recorder) countNow(p *process) uint64 {
	if p.clock == nil {
		return p.base
	}
	for _, t := range p.tasks {
		if t.dead {
			continue
		}
		if cell, err := readU64(t.tid, p.clock.Budget); err == nil {
			p.setCount(int64(cell))
			break
		}
	}
	return p.base
}
