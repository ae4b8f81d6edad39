package cpython

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"strings"
)

// elfSymbol is what is needed of a dynamic symbol.
type elfSymbol struct {
	name        string
	value, size uint64
	defined     bool
}

const maxSymbolName = 128

// symbol reads entry i of the dynamic symbol table.
func (im *elfFile) symbol(i uint64) (elfSymbol, bool) {
	if i > 1<<24 {
		return elfSymbol{}, false
	}
	b, ok := im.bytes(im.dyn[elf.DT_SYMTAB]+i*elf.Sym64Size, elf.Sym64Size)
	if !ok || im.dyn[elf.DT_SYMTAB] == 0 {
		return elfSymbol{}, false
	}
	le := binary.LittleEndian
	name, ok := im.cstring(im.dyn[elf.DT_STRTAB]+uint64(le.Uint32(b)), maxSymbolName)
	if !ok {
		return elfSymbol{}, false
	}
	return elfSymbol{
		name:    name,
		defined: elf.SectionIndex(le.Uint16(b[6:])) != elf.SHN_UNDEF,
		value:   le.Uint64(b[8:]),
		size:    le.Uint64(b[16:]),
	}, true
}

// lookup finds a dynamic symbol that the file defines, by its hash table as
// the dynamic linker does.
func (im *elfFile) lookup(name string) (elfSymbol, bool) {
	if at := im.dyn[elf.DT_GNU_HASH]; at != 0 {
		return im.lookupGNU(at, name)
	}
	if at := im.dyn[elf.DT_HASH]; at != 0 {
		return im.lookupSysV(at, name)
	}
	if im.dyn[elf.DT_SYMTAB] == 0 {
		return im.lookupStatic(name)
	}
	return elfSymbol{}, false
}

// maxStatic bounds the symbol table that is read of a static program.
const maxStatic = 32 << 20

// lookupStatic finds a symbol of a program that was linked statically, in the table that
// is there for debuggers alone, where it was not stripped of that.
func (im *elfFile) lookupStatic(name string) (elfSymbol, bool) {
	if im.static == nil {
		im.static = map[string]elfSymbol{}
		f, err := elf.NewFile(im.r)
		if err != nil {
			return elfSymbol{}, false
		}
		if s := f.SectionByType(elf.SHT_SYMTAB); s == nil || s.FileSize > maxStatic {
			return elfSymbol{}, false
		}
		syms, err := f.Symbols()
		if err != nil {
			return elfSymbol{}, false
		}
		for _, s := range syms {
			if elf.ST_BIND(s.Info) == elf.STB_LOCAL || s.Section == elf.SHN_UNDEF || len(s.Name) > maxSymbolName ||
				!strings.HasPrefix(strings.TrimLeft(s.Name, "_"), "Py") && !strings.HasPrefix(s.Name, "pypy") {
				continue
			}
			im.static[s.Name] = elfSymbol{name: s.Name, value: s.Value, size: s.Size, defined: true}
		}
	}
	s, ok := im.static[name]
	return s, ok
}

// maxChain bounds the walk along one chain of a hash table.
const maxChain = 4096

func (im *elfFile) lookupGNU(at uint64, name string) (elfSymbol, bool) {
	head, ok := im.bytes(at, 16)
	if !ok {
		return elfSymbol{}, false
	}
	le := binary.LittleEndian
	buckets, first, bloom := uint64(le.Uint32(head)), uint64(le.Uint32(head[4:])), uint64(le.Uint32(head[8:]))
	if buckets == 0 {
		return elfSymbol{}, false
	}
	hash := uint32(5381)
	for _, c := range []byte(name) {
		hash = hash*33 + uint32(c)
	}
	bucketAt := at + 16 + bloom*8
	n32, ok := im.u32(bucketAt + uint64(hash)%buckets*4)
	n := uint64(n32)
	if !ok || n < first {
		return elfSymbol{}, false
	}
	for range maxChain {
		h, ok := im.u32(bucketAt + (buckets+n-first)*4)
		if !ok {
			break
		}
		if h|1 == hash|1 {
			if s, ok := im.symbol(n); ok && s.name == name && s.defined {
				return s, true
			}
		}
		if h&1 != 0 {
			break
		}
		n++
	}
	return elfSymbol{}, false
}

func (im *elfFile) lookupSysV(at uint64, name string) (elfSymbol, bool) {
	buckets, ok := im.u32(at)
	if !ok || buckets == 0 {
		return elfSymbol{}, false
	}
	hash := uint32(0)
	for _, c := range []byte(name) {
		hash = hash<<4 + uint32(c)
		hash ^= hash >> 24 & 0xf0
		hash &= 0x0fffffff
	}
	n, ok := im.u32(at + 8 + uint64(hash%buckets)*4)
	for i := 0; ok && n != 0 && i < maxChain; i++ {
		if s, ok := im.symbol(uint64(n)); ok && s.name == name && s.defined {
			return s, true
		}
		n, ok = im.u32(at + 8 + (uint64(buckets)+uint64(n))*4)
	}
	return elfSymbol{}, false
}

// maxImports bounds the symbols that imports looks at.
const maxImports = 1 << 16

