package inject

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"

	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
	"pyrr/internal/mem"
)

// A BufferedCall is a record of the buffer.
type BufferedCall struct {
	Nr           int
	Args         [6]uint64
	Ret          int64
	Instr        uint64
	Began, Ended uint64     // by the processor's time stamp counter
	Regs         linux.Regs // the callee-saved ones and Rip
	Readings     int        // readings of the clock before it
	Addr         uint64     // Out is what it wrote there
	Out          []byte
	In           []byte // the path that it read, or the beginning of what it gave
	// Printed is FDStdout or FDStderr where it wrote to the command's own output; In is
	// all that it wrote then.
	Printed byte
}

// CallsIn reads the records in a buffer, one after the other, each into the same value.
// What a process has overwritten ends it with an error.
func CallsIn(b []byte) iter.Seq2[*BufferedCall, error] {
	return func(yield func(*BufferedCall, error) bool) {
		var c BufferedCall
		for len(b) > 0 {
			n, err := c.parse(b)
			if !yield(&c, err) || err != nil {
				return
			}
			b = b[n:]
		}
	}
}

// parse reads the record at the start of b and says where the next one begins.
func (c *BufferedCall) parse(b []byte) (int, error) {
	if len(b) < callHead {
		return 0, fmt.Errorf("a record of %d bytes", len(b))
	}
	word := func(off int) uint64 { return binary.LittleEndian.Uint64(b[off:]) }
	outLen, inLen := word(recOutLen), word(recInLen)
	if outLen > maxCallOut || inLen > maxPrinted || callHead+outLen+inLen > uint64(len(b)) || word(recNr) >= lastCall {
		return 0, fmt.Errorf("a record of %d bytes for call %d", outLen, word(recNr))
	}
	*c = BufferedCall{
		Nr: int(word(recNr)), Ret: int64(word(recRet)), Instr: word(recInstr), Began: word(recBegan), Ended: word(recEnded),
		Readings: int(word(recReadings)), Addr: word(recOut), Out: b[callHead : callHead+outLen],
		In: b[callHead+outLen : callHead+outLen+inLen],
	}
	if c.Nr == unix.SYS_WRITE && outLen == 0 {
		c.Printed = byte(c.Addr) & (FDStdout | FDStderr)
	}
	for i := range c.Args {
		c.Args[i] = word(recArgs + 8*i)
	}
	for i, p := range calleeSaved(&c.Regs) {
		*p = word(recRegs + 8*i)
	}
	return int(min(uint64(len(b)), (callHead+outLen+inLen+7)&^7)), nil
}

// Unnoted returns the record of a write to the command's own output that was made, but
// not noted yet, by a thread that stands at pc with rax and goes no further: the next
// record is to begin at pos. It returns nil where there is no such.
func (img *CallsArea) Unnoted(m mem.Reader, pos, pc, rax uint64) []byte {
	if pc < img.Base || pc >= img.Base+callCommon {
		return nil
	}
	cells, err := mem.Bytes(m, img.Data, cellKind+1)
	if err != nil || binary.LittleEndian.Uint64(cells[cellClass:]) != classPrint {
		return nil
	}
	rec, err := mem.Bytes(m, pos, callHead)
	if err != nil || binary.LittleEndian.Uint64(rec[recNr:]) != unix.SYS_WRITE {
		return nil
	}
	set := func(off int, v uint64) { binary.LittleEndian.PutUint64(rec[off:], v) }
	at := int(pc - img.Base)
	between := func(from, to string) bool { return at >= img.common.labels[from] && at < img.common.labels[to] }
	switch {
	case between("called", "undo"), between("is", "noted"), between("printed", "selects"):
		set(recRet, rax) // which has the result until it is stored
	case between("print", "told"):
		return nil // it has not come to the call
	case at < img.common.labels["noted"] || at > img.common.labels["finish"]:
		return nil
	}
	n := int64(binary.LittleEndian.Uint64(rec[recRet:]))
	if n <= 0 || n > maxPrinted {
		return nil
	}
	in, err := mem.Bytes(m, binary.LittleEndian.Uint64(rec[argSI:]), int(n))
	if err != nil {
		return nil
	}
	set(recOut, uint64(cells[cellKind]))
	set(recOutLen, 0)
	set(recInLen, uint64(n))
	set(recEnded, TSC())
	rec = append(rec, in...)
	return append(rec, slices.Repeat([]byte{0}, -len(rec)&7)...)
}
