package capture

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/mem"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
)

// Calls that can't wait are made without a stop, and noted in a buffer of the
// process (inject.BuildCalls). Each becomes an event like any other, at the
// next stop of its thread: until then nothing happened in the process that
// another thread of it could have seen. On replay they are system calls that
// stop.
//
// While a thread runs so, the kernel turns its other system calls into SIGSYS
// (userdispatch.go), and the recorder has them made again with a stop.

// callBuffer is the calls area of an address space.
type callBuffer struct {
	img  *inject.CallsArea
	bias uint64
}

// pendingCalls is a C library whose code was just mapped.
type pendingCalls struct {
	sites []inject.CallSite
	bias  uint64
	end   uint64
}

// isLibc tells a C library by its name: libc.so.6, libc-2.31.so.
func isLibc(path string) bool {
	name := shortName(path)
	return strings.HasPrefix(name, "libc.so") || strings.HasPrefix(name, "libc-2.") && strings.HasSuffix(name, ".so")
}

// isLoader tells the dynamic linker by its name: ld-linux-x86-64.so.2, ld-2.31.so.
func isLoader(path string) bool {
	name := shortName(path)
	return strings.HasPrefix(name, "ld-linux") || strings.HasPrefix(name, "ld-2.")
}

// sitesMapped notes the sites of a C library, or of a dynamic linker, whose code
// was mapped at start.
func (r *recorder) sitesMapped(p *process, name, self string, f *os.File, start, end, off uint64) {
	var find **pendingCalls
	switch {
	case isLibc(name):
		find = &p.findCalls
	case isLoader(name):
		find = &p.loader
	default:
		return
	}
	if r.noBuffer || p.calls != nil || *find != nil || p.area == nil {
		return
	}
	all, err := inject.CallSitesCached(self)
	if err != nil || len(all) == 0 {
		return
	}
	bias, err := loadBias(f, start, off)
	if err != nil {
		return
	}
	sites := make([]inject.CallSite, 0, len(all))
	for _, s := range all {
		if s.Off >= off && s.Off+uint64(s.Len) <= off+(end-start) {
			sites = append(sites, s)
		}
	}
	*find = &pendingCalls{sites: sites, bias: bias, end: end}
}

// withLoader adds the sites of the dynamic linker, as if they were the C
// library's: what it does for each library that the program loads later takes as
// many calls as the program's own.
func withLoader(find, loader *pendingCalls) []inject.CallSite {
	sites := slices.Clone(find.sites)
	if loader == nil || len(sites)+len(loader.sites) > inject.MaxSites {
		return sites
	}
	for _, s := range loader.sites {
		s.Vaddr += loader.bias - find.bias
		sites = append(sites, s)
	}
	return sites
}

// patchLoader patches the dynamic linker, in which the thread is just now: at the
// exit of one of its calls, whose site is left alone. While the clock has to be
// put in where the linker has relocated the interpreter, its calls have to stop.
func (r *recorder) patchLoader(t *task) error {
	p := t.proc
	if p.find != nil || len(p.late) == 0 {
		return nil
	}
	late := p.late
	p.late = nil
	pc, err := ptrace.PC(t.tid)
	if err != nil {
		return err
	}
	late = slices.DeleteFunc(late, func(w inject.Write) bool { return w.Addr <= pc && pc <= w.Addr+uint64(len(w.Data)) })
	if err := ptrace.WriteV(t.tid, spansOf(late)); err != nil {
		return err
	}
	ev := &recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Instr: p.base}
	for _, w := range late {
		ev.Mem = append(ev.Mem, recording.Write{Addr: w.Addr, Data: w.Data})
	}
	r.log(p, ev)
	return nil
}

