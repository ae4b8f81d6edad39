package recording

import (
	"encoding/binary"
	"fmt"
	"math/bits"

	"pyrr/internal/linux"
)

// deltas is what the encoding of an event refers to: values of the events
// before it in the same chunk. It starts at zero in each chunk, so that
// chunks can be read alone.
type deltas struct {
	tid   int32
	instr uint64
	pc    uint64
	time  int64
	regs  regArray
}

// regArray is registers in the order in which recordings hold them.
type regArray [linux.NumRegs]uint64

// zigzag maps small numbers of either sign to small numbers.
func zigzag(v int64) uint64 { return uint64(v<<1) ^ uint64(v>>63) }

func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }

func appendSigned(b []byte, v int64) []byte { return binary.AppendUvarint(b, zigzag(v)) }

func appendBytes(b, v []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func appendString(b []byte, v string) []byte {
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

// checkEvent says why ev can't be encoded, or how many bytes its Mem holds.
func checkEvent(ev *Event, have fieldSet) (data uint64, err error) {
	if err := ev.Kind.check(have); err != nil {
		return 0, err
	}
	if ev.Stop > lastStop {
		return 0, fmt.Errorf("%s event with stop %d", ev.Kind, ev.Stop)
	}
	const rare = fIn | fReadings | fMaps | fXState | fProc | fWhy | fText | fMem | fOpen
	if have&rare == 0 {
		return 0, nil
	}
	size := len(ev.In) + len(ev.Readings) + len(ev.XState) + len(ev.Why) + len(ev.Text) // of the head, at most
	if len(ev.In) > maxBytes || len(ev.Readings) > maxBytes || len(ev.XState) > maxBytes || len(ev.Why) > maxBytes || len(ev.Text) > maxBytes {
		return 0, fmt.Errorf("%s event with a field above %d bytes", ev.Kind, maxBytes)
	}
	if len(ev.Maps) > maxMappings || len(ev.Mem) > maxMem {
		return 0, fmt.Errorf("%s event with %d mappings and %d writes (limits %d and %d)", ev.Kind, len(ev.Maps), len(ev.Mem), maxMappings, maxMem)
	}
	for i := range ev.Maps {
		size += 48 + len(ev.Maps[i].Name)
	}
	if p := ev.Proc; p != nil {
		if len(p.Argv) > maxStrings || len(p.Env) > maxStrings {
			return 0, fmt.Errorf("process with %d arguments and %d variables (limit %d)", len(p.Argv), len(p.Env), maxStrings)
		}
		if p.ID < 0 || p.Parent < 0 {
			return 0, fmt.Errorf("process %d with parent %d", p.ID, p.Parent)
		}
		size += 128 + len(p.Exe) + len(p.Cwd) + len(p.Python)
		for _, s := range p.Argv {
			size += 4 + len(s)
		}
		for _, s := range p.Env {
			size += 4 + len(s)
		}
	}
	if len(ev.Open) > maxOpen {
		return 0, fmt.Errorf("process with %d descriptors (limit %d)", len(ev.Open), maxOpen)
	}
	for i := range ev.Open {
		size += 16 + len(ev.Open[i].Name)
	}
	size += 20*len(ev.Mem) + 1024
	if size > maxHead {
		return 0, fmt.Errorf("%s event of %d bytes without its memory (limit %d)", ev.Kind, size, maxHead)
	}
	for i := range ev.Mem {
		data += uint64(len(ev.Mem[i].Data))
	}
	if data > maxData {
		return 0, fmt.Errorf("%s event with %d bytes of memory (limit %d)", ev.Kind, data, uint64(maxData))
	}
	return data, nil
}

// encode appends ev without the bytes of Mem. have is ev.fields(), and the
// event has passed checkEvent.
func (d *deltas) encode(b []byte, ev *Event, have fieldSet) []byte {
	// Presence of the fields coded as differences means "differs".
	m := have &^ (fTID | fInstr | fTime)
	if ev.TID != d.tid {
		m |= fTID
	}
	if ev.Instr != d.instr {
		m |= fInstr
	}
	if ev.Time != d.time {
		m |= fTime
	}
	b = append(b, byte(ev.Kind))
	b = binary.AppendUvarint(b, uint64(m))
	if m&fStop != 0 {
		b = append(b, byte(ev.Stop))
	}
	if m&fTID != 0 {
		b = appendSigned(b, int64(ev.TID-d.tid))
		d.tid = ev.TID
	}
	if m&fInstr != 0 {
		b = appendSigned(b, int64(ev.Instr-d.instr))
		d.instr = ev.Instr
	}
	if m&fPC != 0 {
		b = appendSigned(b, int64(ev.PC-d.pc))
		d.pc = ev.PC
	}
	if m&fRegSum != 0 {
		b = binary.LittleEndian.AppendUint32(b, ev.RegSum)
	}
	if m&fNr != 0 {
		b = appendSigned(b, int64(ev.Nr))
	}
	if m&fArgs != 0 {
		at := len(b)
		b = append(b, 0)
		for i, a := range ev.Args {
			if a != 0 {
				b[at] |= 1 << i
				b = appendSigned(b, int64(a))
			}
		}
	}
	if m&fRet != 0 {
		b = appendSigned(b, ev.Ret)
	}
	if m&fTime != 0 {
		b = appendSigned(b, ev.Time-d.time)
		d.time = ev.Time
	}
	if m&fEndTime != 0 {
		b = appendSigned(b, ev.EndTime-ev.Time)
	}
	const rare = fIn | fReadings | fMaps | fChild | fRegs | fXState | fProc | fWhy | fText | fMem | fPauses | fOutSum | fOpen
	if m&rare != 0 {
		b = d.encodeRare(b, ev, m)
	}
	return b
}

func (d *deltas) encodeRare(b []byte, ev *Event, m fieldSet) []byte {
	if m&fIn != 0 {
		b = appendBytes(b, ev.In)
	}
	if m&fReadings != 0 {
		b = appendBytes(b, ev.Readings)
	}
	if m&fMaps != 0 {
		b = appendMaps(b, ev.Maps)
	}
	if m&fChild != 0 {
		b = appendSigned(b, int64(ev.Child))
	}
	if m&fRegs != 0 {
		b = d.encodeRegs(b, ev.Regs)
	}
	if m&fXState != 0 {
		b = appendBytes(b, ev.XState)
	}
	if m&fProc != 0 {
		b = appendProc(b, ev.Proc)
	}
	if m&fWhy != 0 {
		b = appendString(b, ev.Why)
	}
	if m&fText != 0 {
		b = appendString(b, ev.Text)
	}
	if m&fMem != 0 {
		b = binary.AppendUvarint(b, uint64(len(ev.Mem)))
		var end uint64
		for i := range ev.Mem {
			w := &ev.Mem[i]
			b = appendSigned(b, int64(w.Addr-end))
			b = binary.AppendUvarint(b, uint64(len(w.Data)))
			end = w.Addr + uint64(len(w.Data))
		}
	}
	if m&fPauses != 0 {
		b = binary.AppendUvarint(b, ev.Pauses)
	}
	if m&fOutSum != 0 {
		b = binary.LittleEndian.AppendUint32(b, ev.OutSum)
	}
	if m&fOpen != 0 {
		b = binary.AppendUvarint(b, uint64(len(ev.Open)))
		for i := range ev.Open {
			o := &ev.Open[i]
			b = appendSigned(b, int64(o.FD))
			b = binary.AppendUvarint(b, uint64(o.Flags))
			b = appendString(b, o.Name)
		}
	}
	return b
}

// encodeRegs appends which registers differ from those of the chunk's last
// event that had registers, and by how much.
func (d *deltas) encodeRegs(b []byte, r *linux.Regs) []byte {
	now := r.Words()
	var diff uint64
	for i := range now {
		if now[i] != d.regs[i] {
			diff |= 1 << i
		}
	}
	b = binary.AppendUvarint(b, diff)
	for ; diff != 0; diff &= diff - 1 {
		i := bits.TrailingZeros64(diff)
		b = appendSigned(b, int64(now[i]-d.regs[i]))
	}
	d.regs = now
	return b
}

func appendMaps(b []byte, maps []Mapping) []byte {
	b = binary.AppendUvarint(b, uint64(len(maps)))
	var end uint64
	for i := range maps {
		m := &maps[i]
		b = appendSigned(b, int64(m.Start-end))
		b = appendSigned(b, int64(m.End-m.Start))
		flags := uint64(m.Prot) << 1
		if m.Shared {
			flags |= 1
		}
		b = binary.AppendUvarint(b, flags)
		b = binary.AppendUvarint(b, uint64(m.File))
		b = binary.AppendUvarint(b, m.Offset)
		b = appendString(b, m.Name)
		end = m.End
	}
	return b
}

func appendProc(b []byte, p *Process) []byte {
	b = binary.AppendUvarint(b, uint64(p.ID))
	b = appendSigned(b, int64(p.PID))
	b = binary.AppendUvarint(b, uint64(p.Parent))
	b = binary.AppendUvarint(b, p.ParentEvent)
	fork := byte(0)
	if p.Fork {
		fork = 1
	}
	b = append(b, fork)
	b = appendString(b, p.Exe)
	b = binary.AppendUvarint(b, uint64(len(p.Argv)))
	for _, s := range p.Argv {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(p.Env)))
	for _, s := range p.Env {
		b = appendString(b, s)
	}
	b = appendString(b, p.Cwd)
	b = appendString(b, p.Python)
	b = appendSigned(b, p.Start)
	b = binary.AppendUvarint(b, p.Brk)
	b = binary.AppendUvarint(b, p.StackLimit)
	return b
}
