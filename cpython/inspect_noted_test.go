package cpython

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/mem"
)

// notedMem keeps what is read of memory, as a recording does that is cut to it.
type notedMem struct {
	mem.Reader
	pages map[uint64]bool
	words map[uint64]*[pageSize / 8]bool
}

func (m *notedMem) ReadAt(b []byte, addr uint64) error {
	err := m.Reader.ReadAt(b, addr)
	for at := addr / pageSize; err == nil && at*pageSize < addr+uint64(len(b)); at++ {
		m.pages[at] = true
	}
	return err
}

func (m *notedMem) Noted() (mem.Reader, func(addr uint64, n int)) {
	return m.Reader, func(addr uint64, n int) {
		for at := addr / 8; at*8 < addr+uint64(n); at++ {
			words := m.words[at*8/pageSize]
			if words == nil {
				words = &[pageSize / 8]bool{}
				m.words[at*8/pageSize] = words
			}
			words[at*8%pageSize/8] = true
		}
	}
}

func (m *notedMem) word(addr uint64) bool {
	words := m.words[addr/pageSize]
	return words != nil && words[addr%pageSize/8]
}

// keptMem is what such a recording has: a page of which words are kept has zeros in
// other places.
type keptMem struct{ of *notedMem }

func (m keptMem) ReadAt(b []byte, addr uint64) error {
	if err := m.of.Reader.ReadAt(b, addr); err != nil {
		return err
	}
	for i := 0; i < len(b); {
		at := addr + uint64(i)
		to := min(len(b), i+int(pageSize-at%pageSize))
		words, ok := m.of.words[at/pageSize]
		if !ok && !m.of.pages[at/pageSize] {
			return errors.New("not kept")
		}
		for ; i < to; i++ {
			if !m.of.pages[at/pageSize] && !words[(addr+uint64(i))%pageSize/8] {
				b[i] = 0
			}
		}
	}
	return nil
}

// TestReadsWhatWasKept: looking through all objects for a few keeps these, and little of the
// others; and nothing of what is kept in part reads as something that it is not.
func TestReadsWhatWasKept(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "inspectpoints.py")
			p.line(t)
			p.awaitRead(t)
			r := openLive(t, in, p.m.PID)
			queues := func(m mem.Reader) (found, all []uint64) {
				x := r.Inspect(m)
				defer x.Release()
				x.EachTracked(func(obj uint64, class string) bool {
					all = append(all, obj)
					if strings.HasSuffix(class, "Queue") && x.Type(obj) == class {
						found = append(found, obj)
					}
					return true
				})
				return found, all
			}
			names := func(m mem.Reader) (names []string) {
				threads, err := r.Threads(m)
				if err != nil {
					t.Error(err)
				}
				for i := range threads {
					names = append(names, threads[i].Name)
				}
				return names
			}
			noted := &notedMem{p.m, map[uint64]bool{}, map[uint64]*[pageSize / 8]bool{}}
			kept := keptMem{noted}
			want, all := queues(noted)
			if len(all) == 0 {
				t.Skip("it has no lists of what the garbage collector tracks")
			}
			if got, _ := queues(kept); len(want) == 0 || !slices.Equal(want, got) {
				t.Errorf("queues at %#x, in what was kept at %#x", want, got)
			}
			pages := map[uint64]bool{}
			for _, obj := range all {
				pages[obj/pageSize] = true
			}
			if len(noted.pages) > len(pages)/2 {
				t.Errorf("%d pages are kept whole, of %d with objects", len(noted.pages), len(pages))
			}
			x := r.Inspect(kept)
			defer x.Release()
			classes := 0
			for _, obj := range all {
				if class := x.Type(obj); class != "" && class != "type" && !noted.pages[obj/pageSize] && !noted.word(obj+uint64(r.l.object.typ)) {
					t.Errorf("%#x reads as of class %s", obj, class)
				} else if class == "" {
					classes++
				}
			}
			if classes == 0 {
				t.Error("all objects were kept")
			}
			if d := cmp.Diff(names(noted), names(kept)); d != "" {
				t.Errorf("threads (-all memory +what was kept):\n%s", d)
			}
		})
	}
}

// TestShellsAreNotEmpty: of a container that was too deep to be shown its class is kept; where
// it is asked for itself, it is not said to be empty.
func TestShellsAreNotEmpty(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "deeppoints.py")
			var deep, inner uint64
			if _, err := fmt.Sscan(p.line(t), &deep, &inner); err != nil {
				t.Fatal(err)
			}
			p.awaitRead(t)
			r := openLive(t, in, p.m.PID)
			print := func(m mem.Reader, note func(uint64, int), addr uint64) string {
				v := newView(m)
				defer v.release()
				v.note = note
				return r.value(v, addr)
			}
			noted := &notedMem{p.m, map[uint64]bool{}, map[uint64]*[pageSize / 8]bool{}}
			raw, note := noted.Noted()
			first := print(raw, note, deep)
			if !strings.Contains(first, "…") || strings.Contains(first, "unreadable") {
				t.Fatalf("it reads %s", first)
			}
			if again := print(keptMem{noted}, nil, deep); again != first {
				t.Errorf("it reads %s, of what was kept %s", first, again)
			}
			if got := print(keptMem{noted}, nil, inner); got != "<unreadable: "+errShell.Error()+">" {
				t.Errorf("what was too deep reads %s", got)
			}
		})
	}
}

// TestNeedsCountOnce: what many objects need, such as the name of their file, is kept once, and
// counts once against what may be kept: the lines of later code are kept as well.
func TestNeedsCountOnce(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			r, live := standing(t, in)
			noted := &notedMem{live, map[uint64]bool{}, map[uint64]*[pageSize / 8]bool{}}
			kept := 0
			needs := r.NewNeeds(live, func(addr uint64, n int) (more int) {
				for at := addr / 8; at*8 < addr+uint64(n); at++ {
					if !noted.word(at * 8) {
						more += 8
					}
				}
				_, note := noted.Noted()
				note(addr, n)
				kept += more
				return more
			})
			codes := codesOf(r, live)
			if len(codes) == 0 {
				t.Skip("it has no lists of what the garbage collector tracks")
			}
			head := make([]byte, r.l.object.typ+8)
			for range 1 + 2*maxNeeded/1000/len(codes) { // of each at least a hundred bytes
				for _, code := range codes {
					if err := live.ReadAt(head, code); err != nil {
						t.Fatal(err)
					}
					needs.Part(code, head)
				}
			}
			if needs.left != maxNeeded-kept {
				t.Errorf("%d bytes may still be kept, of %d, where %d are", needs.left, maxNeeded, kept)
			}
		})
	}
}

// standing is a program that waits for input, and its memory.
func standing(t *testing.T, in interpreter) (*Runtime, mem.Reader) {
	p := startPython(t, in, "inspectpoints.py")
	p.line(t)
	p.awaitRead(t)
	return openLive(t, in, p.m.PID), p.m
}

// codesOf finds the code of functions.
func codesOf(r *Runtime, m mem.Reader) (codes []uint64) {
	x := r.Inspect(m)
	defer x.Release()
	x.EachTracked(func(obj uint64, class string) bool {
		for at := obj + 16; class == "function" && at < obj+112; at += 8 {
			var b [8]byte
			if m.ReadAt(b[:], at) == nil {
				if w := binary.LittleEndian.Uint64(b[:]); w&7 == 0 && w > pageSize && x.Type(w) == "code" {
					codes = append(codes, w)
				}
			}
		}
		return true
	})
	return codes
}
