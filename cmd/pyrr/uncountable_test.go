package main

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/testscript"

	"pyrr/cpython"
	"pyrr/internal/doctor"
)

// cmdUncountable makes an interpreter whose instructions can't be counted, and puts
// its path into $UNCOUNTED. It runs like $PYTHON. Where the interpreter is in a
// libpython, $LD_PRELOAD puts a copy of that in its place.
func cmdUncountable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: uncountable")
	}
	python := ts.Getenv("PYTHON")
	p, err := doctor.AskPython(context.Background(), python)
	ts.Check(err)
	if len(p.Libs) > 0 {
		lib := ts.MkAbs(filepath.Base(p.Libs[0]))
		ts.Check(uncountable(p.Libs[0], lib))
		ts.Setenv("LD_PRELOAD", lib)
	} else {
		copied := ts.MkAbs("python3")
		ts.Check(uncountable(p.Exe, copied))
		python = copied
	}
	ts.Setenv("UNCOUNTED", python)
}

// uncountable changes one entry of the dispatch table in a copy of an interpreter,
// that of an opcode that no program has: the table is not recognised then.
func uncountable(python, dst string) error {
	c, err := cpython.FindClock(python)
	if err != nil {
		return err
	}
	targets := c.Tables[0].Targets
	times := func(to uint64) (n int) {
		for _, t := range targets {
			if t == to {
				n++
			}
		}
		return n
	}
	unknown := slices.IndexFunc(targets, func(to uint64) bool { return times(to) > 8 })
	other := slices.IndexFunc(targets, func(to uint64) bool { return times(to) == 1 })
	if unknown < 0 || other < 0 {
		return errors.New("an unusual dispatch table")
	}
	b, err := os.ReadFile(python)
	if err != nil {
		return err
	}
	f, err := elf.Open(python)
	if err != nil {
		return err
	}
	defer f.Close()
	entry, done := c.Tables[0].Addr+8*uint64(unknown), false
	for _, p := range f.Progs {
		if at := entry - p.Vaddr; p.Type == elf.PT_LOAD && at < p.Filesz {
			binary.LittleEndian.PutUint64(b[p.Off+at:], targets[other])
			done = true
		}
	}
	for _, s := range f.Sections { // a file that can be mapped anywhere: the relocation that fills the entry
		for at := s.Offset; s.Type == elf.SHT_RELA && at+24 <= s.Offset+s.Size; at += 24 {
			if binary.LittleEndian.Uint64(b[at:]) == entry {
				binary.LittleEndian.PutUint64(b[at+16:], targets[other])
			}
		}
	}
	if !done {
		return errors.New("the dispatch table is not in the file")
	}
	return os.WriteFile(dst, b, 0o755)
}
