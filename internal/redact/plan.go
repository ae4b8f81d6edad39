package redact

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// The kinds of places that a manifest counts by.
const (
	InEnvironment = "environment and arguments"
	InMemory      = "memory at the start"
	InData        = "data read or received"
	InFiles       = "mapped files"
	InRegisters   = "registers"
	InTexts       = "texts for the reader"
	InSources     = "source files"
)

// Plan is what has to change in a recording.
type Plan struct {
	set    *Set
	counts []map[string]int // by secret, by kind of place
	events map[place][]recording.Patch
	files  map[recording.FileID][]recording.Patch
	any    bool
	// stacks is set where the index of stacks has a secret in it.
	stacks bool
}

// place is an event of a process.
type place struct {
	proc  int
	event uint64
}

// NewPlan reads a recording through and plans the replacing.
func NewPlan(rec *recording.Recording, set *Set) (*Plan, error) {
	p := &Plan{set: set, counts: make([]map[string]int, len(set.Secrets)),
		events: map[place][]recording.Patch{}, files: map[recording.FileID][]recording.Patch{}}
	for i := range p.counts {
		p.counts[i] = map[string]int{}
	}
	if len(set.Secrets) == 0 {
		return p, nil
	}
	procs, err := rec.Procs()
	if err != nil {
		return nil, err
	}
	for _, proc := range procs {
		if err := p.readProcess(rec, proc.ID); err != nil {
			return nil, err
		}
	}
	for _, f := range rec.Files() {
		if f.Same != 0 || f.Want == 0 {
			continue
		}
		if err := p.readFile(rec, f); err != nil {
			return nil, err
		}
	}
	return p, p.texts(rec)
}

// Empty says that no secret is in the recording.
func (p *Plan) Empty() bool { return !p.any }

func (p *Plan) found(secret int, where string) {
	p.any = true
	p.counts[secret][where]++
}

// Manifest lists what is replaced, by name and number.
func (p *Plan) Manifest() recording.Redaction {
	var m recording.Redaction
	for i, s := range p.set.Secrets {
		if len(p.counts[i]) > 0 {
			m.Secrets = append(m.Secrets, recording.RedactedSecret{Name: s.Name, Source: s.Source, Counts: p.counts[i]})
		}
	}
	for _, l := range p.set.Left {
		m.Left = append(m.Left, recording.LeftSecret{Name: l.Name, Why: l.Why})
	}
	return m
}

