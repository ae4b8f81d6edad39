package linux

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

const (
	showData  = 48 // bytes of data shown
	showItems = 16 // elements of an array shown
)

func hexText(v uint64) string { return "0x" + strconv.FormatUint(v, 16) }

// bytes returns n bytes that the call wrote at addr, or nil.
func (d *decoder) bytes(addr uint64, n int) []byte {
	if d.read == nil || addr == 0 || n <= 0 {
		return nil
	}
	b := d.read(addr, n)
	if len(b) < n {
		return nil
	}
	return b[:n]
}

// outBytes returns the beginning of the data that the kernel wrote at
// argument i, which is as long as the result.
func (d *decoder) outBytes(i int) []byte {
	n := int(max(0, min(d.ret, showData)))
	if i+1 < len(d.args) && d.args[i+1] < uint64(n) {
		n = int(d.args[i+1])
	}
	return d.bytes(d.args[i], n)
}

// value shows argument i.
func (d *decoder) value(i int) string {
	v := d.args[i]
	a := d.kinds[i]
	if d.in[i] != nil && d.nr == sysPrctl {
		return quote(d.in[i])
	}
	switch a.Kind {
	case Int, FD:
		return strconv.FormatInt(int64(int32(v)), 10)
	case Long:
		return strconv.FormatInt(int64(v), 10)
	case Uint, Size64:
		return strconv.FormatUint(v, 10)
	case Milli:
		return strconv.FormatInt(int64(int32(v)), 10)
	case DirFD:
		if int32(v) == atFDCWD {
			return "AT_FDCWD"
		}
		return strconv.FormatInt(int64(int32(v)), 10)
	case Mode:
		return "0" + strconv.FormatUint(uint64(uint32(v)), 8)
	case Signo:
		if v == 0 {
			return "0"
		}
		return Signal(int(int32(v)))
	case Flags, Enum:
		if a.Set != nil {
			return a.Set.Text(v)
		}
	case IoctlCode:
		return ioctlName(uint32(v))
	case Hex:
		return hexText(v)
	case SockLen:
		if d.kinds[i-1].Kind == InSockAddr {
			return strconv.FormatUint(uint64(uint32(v)), 10)
		}
	}
	if v == 0 && a.Kind != InBytes && a.Kind != OutString {
		return "NULL"
	}
	if s := d.memory(i); s != "" {
		return s
	}
	return hexText(v)
}

// memory shows what argument i points at, "" where that is not known.
func (d *decoder) memory(i int) string {
	v := d.args[i]
	in := d.in[i]
	switch d.kinds[i].Kind {
	case Path, String:
		if in != nil {
			return quote(in)
		}
	case OutString:
		if b := d.outBytes(i); b != nil {
			if d.nr == sysGetcwd {
				return quote(b)
			}
			return quoteCut(b, int64(len(b)) < d.ret)
		}
		if i+1 < len(d.args) {
			return strconv.FormatUint(d.args[i+1], 10) + " bytes"
		}
	case InBytes:
		n := d.args[i+1]
		if in != nil {
			return quoteCut(in[:min(len(in), showData)], uint64(min(len(in), showData)) < n)
		}
		return strconv.FormatUint(n, 10) + " bytes"
	case InSockAddr:
		if in != nil {
			return SockText(in)
		}
	case PollFDs:
		return d.pollFDs(i)
	case InEpoll:
		if len(in) >= 12 {
			return epollText(in)
		}
	case FDSet:
		if in == nil {
			n := int32(d.args[0])
			if n > 0 && n <= 1024 && d.ret >= 0 {
				in = d.bytes(v, (int(n)+63)/64*8)
			}
		}
		if in != nil {
			return "[" + strings.Join(bitNumbers(in, 0), " ") + "]"
		}
	case Timespec, Timeval:
		if in == nil && (d.nr == sysClockGettime || d.nr == sysClockGetres) && d.ret >= 0 {
			in = d.bytes(v, 16)
		}
		if len(in) >= 16 {
			unit := int64(1)
			if d.kinds[i].Kind == Timeval {
				unit = 1000
			}
			return timeText(in, unit)
		}
	case TimerIn:
		if len(in) >= 32 {
			unit := int64(1)
			if d.nr == sysSetitimer {
				unit = 1000
			}
			return timeText(in[16:], unit) + " every " + timeText(in, unit)
		}
	case Sigset:
		if len(in) >= 8 {
			var names []string
			for _, s := range bitNumbers(in[:8], 1) {
				n, _ := strconv.Atoi(s)
				names = append(names, Signal(n))
			}
			return "[" + strings.Join(names, " ") + "]"
		}
	}
	return d.written(i)
}

