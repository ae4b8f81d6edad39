package cpython

import (
	"encoding/binary"
	"errors"
	"slices"
)

// switchTable finds the jump table that the compiler made of the eval loop's
// switch statement (3.8 to 3.10): the one with an opcode as index whose targets are
// mostly those of the computed gotos, or whose unassigned opcodes, and no others,
// lead where theirs do. It returns the jumps too.
func (im *elfFile) switchTable(t *tracer, targets []uint64, minor int) (Table, []site, error) {
	var table Table
	var at []site
	unused := opcodeSet(rulesOf(minor).unassigned)
	for _, s := range t.sites {
		if s.base.kind != valConst || s.bound < 0 || s.bound >= opcodes {
			continue
		}
		c := Table{Addr: uint64(s.base.off), Entries: s.bound + 1, First: int(-s.opcode.delta), Rel32: s.rel32}
		if c.First < 0 || c.First+c.Entries > opcodes {
			continue
		}
		if s.rel32 {
			c.Base = c.Addr
		}
		if !im.readTargets(&c) || !likeTargets(&c, targets) && !sameUnassigned(&c, targets, &unused) {
			continue
		}
		if at != nil && (c.Addr != table.Addr || c.First != table.First || c.Rel32 != table.Rel32) {
			return Table{}, nil, errors.New("more than one switch on the opcode")
		}
		if c.Entries > table.Entries {
			table = c
		}
		at = append(at, s)
	}
	if at == nil {
		return Table{}, nil, errors.New("the jump table of the eval loop's switch was not found")
	}
	return table, at, nil
}

// readTargets fills in where a table's entries lead.
func (im *elfFile) readTargets(t *Table) bool {
	b, ok := im.bytes(t.Addr, uint64(t.Entries*t.size()))
	if !ok {
		return false
	}
	t.Targets = make([]uint64, t.Entries)
	for i := range t.Targets {
		t.Targets[i] = t.decode(b[i*t.size():], 0)
		if !im.isCode(t.Targets[i]) {
			return false
		}
	}
	return true
}

// decode returns the address that an entry, in a module loaded at bias, leads
// to.
func (t *Table) decode(b []byte, bias uint64) uint64 {
	if t.Rel32 {
		return t.Base + bias + uint64(int64(int32(binary.LittleEndian.Uint32(b))))
	}
	return binary.LittleEndian.Uint64(b)
}

// likeTargets says whether most entries of a table lead where the computed
// gotos of the same opcodes do.
func likeTargets(t *Table, targets []uint64) bool {
	same := 0
	for i, to := range t.Targets {
		if to == targets[t.First+i] {
			same++
		}
	}
	return t.Entries >= minDistinct && same*4 >= t.Entries*3
}

// sameUnassigned says whether a table's entries for the unassigned opcodes, and no
// others, lead where those of the computed gotos do (_unknown_opcode). Clang gives a
// case that the switch and the gotos share two entries, one for each.
func sameUnassigned(t *Table, targets []uint64, unused *[opcodes]bool) bool {
	unknown, some := targets[slices.Index(unused[:], true)], false
	for i, to := range t.Targets {
		if (to == unknown) != unused[t.First+i] {
			return false
		}
		some = some || to == unknown
	}
	return some && len(distinct(t.Targets)) >= minDistinct
}