// imports says whether the file refers to one of the named functions of
// another module. It goes by relocations: hash tables leave out undefined
// symbols, and nothing tells their number.
func (im *elfFile) imports(names ...string) bool {
	if s := im.segmentAt(im.dyn[elf.DT_SYMTAB], elf.Sym64Size); s != nil && s.filesz < 8<<20 {
		_ = im.load(s) // only saves reads
	}
	tables := [][2]elf.DynTag{{elf.DT_JMPREL, elf.DT_PLTRELSZ}, {elf.DT_RELA, elf.DT_RELASZ}}
	seen, symbols := uint64(0), 0
	for _, t := range tables {
		b, ok := im.dynBytes(t[0], t[1], 24)
		for ; ok && len(b) >= 24; b = b[24:] {
			i := binary.LittleEndian.Uint64(b[8:]) >> 32
			if i == 0 || i == seen {
				continue
			}
			if symbols++; symbols > maxImports {
				return false
			}
			seen = i
			s, ok := im.symbol(i)
			if !ok || s.defined {
				continue
			}
			for _, name := range names {
				if s.name == name {
					return true
				}
			}
		}
	}
	return false
}

// imageHas asks an ELF file something; one that can't be read has nothing.
func fileHas(path string, what func(*elfFile) bool) bool {
	f, err := openFile(path)
	if err != nil {
		return false
	}
	defer f.Close()
	im, err := readELF(f)
	if err != nil {
		return false
	}
	return what(im)
}

// IsPython says, from its dynamic symbols alone, whether the executable at
// path is a Python interpreter, with the runtime inside or in a libpython
// that it loads. PyPy is none.
func IsPython(path string) bool { return fileHas(path, (*elfFile).isPython) }

func (im *elfFile) isPython() bool {
	// What the main of python.c calls: Py_BytesMain from 3.8, Py_Main before
	// (and _Py_UnixMain in 3.7).
	for _, name := range []string{"Py_BytesMain", "Py_Main", "_PyRuntime"} {
		if _, ok := im.lookup(name); ok {
			return true
		}
	}
	return im.imports("Py_BytesMain", "Py_Main", "_Py_UnixMain", "_PyRuntime")
}

// WhichPython says, from its dynamic symbols alone, whether the executable at path is a
// Python interpreter, as IsPython does, or a PyPy.
func WhichPython(path string) (python, pypy bool) {
	fileHas(path, func(im *elfFile) bool {
		python, pypy = im.isPython(), im.isPyPy()
		return true
	})
	return python, pypy
}

// isPyPy: it calls pypy_main_startup of libpypy, or has it inside.
func (im *elfFile) isPyPy() bool {
	_, inside := im.lookup("pypy_main_startup")
	return inside || im.imports("pypy_main_startup")
}

// kind tells what the file holds: a supported CPython's version, as far as
// symbols and data give it (Minor is -1 if they don't), or the reason why
// not.
func (im *elfFile) kind(path string) (Version, error) {
	refuse := func(reason, hint string) (Version, error) {
		return Version{}, &ClockError{Path: path, Reason: reason, Hint: hint}
	}
	has := func(name string) bool { _, ok := im.lookup(name); return ok }
	if has("pypy_main_startup") || has("pypy_execute_source") || has("PyPy_Version") {
		return refuse("PyPy has no dispatch table to count at", "run the program with "+Supported())
	}
	runtime, ok := im.lookup("_PyRuntime")
	if !ok {
		if has("PyEval_EvalFrameEx") && has("Py_GetVersion") {
			v := im.versionInCode()
			return refuse(cpythonName(v)+" is too old", Supported()+" are supported")
		}
		if im.imports("Py_BytesMain", "Py_Main", "_Py_UnixMain") {
			return Version{}, errors.New("the runtime is in the libpython that it loads")
		}
		return Version{}, nil
	}
	v := Version{3, -1, -1}
	if s, ok := im.lookup("Py_Version"); ok {
		if hex, ok := im.u32(s.value); ok {
			v = versionFromHex(hex)
		}
	} else if found := im.versionInCode(); found.Major != 0 {
		v = found
	}
	switch {
	case v.Major != 3 || v.Minor >= 0 && v.Minor < minMinor:
		return refuse(cpythonName(v)+" is too old", Supported()+" are supported")
	case v.Minor > maxMinor():
		return refuse(cpythonName(v)+" is too new", Supported()+" are supported")
	case has("_Py_NegativeRefcount") || has("_Py_PrintReferences"):
		return refuse("a debug build of "+cpythonName(v), "use a release build")
	case im.freeThreaded(runtime.value) || has("_Py_MergeZeroLocalRefcount"):
		if r := rulesOf(v.Minor); r == nil || !r.freeThreaded {
			return refuse("a free-threaded build of "+cpythonName(v)+", whose threads have copies of the bytecode of their own",
				"use the build with the GIL, or 3.13t")
		}
	}
	return v, nil
}

func cpythonName(v Version) string {
	if v.Major == 0 {
		return "this CPython"
	}
	return "CPython " + v.String()
}

// freeThreaded reads the flag of that name in the _Py_DebugOffsets
// (pycore_debug_offsets.h, 3.13 and later) at the start of _PyRuntime.
func (im *elfFile) freeThreaded(runtime uint64) bool {
	b, ok := im.bytes(runtime, debugHeader)
	if !ok {
		return false
	}
	_, free, err := parseDebugHeader(b)
	return err == nil && free
}
