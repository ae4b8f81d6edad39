//go:build linux && amd64

package replay

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/arch/x86/x86asm"

	"pyrr/cpython"
)

// TestPlace reads back what hooks look at for the next instruction's address, in each
// register and in each word of the stack that a register leads to.
func TestPlace(t *testing.T) {
	for r := cpython.Reg(0); r < 16; r++ {
		name := x86asm.RAX + x86asm.Reg(r)
		for _, in := range []cpython.NextInstr{{Reg: r}, {Reg: r, InStack: true, Off: 8}, {Reg: r, InStack: true, Off: -0x1a0}} {
			a := &asm{base: hookBase}
			a.place(in, 0x48, 0x8b, rax)
			load, err := x86asm.Decode(a.b, 64)
			if err != nil || load.Op != x86asm.MOV || load.Len != len(a.b) || load.Args[0] != x86asm.RAX {
				t.Fatalf("%v: % x is %v, %v", in, a.b, load, err)
			}
			b := &asm{base: hookBase}
			b.place(in, 0, 0x81, 7)
			b.b = binary.LittleEndian.AppendUint32(b.b, 0x1234)
			cmp, err := x86asm.Decode(b.b, 64)
			if err != nil || cmp.Op != x86asm.CMP || cmp.Len != len(b.b) || cmp.Args[1] != x86asm.Imm(0x1234) {
				t.Fatalf("%v: % x is %v, %v", in, b.b, cmp, err)
			}
			if !in.InStack {
				if low := x86asm.EAX + x86asm.Reg(r); load.Args[1] != name || cmp.Args[0] != low {
					t.Errorf("%v: %v, %v", in, load, cmp)
				}
				continue
			}
			want := x86asm.Mem{Base: name, Disp: int64(in.Off)}
			for _, got := range []x86asm.Arg{load.Args[1], cmp.Args[0]} {
				if m, ok := got.(x86asm.Mem); !ok || m.Base != want.Base || int32(uint32(m.Disp)) != in.Off || m.Index != 0 {
					t.Errorf("%v: %v, want %v", in, got, want)
				}
			}
			if cmp.MemBytes != 4 {
				t.Errorf("%v: compares %d bytes", in, cmp.MemBytes)
			}
		}
	}
}

// TestSectionSymbol looks symbols up in a program that is linked statically, and holds
// them against nm's.
func TestSectionSymbol(t *testing.T) {
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc")
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "p.c"), filepath.Join(dir, "p")
	const text = "int shown(int n) { return n + 1; }\nstatic int hidden;\nint main(int n, char **v) { hidden = n; return shown(hidden); }\n"
	if err := os.WriteFile(source, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-static", "-o", program, source).CombinedOutput(); err != nil {
		t.Skipf("no static C library: %s", out)
	}
	out, err := exec.Command("sh", "-c", "nm "+program+" | grep ' T shown$'").Output()
	if err != nil {
		t.Fatal(err)
	}
	var want uint64
	if _, err := fmt.Sscanf(string(out), "%x", &want); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const bias = 0x1000
	if addr, size, err := dynamicSymbolSize(f, nil, bias, "shown"); err != nil || addr != want+bias || size == 0 {
		t.Errorf("at %#x, of %d bytes, %v; want %#x", addr, size, err, want+bias)
	}
	if addr, err := dynamicSymbol(f, nil, bias, "hidden"); err == nil {
		t.Errorf("what other files don't see is at %#x", addr)
	}
}
