package cpython

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/arch/x86/x86asm"

	"pyrr/internal/linux"
)

// written is memory that consists of writes.
type written []Write

func (ws written) ReadAt(p []byte, addr uint64) error {
	for i := range ws {
		w := &ws[len(ws)-1-i]
		if off := addr - w.Addr; off <= uint64(len(w.Data)) && uint64(len(p)) <= uint64(len(w.Data))-off {
			copy(p, w.Data[off:])
			return nil
		}
	}
	return errors.New("not mapped")
}

// twoTables is a made clock with a table of each kind.
func twoTables() *Clock {
	c := &Clock{
		Version: Version{3, 9, 1}, Lo: 0x1000, Hi: 0x9000, NextInstr: NextInstr{Reg: 12, Bias: -2},
		Tables: []Table{
			{Addr: 0x2000, Entries: opcodes, Uncounted: []int{7}},
			{Addr: 0x4000, Entries: 150, First: 1, Rel32: true, Base: 0x4000},
		},
	}
	for i := range c.Tables {
		for j := range c.Tables[i].Entries {
			c.Tables[i].Targets = append(c.Tables[i].Targets, uint64(0x5000+0x1000*i+4*j))
		}
	}
	return c
}

const (
	testBias = 0x7f0000000000
	testArea = 0x7effffff0000
)

func TestInstall(t *testing.T) {
	t.Run("near", func(t *testing.T) { testInstall(t, twoTables(), testArea, true) })
	t.Run("far", func(t *testing.T) {
		c := twoTables()
		c.Tables = c.Tables[:1]
		testInstall(t, c, 0x10000000, false)
	})
}

func testInstall(t *testing.T, c *Clock, testArea uint64, direct bool) {
	in, err := c.InstalledAt(testBias, testArea)
	if err != nil {
		t.Fatal(err)
	}
	m := written(in.Restore())
	if !c.Ready(m, testBias) {
		t.Fatal("not ready")
	}
	if same, err := c.Install(m, testBias, testArea); err != nil || !cmp.Equal(same.Writes, in.Writes) {
		t.Fatalf("Install differs from InstalledAt: %v", err)
	}
	m = append(m, in.Writes...)
	if c.Ready(m, testBias) {
		t.Error("ready, although installed")
	}
	word := func(addr uint64, n int) uint64 {
		b := make([]byte, 8)
		if err := m.ReadAt(b[:n], addr); err != nil {
			t.Fatal(err)
		}
		return binary.LittleEndian.Uint64(b)
	}
	stubs := map[uint64]bool{}
	for i := range c.Tables {
		table := &c.Tables[i]
		for j := range table.Entries {
			var to uint64
			if table.Rel32 {
				to = table.Base + testBias + uint64(int64(int32(word(table.Addr+testBias+uint64(4*j), 4))))
			} else {
				to = word(table.Addr+testBias+uint64(8*j), 8)
			}
			op := table.First + j
			if slices.Contains(table.Uncounted, op) {
				if to != table.Targets[j]+testBias {
					t.Errorf("table %d: opcode %d is redirected", i, op)
				}
				continue
			}
			if stubs[to] || to%stubSize != testArea%stubSize {
				t.Errorf("table %d: opcode %d has the stub at %#x", i, op, to)
			}
			stubs[to] = true

			// Execute the stub's instructions on paper.
			stubOnPaper(t, m, to, direct, table, j, in, word)
			resume, handler, gotOp, ok := in.Trap(to + stubAfter)
			if !ok || resume != to+stubJump || handler != table.Targets[j]+testBias || gotOp != op {
				t.Errorf("Trap is %#x, %#x, %d, %v", resume, handler, gotOp, ok)
			}
		}
	}
	for _, pc := range []uint64{0, testArea, testArea + stubJump, testArea + stubAfter - 1, testArea - stubSize + stubAfter, in.Budget, in.Budget + stubAfter, testArea + (opcodes+150)*stubSize + stubAfter} {
		if _, _, _, ok := in.Trap(pc); ok {
			t.Errorf("%#x is taken for a trap", pc)
		}
	}
	if word(in.Budget, 8) != NoTrap {
		t.Error("the budget is not NoTrap")
	}
}

