package redact

import (
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
)

// process is the state of reading one process.
type process struct {
	*Plan
	id     int
	number uint64
	ends   map[stream]*joint
	effs   []linux.Effect
}

// stream is a descriptor that a process reads from.
type stream struct {
	fd int
	at bool // by offset
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

func (p *Plan) readProcess(rec *recording.Recording, info *recording.Process) error {
	s := &process{Plan: p, id: info.ID, ends: map[stream]*joint{}}
	return logview.EachWhole(rec, info, func(_ *logview.Follower, n uint64, ev *recording.Event, step logview.Step) error {
		s.number = n
		s.event(ev, &step)
		return nil
	})
}

// event searches one event.
func (s *process) event(ev *recording.Event, step *logview.Step) {
	where := InData
	if ev.Kind == recording.KindStart {
		where = InMemory
	}
	s.memory(ev, where)
	if ev.Kind == recording.KindSignal {
		s.frame(ev)
	}
	if done := step.Done(ev); done != nil {
		s.join(done, ev)
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
func (s *process) join(done *linux.Done, ev *recording.Event) {
	s.effs = linux.Effects(done, s.effs[:0])
	for i := range s.effs {
		switch e := &s.effs[i]; e.Do {
		case linux.DoClose:
			for key := range s.ends {
				if key.fd >= e.FD && key.fd <= e.Last {
					delete(s.ends, key)
				}
			}
		case linux.DoRead:
			if !e.Inside {
				s.joinRead(e, ev)
			}
		}
	}
}

func (s *process) joinRead(e *linux.Effect, ev *recording.Event) {
	key := stream{fd: e.FD, at: e.Offset}
	j := s.ends[key]
	if j == nil {
		j = &joint{}
		s.ends[key] = j
	}
	for i, w := range ev.Mem {
		if e.Data != 0 && w.Addr != e.Data || len(w.Data) == 0 {
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
