package pystate

import (
	"maps"
	"slices"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/mem"
)

// Values are what the names of a frame of the program's own code stand for.
type Values struct {
	hang.Frame
	Addr uint64 // of the frame
	// Of are plain values by expression: a variable, an attribute of one. Where
	// something can change unseen, it is left out.
	Of map[string]string
}

// Bounds of ReadValues.
const (
	maxValueFrames = 6
	maxValues      = 60
)

// ReadValues reads the values at hand in the innermost frames of a thread that are
// of the program's own code, innermost first.
func ReadValues(rt *cpython.Runtime, m mem.Reader, t cpython.Thread, next uint64) []Values {
	frames, _ := rt.Frames(m, t, cpython.Options{NextInstr: next})
	i := rt.Inspect(m)
	defer i.Release()
	var out []Values
	for k := range frames {
		f := &frames[k]
		if hang.Library(f.File) {
			continue
		}
		if len(out) == maxValueFrames {
			break
		}
		v := Values{Frame: hang.Frame{Func: f.Func, File: f.File, Line: f.Line}, Addr: f.Addr, Of: map[string]string{}}
		names := i.CodeNames(f)
		vars := i.Vars(f)
		for _, name := range names {
			if _, ok := vars[name]; !ok {
				if obj := i.FrameGlobal(f, name); obj != 0 {
					v.add(i, name, obj, names, 2)
				}
			}
		}
		for _, name := range slices.Sorted(maps.Keys(vars)) {
			v.add(i, name, vars[name], names, 2)
		}
		out = append(out, v)
	}
	return out
}

// add takes the value of an expression, and of the attributes that the code names.
func (v *Values) add(i *cpython.Inspector, name string, obj uint64, names []string, depth int) {
	if len(v.Of) >= maxValues {
		return
	}
	switch i.Type(obj) {
	case "", "module", "function", "builtin_function_or_method", "method":
		return
	case "bool", "int", "float", "str", "bytes", "NoneType", "list", "dict", "tuple", "set", "frozenset":
		if text := i.Text(obj, maxValue); !strings.ContainsAny(text, "<…") && !strings.Contains(text, "...") {
			v.Of[name] = text
		}
		return
	}
	if i.IsA(obj, "Event") {
		if flag := i.Attr(obj, "_flag"); flag != 0 {
			v.Of[name+".is_set()"] = i.Text(flag, maxValue)
		}
	}
	if depth == 0 {
		return
	}
	for _, attr := range names {
		if value := i.Found(obj, attr); value != 0 {
			v.add(i, name+"."+attr, value, names, depth-1)
		}
	}
}

// Compare returns the values of a frame that are as they were, and the names of those
// that are not.
func Compare(was, is Values) (same []hang.Var, changed []string) {
	for name, value := range is.Of {
		if before, ok := was.Of[name]; ok && before == value {
			same = append(same, hang.Var{Name: name, Value: value})
		} else {
			changed = append(changed, name)
		}
	}
	slices.SortFunc(same, func(a, b hang.Var) int { return strings.Compare(a.Name, b.Name) })
	slices.Sort(changed)
	return same, changed
}
