package pystate

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
)

// maxFollowed bounds the words that are followed back from where an exception was
// raised, maxAttrs the attributes that are added to the variables.
const (
	maxFollowed = 16
	maxAttrs    = 6
)

// Followed is a value whose last change is looked for.
type Followed struct {
	// Frame and Var are its place in the exception: Frames[Frame].Vars[Var].
	Frame, Var int
	// Size says that it is the number of items that a container has.
	Size bool
	// Slot is where the word lies that changes with it, Word what that is.
	At, Word uint64

	// Last is the last change so far that gave it this value, nil for none.
	Last *hang.Change

	path  cpython.Path
	frame cpython.Frame
	owner *cpython.Found // of an attribute
	addr  uint64         // of the value

	before, now, put uint64
	aside            *hang.Change
}

// AtRaise reads, of a thread that is about to raise an exception, the variables that the
// program's own frames have just then: what the traceback shows later may be what a
// finally clause left. It returns what is to be followed back.
func AtRaise(rt *cpython.Runtime, m mem.Reader, t cpython.Thread, next uint64, r *hang.Raised) []Followed {
	frames, _ := rt.Frames(m, t, cpython.Options{NextInstr: next})
	i := rt.Inspect(m)
	defer i.Release()
	var out []Followed
	own := 0
	for k := range r.Frames {
		rf := &r.Frames[k]
		if k >= len(frames) || frames[k].Func != rf.Func || frames[k].File != rf.File {
			break
		}
		if hang.Library(rf.File) {
			continue
		}
		rf.Vars = variables(rt, m, &frames[k])
		if own++; own == 1 {
			rf.Vars = append(rf.Vars, attributes(i, rt, m, &frames[k])...)
		}
		for n := range rf.Vars {
			out = append(out, follow(i, rt, m, Followed{Frame: k, Var: n, frame: frames[k]}, rf.Vars[n].Name)...)
		}
	}
	return out[:min(len(out), maxFollowed)]
}

// follow finds the words that change with a variable: the one that refers to its value,
// and of a container that with the number of its items.
func follow(i *cpython.Inspector, rt *cpython.Runtime, m mem.Reader, f Followed, name string) []Followed {
	var err error
	if f.path, err = cpython.ParsePath(name); err != nil {
		return nil
	}
	o, err := rt.Resolve(m, f.frame, f.path)
	if err != nil || o.At == 0 || o.At%8 != 0 {
		return nil
	}
	if owner, ok, err := rt.Owner(m, f.frame, f.path); err == nil && ok {
		f.owner = &owner
	}
	f.At, f.addr = o.At, o.Addr
	var out []Followed
	if word, ok := wordAt(m, f.At); ok {
		f.Word = word
		out = append(out, f)
	}
	if at := i.SizeWord(o.Addr); at != 0 && at%8 == 0 {
		if word, ok := wordAt(m, at); ok {
			f.Size, f.At, f.Word = true, at, word
			out = append(out, f)
		}
	}
	return out
}

// attributes are those that the code of a frame names, of its variables, with plain
// values.
func attributes(i *cpython.Inspector, rt *cpython.Runtime, m mem.Reader, f *cpython.Frame) []hang.Var {
	v := Values{Of: map[string]string{}}
	names := i.CodeNames(f)
	vars := i.Vars(f)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		v.add(i, name, vars[name], names, 1)
	}
	var out []hang.Var
	for name, value := range v.Of {
		if strings.Contains(name, ".") && !strings.Contains(name, "(") && !strings.HasPrefix(name, "@") {
			out = append(out, hang.Var{Name: name, Value: value})
		}
	}
	slices.SortFunc(out, func(a, b hang.Var) int { return strings.Compare(a.Name, b.Name) })
	return out[:min(len(out), maxAttrs)]
}

func wordAt(m mem.Reader, addr uint64) (uint64, bool) {
	var b [8]byte
	err := m.ReadAt(b[:], addr)
	return binary.LittleEndian.Uint64(b[:]), err == nil
}

// Begin reads the word where the watch begins.
func (f *Followed) Begin(m mem.Reader) {
	f.now, _ = wordAt(m, f.At)
	f.Last, f.aside, f.put = nil, nil, 0
}

// Touched says whether the word has another value than when it was asked last.
func (f *Followed) Touched(m mem.Reader) bool {
	word, ok := wordAt(m, f.At)
	if !ok || word == f.now {
		return false
	}
	f.before, f.now = f.now, word
	return true
}

// Changed notes where the word got the value that it has since Touched, called says that
// the function of the frame was called by then. A comprehension of 3.12 puts a variable
// of the name that it uses aside, and back: that changes nothing.
func (f *Followed) Changed(c *hang.Change, called bool) {
	switch {
	case !f.Local():
		f.Last = c
	case f.now == 0 && called:
		f.put, f.aside, f.Last = f.before, f.Last, nil
	case called && f.put != 0 && f.now == f.put:
		f.Last, f.aside, f.put = f.aside, nil, 0
	case c != nil:
		to := *c
		to.Passed = c.Passed || !called
		f.Last = &to
	default:
		f.Last = nil
	}
	if f.now != f.Word {
		f.Last = nil
	}
}

// Same says whether an attribute had the same value where a session stands, if
// elsewhere.
func (f *Followed) Same(rt *cpython.Runtime, m mem.Reader) bool {
	var o cpython.Found
	var err error
	if f.owner != nil {
		o, err = rt.Again(m, *f.owner, f.path)
	} else {
		o, err = rt.Resolve(m, f.frame, f.path)
	}
	return err == nil && o.Addr == f.addr
}

// In says whether the frame is among those of a thread: whether its function was called.
func (f *Followed) In(frames []cpython.Frame) bool {
	return slices.ContainsFunc(frames, func(o cpython.Frame) bool { return o.Addr == f.frame.Addr && o.Code == f.frame.Code })
}

// Local says whether it is a variable of a function, which stays where it is: not one of
// a module, an attribute or a size.
func (f *Followed) Local() bool { return !f.Size && f.owner == nil && f.frame.Func != "<module>" }
