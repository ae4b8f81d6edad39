package replay

import (
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/mem"
	"pyrr/internal/recording"
)

// ErrUncounted says that what was asked for needs the count of instructions, which
// the recording does not have of this interpreter.
var ErrUncounted = errors.New("the instructions of this interpreter were not counted (pyrr doctor says why): stacks and values can be read, but not stepped through by line")

// foundRuntime is what a module's file tells of an interpreter.
type foundRuntime struct {
	addr    uint64 // of _PyRuntime, at link time
	version cpython.Version
	err     error
	// dynamic is the address of the dynamic section, which lies in the segment of
	// _PyRuntime, and tags its first: the linker leaves them as they are.
	dynamic uint64
	tags    [4]uint64
}

// inPlace says whether the segment with the interpreter's data is mapped already:
// ld.so maps it after the module's beginning.
func (f *foundRuntime) inPlace(m mem.Reader, bias uint64) bool {
	for i := range f.tags {
		tag, err := mem.U64(m, bias+f.dynamic+16*uint64(i))
		if f.dynamic != 0 && (err != nil || tag != f.tags[i]) {
			return false
		}
	}
	return true
}

// uncountedRuntime returns the reader of an interpreter whose instructions are not
// counted, or not yet: state and stacks lie where its version has them all the
// same. It is looked for in the files in which the recorder looks for a clock.
func (p *Process) uncountedRuntime() (*cpython.Runtime, error) {
	y := &p.python
	err := ErrNoPython
	for i := len(p.modules) - 1; i >= 0; i-- {
		mod := p.modules[i]
		if mod.Name != p.Info.Exe && !strings.Contains(strings.ToLower(filepath.Base(mod.Name)), "python") {
			continue
		}
		f := p.findRuntime(mod)
		if errors.Is(f.err, cpython.ErrUnsupported) {
			err = f.err
		}
		if f.err != nil {
			continue
		}
		_, bias, _ := p.moduleFile(mod)
		if !f.inPlace(p.Mem(), bias) {
			continue
		}
		rt, rerr := cpython.OpenRuntimeAt(f.version, bias+f.addr, p.Mem())
		if rerr == nil {
			rt.TID = p.threadOf
			y.rt, y.failed = rt, nil
			return rt, nil
		}
		err = rerr
	}
	y.failed, y.failedAt = err, p.Number
	if !errors.Is(err, ErrNoPython) {
		y.failed = fmt.Errorf("interpreter of process %d: %w", p.Info.ID, err)
	}
	return nil, y.failed
}

// findRuntime looks for an interpreter in a module's file, once for a file.
func (p *Process) findRuntime(mod Module) foundRuntime {
	if f, ok := p.s.runtimes[mod.File]; ok {
		return f
	}
	var f foundRuntime
	if file, _, ok := p.moduleFile(mod); ok {
		f.addr, f.version, f.err = cpython.FindRuntime(file, mod.Name)
		f.readTags(file)
	} else {
		f.err = cpython.ErrNotPython
	}
	if p.s.runtimes == nil {
		p.s.runtimes = map[recording.FileID]foundRuntime{}
	}
	p.s.runtimes[mod.File] = f
	return f
}

// readTags reads the tags of a file's dynamic section.
func (f *foundRuntime) readTags(file io.ReaderAt) {
	progs, err := programHeaders(file)
	if err != nil {
		return
	}
	for _, prog := range progs {
		var b [64]byte
		if prog.Type != elf.PT_DYNAMIC {
			continue
		}
		if _, err := file.ReadAt(b[:], int64(prog.Off)); err != nil {
			continue
		}
		f.dynamic = prog.Vaddr
		for i := range f.tags {
			f.tags[i] = binary.LittleEndian.Uint64(b[16*i:])
		}
	}
}
