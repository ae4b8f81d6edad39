package cpython

import (
	"testing"

	"golang.org/x/arch/x86/x86asm"
)

// TestStubNotesCompiled follows the stub of the instruction that enters what the JIT made: by
// way of the note, to the instruction's own code; and no other stub takes that way.
func TestStubNotesCompiled(t *testing.T) {
	for _, minor := range []int{12, 13, 14, 15} {
		c := twoTables()
		c.Tables = c.Tables[:1]
		c.Version.Minor, c.NextInstr.Bias = minor, 0
		in, err := c.InstalledAt(testBias, testArea)
		if err != nil {
			t.Fatal(err)
		}
		code, data := in.Writes[0], in.Writes[1]
		lead := func(at uint64) uint64 { // where a jump goes
			j, err := x86asm.Decode(code.Data[at-code.Addr:], 64)
			if err != nil || j.Op != x86asm.JMP {
				t.Fatalf("3.%d: no jump at %#x: %v, %v", minor, at, j, err)
			}
			next := at + uint64(j.Len)
			if rel, ok := j.Args[0].(x86asm.Rel); ok {
				return next + uint64(int64(rel))
			}
			cell := next + uint64(displacement(j.Args[0].(x86asm.Mem)))
			v := uint64(0)
			for i := range 8 {
				v |= uint64(data.Data[cell-data.Addr+uint64(i)]) << (8 * i)
			}
			return v
		}
		for op, to := range c.Tables[0].Targets {
			got := lead(testArea + uint64(op*stubSize+stubJump))
			if want := to + testBias; op != c.Version.Rules().executor || op == 0 {
				if got != want {
					t.Errorf("3.%d: opcode %d leads to %#x, want %#x", minor, op, got, want)
				}
				continue
			}
			note, err := x86asm.Decode(code.Data[got-code.Addr:], 64)
			m, ok := note.Args[0].(x86asm.Mem)
			if err != nil || note.Op != x86asm.MOV || note.MemBytes != 1 || !ok || note.Args[1] != x86asm.Imm(1) {
				t.Fatalf("3.%d: opcode %d leads to %v, %v", minor, op, note, err)
			}
			behind := got + uint64(note.Len)
			if at := behind + uint64(displacement(m)); at != in.Budget+CompiledCell {
				t.Errorf("3.%d: the note is at %#x, want %#x", minor, at, in.Budget+CompiledCell)
			}
			if end := lead(behind); end != to+testBias {
				t.Errorf("3.%d: opcode %d ends at %#x, want %#x", minor, op, end, to+testBias)
			}
		}
	}
}
