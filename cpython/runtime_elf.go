package cpython

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"

	"pyrr/internal/mem"
)

// OpenRuntime returns the reader of the CPython runtime in the ELF file at
// path (the interpreter, or the libpython that it loads), which the process
// has mapped bias bytes above its link addresses.
func OpenRuntime(path string, bias uint64, m mem.Reader) (*Runtime, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return OpenRuntimeFile(f, path, bias, m)
}

// OpenRuntimeFile is OpenRuntime for a file that is not on this machine's
// disk, such as one kept in a recording. name is the path that the process
// had it under; it is only used to tell the version of a 3.8 to 3.10 that
// names it nowhere else.
func OpenRuntimeFile(file io.ReaderAt, name string, bias uint64, m mem.Reader) (*Runtime, error) {
	f, err := elf.NewFile(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	syms, err := runtimeSymbols(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	r, err := OpenRuntimeAt(Version{}, syms.runtime+bias, m)
	if err == nil || errors.Is(err, ErrUnsupported) || !errors.Is(err, errNoDebugOffsets) {
		return r, err
	}
	v, err := syms.version(f, name, bias, m)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return OpenRuntimeAt(v, syms.runtime+bias, m)
}

// symbols are the link addresses that the stack reader needs of the module.
type symbols struct {
	runtime    uint64 // _PyRuntime
	hexVersion uint64 // Py_Version, 0 before 3.11
}

// runtimeSymbols finds _PyRuntime: in .dynsym, where every build exports it,
// stripped or not; else in .symtab; else as the section .PyRuntime, which
// from 3.10 on holds it alone.
func runtimeSymbols(f *elf.File) (symbols, error) {
	var s symbols
	for _, table := range []func() ([]elf.Symbol, error){f.DynamicSymbols, f.Symbols} {
		list, err := table()
		if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
			return s, fmt.Errorf("read symbols: %w", err)
		}
		for _, sym := range list {
			if sym.Section == elf.SHN_UNDEF {
				continue
			}
			switch sym.Name {
			case "_PyRuntime":
				s.runtime = sym.Value
			case "Py_Version":
				s.hexVersion = sym.Value
			case "_Py_NegativeRefcount": // Py_REF_DEBUG (object.h)
				return s, fmt.Errorf("%w: a debug build", ErrUnsupported)
			}
		}
		if s.runtime != 0 {
			return s, nil
		}
	}
	if sec := f.Section(".PyRuntime"); sec != nil && sec.Addr != 0 {
		s.runtime = sec.Addr
		return s, nil
	}
	return s, errors.New("no _PyRuntime: not a CPython 3.8 or later")
}

var (
	nameVersion   = regexp.MustCompile(`python3\.(\d+)`)
	rodataVersion = regexp.MustCompile(`\x00(3\.(?:8|9|10)\.\d+)(?:\+|rc\d+)?\x00`)
)

// version tells the version of an interpreter without debug offsets: by
// Py_Version, by the PY_VERSION string that some builds keep in .rodata, by
// the library's soname, by the file's name.
func (s symbols) version(f *elf.File, name string, bias uint64, m mem.Reader) (Version, error) {
	if s.hexVersion != 0 {
		return hexVersion(m, s.hexVersion+bias)
	}
	named := Version{}
	sonames, _ := f.DynString(elf.DT_SONAME) // no soname in an executable
	for _, n := range append(sonames, name) {
		if found := nameVersion.FindStringSubmatch(n); found != nil {
			minor, err := strconv.Atoi(found[1])
			if err == nil {
				named = Version{Major: 3, Minor: minor, Micro: -1}
				break
			}
		}
	}
	if v, ok := versionInRodata(f); ok && (named.Major == 0 || named.Minor == v.Minor) {
		return v, nil
	}
	if named.Major == 0 {
		return Version{}, errors.New("cannot tell the Python version")
	}
	return named, nil
}

// versionInRodata looks for PY_VERSION as a string of its own. Several
// different ones tell nothing.
func versionInRodata(f *elf.File) (Version, bool) {
	sec := f.Section(".rodata")
	if sec == nil || sec.Size > 64<<20 {
		return Version{}, false
	}
	data, err := sec.Data()
	if err != nil {
		return Version{}, false
	}
	var text []byte
	for _, found := range rodataVersion.FindAllSubmatch(data, -1) {
		if text != nil && !bytes.Equal(text, found[1]) {
			return Version{}, false
		}
		text = found[1]
	}
	var v Version
	if _, err := fmt.Sscanf(string(text), "%d.%d.%d", &v.Major, &v.Minor, &v.Micro); err != nil {
		return Version{}, false
	}
	return v, true
}