// readFile looks through a stored file.
func (p *Plan) readFile(rec *recording.Recording, f recording.File) error {
	content, size, err := rec.ReadFile(f.ID)
	if err != nil {
		return err
	}
	if c, ok := content.(io.Closer); ok {
		defer c.Close()
	}
	const step = 4 << 20
	overlap := p.set.longest
	buf := make([]byte, step+2*overlap)
	done := int64(0) // what lies before was searched
	for at := int64(0); at < size; at += step {
		n, err := content.ReadAt(buf[:min(int64(len(buf)), size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("search file %d (%s) for secrets: %w", f.ID, f.Path, err)
		}
		p.set.Find(buf[:n], func(m Match) {
			off := at + int64(m.Off)
			if off < done {
				return
			}
			done = off + int64(len(m.To))
			p.files[f.ID] = append(p.files[f.ID], recording.Patch{Off: uint64(off), Data: slices.Clone(m.To)})
			p.found(m.Secret, InFiles)
		})
	}
	return nil
}

// texts counts what stands in the header and the names of files.
func (p *Plan) texts(rec *recording.Recording) error {
	count := func(secret int) { p.found(secret, InTexts) }
	h := rec.Header()
	for _, s := range slices.Concat(h.Command, []string{h.Cwd}) {
		p.set.Replace(s, count)
	}
	for _, v := range h.Options {
		p.set.Replace(v, count)
	}
	if sum, ok := rec.Summary(); ok {
		p.set.Replace(sum.Why, count)
		p.set.Replace(sum.Verified, count)
	}
	for _, f := range rec.Files() {
		p.set.Replace(f.Path, count)
		p.set.Replace(f.Unstable, count)
	}
	sources, err := rec.Sources()
	if err != nil {
		return err
	}
	for path, text := range sources {
		p.set.Replace(path, count)
		p.set.Find(text, func(m Match) { p.found(m.Secret, InSources) })
	}
	x, err := rec.StackIndex()
	if errors.Is(err, recording.ErrNoIndex) {
		return nil
	}
	if err != nil {
		return err
	}
	inStacks := func(secret int) {
		p.stacks = true
		count(secret)
	}
	for _, f := range x.AllFrames() {
		for _, s := range []string{f.Func, f.File, f.Module, f.Text, f.Err} {
			p.set.Replace(s, inStacks)
		}
	}
	for _, name := range x.ThreadNames() {
		p.set.Replace(name, inStacks)
	}
	return nil
}

// process is the state of reading one process.
type process struct {
	*Plan
	id     int
	number uint64
	enters map[int32]recording.Event
	ends   map[stream]*joint
}

// stream is a descriptor that a process reads from.
type stream struct {
	fd  uint64
	at  bool // by offset
	nth int
}

// joint is the end of what was read from a descriptor so far: a value may
// come in several reads.
type joint struct {
	data []byte
	from []piece
}

// piece says where bytes of a joint stand in the recording.
type piece struct {
	event uint64
	mem   int
	off   int
	len   int
}

func (p *Plan) readProcess(rec *recording.Recording, id int) error {
	it, err := rec.Events(id)
	if err != nil {
		return err
	}
	defer it.Close()
	s := &process{Plan: p, id: id, enters: map[int32]recording.Event{}, ends: map[stream]*joint{}}
	var ev recording.Event
	for {
		s.number = it.Number()
		err := it.Next(&ev)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		s.event(&ev)
	}
}

// event searches one event.
func (s *process) event(ev *recording.Event) {
	where := InData
	if ev.Kind == recording.KindStart {
		where = InMemory
	}
	s.memory(ev, where)
	if ev.Kind == recording.KindSignal {
		s.frame(ev)
	}
	call := ev
	switch ev.Kind {
	case recording.KindEnter:
		brief := *ev
		brief.Mem, brief.XState, brief.Clocks, brief.Maps = nil, nil, nil, nil
		s.enters[ev.TID] = brief
	case recording.KindExit:
		if enter, ok := s.enters[ev.TID]; ok {
			call = &enter
		}
		delete(s.enters, ev.TID)
	}
	if ev.Kind == recording.KindSyscall || ev.Kind == recording.KindExit {
		s.join(call, ev)
	}
	// What Apply replaces where it finds it is counted here.
	s.fields(copyOf(ev), func(secret int, where string) { s.found(secret, where) })
}

// copyOf is an event whose fields may be replaced.
func copyOf(ev *recording.Event) *recording.Event {
	c := *ev
	return &c
}

// memory searches the bytes of an event's writes. Writes side by side are one.
func (s *process) memory(ev *recording.Event, where string) {
	if ev.Kind == recording.KindChecksum {
		return
	}
	for i := 0; i < len(ev.Mem); {
		j := i + 1
		for j < len(ev.Mem) && ev.Mem[j].Addr == ev.Mem[j-1].Addr+uint64(len(ev.Mem[j-1].Data)) {
			j++
		}
		if j == i+1 {
			s.set.Find(ev.Mem[i].Data, func(m Match) {
				s.patch(s.number, i, m.Off, m.To)
				s.found(m.Secret, where)
			})
		} else {
			var run joint
			for k := i; k < j; k++ {
				run.add(piece{s.number, k, 0, len(ev.Mem[k].Data)}, ev.Mem[k].Data)
			}
			s.set.Find(run.data, func(m Match) {
				s.spread(&run, m)
				s.found(m.Secret, where)
			})
		}
		s.edges(ev, i, j, where)
		i = j
	}
}

// edges searches for parts of a secret at the ends of a run of writes. What
// the recorder keeps of a call's output reaches a little too far, so that
// older bytes of the program lie beside it, cut anywhere.
func (s *process) edges(ev *recording.Event, i, j int, where string) {
	const least = 6
	if m, ok := s.set.End(ev.Mem[i].Data, least); ok {
		s.patch(s.number, i, m.Off, m.To)
		s.found(m.Secret, where)
	}
	if m, ok := s.set.Begin(ev.Mem[j-1].Data, least); ok {
		s.patch(s.number, j-1, m.Off, m.To)
		s.found(m.Secret, where)
	}
}

// frame searches the frame that the kernel built for a signal's handler: it
// holds registers.
func (s *process) frame(ev *recording.Event) {
	for i, w := range ev.Mem {
		if out := s.set.Pieces(w.Data, func(secret int) { s.found(secret, InRegisters) }); out != nil {
			s.patch(s.number, i, 0, out)
		}
	}
}

func (s *process) patch(event uint64, mem, off int, to []byte) {
	at := place{s.id, event}
	s.events[at] = append(s.events[at], recording.Patch{Mem: mem, Off: uint64(off), Data: slices.Clone(to)})
}

// spread patches a match in a joint, piece by piece.
func (s *process) spread(j *joint, m Match) {
	at, off, to := 0, m.Off, m.To
	for _, p := range j.from {
		if off < at+p.len && len(to) > 0 {
			skip := off - at
			n := min(p.len-skip, len(to))
			s.patch(p.event, p.mem, p.off+skip, to[:n])
			off, to = off+n, to[n:]
		}
		at += p.len
	}
}

func (j *joint) add(p piece, data []byte) {
	j.data = append(j.data, data...)
	j.from = append(j.from, p)
}

// keep shortens a joint to its last n bytes.
func (j *joint) keep(n int) {
	cut := len(j.data) - n
	if cut <= 0 {
		return
	}
	j.data = append(j.data[:0], j.data[cut:]...)
	for cut >= j.from[0].len {
		cut -= j.from[0].len
		j.from = j.from[1:]
	}
	j.from[0].off += cut
	j.from[0].len -= cut
}

// join searches across the border of a read and those before it on the same
// descriptor.
func (s *process) join(call, ev *recording.Event) {
	var key stream
	one := true // the data is at the second argument alone
	switch call.Nr {
	case unix.SYS_READ, unix.SYS_RECVFROM:
		key = stream{fd: call.Args[0]}
	case unix.SYS_PREAD64:
		key = stream{fd: call.Args[0], at: true}
	case unix.SYS_READV, unix.SYS_RECVMSG, unix.SYS_RECVMMSG:
		key, one = stream{fd: call.Args[0]}, false
	case unix.SYS_PREADV, unix.SYS_PREADV2:
		key, one = stream{fd: call.Args[0], at: true}, false
	case unix.SYS_CLOSE:
		delete(s.ends, stream{fd: call.Args[0]})
		delete(s.ends, stream{fd: call.Args[0], at: true})
		return
	default:
		return
	}
	if ev.Ret <= 0 {
		return
	}
	j := s.ends[key]
	if j == nil {
		j = &joint{}
		s.ends[key] = j
	}
	for i, w := range ev.Mem {
		if one && w.Addr != call.Args[1] || len(w.Data) == 0 {
			continue
		}
		// Only what reaches over the border is new.
		border := len(j.data)
		head := w.Data[:min(len(w.Data), s.set.longest)]
		if border > 0 {
			probe := joint{data: slices.Clone(j.data), from: slices.Clone(j.from)}
			probe.add(piece{s.number, i, 0, len(head)}, head)
			s.set.Find(probe.data, func(m Match) {
				if m.Off < border && m.Off+len(m.To) > border {
					s.spread(&probe, m)
					s.found(m.Secret, InData)
				}
			})
		}
		tail := w.Data[max(0, len(w.Data)-s.set.longest):]
		j.add(piece{s.number, i, len(w.Data) - len(tail), len(tail)}, tail)
		j.keep(s.set.longest)
	}
}

// fields replaces what stands in an event but for its memory.
func (p *Plan) fields(ev *recording.Event, found func(secret int, where string)) {
	text := func(where string) func(int) { return func(secret int) { found(secret, where) } }
	if len(ev.In) > 0 {
		ev.In = p.input(ev.In, text(InTexts))
	}
	ev.Text = p.set.Replace(ev.Text, text(InTexts))
	ev.Why = p.set.Replace(ev.Why, text(InTexts))
	for i := range ev.Maps {
		if name := p.set.Replace(ev.Maps[i].Name, text(InTexts)); name != ev.Maps[i].Name {
			ev.Maps = slices.Clone(ev.Maps)
			ev.Maps[i].Name = name
		}
	}
	if ev.Proc != nil {
		proc := *ev.Proc
		count := text(InEnvironment)
		proc.Exe, proc.Cwd = p.set.Replace(proc.Exe, count), p.set.Replace(proc.Cwd, count)
		proc.Argv, proc.Env = slices.Clone(proc.Argv), slices.Clone(proc.Env)
		for i := range proc.Argv {
			proc.Argv[i] = p.set.Replace(proc.Argv[i], count)
		}
		for i := range proc.Env {
			proc.Env[i] = p.set.Replace(proc.Env[i], count)
		}
		ev.Proc = &proc
	}
	if out := p.set.Pieces(ev.XState, text(InRegisters)); out != nil {
		ev.XState = out
	}
	if ev.Regs != nil {
		p.registers(ev, text(InRegisters))
	}
}

// input replaces what stands in a copy of a call's input. The recorder cuts
// it, so its end may be the beginning of a secret.
func (p *Plan) input(in []byte, count func(int)) []byte {
	out := []byte(p.set.Replace(string(in), count))
	const cutFrom = 64 // no shorter input is ever cut
	if len(in) >= cutFrom {
		if m, ok := p.set.Begin(out, minAnchor); ok {
			copy(out[m.Off:], m.To)
			count(m.Secret)
		}
	}
	return out
}

// registers replaces parts of secrets in general registers.
func (p *Plan) registers(ev *recording.Event, count func(int)) {
	regs := *ev.Regs
	changed := false
	for _, r := range []*uint64{&regs.Rax, &regs.Rbx, &regs.Rcx, &regs.Rdx, &regs.Rsi, &regs.Rdi, &regs.Rbp,
		&regs.R8, &regs.R9, &regs.R10, &regs.R11, &regs.R12, &regs.R13, &regs.R14, &regs.R15} {
		if to, secret, ok := p.set.Word(*r); ok {
			*r = to
			changed = true
			count(secret)
		}
	}
	if changed {
		ev.Regs = &linux.Regs{}
		*ev.Regs = regs
	}
}

// Apply replaces the secrets in an event of a process. It writes into none
// of the event's slices.
func (p *Plan) Apply(proc int, number uint64, ev *recording.Event) {
	p.fields(ev, func(int, string) {})
	if ev.Kind == recording.KindChecksum && p.any {
		// Checksums of what is no longer there, and by which a value could
		// be guessed: 0 is for a page that is not compared.
		ev.Mem = slices.Clone(ev.Mem)
		for i := range ev.Mem {
			ev.Mem[i].Data = make([]byte, len(ev.Mem[i].Data))
		}
	}
	patches := p.events[place{proc, number}]
	if len(patches) == 0 {
		return
	}
	ev.Mem = slices.Clone(ev.Mem)
	own := map[int]bool{}
	for _, c := range patches {
		w := &ev.Mem[c.Mem]
		if !own[c.Mem] {
			own[c.Mem] = true
			w.Data = slices.Clone(w.Data)
		}
		copy(w.Data[c.Off:], c.Data)
	}
}

// Changes are what recording.Rewrite needs to know.
func (p *Plan) Changes() recording.Changes {
	return recording.Changes{
		Event: p.Apply,
		Text:  func(s string) string { return p.set.Replace(s, func(int) {}) },
		Files: p.files,
		Drop:  func(name string) bool { return p.stacks && name == recording.StacksMember },
	}
}
