package reason

import (
	"pyrr/internal/hang"
	"pyrr/internal/logview"
)

// edgeOf notes, of what a thread waits for in an epoll, how many bytes lie there unread, and
// the flag by which that epoll does not tell of them again.
func edgeOf(state *logview.State, f *logview.File, out *hang.Peer) {
	const oneShot, edge = 1 << 30, 1 << 31 // sys/epoll.h
	if f.Other == nil || f.Inherited || f.Type == sockDgram || f.Other.Out.Bytes <= f.In.Bytes {
		return
	}
	for _, l := range state.Files {
		for _, w := range l.Watched {
			switch {
			case w.File != f:
			case w.Events&oneShot != 0:
				out.Edge = "EPOLLONESHOT"
			case w.Events&edge != 0:
				out.Edge = "EPOLLET"
			}
		}
	}
	if out.Edge != "" {
		out.Unseen = f.Other.Out.Bytes - f.In.Bytes
	}
}
