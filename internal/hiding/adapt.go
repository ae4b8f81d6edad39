package hiding

import (
	"bytes"
	"os"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// eventKey is an event of the log: the process's number and its own.
type eventKey struct {
	proc  int
	event uint64
}

// adaption is what an event of a recording becomes with placeholders.
type adaption struct {
	instr, pc uint64
	regSum    uint32
	outSum    uint32
	args      [6]uint64
	regs      *linux.Regs
	addrs     []uint64 // of the writes, nil for unchanged
}

// adapted replays a rewritten recording in the folder dir and looks for the
// secrets in what the program does. Where it gets to the same calls by a few
// instructions more or less than with the secrets, or with a buffer elsewhere,
// the recording is made one of that run. It returns how many events changed.
func adapted(u teller, dir string, s *Search) (int, error) {
	rec, err := recording.Open(dir)
	if err != nil {
		return 0, err
	}
	defer rec.Close()
	if err := replay.Able(rec); err != nil {
		return 0, err
	}
	changes := map[eventKey]adaption{}
	inputs := map[eventKey][]byte{}
	o := replay.Options{}
	sum, _ := rec.Summary()
	look := s.watch(sum.Events)
	o.OnEvent = look
	if len(s.set.Secrets) > 0 {
		o.OnEvent = func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
			if in := newInput(p, ev); in != nil {
				inputs[eventKey{p.Info.ID, p.Number}] = in
			}
			return look(p, t, ev)
		}
		o.Adapt = func(proc int, number uint64, ev *recording.Event) {
			a := adaption{instr: ev.Instr, pc: ev.PC, regSum: ev.RegSum, outSum: ev.OutSum, args: ev.Args}
			if ev.Kind == recording.KindInsn {
				a.regs = ev.Regs
			}
			for i := range ev.Mem {
				a.addrs = append(a.addrs, ev.Mem[i].Addr)
			}
			changes[eventKey{proc, number}] = a
		}
	}
	u.Status("replaying the recording with placeholders")
	if _, err := replay.Batch(rec, o); err != nil || len(changes)+len(inputs) == 0 {
		return 0, err
	}
	next := dir + ".adapted"
	apply := func(proc int, number uint64, ev *recording.Event) {
		if in, ok := inputs[eventKey{proc, number}]; ok {
			ev.In = in
		}
		a, ok := changes[eventKey{proc, number}]
		if !ok {
			return
		}
		ev.Instr, ev.PC, ev.RegSum, ev.OutSum, ev.Args = a.instr, a.pc, a.regSum, a.outSum, a.args
		if a.regs != nil {
			ev.Regs = a.regs
		}
		mem := make([]recording.Write, len(ev.Mem))
		for i := range mem {
			mem[i] = recording.Write{Addr: a.addrs[i], Data: ev.Mem[i].Data}
		}
		ev.Mem = mem
	}
	if err := rec.Rewrite(next, recording.Changes{Event: apply, Small: true, KeepManifest: true}); err != nil {
		return 0, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return 0, err
	}
	return len(changes) + len(inputs), os.Rename(next, dir)
}

// newInput returns what the copy of a call's input has to be now, nil if it is
// that: a text that the program made of a secret is another with a placeholder.
func newInput(p *replay.Process, ev *recording.Event) []byte {
	if ev.Stop != recording.StopSyscall && ev.Stop != recording.StopBuffered || len(ev.In) == 0 {
		return nil
	}
	in := slices.Clone(ev.In)
	// part reads what one argument points to, which begins at in[at].
	part := func(at int, addr uint64, n int, text bool) (end int, ok bool) {
		end = min(at+n, len(in))
		if i := bytes.IndexByte(in[at:end], 0); text && i >= 0 {
			end = at + i
		}
		return end, at < end && p.Mem().ReadAt(in[at:end], addr) == nil
	}
	addr, n, text := linux.InArgs(int(ev.Nr), ev.Args)
	end, ok := part(0, addr, n, text)
	if !ok {
		return nil
	}
	if addr, n, text = linux.InArgs2(int(ev.Nr), ev.Args); n > 0 && end+1 < len(in) {
		part(end+1, addr, n, text)
	}
	if bytes.Equal(in, ev.In) {
		return nil
	}
	return in
}
