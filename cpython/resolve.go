package cpython

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"pyrr/internal/lazyregexp"
	"pyrr/internal/mem"
)

// Found is a Python object that an expression leads to.
type Found struct {
	// Addr is the object, Slot where the pointer to it lies: the word that
	// changes when the variable, attribute or item gets another value.
	Addr, At uint64
	// Text is its value as repr would show it, as far as memory tells.
	Text string
}

// Path is an expression that only reads: a name, then attributes and items,
// as in self.jobs[0].name or config["host"].
type Path struct {
	Name  string
	steps []pathStep
	text  string
}

type pathStep struct {
	attr  string // or an item
	key   string
	index int
	isKey bool
}

// String returns the expression.
func (p Path) String() string { return p.text }

// maxPath bounds the steps of an expression.
const maxPath = 64

var (
	pathName  = lazyregexp.New(`^[\pL_][\pL\pN_]*`)
	pathAttr  = lazyregexp.New(`^\s*\.\s*([\pL_][\pL\pN_]*)`)
	pathIndex = lazyregexp.New(`^\s*\[\s*(-?\d+)\s*\]`)
	pathKey   = lazyregexp.New(`^\s*\[\s*(?:'([^'\\]*)'|"([^"\\]*)")\s*\]`)
)

// ParsePath reads an expression.
func ParsePath(s string) (Path, error) {
	rest := strings.TrimSpace(s)
	p := Path{Name: pathName().FindString(rest), text: rest}
	if p.Name == "" {
		return p, fmt.Errorf("%q is not an expression that can be read from memory: a name, then .attributes, [numbers] and ['keys'], as in self.jobs[0].name", s)
	}
	for rest = rest[len(p.Name):]; strings.TrimSpace(rest) != ""; {
		var st pathStep
		m := pathAttr().FindStringSubmatch(rest)
		switch {
		case m != nil:
			st.attr = m[1]
		case pathIndex().MatchString(rest):
			m = pathIndex().FindStringSubmatch(rest)
			n, err := strconv.Atoi(m[1])
			if err != nil {
				return p, fmt.Errorf("index %s: %w", m[1], err)
			}
			st.index = n
		case pathKey().MatchString(rest):
			m = pathKey().FindStringSubmatch(rest)
			st.key, st.isKey = m[1]+m[2], true
		default:
			return p, fmt.Errorf("%q can't be read from memory: only .attributes, [numbers] and ['keys'] may follow %s; calls and operators would have to run code",
				strings.TrimSpace(rest), p.Name)
		}
		p.steps = append(p.steps, st)
		if len(p.steps) > maxPath {
			return p, fmt.Errorf("an expression of more than %d steps", maxPath)
		}
		rest = rest[len(m[0]):]
	}
	return p, nil
}

// Resolve follows an expression from a frame that Frames returned: its
// variables, then its globals and builtins.
func (r *Runtime) Resolve(m mem.Reader, f Frame, p Path) (Found, error) {
	v := newView(m)
	defer v.release()
	o, err := r.variable(v, f, p.Name)
	if err != nil {
		return o, err
	}
	return r.follow(v, o, p.Name, p.steps)
}

// Owner follows an expression except for its last step; ok is false where there
// is none but the name. Again then follows that step from the object.
func (r *Runtime) Owner(m mem.Reader, f Frame, p Path) (owner Found, ok bool, err error) {
	if len(p.steps) == 0 {
		return Found{}, false, nil
	}
	p.steps = p.steps[:len(p.steps)-1]
	owner, err = r.Resolve(m, f, p)
	return owner, err == nil, err
}

// Again follows the last step of an expression from the object that Owner
// returned.
func (r *Runtime) Again(m mem.Reader, owner Found, p Path) (Found, error) {
	v := newView(m)
	defer v.release()
	return r.follow(v, owner, p.text, p.steps[len(p.steps)-1:])
}

func (r *Runtime) follow(v *view, o Found, text string, steps []pathStep) (Found, error) {
	for _, st := range steps {
		var err error
		if st.attr != "" {
			o, err = r.attribute(v, o.Addr, st.attr)
		} else {
			o, err = r.item(v, o.Addr, st)
		}
		if err != nil {
			return o, fmt.Errorf("%s: %w", text, err)
		}
	}
	o.Text = r.value(v, o.Addr)
	return o, nil
}

