package cpython

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// switchClock finds the clock of an interpreter that is built --without-computed-gotos: its
// one table is the jump table of the switch, all opcodes long, through which every
// instruction goes. It is known by the same shape: the unassigned opcodes, and no others,
// lead to one place.
func (im *elfFile) switchClock(path string, v Version) (*Clock, error) {
	if v.Minor < 0 || !v.Rules().switchOnly {
		return nil, nil
	}
	t, err := im.traceLoop(nil)
	if err != nil {
		return nil, nil
	}
	unused := opcodeSet(v.Rules().unassigned)
	for _, s := range t.sites {
		table := Table{Entries: opcodes, Rel32: s.rel32, Uncounted: v.Rules().uncounted}
		for _, table.Addr = range t.basesOf(s) {
			if table.Base = 0; table.Rel32 {
				table.Base = table.Addr
			}
			if s.opcode.delta != 0 || s.bound >= 0 && s.bound < opcodes-1 || !im.readTargets(&table) || !onlyUnassigned(table.Targets, &unused) {
				continue
			}
			if t, err = im.traceLoop(nil, s.pc); err != nil {
				return nil, &ClockError{Path: path, Reason: err.Error()}
			}
			ways := slices.DeleteFunc(t.sites, func(w site) bool { return w.pc != s.pc })
			if len(ways) < minSites {
				return nil, &ClockError{Path: path, Reason: fmt.Sprintf("only %d jumps go through the supposed switch at %#x", len(ways), table.Addr)}
			}
			c := &Clock{Version: v, Path: path, Relocated: im.dynamic, Tables: []Table{table}, Sites: len(ways)}
			c.Lo, c.Hi = im.span()
			if s, ok := im.lookup("_PyRuntime"); ok {
				c.Runtime = s.value
			}
			if c.NextInstr, err = electNextInstr(ways, nil, v.Rules().NextInstrBias()); err != nil {
				return nil, &ClockError{Path: path, Reason: err.Error()}
			}
			return c, nil
		}
	}
	return nil, nil
}

// basesOf returns where the table of a jump may be: its address, or those that the code
// keeps in the stack slot that it is loaded from.
func (t *tracer) basesOf(s site) (bases []uint64) {
	if s.base.kind == valConst {
		return []uint64{uint64(s.base.off)}
	}
	for at := range t.consts {
		if s.base.kind == valStacked && at.place == s.base {
			bases = append(bases, at.addr)
		}
	}
	return bases
}

// onlyUnassigned says whether the unassigned opcodes, and no others, lead to one place.
func onlyUnassigned(targets []uint64, unused *[opcodes]bool) bool {
	unknown := targets[slices.Index(unused[:], true)]
	for op, to := range targets {
		if (to == unknown) != unused[op] {
			return false
		}
	}
	return len(distinct(targets)) >= minDistinct
}

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
