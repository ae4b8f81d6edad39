package redact

import (
	"errors"
	"fmt"
	"io"
	"slices"

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
	for i := range procs {
		if err := p.readProcess(rec, &procs[i]); err != nil {
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
			m.Secrets = append(m.Secrets, recording.RedactedSecret{Name: s.Name, Source: s.Source, Rule: s.Rule, Counts: p.counts[i]})
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
	for _, text := range x.AllFacts() {
		p.set.Find(text, func(m Match) { inStacks(m.Secret) })
	}
	return nil
}

// fields replaces what stands in an event except for its memory.
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
	for i := range ev.Open {
		if name := p.set.Replace(ev.Open[i].Name, text(InTexts)); name != ev.Open[i].Name {
			ev.Open = slices.Clone(ev.Open)
			ev.Open[i].Name = name
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
	for _, r := range regs.General() {
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