// installCalls makes the calls area and patches the C library. It must be
// called at a syscall exit, with the call in the log.
func (r *recorder) installCalls(t *task) error {
	p, find := t.proc, t.proc.findCalls
	p.findCalls = nil
	sites := withLoader(find, p.loader)
	size := inject.CallsSize(len(sites))
	at, img, err := r.callsArea(t, find, sites)
	if err != nil || img == nil {
		return err
	}
	p.late, img.Writes = img.Split(len(find.sites))
	p.loader = nil
	data := img.Code.Addr + img.Code.Len
	ev := &recording.Event{Kind: recording.KindWrite, TID: int32(t.tid), Memory: recording.Memory{Maps: []recording.Mapping{
		{Start: img.Code.Addr, End: data, Prot: unix.PROT_READ | unix.PROT_EXEC, Name: nameCalls},
		{Start: data, End: at + size, Prot: unix.PROT_READ | unix.PROT_WRITE, Name: nameCalls},
	}}}
	for _, w := range img.Writes {
		if w.Addr < at || w.Addr >= at+size {
			if err := r.keepFormer(t, w.Addr, len(w.Data)); err != nil {
				return err
			}
		}
		ev.Mem = append(ev.Mem, recording.Write{Addr: w.Addr, Data: w.Data})
	}
	cells := append(img.Cells(p.area.Time.Count, r.outFiles()), inject.Write{Addr: img.Held, Data: r.quiet.held[:]})
	if err := ptrace.WriteV(t.tid, spansOf(append(cells, img.Writes...))); err != nil {
		return err
	}
	ev.Instr, ev.Args = p.base, recording.Clock{Calls: img.Data}.Words()
	r.log(p, ev)
	p.calls, p.devs = &callBuffer{img: img, bias: find.bias}, nil
	p.callPos = img.Buf
	p.permits, p.permitted = inject.Permits{}, false
	r.learnFDs(t) // it got from who executed it
	if err := r.tellClock(t); err != nil {
		return err
	}
	return r.patchLoader(t)
}

// tellClock tells the calls area where the clock is.
func (r *recorder) tellClock(t *task) error {
	p := t.proc
	if p.calls == nil || p.clock == nil {
		return nil
	}
	if err := ptrace.WriteU64(t.tid, p.calls.img.Total, p.base+p.budget); err != nil {
		return err
	}
	return ptrace.WriteU64(t.tid, p.calls.img.Budget, p.clock.Budget)
}

// mayBuffer says whether a thread may run with buffered calls now.
func (r *recorder) mayBuffer(t *task) bool {
	p := t.proc
	switch {
	case r.noBuffer || p.sifts || p.filtered || t.pid != p.pid && !t.vfork:
		return false
	case p.wanted:
		return false // it is to come to where others get what it holds
	case p.atCall && p.contended() || p.starves():
		return false // it is to give way
	}
	_, acted := p.actions[int(unix.SIGSYS)]
	return !acted
}

// inCalls reports whether a stopped thread is in the midst of a buffered call. How it
// is made is settled: what it does then is noted in the buffer, and it does not wait
// there, except for a disk.
func (p *process) inCalls(t *task) bool {
	pc, err := ptrace.PC(t.tid)
	pass := p.calls.img.Pass
	return err == nil && pc >= pass.Addr && pc < pass.Addr+pass.Len
}

// permit tells the calls area what a thread that is to run may do there.
func (r *recorder) permit(t *task) error {
	proc := t.proc
	p := inject.Permits{
		Sends: r.sendsUnseen(), Alone: len(proc.tasks) == 1, Borrows: t.pid != proc.pid,
		Shares: len(proc.shared) > 0 || len(r.objects) > 0, Shared: proc.sharedParts(), Masks: proc.masks,
		Streams: !r.streams.marked,
	}
	if proc.permitted && proc.permits == p {
		return nil
	}
	if err := ptrace.WriteV(t.tid, spansOf(proc.calls.img.Permit(p))); err != nil {
		return err
	}
	proc.permits, proc.permitted = p, true
	return nil
}

// sharedParts are the parts of the address space that hold the shared mappings, in as
// many pieces as the calls area knows: what lies in the smallest gaps counts as shared.
func (p *process) sharedParts() [inject.SharedParts]mem.Range {
	sum := uint64(len(p.shared))
	for _, m := range p.shared {
		sum += m.start*3 ^ m.end*5
	}
	if sum != p.partsOf {
		p.partsOf, p.parts = sum, partsOf(p.shared)
	}
	return p.parts
}

