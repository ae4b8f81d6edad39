package linux

const (
	msghdrSize  = 56
	mmsghdrSize = 64
	maxControl  = 1 << 12
)

// headers calls f with each struct msghdr of a call that returned.
func (c *Done) headers(u *FDUse, f func(h []byte)) {
	if !u.Many {
		f(c.bytes(c.Args[u.Msg], msghdrSize))
		return
	}
	for i := range min(c.Ret, maxVector) {
		f(c.bytes(c.Args[u.Msg]+uint64(i)*mmsghdrSize, msghdrSize))
	}
}

// manyBytes adds up the lengths of several messages, each behind its header.
func (c *Done) manyBytes(u *FDUse) (sum uint64) {
	for i := range min(c.Ret, maxVector) {
		if b := c.bytes(c.Args[u.Msg]+uint64(i)*mmsghdrSize+msghdrSize, 4); b != nil {
			sum += uint64(word32(b))
		}
	}
	return sum
}

// taken gives the descriptors that came with messages.
func (c *Done) taken(u *FDUse, e *Effect, dst []Effect) []Effect {
	c.headers(u, func(h []byte) {
		if len(h) < msghdrSize {
			return
		}
		control := c.bytes(word64(h[32:]), int(min(word64(h[40:]), maxControl)))
		eachRight(control, func(fd int) {
			dst = append(dst, Effect{Do: DoTake, FD: fd, From: e.From, Cloexec: e.Cloexec})
		})
	})
	return dst
}

// eachRight calls f with the descriptors of control data (cmsg(3), SCM_RIGHTS
// of unix(7)).
func eachRight(control []byte, f func(fd int)) {
	const head = 16
	for len(control) >= head {
		n := word64(control)
		if n < head || n > uint64(len(control)) {
			return
		}
		if word32(control[8:]) == solSocket && word32(control[12:]) == scmRights {
			for b := control[head:n]; len(b) >= 4; b = b[4:] {
				f(int(int32(word32(b))))
			}
		}
		control = control[min(uint64(len(control)), (n+7)&^7):]
	}
}

// MessageHeader says where the struct msghdr of a call that sends descriptors
// lies, and its size; 0 for other calls.
func MessageHeader(nr int, args [6]uint64) (addr uint64, n int) {
	if u, ok := Uses(nr, DoHand); ok {
		return args[u.Msg], msghdrSize
	}
	return 0, 0
}

// Control says where the control data of a call that sends messages lies,
// given its struct msghdr: it says which descriptors go with it. n is 0 where
// there is none.
func Control(nr int, msghdr []byte) (addr uint64, n int) {
	if _, ok := Uses(nr, DoHand); !ok || len(msghdr) < msghdrSize {
		return 0, 0
	}
	return word64(msghdr[32:]), int(min(word64(msghdr[40:]), maxIn))
}
