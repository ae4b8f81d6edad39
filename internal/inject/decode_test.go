package inject

import (
	"bufio"
	"debug/elf"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestDecode(t *testing.T) {
	for _, tt := range []struct {
		name string
		code string
		len  int // 0: not an instruction
	}{
		{"nop", "\x90", 1},
		{"endbr64", "\xf3\x0f\x1e\xfa", 4},
		{"mov eax, [rip+disp32]", "\x8b\x05\x01\x02\x03\x04", 6},
		{"mov [rsp+disp8], imm32", "\xc7\x44\x24\x08\x01\x02\x03\x04", 8},
		{"mov ax, imm16", "\x66\xb8\x01\x02", 4},
		{"mov rax, imm64", "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10},
		{"movabs al, moffs64", "\xa0\x01\x02\x03\x04\x05\x06\x07\x08", 9},
		{"addr32 movabs", "\x67\xa0\x01\x02\x03\x04", 6},
		{"SIB without base", "\x8b\x04\x25\x01\x02\x03\x04", 7},
		{"test dword, imm32", "\xf7\x00\x01\x02\x03\x04", 6},
		{"not dword", "\xf7\x10", 2},
		{"test byte, imm8", "\xf6\x40\x01\x02", 4},
		{"enter", "\xc8\x01\x02\x03", 4},
		{"REX before a prefix does not count", "\x48\x66\xb8\x01\x02", 5},
		{"data16 rex.w call", "\x66\x66\x48\xe8\x01\x02\x03\x04", 8},
		{"VEX2", "\xc5\xf8\x77", 3},
		{"VEX3 with immediate", "\xc4\xe3\x7d\x39\xc1\x01", 6},
		{"EVEX with disp8", "\x62\xf1\xfe\x48\x6f\x46\x01", 7},
		{"EVEX ternary logic", "\x62\xf3\xf5\x48\x25\xc2\x96", 7},
		{"XOP", "\x8f\xe9\x78\x82\xc0", 5},
		{"pop [rax]", "\x8f\x00", 2},
		{"mov rax, cr0 ignores mod", "\x0f\x20\x00", 3},
		{"3DNow!", "\x0f\x0f\xc1\x9e", 4},
		{"insertq", "\xf2\x0f\x78\xc1\x01\x02", 6},
		{"15 bytes", strings.Repeat("\x66", 14) + "\x90", 15},
		{"16 bytes", strings.Repeat("\x66", 15) + "\x90", 0},
		{"EVEX vzeroupper", "\x62\xf1\x7c\x48\x77\x30", 0},
		{"push es", "\x06", 0},
		{"REX2", "\xd5\x00\x90", 0},
		{"nothing", "", 0},
		{"prefixes alone", "\x66\x48", 0},
		{"cut immediate", "\xb8\x01\x02\x03", 0},
		{"cut displacement", "\x8b\x80\x01\x02\x03", 0},
		{"cut VEX", "\xc5\xf8", 0},
		{"cut SIB", "\x8b\x04", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, ok := decode([]byte(tt.code))
			if ok != (tt.len > 0) || ok && in.len != tt.len {
				t.Errorf("got %d, %v, want %d", in.len, ok, tt.len)
			}
		})
	}
}

// TestDecodeSystemFiles walks every function of libraries full of vector
// code and compares where instructions start with objdump.
func TestDecodeSystemFiles(t *testing.T) {
	if testing.Short() {
		t.Skip("disassembles megabytes")
	}
	objdump, err := exec.LookPath("objdump")
	if err != nil {
		t.Skip("objdump is not installed")
	}
	for _, tt := range systemFiles[:3] {
		path := firstFile(tt.globs)
		if path == "" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			file, err := elf.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			starts, bad := disassembled(t, objdump, path)

			var text *elf.Prog
			for _, p := range file.Progs {
				if p.Type == elf.PT_LOAD && p.Flags&elf.PF_X != 0 {
					text = p
				}
			}
			code := make([]byte, text.Filesz)
			if _, err := text.ReadAt(code, 0); err != nil {
				t.Fatal(err)
			}
			sec := file.Section(".eh_frame")
			data, err := sec.Data()
			if err != nil {
				t.Fatal(err)
			}
			n, wrong, lost := 0, 0, 0
			err = frameSpans(data, sec.Addr, func(f span) {
				if f.start < text.Vaddr || f.end > text.Vaddr+text.Filesz {
					return
				}
				if _, known := slices.BinarySearch(starts, f.start); !known {
					lost++ // objdump took data before it for code
					return
				}
				for a := f.start; a < f.end; n++ {
					in, ok := decode(code[a-text.Vaddr:])
					_, known := slices.BinarySearch(starts, a)
					if (!ok || !known) && !bad[a] {
						if wrong++; wrong < 20 {
							t.Errorf("%#x: decoded %v, objdump has an instruction here: %v; % x", a, ok, known,
								code[a-text.Vaddr:][:min(maxInsn, len(code[a-text.Vaddr:]))])
						}
					}
					if !ok {
						return
					}
					a += uint64(in.len)
				}
			})
			if err != nil {
				t.Error(err)
			}
			t.Logf("%d instructions, %d wrong; %d functions out of objdump's step", n, wrong, lost)
			if n < 10000 || lost > 100 {
				t.Error("too few instructions: nothing was compared")
			}
		})
	}
}

// disassembled lists where objdump sees instructions, and which of them it calls bad.
func disassembled(t *testing.T, objdump string, path string) ([]uint64, map[uint64]bool) {
	var err error
	cmd := exec.Command(objdump, "-dw", "--no-show-raw-insn", path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	bad := map[uint64]bool{}
	var starts []uint64
	for sc := bufio.NewScanner(out); sc.Scan(); {
		addr, rest, ok := strings.Cut(strings.TrimSpace(sc.Text()), ":\t")
		if !ok {
			continue
		}
		a, err := strconv.ParseUint(addr, 16, 64)
		if err != nil {
			continue
		}
		starts = append(starts, a)
		bad[a] = strings.Contains(rest, "(bad)")
	}
	cmd.Wait()
	slices.Sort(starts)
	return starts, bad
}