func partsOf(shared []*sharedMap) (parts [inject.SharedParts]mem.Range) {
	maps := slices.Clone(shared)
	slices.SortFunc(maps, func(a, b *sharedMap) int { return cmp.Compare(a.start, b.start) })
	var spans []span
	for _, m := range maps {
		if n := len(spans); n > 0 && m.start <= spans[n-1].end {
			spans[n-1].end = max(spans[n-1].end, m.end)
		} else {
			spans = append(spans, span{start: m.start, end: m.end})
		}
	}
	for len(spans) > len(parts) {
		least := 1
		for i := range spans[1:] {
			if spans[i+1].start-spans[i].end < spans[least].start-spans[least-1].end {
				least = i + 1
			}
		}
		spans[least-1].end = spans[least].end
		spans = slices.Delete(spans, least, least+1)
	}
	for i, s := range spans {
		parts[i] = mem.Range{Addr: s.start, Len: s.end - s.start}
	}
	return parts
}

// want asks a process, which may be running, for what it holds: the next of its
// calls stops.
func (r *recorder) want(p *process) {
	p.wanted = true
	if p.fast && p.cur != nil && ptrace.Write(p.cur.tid, p.calls.img.Mode, []byte{0, 0, 0, 0}) == nil {
		p.fast = false
	}
}

// takeBuffers empties the buffers of clock readings and of calls. The calls
// go to the log; the readings after the last of them are returned.
func (r *recorder) takeBuffers(m *moment) ([]byte, error) {
	t, p := m.t, m.t.proc
	bad := func(err error) ([]byte, error) {
		return nil, fmt.Errorf("the buffer of system calls of process %d: %w", t.pid, err)
	}
	b, spans, err := readingsIn(m)
	if err != nil {
		return nil, err
	}
	var raw []byte
	if p.calls != nil && p.callPos != p.calls.img.Buf {
		img := p.calls.img
		if p.callPos < img.Buf || p.callPos > img.Base+img.Size {
			return bad(fmt.Errorf("it was overwritten"))
		}
		if n := int(p.callPos - img.Buf); n > len(r.callBuf) {
			r.callBuf = make([]byte, n+n/2)
		}
		raw = r.callBuf[:p.callPos-img.Buf]
		spans = append(spans, ptrace.Span{Addr: img.Buf, Data: raw})
	}
	if err := r.emptyBuffers(t, spans); err != nil || len(raw) == 0 {
		return b, err
	}
	return r.logCalls(t, raw, b)
}

// logCalls logs the calls whose records are in raw, which b has the readings of the clock
// for, and returns those after the last call.
func (r *recorder) logCalls(t *task, raw, b []byte) ([]byte, error) {
	p := t.proc
	now, tsc := r.since(), inject.TSC()
	at := func(stamp uint64) int64 {
		ago := float64(tsc-stamp) * float64(now) / float64(max(tsc-r.tsc, 1))
		return max(now-int64(ago), min(p.lastTime, now))
	}
	used, masked := 0, false
	for c, err := range inject.CallsIn(raw) {
		if err != nil {
			return nil, fmt.Errorf("the buffer of system calls of process %d: %w", t.pid, err)
		}
		if n := c.Readings * inject.ReadingSize; n < used || n > len(b) {
			return nil, fmt.Errorf("the buffer of system calls of process %d: it was overwritten", t.pid)
		}
		ev := recording.Event{
			Kind: recording.KindSyscall, Stop: recording.StopBuffered, TID: int32(t.tid), Instr: c.Instr,
			Reached: recording.Reached{PC: c.Regs.PC(), RegSum: recording.RegSum(&c.Regs)}, Nr: int32(c.Nr), Args: c.Args, Ret: c.Ret,
			Time: at(c.Began), EndTime: at(c.Ended), Readings: b[used : c.Readings*inject.ReadingSize],
		}
		used = c.Readings * inject.ReadingSize
		if _, n, _ := linux.InArgs(c.Nr, c.Args); n > 0 && len(c.In) > 0 {
			ev.In = c.In[:min(len(c.In), n)]
		}
		if c.Printed != 0 && c.Ret > 0 {
			ev.Why = r.printedTo(c)
			if uint64(c.Ret) == c.Args[2] { // else not all of it was read
				ev.OutSum = linux.SumOf(c.In)
			}
		}
		if c.Nr == sys.SYS_POLL {
			ev.In = pollIn(c.Out)
		}
		if ev.Mem, err = wroteOf(c); err != nil {
			return nil, fmt.Errorf("the buffer of system calls of process %d: %w", t.pid, err)
		}
		forgetName(t, c.Nr, c.Args)
		switch c.Nr {
		case sys.SYS_FUTEX:
			p.woke(c.Args, c.Ret)
			p.saysReady = p.saysReady || p.coming > 0 // that cell the process has set itself
		case sys.SYS_RT_SIGPROCMASK:
			masked = true
		case sys.SYS_SET_ROBUST_LIST:
			if c.Ret == 0 {
				t.robust = c.Args[0]
			}
		}
		if err := r.noteSpace(p, &ev); err != nil {
			return nil, err
		}
		r.log(p, &ev)
	}
	if masked {
		return b[used:], r.takeMask(t)
	}
	return b[used:], nil
}