// variable finds a local variable, a global or a builtin.
func (r *Runtime) variable(v *view, f Frame, name string) (Found, error) {
	code, _, err := r.codeRecord(v, f.Code)
	if err != nil {
		return Found{}, err
	}
	frame, err := v.record("frame", f.Addr, r.frameSize)
	if err != nil {
		return Found{}, err
	}
	l := locals{r: r, v: v, names: map[string]bool{}, cells: map[string]bool{}, want: name}
	if err := l.variables(&f, code, frame); err != nil {
		return Found{}, err
	}
	if l.found.Addr != 0 {
		return l.found, nil
	}
	// f_builtins lies behind f_globals, up to 3.10 before it.
	globals, builtins := r.l.frame.globals, r.l.frame.globals+8
	if !r.l.rules.interpreterFrames {
		builtins = globals - 8
	}
	for _, off := range []int{globals, builtins} {
		dict, err := v.u64(f.Addr + uint64(off))
		if err != nil || dict == 0 {
			continue
		}
		if o, ok := r.entryOf(v, dict, name); ok {
			return o, nil
		}
	}
	return Found{}, fmt.Errorf("no symbol %q in the current context", name)
}

// entryOf finds the value of a str key of a dict.
func (r *Runtime) entryOf(v *view, dict uint64, name string) (Found, bool) {
	var o Found
	err := r.dictItems(v, dict, func(key, value uint64) bool {
		if s, err := r.rawString(v, key, maxString); err == nil && s.text() == name {
			o = Found{Addr: value, At: v.at}
		}
		return o.Addr == 0
	})
	return o, err == nil && o.Addr != 0
}

// tpDict is the distance from tp_base to tp_dict (cpython/object.h).
const tpDict = 8

// attribute finds an attribute of an object in its dict or slots, else in its
// class or the first bases of that.
func (r *Runtime) attribute(v *view, obj uint64, name string) (Found, error) {
	t, err := r.typeOfObject(v, obj)
	if err != nil {
		return Found{}, err
	}
	var o Found
	if err := r.attributes(v, obj, t, func(n string, value uint64) bool {
		if n == name {
			o = Found{Addr: value, At: v.at}
		}
		return o.Addr == 0
	}); err != nil {
		return o, err
	}
	class := t.addr
	if t.flags&flagType != 0 {
		class = obj // the attribute of a class
	}
	for range maxBases {
		if o.Addr != 0 || class == 0 {
			break
		}
		dict, err := v.u64(class + uint64(r.l.typ.base+tpDict))
		if err != nil {
			break
		}
		if dict != 0 {
			o, _ = r.entryOf(v, dict, name)
		}
		if class, err = v.u64(class + uint64(r.l.typ.base)); err != nil {
			break
		}
	}
	if o.Addr == 0 {
		return o, fmt.Errorf("%s has no attribute %q in memory", t.name, name)
	}
	if got, err := r.typeOfObject(v, o.Addr); err == nil && (got.name == "property" || got.name == "cached_property" || got.name == "member_descriptor") {
		return o, fmt.Errorf("%s of %s is computed by code (a %s)", name, t.name, got.name)
	}
	return o, nil
}

func (r *Runtime) typeOfObject(v *view, obj uint64) (typeInfo, error) {
	typ, err := v.u64(obj + uint64(r.l.object.typ))
	if err != nil {
		return typeInfo{}, err
	}
	return r.typeInfo(v, typ)
}

// item finds an item of a list, a tuple or a dict.
func (r *Runtime) item(v *view, obj uint64, st pathStep) (Found, error) {
	t, err := r.typeOfObject(v, obj)
	if err != nil {
		return Found{}, err
	}
	switch {
	case t.flags&flagDict != 0:
		return r.dictItem(v, obj, st)
	case t.flags&(flagList|flagTuple) == 0 || st.isKey:
		return Found{}, fmt.Errorf("%s has no items that can be read from memory by such a key", t.name)
	}
	n, err := v.u64(obj + uint64(r.l.object.size))
	if err != nil {
		return Found{}, err
	}
	i := st.index
	if i < 0 {
		i += int(n)
	}
	if i < 0 || i >= int(n) {
		return Found{}, fmt.Errorf("index %d of a %s of %d items", st.index, t.name, n)
	}
	items := obj + uint64(r.l.tuple.items)
	if t.flags&flagList != 0 {
		if items, err = v.u64(obj + uint64(r.l.list.items)); err != nil {
			return Found{}, err
		}
	}
	o := Found{At: items + 8*uint64(i)}
	o.Addr, err = v.u64(o.At)
	return o, err
}

func (r *Runtime) dictItem(v *view, dict uint64, st pathStep) (Found, error) {
	if st.isKey {
		if o, ok := r.entryOf(v, dict, st.key); ok {
			return o, nil
		}
		return Found{}, fmt.Errorf("the dict has no key %q", st.key)
	}
	var o Found
	want := big.NewInt(int64(st.index))
	err := r.dictItems(v, dict, func(key, value uint64) bool {
		t, err := r.typeOfObject(v, key)
		if err != nil || t.flags&flagLong == 0 {
			return true
		}
		if n, err := r.integer(v, key); err == nil && n.Cmp(want) == 0 {
			o = Found{Addr: value, At: v.at}
		}
		return o.Addr == 0
	})
	if err == nil && o.Addr == 0 {
		err = fmt.Errorf("the dict has no key %d", st.index)
	}
	return o, err
}
