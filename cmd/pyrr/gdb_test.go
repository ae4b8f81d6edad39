//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"testing"

	"pyrr/internal/stackwalk"

	"golang.org/x/sys/unix"

	"pyrr/internal/mem"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/unwind/gdbtest"
	"pyrr/replay"
)

// TestReplayedStacksEqualGDB replays a program that works in C, and at some of
// its system calls compares the stack with the one that gdb finds in a core
// file of the replayed process.
func TestReplayedStacksEqualGDB(t *testing.T) {
	t.Parallel()
	if r := probe.Machine(); !r.CanRecord() || !r.CanReplay() {
		t.Skip("this machine can't record and replay")
	}
	if _, err := os.Stat(gdbPython); err != nil {
		t.Skip(err)
	}
	stops := 2
	if os.Getenv("PYRR_E2E") == "full" {
		stops = 220
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "work.pyrr.zip")
	// Without the timer: only gdb lets its signal pass.
	if status, _, errs := capturePyrr("record", "-o", path, "--", gdbPython, gdbtest.Program(), "0.05", "0"); status != 0 {
		t.Fatalf("record: status %d\n%s", status, errs)
	}
	rec, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	var calls uint64
	sum, _ := rec.Summary()
	every := sum.Events * 6 / 10 / uint64(stops)
	c := gdbtest.Comparison{Present: true}
	walk := stackwalk.New(rec)
	_, err = replay.Batch(rec, replay.Options{OnEvent: func(p *replay.Process, th *replay.Thread, ev *recording.Event) error {
		walk.Follow(p, ev)
		if th == nil || p.Info.Python == "" || ev.Kind != recording.KindSyscall && ev.Kind != recording.KindEnter {
			return nil
		}
		switch ev.Nr {
		case unix.SYS_MMAP, unix.SYS_MPROTECT, unix.SYS_MUNMAP:
			return nil // a library is being loaded: gdb does not know it yet, and names no address in it
		}
		if calls++; calls%every != 0 {
			return nil
		}
		ranges, err := p.Writable()
		if err != nil {
			return err
		}
		var parts []mem.Range
		for _, r := range ranges {
			parts = append(parts, mem.Range{Addr: r.Start, Len: r.End - r.Start})
		}
		space := walk.Procs[p.Info.ID].Code.Modules
		for _, m := range space.List() {
			// Also the memory that the dynamic linker wrote and then protected.
			parts = append(parts, without(mem.Range{Addr: m.Start, Len: m.End - m.Start}, ranges)...)
		}
		core := filepath.Join(dir, "core")
		regs := th.Regs()
		if pc, ok := walk.Procs[p.Info.ID].Code.Redirect(p.Mem(), regs.Rip); ok {
			regs.Rip = pc // gdb knows nothing of pyrr's trampolines
		}
		if err := gdbtest.WriteCore(core, &regs, p.Mem(), parts); err != nil {
			return err
		}
		got := space.Explain(p.Mem(), space.Walk(p.Mem(), stackwalk.UnwindRegs(&regs), 0))
		c.Compare(t, space, gdbtest.Core(t, gdbPython, core), got)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	c.Report(t)
}

// without returns the parts of r that are in none of the ranges, which are in order.
func without(r mem.Range, ranges []replay.Range) []mem.Range {
	var out []mem.Range
	at, end := r.Addr, r.Addr+r.Len
	for _, w := range ranges {
		if w.End <= at || w.Start >= end {
			continue
		}
		if w.Start > at {
			out = append(out, mem.Range{Addr: at, Len: w.Start - at})
		}
		at = max(at, w.End)
	}
	if at < end {
		out = append(out, mem.Range{Addr: at, Len: end - at})
	}
	return out
}
