package cpython

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestLineTables decodes the line tables of some thousand code objects as
// each interpreter itself does.
func TestLineTables(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "linetables.py")
			minor := 0
			codes, runs := 0, 0
			dec := json.NewDecoder(p.stdout)
			for {
				var c struct {
					Name   string
					Table  string
					First  int
					Length int
					Runs   [][5]int
				}
				if err := dec.Decode(&c); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if minor == 0 {
					minor = minorVersion(t, in)
				}
				table, err := hex.DecodeString(c.Table)
				if err != nil {
					t.Fatal(err)
				}
				ps := rulesOf(minor).lines(table, c.First)
				var got [][5]int
				for i := 0; i < c.Length; i += 2 {
					p := lookup(ps, i, c.First)
					run := [5]int{i, int(p.line), int(p.endLine), int(p.col), int(p.endCol)}
					if n := len(got); n == 0 || [4]int(got[n-1][1:]) != [4]int(run[1:]) {
						got = append(got, run)
					}
				}
				if d := cmp.Diff(c.Runs, got); d != "" {
					t.Fatalf("%s at line %d, table %s (-Python +decoded)\n%s", c.Name, c.First, c.Table, d)
				}
				codes, runs = codes+1, runs+len(got)
			}
			if err := p.cmd.Wait(); err != nil || codes < 1000 {
				t.Errorf("%d code objects: %v\n%s", codes, err, p.stderr)
			}
			t.Logf("%d code objects, %d ranges", codes, runs)
		})
	}
}

// TestDamagedLineTables: whatever the bytes, decoding ends and lookup answers.
func TestDamagedLineTables(t *testing.T) {
	tests := []struct {
		name  string
		table []byte
	}{
		{"empty", nil},
		{"one byte", []byte{0xff}},
		{"long varint", append([]byte{0xf0}, make([]byte, 40)...)},
		{"endless varint", []byte{0xf0, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f, 0x7f}},
		{"all ones", []byte{255, 255, 255, 255, 255, 255, 255}},
	}
	for _, tt := range tests {
		for minor := 8; minor <= 14; minor++ {
			ps := rulesOf(minor).lines(tt.table, 1)
			for _, addr := range []int{-1, 0, 2, 1 << 30} {
				if p := lookup(ps, addr, 1); addr < 0 && p.line != 1 {
					t.Errorf("3.%d, %s: line %d before the first instruction", minor, tt.name, p.line)
				}
			}
		}
	}
}
