package cpython

import (
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/setup"
)

// runtimeFile returns the file that holds an interpreter's runtime.
func runtimeFile(t testing.TB, in interpreter) string {
	t.Helper()
	path := filepath.Join(in.root, in.path)
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no interpreter: %v", err)
	}
	if !strings.HasPrefix(in.name, "pyenv-") && in.name != "pbs-3.10" && in.name != "pbs-3.11" {
		return path
	}
	libs, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "../lib/libpython3.*.so.1.0"))
	if len(libs) != 1 {
		t.Fatalf("libpython of %s: %v", in.name, libs)
	}
	return libs[0]
}

// TestFindClock holds what is found against the symbols that some builds
// have, and against registers found by hand.
func TestFindClock(t *testing.T) {
	// Where next_instr is, as read in each build's disassembly.
	regs := map[string]string{
		"debian-3.11": "r15", "bullseye-3.9": "r12", "trixie-3.13": "rbp", "sid-3.14": "r10", "pbs-3.14": "r15",
		"sid-3.15": "r10", "pbs-3.10": "r15",
		"pyenv-3.8.18": "rbp", "pyenv-3.9.18": "r12", "pyenv-3.10.13": "r15", "pyenv-3.11.7": "r14", "pyenv-3.12.1": "r10", "pyenv-3.13.0": "r15",
	}
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			path := runtimeFile(t, in)
			c, err := FindClock(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, want, _ := strings.Cut(in.name, "-"); !strings.HasPrefix(c.Version.String()+".", strings.TrimSuffix(want, "t")+".") || c.Version.Micro < 0 {
				t.Errorf("version %v", c.Version)
			}
			if want, ok := regs[in.name]; ok && c.NextInstr.Reg.String() != want {
				t.Errorf("next_instr in %v, want %s", c.NextInstr.Reg, want)
			}
			if want := 1; len(c.Tables) != want && (c.Version.Minor > 10 || len(c.Tables) != 2) {
				t.Errorf("%d tables", len(c.Tables))
			}
			if pic := positionIndependent(t, path); c.Relocated != pic || c.NeedsNear() != (pic && c.Version.Minor <= 10 || c.Tables[0].Rel32) {
				t.Errorf("relocated %v, needs near %v", c.Relocated, c.NeedsNear())
			}
			if addr, ok := symbolOf(t, path, "opcode_targets"); ok && addr != c.Tables[0].Addr {
				t.Errorf("table at %#x, its symbol at %#x", c.Tables[0].Addr, addr)
			} else if ok {
				t.Logf("the symbol agrees")
			}
			t.Logf("%v, table %#x, %d jumps, next_instr %v", c.Version, c.Tables[0].Addr, c.Sites, c.NextInstr)
		})
	}
}

// positionIndependent says whether a file is mapped where the kernel wants it.
func positionIndependent(t *testing.T, path string) bool {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return f.Type == elf.ET_DYN
}

// symbolOf looks a local symbol up, whatever number the compiler appended.
func symbolOf(t *testing.T, path, name string) (uint64, bool) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	syms, err := f.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		t.Fatal(err)
	}
	for _, s := range syms {
		if base, _, _ := strings.Cut(s.Name, "."); base == name && s.Size == 2048 {
			return s.Value, true
		}
	}
	return 0, false
}

// patched is a file with some bytes changed.
type patched struct {
	io.ReaderAt
	at   int64
	data []byte
}

func (p patched) ReadAt(b []byte, off int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, off)
	for i, c := range p.data {
		if k := p.at + int64(i) - off; k >= 0 && k < int64(n) {
			b[k] = c
		}
	}
	return n, err
}

// TestFindClockInDamagedFile changes bytes of a real interpreter where the
// analysis looks: it must end with an error or the same tables.
func TestFindClockInDamagedFile(t *testing.T) {
	in := interpreters()[0]
	path := runtimeFile(t, in)
	good, err := FindClock(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	e, err := elf.NewFile(f)
	if err != nil {
		t.Fatal(err)
	}
	analyse := func(p patched) (*Clock, error) {
		im, err := readELF(p)
		if err != nil {
			return nil, err
		}
		c, err := im.findClock(path)
		if err == nil {
			err = c.check()
		}
		return c, err
	}
	offset := func(addr uint64) int64 {
		for _, p := range e.Progs {
			if p.Type == elf.PT_LOAD && addr-p.Vaddr < p.Filesz {
				return int64(addr - p.Vaddr + p.Off)
			}
		}
		t.Fatalf("%#x is not in the file", addr)
		return 0
	}
	if c, err := analyse(patched{ReaderAt: f}); err != nil || !cmp.Equal(c, good) {
		t.Fatalf("undamaged: %v", err)
	}

	// Each entry matters: make one lead into the midst of other code.
	table := offset(good.Tables[0].Addr)
	for _, op := range []int{0, 83, 190, 254} {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte((good.Tables[0].Targets[1] + 3) >> (8 * i))
		}
		_, err := analyse(patched{f, table + int64(8*op), b})
		if ce := (*ClockError)(nil); op >= 181 && !errors.As(err, &ce) {
			t.Errorf("entry %d changed: %v", op, err)
		}
	}

	rounds := 150
	if testing.Short() {
		rounds = 30
	}
	r := rand.New(rand.NewPCG(1, 2))
	places := []int64{0, 64, offset(e.Section(".dynamic").Addr), offset(e.Section(".gnu.hash").Addr), offset(e.Section(".eh_frame_hdr").Addr)}
	for i := range rounds {
		p := patched{f, places[i%len(places)] + int64(r.IntN(256)), []byte{byte(r.Uint32()), byte(r.Uint32())}}
		start := time.Now()
		c, err := analyse(p)
		if err == nil && !cmp.Equal(c.Tables, good.Tables) {
			t.Errorf("% x at %#x: other tables", p.data, p.at)
		}
		if d := time.Since(start); setup.Slow(d, 10*time.Second) {
			t.Errorf("% x at %#x: took %v", p.data, p.at, d)
		}
	}
}