// wroteOf is what a buffered call wrote.
func wroteOf(c *inject.BufferedCall) ([]recording.Write, error) {
	switch {
	case len(c.Out) == 0:
		return nil, nil
	case !c.InPieces():
		return []recording.Write{{Addr: c.Addr, Data: c.Out}}, nil
	}
	pieces, err := c.Pieces()
	var wrote []recording.Write
	for _, w := range pieces {
		wrote = append(wrote, recording.Write{Addr: w.Addr, Data: w.Data})
	}
	return wrote, err
}

// noteSpace completes the event of a buffered call that changes the address
// process, as mappingEffects does for others. What it maps is anonymous.
func (r *recorder) noteSpace(p *process, ev *recording.Event) error {
	if ev.Ret < 0 && ev.Ret > -4096 {
		return nil
	}
	switch ev.Nr {
	case sys.SYS_MMAP:
		start := uint64(ev.Ret)
		end := start + pageUp(ev.Args[1])
		r.unmap(p, start, end)
		ev.Maps = []recording.Mapping{{Start: start, End: end, Prot: uint32(ev.Args[2]) & 7}}
	case sys.SYS_MUNMAP:
		r.unmap(p, ev.Args[0], ev.Args[0]+pageUp(ev.Args[1]))
	case sys.SYS_BRK:
		p.brk = uint64(ev.Ret)
	case sys.SYS_MADVISE:
		if start, end := ev.Args[0], ev.Args[0]+pageUp(ev.Args[1]); p.showsFiles(start, end) {
			return fmt.Errorf("madvise gives up %#x to %#x, as a stack, where files are mapped", start, end)
		}
	}
	return nil
}

// showsFiles reports whether a part of the address space has files mapped in it.
func (p *process) showsFiles(start, end uint64) bool {
	return slices.ContainsFunc(p.files, func(s span) bool { return s.start < end && start < s.end }) ||
		slices.ContainsFunc(p.quiet, func(m *sharedMap) bool { return m.start < end && start < m.end })
}

// pollIn is the struct pollfd array that a poll was called with, as far as it
// is shown, from the one that it returned.
func pollIn(out []byte) []byte {
	const size, revents = 8, 6
	in := bytes.Clone(out[:min(len(out), 256)/size*size])
	for i := 0; i < len(in); i += size {
		in[i+revents], in[i+revents+1] = 0, 0
	}
	return in
}

// outFiles are the regular files among the standard output and error of the command.
// They are opened with a stop, which tells that they are these.
func (r *recorder) outFiles() []inject.FileID {
	var out []inject.FileID
	for fd := 1; fd <= 2; fd++ {
		var st unix.Stat_t
		if unix.Stat(fmt.Sprintf("/proc/%d/fd/%d", r.outOf, fd), &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG {
			out = append(out, inject.FileID{Dev: st.Dev, Ino: st.Ino})
		}
	}
	return out
}

// sendsUnseen says whether what is sent to a socket never is such output.
func (r *recorder) sendsUnseen() bool {
	return !strings.HasPrefix(r.outID[1], "socket:") && !strings.HasPrefix(r.outID[2], "socket:")
}

// forgetFD takes descriptors that a stopping call closes, or makes again, from
// the map of regular files.
func (r *recorder) forgetFD(t *task, nr int, args [6]uint64) {
	p := t.proc
	if p.calls == nil || t.pid != p.pid {
		return
	}
	if first, last, ok := linux.Drops(nr, args); ok && first >= 0 && first < inject.CallFDs {
		n := min(last, inject.CallFDs-1) - first + 1
		ptrace.Write(t.tid, p.calls.img.FDs+uint64(first), make([]byte, max(n, 0)))
	}
}
