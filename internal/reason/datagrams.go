package reason

import (
	"strings"

	"pyrr/internal/hang"
	"pyrr/internal/logview"
)

// sockDgram is SOCK_DGRAM of socket(2).
const sockDgram = 2

// datagrams says of a socket of datagrams where its last one went, and who has the socket
// that takes what is sent there: that one owes the answer, if one is awaited.
func datagrams(out *hang.Peer, state *logview.State, f *logview.File) *hang.Peer {
	out.What, out.Addr, out.Outside = hang.Datagrams, f.Local, f.Remote != ""
	to := f.Remote
	if to == "" {
		to = f.SentTo
	}
	if out.From = f.Remote; to == "" || f.Out.Calls == 0 || f.Out.Last.Time < f.In.Last.Time {
		return out
	}
	out.To = to
	for _, l := range state.Files {
		if l == f || l.Type != sockDgram || l.Other != nil || !takes(l.Local, to) || l.Remote != "" && l.Remote != f.Local {
			continue
		}
		for _, h := range l.Holders {
			if h.Proc != nil {
				out.Ends, out.Outside = append(out.Ends, hang.End{Proc: h.Proc.ID, FD: h.FD}), false
			}
		}
		if l.In.Calls > 0 {
			out.Used = hang.User{Proc: l.In.Last.Proc, TID: l.In.Last.TID}
		}
	}
	return out
}

// takes says whether a socket with an address gets what is sent to another: the same, or
// the same port of all addresses.
func takes(local, to string) bool {
	if local == to {
		return true
	}
	i := strings.LastIndexByte(to, ':')
	return i > 0 && !strings.HasPrefix(to, "unix:") && (local == "0.0.0.0"+to[i:] || local == "[::]"+to[i:])
}
