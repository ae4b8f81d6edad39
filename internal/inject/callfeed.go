package inject

import (
	"encoding/binary"
	"sort"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
)

// A CallFeed collects what buffered calls did, for a replayed process that is
// to go through them without a stop.
type CallFeed struct {
	data  uint64
	b     []byte
	heads []int // offsets of the records
}

// NewCallFeed is for the calls area whose cells begin at data.
func NewCallFeed(data uint64) *CallFeed { return &CallFeed{data: data} }

// Data is what NewCallFeed was given.
func (f *CallFeed) Data() uint64 { return f.data }

// Len is the number of calls.
func (f *CallFeed) Len() int { return len(f.heads) }

// Reset empties the feed.
func (f *CallFeed) Reset() { f.b, f.heads = f.b[:0], f.heads[:0] }

// Add appends a call that returned ret and wrote all that. It reports
// false, and adds nothing, where the buffer has no room for it.
func (f *CallFeed) Add(ret int64, wrote ...Write) bool {
	var addr uint64
	var out []byte
	switch len(wrote) {
	case 0:
	case 1:
		addr, out = wrote[0].Addr, wrote[0].Data
	default:
		addr, out = pieces, inPieces(wrote)
	}
	size := (callHead + len(out) + 7) &^ 7
	if len(f.b)+size > callBufSize {
		return false
	}
	at := len(f.b)
	f.heads = append(f.heads, at)
	f.b = append(f.b, make([]byte, size)...)
	rec := f.b[at:]
	binary.LittleEndian.PutUint64(rec[recRet:], uint64(ret))
	binary.LittleEndian.PutUint64(rec[recOut:], addr)
	binary.LittleEndian.PutUint64(rec[recOutLen:], uint64(len(out)))
	binary.LittleEndian.PutUint64(rec[recNext:], f.data+callBufOff+uint64(at+size))
	copy(rec[callHead:], out)
	return true
}

// Writes are what is to be written before the thread runs. The instruction
// count is total less the word at budget; readings is the address of the count
// of clock readings.
func (f *CallFeed) Writes(budget, total, readings uint64) []Write {
	buf := f.data + callBufOff
	return []Write{
		{f.data + cellMode, le(uint64(callsFed), buf, buf+uint64(len(f.b)))},
		{f.data + cellBudget, le(budget, total, readings)},
		{buf, f.b},
	}
}

// A FedCall is what a thread made a call with.
type FedCall struct {
	Nr       uint64
	Args     [6]uint64
	Instr    uint64
	Readings uint64     // readings of the clock before it
	Regs     linux.Regs // the callee-saved ones and Rip
}

// Count reads how many calls were made.
func (f *CallFeed) Count(m mem.Reader) (int, error) {
	pos, err := mem.U64(m, f.data+cellPos)
	if err != nil {
		return 0, err
	}
	buf := f.data + callBufOff
	n := sort.Search(len(f.heads), func(i int) bool { return buf+uint64(f.heads[i]) >= pos })
	return n, nil
}

// Made reads how many calls were made, and what they were made with: what Call then returns.
func (f *CallFeed) Made(m mem.Reader) (int, error) {
	n, err := f.Count(m)
	if err != nil || n == 0 {
		return 0, err
	}
	return n, m.ReadAt(f.b[:f.heads[n-1]+callHead], f.data+callBufOff)
}

// Call is what the thread made the call i with, one of those that Made has counted.
func (f *CallFeed) Call(i int) FedCall {
	b := f.b[f.heads[i]:]
	word := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	c := FedCall{Nr: word(recNr), Instr: word(recInstr), Readings: word(recReadings)}
	for k := range c.Args {
		c.Args[k] = word(recArgs + 8*k)
	}
	for k, p := range calleeSaved(&c.Regs) {
		*p = word(recRegs + 8*k)
	}
	return c
}

// calleeSaved are the registers of a record, and the program counter.
func calleeSaved(r *linux.Regs) [8]*uint64 {
	return [8]*uint64{&r.Rbx, &r.Rbp, &r.Rsp, &r.R12, &r.R13, &r.R14, &r.R15, &r.Rip}
}
