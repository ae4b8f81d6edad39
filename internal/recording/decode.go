package recording

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"

	"pyrr/internal/linux"
)

var (
	errShort    = errors.New("event ends too early")
	errVarint   = errors.New("bad variable-length number")
	errOverlong = errors.New("length above the limit")
)

// parser takes an event's encoding apart. Its first error sticks, and all
// that follows yields zeros. The slices that it gives out are parts of b.
type parser struct {
	b   []byte
	err error
}

func (p *parser) fail(err error) {
	if p.err == nil {
		p.err = err
	}
	p.b = nil
}

func (p *parser) byte() byte {
	if len(p.b) == 0 {
		p.fail(errShort)
		return 0
	}
	c := p.b[0]
	p.b = p.b[1:]
	return c
}

func (p *parser) uvarint() uint64 {
	v, n := binary.Uvarint(p.b)
	if n <= 0 {
		if n == 0 {
			p.fail(errShort)
		} else {
			p.fail(errVarint)
		}
		return 0
	}
	p.b = p.b[n:]
	return v
}

func (p *parser) signed() int64 { return unzigzag(p.uvarint()) }

// signed32 is signed for a value that has to fit into 32 bits.
func (p *parser) signed32() int32 {
	v := p.signed()
	if int64(int32(v)) != v {
		p.fail(fmt.Errorf("%d does not fit into 32 bits", v))
		return 0
	}
	return int32(v)
}

// count reads a count of at most limit things that take at least size bytes
// each, so that a forged count can't make the reader allocate.
func (p *parser) count(limit, size int) int {
	n := p.uvarint()
	if n > uint64(limit) {
		p.fail(errOverlong)
		return 0
	}
	if n*uint64(size) > uint64(len(p.b)) {
		p.fail(errShort)
		return 0
	}
	return int(n)
}

func (p *parser) bytes() []byte {
	n := p.count(maxBytes, 1)
	v := p.b[:n:n]
	p.b = p.b[n:]
	if n == 0 {
		return nil
	}
	return v
}

func (p *parser) string() string { return string(p.bytes()) }

// decoder decodes the events of a chunk one after the other.
type decoder struct {
	deltas
	slab    []Write // where the events' Mem is taken from
	lens    []uint64
	skipped bool // the last event was of a kind that may be skipped
}

// decode parses an event's head into ev, which is zero before, and returns
// how many bytes of data it says that follow. They go in with setData.
func (d *decoder) decode(head []byte, ev *Event) (data uint64, err error) {
	p := parser{b: head}
	ev.Kind = Kind(p.byte())
	wire := p.uvarint()
	if p.err != nil {
		return 0, p.err
	}
	d.skipped = ev.Kind >= firstOptionalKind
	if ev.Kind.row() == nil {
		if !d.skipped {
			return 0, fmt.Errorf("unknown kind of event %d", ev.Kind)
		}
		*ev = Event{Kind: KindNote, Text: fmt.Sprintf("event of unknown kind %d", ev.Kind)}
		return 0, nil
	}
	m := fieldSet(wire)
	unknown := m &^ knownFields
	if low := unknown & (1<<firstOptionalField - 1); low != 0 {
		return 0, fmt.Errorf("unknown field %d", bits.TrailingZeros64(uint64(low)))
	}
	if m&fStop != 0 {
		if ev.Stop = Stop(p.byte()); ev.Stop > lastStop {
			return 0, fmt.Errorf("unknown stop %d", ev.Stop)
		}
	}
	ev.TID, ev.Instr, ev.Time = d.tid, d.instr, d.time
	if m&fTID != 0 {
		ev.TID += int32(p.signed())
	}
	if m&fInstr != 0 {
		ev.Instr += uint64(p.signed())
	}
	if m&fPC != 0 {
		ev.PC = d.pc + uint64(p.signed())
		d.pc = ev.PC
	}
	if m&fRegSum != 0 {
		ev.RegSum = p.word()
	}
	if m&fNr != 0 {
		ev.Nr = p.signed32()
	}
	if m&fArgs != 0 {
		which := p.byte()
		if which >= 1<<6 {
			p.fail(fmt.Errorf("bad mask of arguments %#x", which))
		}
		for i := range ev.Args {
			if which&(1<<i) != 0 {
				ev.Args[i] = uint64(p.signed())
			}
		}
	}
	if m&fRet != 0 {
		ev.Ret = p.signed()
	}
	if m&fTime != 0 {
		ev.Time += p.signed()
	}
	if m&fEndTime != 0 {
		ev.EndTime = ev.Time + p.signed()
	}
	d.tid, d.instr, d.time = ev.TID, ev.Instr, ev.Time
	const rare = fIn | fReadings | fMaps | fChild | fRegs | fXState | fProc | fWhy | fText | fMem | fPauses | fOutSum | fOpen
	if m&rare != 0 {
		data = d.decodeRare(&p, ev, m)
	}
	if p.err != nil {
		return 0, fmt.Errorf("%s: %w", ev.Kind, p.err)
	}
	if len(p.b) != 0 && unknown == 0 {
		return 0, fmt.Errorf("%s: %d bytes after its last field", ev.Kind, len(p.b))
	}
	if err := ev.Kind.check(ev.fields()); err != nil {
		return 0, err
	}
	return data, nil
}

