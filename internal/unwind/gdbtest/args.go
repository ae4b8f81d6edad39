package gdbtest

import (
	"debug/elf"
	"regexp"
	"slices"
	"strings"

	"pyrr/internal/unwind"
)

// comparable brings a frame's arguments into a form in which gdb's and others
// can be compared, without what gdb is known to get wrong:
//
//   - Of an argument with the name of a variable in an inner block without
//     addresses (Frame.MixedUp) it shows that variable.
//   - What was passed for an argument of an inlined function (its value at the
//     call, or now, where only the caller still has it) it computes with the
//     registers of the function that the other is inlined into, where those of
//     that function's caller are meant: value_of_dwarf_reg_entry takes the frame
//     before, which for an inlined function is not the caller's.
//   - A function that is called by its name it looks up in the order in which
//     it has read the files. The dynamic linker and the C library both have a
//     _dl_catch_exception; of a call that seems to lead to the other one it
//     says that its arguments were optimized out.
//   - It takes names of variables without capitals for Ada's, and prints a__b as
//     a.b and a.1 as a.
//
// Static symbols may have suffixes of link-time optimization; several may stand
// for one address, and gdb takes any. unsure are the arguments that the first
// three may concern.
func comparable(f *Frame, unsure []string, text string) string {
	text = adaName.ReplaceAllStringFunc(ltoSuffix.ReplaceAllString(text, ""), asAda)
	var out []string
	for _, a := range splitArgs(text) {
		name, value, _ := strings.Cut(a, "=")
		name, atEntry := strings.CutSuffix(name, "@entry")
		switch {
		case atEntry && (f.Kind == "inline" || slices.Contains(unsure, name)):
		case slices.Contains(unsure, name):
			out = append(out, name+"=?")
		case f.Kind == "inline":
			out = append(out, name+"="+strings.TrimPrefix(value, name+"@entry="))
		default:
			out = append(out, a)
		}
	}
	return strings.Join(out, ", ")
}

// passed are the arguments of an inlined function that have the value that was
// passed.
func passed(f *Frame, args []unwind.Arg) []string {
	var out []string
	for _, a := range args {
		if f.Kind == "inline" && a.Passed {
			name, _, _ := strings.Cut(a.Name, "=")
			out = append(out, strings.TrimSuffix(name, "@entry"))
		}
	}
	return out
}

// optimizedOut are the arguments that gdb says so of.
func optimizedOut(text string) []string {
	var out []string
	for _, a := range splitArgs(text) {
		if name, value, _ := strings.Cut(a, "="); value == "<optimized out>" {
			out = append(out, name)
		}
	}
	return out
}

// ambiguous says whether several modules export a function of a name.
func (c *Comparison) ambiguous(s *unwind.Modules, name string) bool {
	name = strings.TrimPrefix(name, "__GI_")
	n := 0
	for _, m := range s.List() {
		if slices.Contains(c.exported(m.File.Name), name) {
			n++
		}
	}
	return n > 1
}

// exported lists the functions that a file exports.
func (c *Comparison) exported(file string) []string {
	if names, ok := c.exports[file]; ok {
		return names
	}
	var names []string
	if f, err := elf.Open(file); err == nil {
		syms, _ := f.DynamicSymbols()
		f.Close()
		for _, s := range syms {
			if s.Section != elf.SHN_UNDEF && elf.ST_TYPE(s.Info) == elf.STT_FUNC {
				names = append(names, s.Name)
			}
		}
	}
	if c.exports == nil {
		c.exports = map[string][]string{}
	}
	c.exports[file] = names
	return names
}

// adaName is the name of a symbol that a pointer points to.
var adaName = regexp.MustCompile(`<[a-z][a-z0-9_.]*(\+\d+)?>`)

func asAda(symbol string) string {
	if strings.Contains(symbol, "___") {
		return symbol
	}
	return number.ReplaceAllString(strings.ReplaceAll(symbol, "__", "."), "$1")
}

var number = regexp.MustCompile(`\.\d+([+>])`)

// ltoSuffix is what link-time optimization adds to the names of static symbols.
var ltoSuffix = regexp.MustCompile(`\.lto_priv(\.\d+)?`)

// argBegin is how each argument begins.
var argBegin = regexp.MustCompile(`^\w+(@entry)?=`)

// splitArgs splits a list of arguments as gdb prints it. There are commas in
// strings, and between the parts of one.
func splitArgs(text string) []string {
	var out []string
	begin, quote := 0, byte(0)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quote != 0 && c == '\\':
			i++
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
		case c == '"' || c == '\'':
			quote = c
		case c == ',' && strings.HasPrefix(text[i:], ", ") && argBegin.MatchString(text[i+2:]):
			out = append(out, text[begin:i])
			begin = i + 2
		}
	}
	if begin < len(text) {
		out = append(out, text[begin:])
	}
	return out
}
