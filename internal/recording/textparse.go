package recording

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/linux"
)

// maxTextLine is the limit of a line of the text form that ParseText takes.
const maxTextLine = 256 << 20

// ParseText reads the text form: one event a line, numbered one after the
// other. Empty lines and lines that begin with # are left out.
func ParseText(r io.Reader) ([]Event, error) {
	var events []Event
	var next uint64
	in := bufio.NewScanner(r)
	in.Buffer(nil, maxTextLine)
	line := 0
	for in.Scan() {
		line++
		s := in.Text()
		if s == "" || s[0] == '#' {
			continue
		}
		n, ev, err := parseEvent(s)
		if err == nil && len(events) > 0 && n != next {
			err = fmt.Errorf("event %d where event %d has to be", n, next)
		}
		if err == nil {
			_, err = checkEvent(&ev, ev.fields())
		}
		if err != nil {
			return events, fmt.Errorf("line %d: %w", line, err)
		}
		next = n + 1
		events = append(events, ev)
	}
	if err := in.Err(); err != nil {
		return events, fmt.Errorf("line %d: %w", line+1, err)
	}
	return events, nil
}

// parseEvent reads a line of the text form.
func parseEvent(s string) (n uint64, ev Event, err error) {
	number, s, _ := strings.Cut(s, " ")
	if n, err = parseNumber(number, 64); err != nil {
		return n, ev, err
	}
	name, s, _ := strings.Cut(s, " ")
	kind, ok := KindByName(name)
	if !ok {
		return n, ev, fmt.Errorf("unknown kind of event %.40q", name)
	}
	ev.Kind = kind
	var seen fieldSet
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		f := textKeys[key]
		if !ok || f == nil {
			return n, ev, fmt.Errorf("unknown field %.40q", key)
		}
		size := valueLen(rest)
		if size < 0 {
			return n, ev, fmt.Errorf("%s: string without its end", key)
		}
		if f.bit&(fMaps|fMem|fOpen) == 0 {
			if seen&f.bit != 0 {
				return n, ev, fmt.Errorf("%s: it is there twice", key)
			}
			seen |= f.bit
		}
		if err := f.parse(rest[:size], &ev); err != nil {
			return n, ev, fmt.Errorf("%s: %w", key, err)
		}
		if s = rest[size:]; s != "" {
			s = s[1:] // the space
		}
	}
	return n, ev, nil
}

// valueLen returns how long the value at the beginning of s is: to the first
// space outside a string. It is -1 where a string does not end.
func valueLen(s string) int {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case !quoted && c == ' ':
			return i
		}
	}
	if quoted {
		return -1
	}
	return len(s)
}

// parseNumber reads a decimal or, with 0x, hexadecimal number.
func parseNumber(s string, bits int) (uint64, error) {
	base, digits := 10, s
	if h, ok := strings.CutPrefix(s, "0x"); ok {
		base, digits = 16, h
	}
	v, err := strconv.ParseUint(digits, base, bits)
	if err != nil {
		return 0, fmt.Errorf("bad number %.40q", s)
	}
	return v, nil
}

// parseData reads what appendData writes.
func parseData(s string) ([]byte, error) {
	if h, ok := strings.CutPrefix(s, `x"`); ok && strings.HasSuffix(h, `"`) {
		b, err := hex.DecodeString(h[:len(h)-1])
		if err != nil {
			return nil, fmt.Errorf("bad hexadecimal string: %w", err)
		}
		return b, nil
	}
	if !strings.HasPrefix(s, `"`) {
		return nil, fmt.Errorf("no string: %.40q", s)
	}
	v, err := strconv.Unquote(s)
	if err != nil {
		return nil, fmt.Errorf("bad string %.40q", s)
	}
	return []byte(v), nil
}

func parseUint(set func(*Event, uint64), bits int) func(string, *Event) error {
	return func(s string, ev *Event) error {
		v, err := parseNumber(s, bits)
		if err == nil {
			set(ev, v)
		}
		return err
	}
}

