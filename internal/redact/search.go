package redact

import (
	"errors"
	"io"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
)

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
	fd uint64
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
