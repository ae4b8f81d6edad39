package gdbtest

import (
	"regexp"
	"slices"
	"strings"
)

// comparable leaves out of a frame's arguments what gdb is known to get wrong:
//
//   - Of an argument with the name of a variable in an inner block without
//     addresses (Frame.MixedUp) it shows that variable.
//   - What an argument of an inlined function was at the call it computes with
//     the registers of the function that the other is inlined into, where those
//     of that function's caller are meant (value_of_dwarf_reg_entry takes the
//     frame before, which for an inlined function is not the caller).
//
// Static symbols may have suffixes of link-time optimization; several may stand
// for one address, and gdb takes any.
func comparable(f *Frame, text string) string {
	args := splitArgs(ltoSuffix.ReplaceAllString(text, ""))
	var out []string
	for _, a := range args {
		name, value, _ := strings.Cut(a, "=")
		name, atEntry := strings.CutSuffix(name, "@entry")
		switch {
		case slices.Contains(f.MixedUp, name):
			if !atEntry {
				out = append(out, name+"=?")
			}
		case f.Kind == "inline" && atEntry:
		case f.Kind == "inline":
			out = append(out, name+"="+strings.TrimPrefix(value, name+"@entry="))
		default:
			out = append(out, a)
		}
	}
	return strings.Join(out, ", ")
}

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