func parseInt(set func(*Event, int64), bits int) func(string, *Event) error {
	return func(s string, ev *Event) error {
		v, err := strconv.ParseInt(s, 10, bits)
		if err != nil {
			return fmt.Errorf("bad number %.40q", s)
		}
		set(ev, v)
		return nil
	}
}

func parseBytes(set func(*Event, []byte)) func(string, *Event) error {
	return func(s string, ev *Event) error {
		v, err := parseData(s)
		if err == nil {
			set(ev, v)
		}
		return err
	}
}

func writeInstr(b []byte, ev *Event, key string) []byte {
	return strconv.AppendUint(appendKey(b, key), ev.Instr, 10)
}

func writePauses(b []byte, ev *Event, key string) []byte {
	return strconv.AppendUint(appendKey(b, key), ev.Pauses, 10)
}

func writeStop(b []byte, ev *Event, key string) []byte {
	return append(appendKey(b, key), ev.Stop.String()...)
}

func parseStop(s string, ev *Event) error {
	i := slices.Index(stopNames[:], s)
	if i < 0 {
		return fmt.Errorf("unknown stop %.40q", s)
	}
	ev.Stop = Stop(i)
	return nil
}

func parseArgs(s string, ev *Event) error {
	args := strings.Split(s, ",")
	if len(args) != len(ev.Args) {
		return fmt.Errorf("%d arguments", len(args))
	}
	for i, a := range args {
		var err error
		if ev.Args[i], err = parseNumber(a, 64); err != nil {
			return err
		}
	}
	return nil
}

func parseRegs(s string, ev *Event) error {
	var a regArray
	for s != "" {
		var item string
		item, s, _ = strings.Cut(s, ",")
		name, v, _ := strings.Cut(item, ":")
		i := slices.Index(regNames[:], name)
		if i < 0 {
			return fmt.Errorf("unknown register %.40q", name)
		}
		var err error
		if a[i], err = parseNumber(v, 64); err != nil {
			return err
		}
	}
	ev.Regs = linux.RegsOf((*[linux.NumRegs]uint64)(&a))
	return nil
}

func parseProcID(s string, ev *Event) error {
	id, err := parseNumber(s, 31)
	ev.Proc = &Process{ID: int(id)}
	return err
}

func parseOpen(s string, ev *Event) error {
	part := strings.SplitN(s, ",", 3)
	if len(part) != 3 {
		return errors.New("a descriptor is NUMBER,FLAGS,name")
	}
	fd, err := strconv.ParseInt(part[0], 10, 32)
	if err != nil {
		return fmt.Errorf("bad number of a descriptor: %.20q", part[0])
	}
	flags, err := parseNumber(part[1], 32)
	if err != nil {
		return err
	}
	name, err := parseData(part[2])
	ev.Open = append(ev.Open, OpenFD{int32(fd), uint32(flags), string(name)})
	return err
}

func parseMap(s string, ev *Event) error {
	part := strings.SplitN(s, ",", 6)
	if len(part) != 6 {
		return errors.New("a mapping is START-END,prot,p or s,FILE,OFFSET,name")
	}
	start, end, _ := strings.Cut(part[0], "-")
	var m Mapping
	var err error
	number := func(s string, bits int) uint64 {
		v, nerr := parseNumber(s, bits)
		if err == nil {
			err = nerr
		}
		return v
	}
	m.Start, m.End = number(start, 64), number(end, 64)
	m.Prot = uint32(number(part[1], 32))
	m.Shared = part[2] == "s"
	if !m.Shared && part[2] != "p" {
		return fmt.Errorf("bad mapping: %.40q is neither p nor s", part[2])
	}
	m.File, m.Offset = FileID(number(part[3], 32)), number(part[4], 64)
	if err != nil {
		return err
	}
	name, err := parseData(part[5])
	m.Name = string(name)
	ev.Maps = append(ev.Maps, m)
	return err
}

func parseMem(s string, ev *Event) error {
	addr, data, _ := strings.Cut(s, ":")
	a, err := parseNumber(addr, 64)
	if err != nil {
		return err
	}
	b, err := parseData(data)
	ev.Mem = append(ev.Mem, Write{Addr: a, Data: b})
	return err
}
