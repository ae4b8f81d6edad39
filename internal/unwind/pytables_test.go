package unwind

import (
	"bufio"
	"bytes"
	"debug/elf"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pyrr/internal/setup"
)

// livingNames is a program that says what the interpreter itself has: for each function
// that an object of Python's leads to, the file and the link address that it lies at, and
// its name. It reads the objects, not the tables: a method's descriptor has its
// PyMethodDef, a slot's wrapper the function.
const livingNames = `
import ctypes, sys, _io, _thread, collections, select, time, zlib, socket, _json, datetime, _struct, _queue
for name in sys.builtin_module_names:
    try: __import__(name)
    except ImportError: pass
def word(at): return ctypes.c_size_t.from_address(at).value
def text(at): return ctypes.string_at(at).decode()
HEAD = object.__basicsize__
maps = []
for line in open("/proc/self/maps"):
    f = line.split()
    if len(f) > 5 and f[5].startswith("/"):
        lo, hi = (int(x, 16) for x in f[0].split("-"))
        maps.append((lo, hi, int(f[2], 16), f[5]))
def out(fn, name):
    for lo, hi, off, path in maps:
        if lo <= fn < hi: print(path, fn - lo + off, name)
types, todo = [], [object]
while todo:
    t = todo.pop()
    if t in types: continue
    types.append(t)
    try: todo += type.__subclasses__(t)
    except TypeError: pass
slots = {SLOTS}
for t in types:
    name = text(word(id(t) + HEAD + 8))
    for k, v in list(t.__dict__.items()):
        v = getattr(v, "__func__", v)
        kind = type(v).__name__
        at = id(v) + HEAD + 24
        if kind in ("method_descriptor", "classmethod_descriptor"):
            d = word(at)
            out(word(d + 8), name + "." + text(word(d)))
        elif kind == "wrapper_descriptor":
            out(word(at + 8), name + "." + k)
        elif kind == "getset_descriptor":
            d = word(at)
            for i, end in ((8, ".__get__"), (16, ".__set__")):
                if word(d + i): out(word(d + i), name + "." + text(word(d)) + end)
        elif kind == "builtin_function_or_method":
            d = word(id(v) + HEAD)
            out(word(d + 8), name + "." + text(word(d)))
    for at, slot in slots.items():
        fn = word(id(t) + HEAD + 8 + at)
        if fn: out(fn, name + "." + slot)
    for at, names in {PARTS}:
        part = word(id(t) + HEAD + 8 + at)
        for i, slot in enumerate(names):
            if part and slot and word(part + 8 * i): out(word(part + 8 * i), name + "." + slot)
for m in list(sys.modules.values()):
    for v in list(vars(m).values()):
        if type(v).__name__ == "builtin_function_or_method" and isinstance(v.__self__, type(sys)):
            d, of = word(id(v) + HEAD), word(id(v.__self__) + HEAD + 8)
            if of: out(word(d + 8), text(word(of + HEAD + 24)) + "." + text(word(d)))
`

// program returns livingNames with the slots of this package.
func program() string {
	var slots, parts strings.Builder
	for _, s := range typeSlots {
		fmt.Fprintf(&slots, "%d: %q, ", s.at, s.name)
	}
	for _, p := range typeParts {
		fmt.Fprintf(&parts, "(%d, (", p.at)
		for _, n := range p.names {
			fmt.Fprintf(&parts, "%q, ", n)
		}
		parts.WriteString(")), ")
	}
	return strings.NewReplacer("{SLOTS}", "{"+slots.String()+"}", "{PARTS}", "["+parts.String()+"]").Replace(livingNames)
}

