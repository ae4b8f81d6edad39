package cpython

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strconv"

	"pyrr/internal/lazyregexp"
)

// FindRuntime looks for the CPython runtime in an ELF file, whether or not its
// instructions can be counted, and returns the link-time address of _PyRuntime and
// the version, which is zero where only _Py_DebugOffsets tell it. The error is
// ErrNotPython where there is none, ErrUnsupported where it is one whose objects
// lie otherwise. name is that of OpenRuntimeFile.
func FindRuntime(file io.ReaderAt, name string) (addr uint64, v Version, err error) {
	im, err := readELF(file)
	if err != nil {
		return 0, v, fmt.Errorf("%s: %w: %w", name, ErrNotPython, err)
	}
	if addr, err = runtimeAddr(im, file); err != nil {
		return 0, v, fmt.Errorf("%s: %w", name, err)
	}
	v = elfVersion(im, name)
	// Py_REF_DEBUG (object.h). From 3.13 on a debug build says itself where its
	// fields lie (_Py_DebugOffsets).
	if _, ok := im.lookup("_Py_NegativeRefcount"); ok && !v.debugOffsets() {
		return 0, v, fmt.Errorf("%s: %w: a debug build", name, ErrUnsupported)
	}
	return addr, v, nil
}

// runtimeAddr finds _PyRuntime: in the dynamic symbols, where every build
// exports it, stripped or not; else as the section .PyRuntime, which from
// 3.10 on holds it alone; else, in what a recording keeps of a program that is linked
// statically, by the cookie that it begins with from 3.13 on.
func runtimeAddr(im *elfFile, file io.ReaderAt) (uint64, error) {
	if s, ok := im.lookup("_PyRuntime"); ok {
		return s.value, nil
	}
	if f, err := elf.NewFile(file); err == nil {
		if s := f.Section(".PyRuntime"); s != nil && s.Addr != 0 {
			return s.Addr, nil
		}
	}
	if addr, ok := im.cookie(); ok {
		return addr, nil
	}
	return 0, ErrNotPython
}

// LinkedStatically says whether a file is an interpreter without dynamic symbols: what is
// called what is then only in the sections behind all that is loaded.
func LinkedStatically(file io.ReaderAt) bool {
	im, err := readELF(file)
	return err == nil && im.dyn[elf.DT_SYMTAB] == 0 && im.isPython()
}

// cookie looks for the beginning of _Py_DebugOffsets in the data of a program without
// dynamic symbols.
func (im *elfFile) cookie() (uint64, bool) {
	if im.dyn[elf.DT_SYMTAB] != 0 {
		return 0, false
	}
	for _, s := range im.segs {
		b, ok := im.bytes(s.vaddr, s.filesz)
		if !s.write || !ok {
			continue
		}
		for i := 0; i+8 <= len(b); i += 8 {
			if string(b[i:i+8]) == debugCookie {
				return s.vaddr + uint64(i), true
			}
		}
	}
	return 0, false
}

var nameVersion = lazyregexp.New(`python3\.(\d{1,2})`)

// imageVersion tells the version by Py_Version (3.11 and later), by what
// Py_GetVersion prints, or by the file's name; the zero Version when nothing
// does.
func elfVersion(im *elfFile, name string) Version {
	if s, ok := im.lookup("Py_Version"); ok {
		if hex, ok := im.u32(s.value); ok {
			return versionFromHex(hex)
		}
	}
	if v := im.versionInCode(); v.Major != 0 && v.Minor >= 0 {
		return v
	}
	if found := nameVersion().FindStringSubmatch(name); found != nil {
		if minor, err := strconv.Atoi(found[1]); err == nil {
			return Version{Major: 3, Minor: minor, Micro: -1}
		}
	}
	return Version{}
}

// errNoVersion says that nothing tells an interpreter's version.
var errNoVersion = errors.New("cannot tell the Python version")
