// Package hiding takes known secrets out of a recording and proves by a replay that
// it is still one: what the program makes itself is found in its memory and output.
//
// It decides nothing about when that is wanted. Begin with Secrets.
package hiding

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/replay"
)

// teller shows what a long work does, and what one should know of its result.
type teller interface {
	Status(format string, args ...any)
	Warn(text string)
}

// SurvivorError says that a secret is still there.
type SurvivorError struct {
	secret redact.Secret
	where  string
}

func (e *SurvivorError) Error() string {
	return fmt.Sprintf("the known secret %s is still in %s", e.secret.Name, e.where)
}

// replayWatch sees the events of a replay.
type replayWatch = func(*replay.Process, *replay.Thread, *recording.Event) error

// Search looks for the secrets in what the program makes of a replay: in
// all of its memory where a process ends and a few times before, and in what
// it writes. A value that reached the program compressed, encrypted or in
// pieces shows up here.
type Search struct {
	set *redact.Set
	// made are values that only look like secrets and that are there although no
	// input has them any more: the program makes them itself.
	made map[string]redact.Secret
	// written are values that look like secrets for where the program wrote them.
	written map[redact.Shape]bool
}

func newSearch(set *redact.Set) *Search {
	return &Search{set: set, made: map[string]redact.Secret{}, written: map[redact.Shape]bool{}}
}

func (s *Search) watch(events uint64) replayWatch {
	const looks = 6
	every := max(events/looks, 2000)
	var total uint64
	return func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		total++
		switch {
		case ev.Kind == recording.KindEnd || total%every == 0:
			return s.memory(p)
		case t != nil && (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter):
			for _, g := range linux.Given(int(ev.Nr), ev.Args, p.Mem(), nil) {
				if err := s.part(p, replay.Range{Start: g.Addr, End: g.Addr + min(g.Len, 1<<20)}, "what the program wrote", true); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func (s *Search) memory(p *replay.Process) error {
	ranges, err := p.Writable()
	if err != nil {
		return err
	}
	for _, r := range ranges {
		if err := s.part(p, r, "the memory of the program", false); err != nil {
			return err
		}
	}
	return nil
}

func (s *Search) part(p *replay.Process, r replay.Range, where string, shapes bool) error {
	const step, overlap = 1 << 20, 64 << 10
	buf := make([]byte, min(step+overlap, r.End-r.Start))
	for at := r.Start; at < r.End; at += step {
		b := buf[:min(uint64(len(buf)), r.End-at)]
		if err := p.Mem().ReadAt(b, at); err != nil {
			return nil // not all of a mapping is readable; the replay itself says what is wrong
		}
		var err error
		s.set.Find(b, func(m redact.Match) {
			switch x := s.set.Secrets[m.Secret]; {
			case x.Rule != "":
				s.made[x.Value] = x
			case err == nil:
				err = &SurvivorError{x, fmt.Sprintf("%s, at event %d of process %d, as %s", where, p.Number, p.Info.ID, m.Form)}
			}
		})
		if err != nil {
			return err
		}
		if shapes {
			redact.Shapes(b, false, false, func(x redact.Shape) {
				if len(s.written) < mostWritten && !s.set.Stands(x.Value) {
					s.written[x] = true
				}
			})
		}
	}
	return nil
}

// mostWritten bounds how many values are noted for where the program wrote them.
const mostWritten = 1000

// learn tells the finder what the replay showed, and whether that is new.
func (s *Search) learn(f *redact.Finder, rec *recording.Recording, err error) bool {
	if x, ok := errors.AsType[*SurvivorError](err); ok && x.secret.Rule != "" {
		s.made[x.secret.Value] = x.secret
	}
	for value := range s.made {
		f.Leave(value)
	}
	before := len(f.Secrets)
	if f.Written(rec, slices.Collect(maps.Keys(s.written))) != nil {
		return false // whatever is wrong with the recording, the search itself has told it
	}
	return len(s.made) > 0 || len(f.Secrets) > before
}

// mostRounds is how often a recording is written again as its replay taught something
// about its secrets.
const mostRounds = 5

// Replace writes rec into the new folder dir with its secrets replaced, and proof
// replays the result. What the replay shows that the program makes itself is left as it
// is; what it shows that the program writes as a secret is replaced too. Where the
// program does something else without a value that only looks like a secret, that is
// left, unless strict is set. failed is what proof said.
func Replace(u teller, rec *recording.Recording, dir string, f *redact.Finder, small, strict bool, proof func(*Search) error) (m *recording.Redaction, set *redact.Set, err, failed error) {
	for round := 1; ; round++ {
		set = f.Set()
		s := newSearch(set)
		m, err = redacted(u, rec, dir, set, small)
		failed = nil
		if err == nil {
			failed = proof(s)
		}
		learned := s.learn(f, rec, err)
		if !learned && IsDivergence(failed) && !strict && round < mostRounds {
			learned = f.LeaveLooks()
		}
		if !learned || round == mostRounds {
			for _, x := range s.made {
				if failed == nil {
					failed = &SurvivorError{x, "what the program makes"}
				}
			}
			return m, set, err, failed
		}
		if err := os.RemoveAll(dir); err != nil {
			return nil, nil, err, nil
		}
	}
}