// stubOnPaper follows the instructions of a stub.
func stubOnPaper(t *testing.T, m written, to uint64, direct bool, table *Table, j int, in *Installed, word func(addr uint64, n int) uint64) {
	code := make([]byte, stubAfter)
	if err := m.ReadAt(code, to); err != nil {
		t.Fatal(err)
	}
	var text []string
	for at := to; at < to+stubAfter; {
		inst, err := x86asm.Decode(code[at-to:], 64)
		if err != nil {
			t.Fatal(err)
		}
		at += uint64(inst.Len)
		switch arg := inst.Args[0].(type) {
		case x86asm.Rel:
			if to := at + uint64(int64(arg)); inst.Op == x86asm.JMP && (!direct || to != table.Targets[j]+testBias) {
				t.Errorf("stub at %#x leads to %#x directly", at, to)
			}
		case x86asm.Mem:
			where := at + uint64(arg.Disp)
			if inst.Op == x86asm.DEC && where != in.Budget {
				t.Errorf("stub counts at %#x", where)
			}
			if inst.Op == x86asm.JMP && (direct || word(where, 8) != table.Targets[j]+testBias) {
				t.Errorf("stub leads to %#x by %#x", word(where, 8), where)
			}
		}
		if inst.Op == x86asm.JMP {
			at = to + stubAfter - 1
		}
		text = append(text, inst.Op.String())
	}
	if diff := cmp.Diff([]string{"DEC", "JS", "JMP", "INT"}, text); diff != "" {
		t.Fatal(diff)
	}
}

func TestInstallRefuses(t *testing.T) {
	tests := []struct {
		name   string
		change func(c *Clock, m written)
		area   uint64
		want   string
	}{
		{"entry differs", func(c *Clock, m written) { m[0].Data[8*33]++ }, testArea, "entry 33 leads to"},
		{"offset differs", func(c *Clock, m written) { m[1].Data[4*20+1]++ }, testArea, "dispatch table 1"},
		{"not relocated yet", func(c *Clock, m written) { clear(m[0].Data) }, testArea, "entry 0 leads to 0x0"},
		{"not mapped", func(c *Clock, m written) { m[1].Addr = 0 }, testArea, "not mapped"},
		{"too far", func(c *Clock, m written) {}, 0x10000000, "not within 2 GiB"},
		{"no tables", func(c *Clock, m written) { c.Tables = nil }, testArea, "0 dispatch tables"},
		{"outside the module", func(c *Clock, m written) { c.Tables[1].Addr = 0x8ff0 }, testArea, "outside the module"},
		{"opcode that isn't there", func(c *Clock, m written) { c.Tables[1].Uncounted = []int{0} }, testArea, "to leave alone"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := twoTables()
			in, err := c.InstalledAt(testBias, testArea)
			if err != nil {
				t.Fatal(err)
			}
			m := written(in.Restore())
			tt.change(c, m)
			if _, err := c.Install(m, testBias, tt.area); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestVerify(t *testing.T) {
	const code = 0x30000
	tests := []struct {
		name     string
		minor    int
		have, op int // in memory, dispatched
		want     string
	}{
		{"3.9 same", 9, 100, 100, ""},
		{"3.9 other", 9, 101, 100, "dispatch of opcode 100"},
		{"3.11 specialised", 11, 6, 122, ""}, // BINARY_OP_MULTIPLY_INT, BINARY_OP
		{"3.11 other", 11, 6, 25, "dispatch of opcode 25"},
		{"3.11 base for specialised", 11, 122, 6, "dispatch of opcode 6"},
		{"3.12 traced", 12, 254, 100, ""},
		{"3.13 other", 13, 100, 101, "dispatch of opcode 101"},
		{"3.14 traced", 14, 234, 66, ""},
		{"3.14 below the traced", 14, 233, 66, "dispatch of opcode 66"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := twoTables()
			c.Version.Minor = tt.minor
			c.NextInstr = NextInstr{Reg: 13, Bias: Version{3, tt.minor, -1}.Rules().NextInstrBias()}
			in, err := c.InstalledAt(testBias, testArea)
			if err != nil {
				t.Fatal(err)
			}
			m := written{{code, []byte{byte(tt.have), 0, 77, 0}}}
			regs := linux.Regs{Rip: testArea + uint64(tt.op)*stubSize + stubAfter, R13: code}
			if tt.minor <= 10 {
				regs.R13 += 2
			}
			if got := in.NextInstr(m, &regs); got != code {
				t.Errorf("NextInstr is %#x", got)
			}
			err = in.Verify(m, &regs)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			regs.R13 = 0
			if in.Verify(m, &regs) == nil {
				t.Error("verified without memory")
			}
			regs.Rip++
			if in.Verify(m, &regs) == nil {
				t.Error("verified outside the stubs")
			}
		})
	}
}
