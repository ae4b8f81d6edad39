package recording

import (
	"bufio"
	"encoding/hex"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"pyrr/internal/linux"
)

// textField is how the text form writes and reads one field of an event. A
// field that has several values appears several times.
type textField struct {
	key   string
	bit   fieldSet
	write func(b []byte, ev *Event, key string) []byte
	parse func(v string, ev *Event) error
}

// regNames are the keys of the registers, in the order in which recordings hold them.
var regNames = [linux.NumRegs]string{"r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8",
	"rax", "rcx", "rdx", "rsi", "rdi", "orig_rax", "rip",
	"cs", "eflags", "rsp", "ss", "fs_base", "gs_base",
	"ds", "es", "fs", "gs"}

// FormatEvent appends the text form of ev, the event number n of its
// process: one line, with a newline.
func FormatEvent(b []byte, n uint64, ev *Event) []byte {
	b = strconv.AppendUint(b, n, 10)
	b = append(b, ' ')
	b = append(b, ev.Kind.String()...)
	have := ev.fields()
	if row := ev.Kind.row(); row != nil {
		have |= row.show
	}
	for i := range textFields {
		f := &textFields[i]
		if have&f.bit != 0 {
			b = f.write(b, ev, f.key)
		}
	}
	return append(b, '\n')
}

// WriteText writes the text form of all events that it has left.
func WriteText(w io.Writer, it *Iter) error {
	out := bufio.NewWriter(w)
	var ev Event
	var line []byte
	for {
		n := it.Number()
		err := it.Next(&ev)
		if err == io.EOF {
			return out.Flush()
		}
		if err != nil {
			out.Flush() // the damage is the error to report
			return err
		}
		line = FormatEvent(line[:0], n, &ev)
		if _, err := out.Write(line); err != nil {
			return err
		}
		if cap(line) > chunkTarget {
			line = nil
		}
	}
}

func appendKey(b []byte, key string) []byte {
	b = append(b, ' ')
	b = append(b, key...)
	return append(b, '=')
}

func appendHex(b []byte, v uint64) []byte {
	return strconv.AppendUint(append(b, "0x"...), v, 16)
}

// appendData writes bytes as a quoted string, or as x"…" in hexadecimal
// where most are not text.
func appendData[T string | []byte](b []byte, data T) []byte {
	odd := 0
	for i := 0; i < len(data); i++ {
		if c := data[i]; c < ' ' || c > '~' {
			odd++
		}
	}
	s := string(data)
	if odd*4 <= len(s) || utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.AppendQuote(b, s)
	}
	b = append(b, `x"`...)
	b = hex.AppendEncode(b, []byte(s))
	return append(b, '"')
}

func writeDec(get func(*Event) int64) func([]byte, *Event, string) []byte {
	return func(b []byte, ev *Event, key string) []byte {
		return strconv.AppendInt(appendKey(b, key), get(ev), 10)
	}
}

func writeHex(get func(*Event) uint64) func([]byte, *Event, string) []byte {
	return func(b []byte, ev *Event, key string) []byte {
		return appendHex(appendKey(b, key), get(ev))
	}
}

func writeData(get func(*Event) []byte) func([]byte, *Event, string) []byte {
	return func(b []byte, ev *Event, key string) []byte {
		return appendData(appendKey(b, key), get(ev))
	}
}

func writeArgs(b []byte, ev *Event, key string) []byte {
	b = appendKey(b, key)
	for i, a := range ev.Args {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendHex(b, a)
	}
	return b
}

func writeRegs(b []byte, ev *Event, key string) []byte {
	b = appendKey(b, key)
	sep := false
	for i, v := range ev.Regs.Words() {
		if v == 0 {
			continue
		}
		if sep {
			b = append(b, ',')
		}
		sep = true
		b = append(append(b, regNames[i]...), ':')
		b = appendHex(b, v)
	}
	return b
}

// writeMaps writes each mapping as START-END,prot,p or s,FILE,OFFSET,"name".
func writeMaps(b []byte, ev *Event, key string) []byte {
	for i := range ev.Maps {
		m := &ev.Maps[i]
		b = appendHex(appendKey(b, key), m.Start)
		b = appendHex(append(b, '-'), m.End)
		b = appendHex(append(b, ','), uint64(m.Prot))
		if m.Shared {
			b = append(b, ",s,"...)
		} else {
			b = append(b, ",p,"...)
		}
		b = strconv.AppendUint(b, uint64(m.File), 10)
		b = appendHex(append(b, ','), m.Offset)
		b = appendData(append(b, ','), m.Name)
	}
	return b
}

// writeOpen writes each descriptor as DESCRIPTOR,FLAGS,"name".
func writeOpen(b []byte, ev *Event, key string) []byte {
	for i := range ev.Open {
		o := &ev.Open[i]
		b = strconv.AppendInt(appendKey(b, key), int64(o.FD), 10)
		b = appendHex(append(b, ','), uint64(o.Flags))
		b = appendData(append(b, ','), o.Name)
	}
	return b
}

// writeMem writes each write as ADDRESS:bytes.
func writeMem(b []byte, ev *Event, key string) []byte {
	for i := range ev.Mem {
		b = appendHex(appendKey(b, key), ev.Mem[i].Addr)
		b = appendData(append(b, ':'), ev.Mem[i].Data)
	}
	return b
}

// writeProc writes its fields as keys of their own, zero ones left out.
func writeProc(b []byte, ev *Event, key string) []byte {
	p := ev.Proc
	b = strconv.AppendInt(appendKey(b, key), int64(p.ID), 10)
	for i := range procFields {
		b = procFields[i].write(b, ev, procFields[i].key)
	}
	return b
}

func writeProcDec(get func(*Process) int64) func([]byte, *Event, string) []byte {
	return func(b []byte, ev *Event, key string) []byte {
		if v := get(ev.Proc); v != 0 {
			b = strconv.AppendInt(appendKey(b, key), v, 10)
		}
		return b
	}
}

func writeProcHex(get func(*Process) uint64) func([]byte, *Event, string) []byte {
	return func(b []byte, ev *Event, key string) []byte {
		if v := get(ev.Proc); v != 0 {
			b = appendHex(appendKey(b, key), v)
		}
		return b
	}
}

func writeProcString(get func(*Process) string) func([]byte, *Event, string) []byte {
	return func(b []byte, ev *Event, key string) []byte {
		if v := get(ev.Proc); v != "" {
			b = appendData(appendKey(b, key), v)
		}
		return b
	}
}

func writeProcStrings(get func(*Process) []string) func([]byte, *Event, string) []byte {
	return func(b []byte, ev *Event, key string) []byte {
		for _, s := range get(ev.Proc) {
			b = appendData(appendKey(b, key), s)
		}
		return b
	}
}
