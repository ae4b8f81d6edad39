package linux

import (
	"strconv"
)

// ArgValue is one argument as shown to people and to programs. Num is the raw
// value.
type ArgValue struct {
	Name  string
	Value string
	Num   uint64
}

// Decode shows the arguments and the result of a call for people, leaving out
// what says nothing: lengths of what is shown, AT_FDCWD, null addresses. in
// holds the bytes of InArgs; read returns n bytes that the call wrote at addr,
// or nil, and may itself be nil.
func Decode(nr int, args [6]uint64, ret int64, in []byte, read func(addr uint64, n int) []byte) (argText []string, result string) {
	d := newDecoder(nr, args, ret, in, read)
	for i := range d.kinds {
		if !d.drop(i) {
			argText = append(argText, d.value(i))
		}
	}
	return argText, Result(nr, args, ret)
}

// DecodeArgs is Decode for programs: all arguments with their names.
func DecodeArgs(nr int, args [6]uint64, ret int64, in []byte, read func(addr uint64, n int) []byte) []ArgValue {
	d := newDecoder(nr, args, ret, in, read)
	out := make([]ArgValue, len(d.kinds))
	for i := range d.kinds {
		out[i] = ArgValue{Name: d.kinds[i].Name, Value: d.value(i), Num: args[i]}
	}
	return out
}

// Result shows the result of a call: 3, -1 EAGAIN, an address in hexadecimal.
func Result(nr int, args [6]uint64, ret int64) string {
	switch nr {
	case sysExit, sysExitGroup, sysRtSigreturn:
		return "?"
	}
	if ret < 0 && ret >= -4095 {
		switch -ret {
		case ERESTARTSYS, ERESTARTNOINTR, ERESTARTNOHAND, ERESTART_RESTARTBLOCK:
			return "? " + Errno(int(-ret)) + " (interrupted)"
		}
		return "-1 " + Errno(int(-ret))
	}
	switch nr {
	case sysMmap, sysMremap, sysBrk, sysShmat:
		return hexText(uint64(ret))
	case sysFcntl:
		if uint32(args[1]) == fGetfl {
			return strconv.FormatInt(ret, 10) + " (" + openFlags.Text(uint64(ret)) + ")"
		}
	case sysPoll, sysPpoll, sysSelect, sysPselect6, sysEpollWait, sysEpollPwait, sysEpollPwait2:
		if ret == 0 {
			return "0 (timeout)"
		}
	}
	return strconv.FormatInt(ret, 10)
}

// unknownArgs is what is shown of a call that is not in the table.
var unknownArgs = []Arg{hex("a1"), hex("a2"), hex("a3"), hex("a4"), hex("a5"), hex("a6")}

type decoder struct {
	nr    int
	args  [6]uint64
	ret   int64
	read  func(addr uint64, n int) []byte
	kinds []Arg
	// in holds the input bytes of an argument, nil where they are not known.
	in [6][]byte
}

func newDecoder(nr int, args [6]uint64, ret int64, in []byte, read func(addr uint64, n int) []byte) *decoder {
	d := &decoder{nr: nr, args: args, ret: ret, read: read, kinds: unknownArgs}
	s, ok := Lookup(nr)
	if !ok {
		return d
	}
	d.kinds = s.Args
	i := inIndex(s, args, 0)
	_, room, str := InArgs(nr, args)
	switch {
	case len(in) == 0 && !str:
	case i < 0:
		if nr == sysPrctl {
			d.in[1] = ended(in, room)
		}
	case str:
		first, rest, found := cutString(in)
		d.in[i] = first
		if !found {
			d.in[i] = ended(in, room)
		}
		if j := inIndex(s, args, 1); j >= 0 && found && len(rest) > 0 {
			_, room, _ := InArgs2(nr, args)
			second, _, found := cutString(rest)
			if !found {
				second = ended(second, room)
			}
			d.in[j] = second
		}
	default:
		d.in[i] = in
	}
	return d
}

// ended adds a NUL to a string that was kept without one, unless the string
// fills all of its room: then it may have been cut. nil means that nothing was
// kept.
func ended(b []byte, room int) []byte {
	if b == nil || len(b) >= room {
		return b
	}
	return append(append([]byte(nil), b...), 0)
}

// cutString splits b after its first NUL.
func cutString(b []byte) (s, rest []byte, found bool) {
	for i, c := range b {
		if c == 0 {
			return b[:i+1], b[i+1:], true
		}
	}
	return b, nil, false
}

// drop reports whether the text leaves out argument i.
func (d *decoder) drop(i int) bool {
	a := d.kinds[i]
	prev := Int
	if i > 0 {
		prev = d.kinds[i-1].Kind
	}
	switch a.Kind {
	case DirFD:
		return int32(d.args[i]) == atFDCWD && i+1 < len(d.kinds) && d.kinds[i+1].Kind == Path
	case SockLen:
		return prev == OutSockAddr || prev == InSockAddr
	case OutSockAddr, InSockAddr:
		return d.args[i] == 0
	case Mode:
		if a.Name == "mode" {
			switch d.nr {
			case sysOpen:
				return !creates(d.args[1])
			case sysOpenat:
				return !creates(d.args[2])
			case sysMqOpen:
				return !creates(d.args[1])
			}
		}
	case Size64:
		switch {
		case a.Name == "sigsetsize" || a.Name == "sizemask" || a.Name == "usize":
			return true
		case prev == OutString:
			// Without the bytes the size is shown in their place.
			return d.outBytes(i-1) == nil
		}
	case Sigset:
		return d.args[i] == 0 && i > 0
	case Flags:
		return d.args[i] == 0 && i == len(d.kinds)-1 && i > 1
	case Hex, Pointer, Timespec, Uint, Futex:
		return d.dropOp(i)
	}
	return false
}

// dropOp leaves out arguments that the operation has no use for.
func (d *decoder) dropOp(i int) bool {
	a := d.kinds[i]
	switch d.nr {
	case sysFutex:
		if i < 3 {
			return false
		}
		switch uint32(d.args[1]) & futexCmdMask {
		case futexWait, futexWaitBitset, futexLockPI, futexLockPI2:
			return i > 3
		case futexRequeue, futexCmpRequeue, futexWakeOp:
			return i == 3
		}
		return true
	case sysFcntl:
		switch uint32(d.args[1]) {
		case fGetfd, fGetfl, fGetown, fGetsig, fGetlease, fGetpipeSz, fGetSeals:
			return i == 2
		}
	case sysPrctl:
		if i == 0 {
			return false
		}
		for _, v := range d.args[i:5] {
			if v != 0 {
				return false
			}
		}
		return true
	case sysExecve, sysExecveat:
		return a.Kind == Pointer
	}
	return a.Name == "pos_h" || a.Name == "flags" && d.args[i] == 0 && i > 0 && i == len(d.kinds)-1
}

// creates reports whether open flags ask for a mode: O_CREAT or O_TMPFILE.
func creates(flags uint64) bool { return flags&0x40 != 0 || flags&0x400000 != 0 }

const atFDCWD = -100