// pythons lists interpreters of this machine.
func pythons() []string {
	home, _ := os.UserHomeDir()
	root := os.Getenv("PYENV_ROOT")
	if root == "" {
		root = filepath.Join(home, ".pyenv")
	}
	out := []string{"/usr/bin/python3"}
	globs := []string{root + "/versions/3.*/bin/python3"}
	for _, name := range []string{"pbs310", "pbs311", "pbs313", "pbs314"} {
		globs = append(globs, setup.Path(name+"/bin/python3"))
	}
	for _, glob := range globs {
		found, _ := filepath.Glob(glob) // the patterns are right
		out = append(out, found...)
	}
	return out
}

// TestTableNames compares the names that tables give to functions with those that the
// running interpreter has for them, and with its symbols where it has any: none is wrong.
func TestTableNames(t *testing.T) {
	tried := 0
	for _, python := range pythons() {
		b, err := exec.Command(python, "-c", "import sys, sysconfig; print(sys.version_info[:2] >= (3, 8), sysconfig.get_config_var('LDLIBRARY'), sys.implementation.name)").Output()
		if err != nil || !strings.HasPrefix(string(b), "True") || !strings.Contains(string(b), "cpython") {
			continue
		}
		t.Run(strings.ReplaceAll(strings.Trim(python, "/"), "/", "_"), func(t *testing.T) {
			cmd := exec.Command(python, "-c", program())
			out, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			// By file, the names of the functions at each offset.
			living := map[string]map[uint64]map[string]bool{}
			for sc := bufio.NewScanner(bytes.NewReader(out)); sc.Scan(); {
				var path, name string
				var off uint64
				if _, err := fmt.Sscan(sc.Text(), &path, &off, &name); err != nil {
					continue
				}
				if living[path] == nil {
					living[path] = map[uint64]map[string]bool{}
				}
				if living[path][off] == nil {
					living[path][off] = map[string]bool{}
				}
				living[path][off][name] = true
			}
			for path, functions := range living {
				checkTables(t, path, functions)
			}
		})
		tried++
	}
	if tried == 0 {
		t.Skip("there is no CPython")
	}
}