// written shows what the kernel wrote to an argument's address, "" where that is not
// known or is no such argument.
func (d *decoder) written(i int) string {
	v := d.args[i]
	switch d.kinds[i].Kind {
	case OutSockAddr:
		if n := d.bytes(d.args[i+1], 4); n != nil && d.ret >= 0 {
			if l := min(binary.LittleEndian.Uint32(n), 128); l > 0 {
				if b := d.bytes(v, int(l)); b != nil {
					return SockText(b)
				}
			}
		}
	case OutInts:
		if b := d.bytes(v, 8); b != nil && d.ret >= 0 {
			return fmt.Sprintf("[%d, %d]", int32(binary.LittleEndian.Uint32(b)), int32(binary.LittleEndian.Uint32(b[4:])))
		}
	case OutInt:
		if b := d.bytes(v, 4); b != nil && d.ret >= 0 {
			return fmt.Sprintf("[%d]", int32(binary.LittleEndian.Uint32(b)))
		}
	case WaitStatus:
		if b := d.bytes(v, 4); b != nil && d.ret > 0 {
			return waitText(binary.LittleEndian.Uint32(b))
		}
	case OutEpoll:
		if d.ret > 0 {
			n := min(d.ret, showItems)
			if b := d.bytes(v, int(n)*12); b != nil {
				return list(int(n), d.ret > n, func(k int) string { return epollText(b[k*12:]) })
			}
		}
	}
	return ""
}

func (d *decoder) pollFDs(i int) string {
	total := uint64(uint32(d.args[i+1]))
	n := int(min(total, showItems))
	b := d.bytes(d.args[i], n*8)
	after := b != nil && d.ret > 0
	if b == nil {
		b = d.in[i]
		n = min(n, len(b)/8)
	}
	if n == 0 {
		return ""
	}
	return list(n, uint64(n) < total, func(k int) string {
		p := b[k*8:]
		s := strconv.Itoa(int(int32(binary.LittleEndian.Uint32(p)))) + " " + pollEvents.Text(uint64(binary.LittleEndian.Uint16(p[4:])))
		if got := binary.LittleEndian.Uint16(p[6:]); after && got != 0 {
			s += " got " + pollEvents.Text(uint64(got))
		}
		return "{" + s + "}"
	})
}

// quote shows a string of which b holds the beginning, with its NUL unless it
// was cut short.
func quote(b []byte) string {
	if s, _, found := cutString(b); found {
		return quoteCut(s[:len(s)-1], false)
	}
	return quoteCut(b, true)
}

func quoteCut(b []byte, cut bool) string {
	s := strconv.Quote(string(b))
	if cut {
		s += "…"
	}
	return s
}

func list(n int, more bool, item func(int) string) string {
	parts := make([]string, n, n+1)
	for k := range parts {
		parts[k] = item(k)
	}
	if more {
		parts = append(parts, "…")
	}
	return "[" + strings.Join(parts, ", ") + "]"
}

// epollText shows struct epoll_event, which is packed on x86-64.
func epollText(b []byte) string {
	return "{" + epollEvents.Text(uint64(binary.LittleEndian.Uint32(b))) + " " + strconv.FormatUint(binary.LittleEndian.Uint64(b[4:]), 10) + "}"
}

// bitNumbers lists the set bits of b, the first being number first.
func bitNumbers(b []byte, first int) []string {
	var out []string
	for i, c := range b {
		for k := range 8 {
			if c>>k&1 != 0 {
				out = append(out, strconv.Itoa(i*8+k+first))
			}
		}
	}
	return out
}

// timeText shows struct timespec (unit 1) or timeval (unit 1000) in seconds.
func timeText(b []byte, unit int64) string {
	sec := int64(binary.LittleEndian.Uint64(b))
	frac := int64(binary.LittleEndian.Uint64(b[8:]))
	if frac < 0 || frac >= 1e9/unit {
		return fmt.Sprintf("{%d, %d}", sec, frac)
	}
	s := fmt.Sprintf("%d.%09d", sec, frac*unit)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".") + "s"
}

// waitText shows a wait status: wait(2).
func waitText(s uint32) string {
	switch {
	case s == 0xffff:
		return "continued"
	case s&0xff == 0x7f:
		return "stopped by " + Signal(int(s>>8&0xff))
	case s&0x7f == 0:
		return "exited " + strconv.Itoa(int(s>>8&0xff))
	case s&0x80 != 0:
		return "killed by " + Signal(int(s&0x7f)) + ", core dumped"
	}
	return "killed by " + Signal(int(s&0x7f))
}
