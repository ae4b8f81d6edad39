package capture

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"

	"golang.org/x/sys/unix"
)

// codeIn is codeMapped for a mapping that is there.
func (r *recorder) codeIn(t *task, ev *recording.Event, m *linux.Mapping) error {
	f := openMapped(m, t.pid)
	defer f.Close() // also where there is none
	return r.codeMapped(t, ev, m.Path, m.Start, m.End, m.Off, f)
}

// codeMapped handles executable code that appeared in the process: it patches
// instructions whose results can't be reproduced, and looks for a Python
// runtime. f may be nil.
func (r *recorder) codeMapped(t *task, ev *recording.Event, name string, start, end, off uint64, f *os.File) error {
	if f == nil {
		return nil
	}
	p := t.proc
	self := fmt.Sprintf("/proc/self/fd/%d", f.Fd())
	r.sitesMapped(p, name, self, f, start, end, off)
	sites, err := inject.SitesCached(self)
	if _, refused := errors.AsType[unix.Errno](err); refused {
		return fmt.Errorf("look for instructions whose results change in %.200s: %w", name, err)
	}
	if err == nil {
		var traps []ptrace.Span
		for _, s := range sites {
			if s.Off < off || s.Off+uint64(s.Len) > off+(end-start) {
				continue
			}
			addr := start + s.Off - off
			traps = append(traps, ptrace.Span{Addr: addr, Data: s.Trap()})
			p.patches[addr] = patch{site: s}
			ev.Mem = append(ev.Mem, recording.Write{Addr: addr, Data: s.Trap()})
		}
		if err := ptrace.WriteV(t.tid, traps); err != nil {
			return err
		}
	}
	p.pausesMapped(self, func() (uint64, error) { return loadBias(f, start, off) }, start, end, off)
	if p.clock != nil || p.find != nil || !strings.Contains(strings.ToLower(shortName(name)), "python") && name != p.exe {
		return nil
	}
	clock, err := cpython.FindClockCached(self)
	if err != nil {
		if !errors.Is(err, cpython.ErrNotPython) {
			var ce *cpython.ClockError
			if errors.As(err, &ce) {
				ce.Path = "" // the file is named already, as the user knows it
			}
			r.warnf("%s: no bytecode clock, threads switch at system calls only: %v", name, err)
		}
		return nil
	}
	bias, err := loadBias(f, start, off)
	if err != nil {
		return err
	}
	p.find = &pendingClock{clock: clock, bias: bias}
	p.python = clock.Version.String()
	return nil
}

// installClock redirects the dispatch table once it is in place. It must be
// called at a syscall exit.
func (r *recorder) installClock(t *task) error {
	p := t.proc
	if p.find == nil || p.clock != nil {
		return nil
	}
	m := ptrace.Mem(t.tid)
	if !p.find.clock.Ready(m, p.find.bias) {
		return nil
	}
	find := p.find
	p.find = nil
	area, err := r.clockArea(t, find)
	if err != nil {
		return err
	}
	in, err := find.clock.Install(m, find.bias, area)
	if err != nil {
		r.warnf("process %d: no bytecode clock, threads switch at system calls only: %v", t.pid, err)
		return nil
	}
	const size = cpython.AreaCodeSize + cpython.AreaDataSize
	ev := &recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Memory: recording.Memory{Maps: []recording.Mapping{
		{Start: area, End: area + cpython.AreaCodeSize, Prot: unix.PROT_READ | unix.PROT_EXEC, Name: nameClock},
		{Start: area + cpython.AreaCodeSize, End: area + size, Prot: unix.PROT_READ | unix.PROT_WRITE, Name: nameClock},
	}}}
	for _, w := range in.Writes {
		if w.Addr < area || w.Addr >= area+size {
			if err := r.keepFormer(t, w.Addr, len(w.Data)); err != nil {
				return err
			}
		}
		if err := ptrace.Write(t.tid, w.Addr, w.Data); err != nil {
			return err
		}
		ev.Mem = append(ev.Mem, recording.Write{Addr: w.Addr, Data: w.Data})
	}
	p.clockReg = find.clock.NextInstr.Encode(find.clock.Version)
	ev.Args = recording.Clock{Budget: in.Budget, Stubs: area, Bias: find.bias, Next: p.clockReg}.Words()
	ev.Text = find.clock.Version.String()
	p.clock, p.clockArea, p.clockBias = in, area, find.bias
	p.remote.where, p.remote.on = find.clock.Remote(m, find.bias)
	r.log(p, ev)
	p.base, p.budget = 0, 0
	if err := r.tellClock(t); err != nil {
		return err
	}
	return r.arm(t, r.o.Slice)
}