func checkTables(t *testing.T, path string, living map[uint64]map[string]bool) {
	t.Helper()
	file, size, err := openRegular(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	im, err := NewFile(path, file, size, nil)
	if err != nil {
		t.Fatal(err)
	}
	im.tableName(0)
	starts := map[uint64]string{}
	if f, err := elf.NewFile(file); err == nil {
		syms, _ := f.Symbols() // there may be none
		for _, s := range syms {
			if elf.ST_TYPE(s.Info) == elf.STT_FUNC {
				starts[s.Value] = s.Name
			}
		}
	}
	agreed, unknown, bySymbol := 0, 0, 0
	for addr, name := range im.pyTables.names {
		off, _, _ := im.fileOffset(addr)
		if len(starts) > 0 {
			if _, ok := starts[addr]; !ok {
				t.Errorf("%s: %s is said to be at %#x, where no function begins", path, name, addr)
			}
			bySymbol++
		}
		switch have := living[off]; {
		case have[name]:
			agreed++
		case have == nil:
			unknown++ // nothing of Python's leads there
		default:
			t.Errorf("%s: the function at %#x is called %s, the interpreter has %v (symbol %s)", filepath.Base(path), addr, name, have, starts[addr])
		}
	}
	t.Logf("%s: %d names, %d as the interpreter has them, %d that it shows nowhere, %d at symbols; it has %d", filepath.Base(path), len(im.pyTables.names), agreed, unknown, bySymbol, len(living))
}

// TestTableNamesHostile changes the pointers of an interpreter's tables to lead to each
// other, to nowhere and on without end: that is read in bounded time, and does not panic.
func TestTableNamesHostile(t *testing.T) {
	all := pythons()
	path, err := filepath.EvalSymlinks(all[len(all)-1])
	if err != nil {
		t.Skip("there is no CPython")
	}
	for _, lib := range []string{"libpython3.13.so.1.0", "libpython3.12.so.1.0", "libpython3.11.so.1.0"} {
		if l := filepath.Join(filepath.Dir(path), "../lib", lib); fileExists(l) {
			path = l
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	im, err := NewFile(path, bytes.NewReader(whole), int64(len(whole)), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := len(im.readPyTables())
	if before == 0 {
		t.Skipf("%s has no tables", path)
	}
	var data *elf.ProgHeader
	for i := range im.progs {
		if p := &im.progs[i]; p.Type == elf.PT_LOAD && p.Flags&elf.PF_W != 0 && (data == nil || p.Filesz > data.Filesz) {
			data = p
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	words := int(data.Filesz / 8)
	for range 6 {
		forged := bytes.Clone(whole)
		at := func(n int) []byte { return forged[data.Off+8*uint64(n):][:8] }
		for range words / 3 {
			// A word of somewhere else, so that kinds of pointers stay.
			copy(at(r.IntN(words)), at(r.IntN(words)))
		}
		for n, run := 0, 0; n < words; n, run = n+run, r.IntN(4096)+1 {
			if from := r.IntN(words); r.IntN(3) == 0 { // the same few words again and again
				for k := n; k < min(n+run, words); k++ {
					copy(at(k), at((from+k%4)%words))
				}
			}
		}
		im, err := NewFile(path, bytes.NewReader(forged), int64(len(forged)), nil)
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		im.tableName(im.progs[0].Vaddr)
		if took := time.Since(begun); setup.Slow(took, 20*time.Second) {
			t.Errorf("%d names after %s", len(im.pyTables.names), took)
		}
	}
}

func fileExists(path string) bool { _, err := os.Stat(path); return err == nil }

// BenchmarkTableNames measures what the names of an interpreter cost once.
func BenchmarkTableNames(b *testing.B) {
	all := pythons()
	path, err := filepath.EvalSymlinks(all[0])
	if err != nil {
		b.Skip("there is no CPython")
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		im, err := NewFile(path, bytes.NewReader(whole), int64(len(whole)), nil)
		if err != nil {
			b.Fatal(err)
		}
		im.tableName(0)
	}
}

// blocked reads a file as one is read that is packed in blocks of which the last two are
// at hand, and counts the blocks that are unpacked.
type blocked struct {
	*bytes.Reader
	last     [2]int64
	unpacked int
}

func (b *blocked) ReadAt(p []byte, off int64) (int, error) {
	const size = 1 << 20
	for n := off / size; n <= (off+int64(len(p))-1)/size; n++ {
		switch n + 1 {
		case b.last[0]:
		case b.last[1]:
			b.last[0], b.last[1] = b.last[1], b.last[0]
		default:
			b.last[0], b.last[1] = n+1, b.last[0]
			b.unpacked++
		}
	}
	return b.Reader.ReadAt(p, off)
}

// TestTablesAreReadInOrder holds that a packed interpreter is unpacked a few times at most
// for its tables; one with constants beside code was two thousand times.
func TestTablesAreReadInOrder(t *testing.T) {
	tried := 0
	for _, python := range pythons() {
		path, err := filepath.EvalSymlinks(python)
		if err != nil {
			continue
		}
		libs, _ := filepath.Glob(filepath.Join(filepath.Dir(path), "../lib/libpython3.*.so.1.0"))
		for _, file := range append(libs, path) {
			whole, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			b := &blocked{Reader: bytes.NewReader(whole)}
			im, err := NewFile(file, b, int64(len(whole)), nil)
			if err != nil {
				continue // a script that starts one
			}
			b.unpacked = 0
			names, blocks := len(im.readPyTables()), len(whole)>>20+1
			t.Logf("%s: %d names, %d of %d blocks", file, names, b.unpacked, blocks)
			if b.unpacked > 3*blocks+8 {
				t.Errorf("%s: %d blocks were unpacked, of %d", file, b.unpacked, blocks)
			}
			tried++
		}
	}
	if tried == 0 {
		t.Skip("there is no CPython")
	}
}