// TestFindClockRefuses holds the reasons for real files.
func TestFindClockRefuses(t *testing.T) {
	home, _ := os.UserHomeDir()
	short := filepath.Join(t.TempDir(), "short")
	if b, err := os.ReadFile("/bin/sh"); err == nil {
		if err := os.WriteFile(short, b[:700], 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// Builds that are refused: Debian's python3.11-dbg and pypy3, and 3.13
	// configured --disable-gil and --without-computed-gotos.
	builds := setup.Path("builds")
	tests := []struct{ name, path, want string }{
		{"2.7", home + "/.pyenv/versions/2.7.18/lib/libpython2.7.so.1.0", "CPython 2.7.18 is too old"},
		{"3.6", home + "/.pyenv/versions/3.6.15/lib/libpython3.6m.so.1.0", "CPython 3.6.15 is too old"},
		{"3.7", home + "/.pyenv/versions/3.7.16/lib/libpython3.7m.so.1.0", "CPython 3.7.16 is too old"},
		{"launcher", home + "/.pyenv/versions/3.11.7/bin/python3", ErrNotPython.Error()},
		{"other program", "/bin/sh", ErrNotPython.Error()},
		{"truncated", short, ErrNotPython.Error()},
		{"text", "/etc/passwd", ErrNotPython.Error()},
		{"folder", "/", "not a regular file"},
		{"device", "/dev/zero", "not a regular file"},
		{"debug build", builds + "/python3.11d", "a debug build of CPython 3.11"},
		{"free-threaded", builds + "/python3.13t", "a free-threaded build of CPython 3.13"},
		{"no computed gotos", builds + "/python3.13-switch", "without the known table"},
		{"PyPy", builds + "/libpypy3.9-c.so", "PyPy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := os.Stat(tt.path); err != nil {
				t.Skip(err)
			}
			c, err := FindClock(tt.path)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %v; want %q", c, err, tt.want)
			}
		})
	}
}

func TestIsPython(t *testing.T) {
	type test struct {
		path string
		want bool
	}
	tests := []test{{"/bin/sh", false}, {"/etc/passwd", false}, {"/nowhere", false}, {"/", false}, {"/usr/bin/env", false}}
	for _, in := range interpreters() {
		tests = append(tests, test{filepath.Join(in.root, in.path), true})
	}
	home, _ := os.UserHomeDir()
	for _, v := range []string{"2.7.18", "3.6.15", "3.7.16"} {
		tests = append(tests, test{filepath.Join(home, ".pyenv/versions", v, "bin/python"), true})
	}
	for _, tt := range tests {
		t.Run(tt.path, func(t *testing.T) {
			if _, err := os.Stat(tt.path); err != nil && tt.want {
				t.Skip(err)
			}
			if got := IsPython(tt.path); got != tt.want {
				t.Errorf("IsPython is %v", got)
			}
		})
	}
}

// TestDeopt311 holds the table of specialised opcodes against opcode.py of
// 3.11, numbered as Tools/scripts/generate_opcode_h.py does it.
func TestDeopt311(t *testing.T) {
	const script = `
import opcode, json
used = set(opcode.opmap.values()) | {255}
free = iter(i for i in range(1, 256) if i not in used)
number = {name: next(free) for name in opcode._specialized_instructions}
print(json.dumps({number[s]: opcode.opmap[base] for base, names in opcode._specializations.items() for s in names}))
`
	out, err := exec.Command("/usr/bin/python3.11", "-c", script).Output()
	if errors.Is(err, os.ErrNotExist) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	var want, got map[int]uint8
	if err := json.Unmarshal(out, &want); err != nil {
		t.Fatal(err)
	}
	got = map[int]uint8{}
	for op, base := range rulesOf(11).base {
		if base != 0 {
			got[op] = base
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestUncounted holds the opcodes left alone against the names that each
// version has for them.
func TestUncounted(t *testing.T) {
	names := []string{"INTERPRETER_EXIT", "INSTRUMENTED_INSTRUCTION", "INSTRUMENTED_LINE"}
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			minor := minorOf(t, in)
			if minor < 12 {
				t.Skip("has none of these opcodes")
			}
			requireInterpreter(t, in)
			names := names
			if minor >= 15 {
				names = append(slices.Clone(names), "TRACE_RECORD")
			}
			var got []int
			script := fmt.Sprintf("import opcode, json; print(json.dumps([opcode.opname.index(n) for n in %q.split()]))", strings.Join(names, " "))
			if err := json.Unmarshal([]byte(native(t, in, script)), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(rules[minor].uncounted, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func BenchmarkFindClock(b *testing.B) {
	for _, in := range interpreters() {
		b.Run(in.name, func(b *testing.B) {
			path := runtimeFile(b, in)
			for b.Loop() {
				if _, err := FindClock(path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIsPython(b *testing.B) {
	for _, path := range []string{"/bin/sh", "/usr/bin/python3.11"} {
		b.Run(filepath.Base(path), func(b *testing.B) {
			for b.Loop() {
				IsPython(path)
			}
		})
	}
}