func (d *decoder) decodeRare(p *parser, ev *Event, m fieldSet) (data uint64) {
	if m&fIn != 0 {
		ev.In = p.bytes()
	}
	if m&fReadings != 0 {
		ev.Readings = p.bytes()
	}
	if m&fMaps != 0 {
		ev.Maps = p.maps()
	}
	if m&fChild != 0 {
		ev.Child = p.signed32()
	}
	if m&fRegs != 0 {
		diff := p.uvarint()
		if diff >= 1<<linux.NumRegs {
			p.fail(fmt.Errorf("bad mask of registers %#x", diff))
			return 0
		}
		for ; diff != 0; diff &= diff - 1 {
			d.regs[bits.TrailingZeros64(diff)] += uint64(p.signed())
		}
		ev.Regs = linux.RegsOf((*[linux.NumRegs]uint64)(&d.regs))
	}
	if m&fXState != 0 {
		ev.XState = p.bytes()
	}
	if m&fProc != 0 {
		ev.Proc = p.proc()
	}
	if m&fWhy != 0 {
		ev.Why = p.string()
	}
	if m&fText != 0 {
		ev.Text = p.string()
	}
	if m&fMem != 0 {
		ev.Mem, data = d.writes(p)
	}
	if m&fPauses != 0 {
		ev.Pauses = p.uvarint()
	}
	if m&fOutSum != 0 {
		ev.OutSum = p.word()
	}
	if m&fOpen != 0 {
		ev.Open = p.open()
	}
	return data
}

// word takes a number of 4 bytes.
func (p *parser) word() uint32 {
	if len(p.b) < 4 {
		p.fail(errShort)
		return 0
	}
	n := binary.LittleEndian.Uint32(p.b)
	p.b = p.b[4:]
	return n
}

func (p *parser) maps() []Mapping {
	n := p.count(maxMappings, 6)
	if n == 0 {
		return nil
	}
	maps := make([]Mapping, n)
	var end uint64
	for i := range maps {
		m := &maps[i]
		m.Start = end + uint64(p.signed())
		m.End = m.Start + uint64(p.signed())
		flags := p.uvarint()
		m.Shared = flags&1 != 0
		m.Prot = uint32(flags >> 1)
		file := p.uvarint()
		if flags>>33 != 0 || file>>32 != 0 {
			p.fail(fmt.Errorf("bad mapping: protection %#x, file %d", flags>>1, file))
			return nil
		}
		m.File = FileID(file)
		m.Offset = p.uvarint()
		m.Name = p.string()
		end = m.End
	}
	return maps
}

func (p *parser) open() []OpenFD {
	n := p.count(maxOpen, 3)
	if n == 0 {
		return nil
	}
	list := make([]OpenFD, n)
	for i := range list {
		list[i].FD = p.signed32()
		flags := p.uvarint()
		if flags>>32 != 0 {
			p.fail(fmt.Errorf("bad flags of descriptor %d: %#x", list[i].FD, flags))
			return nil
		}
		list[i].Flags, list[i].Name = uint32(flags), p.string()
	}
	return list
}

func (p *parser) strings() []string {
	n := p.count(maxStrings, 1)
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = p.string()
	}
	return list
}

// small reads a number of processes.
func (p *parser) small() int {
	v := p.uvarint()
	if v > 1<<31-1 {
		p.fail(fmt.Errorf("process number %d", v))
		return 0
	}
	return int(v)
}

func (p *parser) proc() *Process {
	pr := &Process{
		ID:          p.small(),
		PID:         int(p.signed()),
		Parent:      p.small(),
		ParentEvent: p.uvarint(),
	}
	fork := p.byte()
	if fork > 1 {
		p.fail(fmt.Errorf("bad fork flag %d", fork))
	}
	pr.Fork = fork == 1
	pr.Exe = p.string()
	pr.Argv = p.strings()
	pr.Env = p.strings()
	pr.Cwd = p.string()
	pr.Python = p.string()
	pr.Start = p.signed()
	pr.Brk = p.uvarint()
	pr.StackLimit = p.uvarint()
	return pr
}

// writes reads the list of Mem: the addresses into a part of the slab, the
// lengths into lens, since the data comes after the head.
func (d *decoder) writes(p *parser) ([]Write, uint64) {
	d.lens = d.lens[:0]
	n := p.count(maxMem, 2)
	if n == 0 {
		return nil, 0
	}
	if cap(d.slab)-len(d.slab) < n {
		d.slab = make([]Write, 0, max(n, 256))
	}
	at := len(d.slab)
	d.slab = d.slab[:at+n]
	mem := d.slab[at : at+n : at+n]
	var end, total uint64
	for i := range mem {
		mem[i].Addr = end + uint64(p.signed())
		size := p.uvarint()
		if size > maxData-total {
			p.fail(errOverlong)
			return nil, 0
		}
		total += size
		end = mem[i].Addr + size
		d.lens = append(d.lens, size)
	}
	return mem, total
}

// setData gives the writes of the event that was decoded last their bytes.
func (d *decoder) setData(ev *Event, data []byte) {
	for i := range ev.Mem {
		n := d.lens[i]
		if n != 0 {
			ev.Mem[i].Data = data[:n:n]
		}
		data = data[n:]
	}
}
