package inject

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestVsyscallLoads holds which loads of an address of the vsyscall page are led elsewhere:
// those that are called, whatever register and form, and no number that looks the same.
func TestVsyscallLoads(t *testing.T) {
	for _, tt := range []struct {
		what, code string
		want       string // register and function, "" for no site
	}{
		{"mov rax; call rax", "48c7c0000060ff ffd0", "0 0"},
		{"mov rax, time; jmp rax", "48c7c0000460ff ffe0", "0 1"},
		{"mov r11, getcpu; lea, mov, xor; call r11", "49c7c3000860ff 488d7c2408 4889e6 31d2 41ffd3", "11 2"},
		{"movabs rdx; call rdx", "48ba000060ffffffffff ffd2", "2 0"},
		{"lea rcx, [absolute]; call rcx", "488d0c25000460ff ffd1", "1 1"},
		{"with a nop between", "48c7c0000060ff 0f1f4000 ffd0", "0 0"},
		{"-10485760 returned", "48c7c0000060ff c3", ""},
		{"stored, and another called", "48c7c0000060ff 488907 488b06 ffd0", ""},
		{"another register called", "48c7c0000060ff ffd2", ""},
		{"a branch between", "48c7c0000060ff 7402 ffd0", ""},
		{"the register changed", "48c7c0000060ff 4883c008 ffd0", ""},
		{"between two of the functions", "48c7c0000160ff ffd0", ""},
		{"behind the last", "48c7c0000c60ff ffd0", ""},
		{"32 bits", "b8000060ff ffd0", ""},
		{"at an end", "48c7c0000060ff", ""},
	} {
		code, err := hex.DecodeString(strings.ReplaceAll(tt.code, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		in, ok := decode(code)
		if !ok {
			t.Fatalf("%s does not decode", tt.what)
		}
		got := ""
		if s, ok := siteOf(in, code); ok {
			got = fmt.Sprintf("%d %d", s.Reg, s.Size)
			if back, ok := decodeSite(encodeSite(s)); !ok || back != s {
				t.Errorf("%s: %+v comes from the cache as %+v", tt.what, s, back)
			}
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.what, got, tt.want)
		}
	}
}
