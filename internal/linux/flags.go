package linux

import (
	"strconv"
	"strings"
)

// FlagSet names the values of an argument. Mask marks bits that hold one of the
// Modes; all other bits stand for themselves in Bits. An enumeration has a full
// Mask and no Bits.
type FlagSet struct {
	Mask  uint64
	Modes []Flag
	Bits  []Flag
	None  string // what no bits are called, default 0
}

// Flag is a named value.
type Flag struct {
	Name  string
	Value uint64
}

// all is the Mask of an enumeration: arguments that are ints.
const all = 0xffffffff

// name returns the name of the mode in v.
func (s *FlagSet) name(v uint64) (string, bool) {
	for _, f := range s.Modes {
		if f.Value == v&s.Mask {
			return f.Name, true
		}
	}
	return "", false
}

// Text shows v as names joined by |, with what has no name in hexadecimal.
func (s *FlagSet) Text(v uint64) string {
	v = uint64(uint32(v))
	var parts []string
	if s.Mask != 0 {
		if n, ok := s.name(v); ok {
			parts = append(parts, n)
		} else if s.Mask == all {
			return strconv.FormatInt(int64(int32(v)), 10)
		} else if v&s.Mask != 0 {
			parts = append(parts, "0x"+strconv.FormatUint(v&s.Mask, 16))
		}
	}
	rest := v &^ s.Mask
	for _, f := range s.Bits {
		if f.Value != 0 && rest&f.Value == f.Value {
			parts = append(parts, f.Name)
			rest &^= f.Value
		}
	}
	if rest != 0 {
		parts = append(parts, "0x"+strconv.FormatUint(rest, 16))
	}
	if len(parts) == 0 {
		if s.None != "" {
			return s.None
		}
		return "0"
	}
	return strings.Join(parts, "|")
}
