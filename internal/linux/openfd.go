package linux

import (
	"fmt"
	"strconv"
	"strings"
)

// OpenDetail is what is known of a descriptor beside what /proc/PID/fd shows of it
// where a recording begins: of a socket its kind, addresses and other end, of an epoll
// what it watches, of a pidfd its process.
type OpenDetail struct {
	Domain, Type  uint32
	Local, Remote string // as SockText has them, "" where there is none
	Listens       bool
	Peer          uint64 // inode of the other end, 0 if that is not known
	Likely        bool   // Peer is so by the order of accepting
	Watched       []OpenWatch
	PID           int
}

// OpenWatch is a descriptor that an epoll watches.
type OpenWatch struct {
	FD     int32
	Events uint32
}

// A blank parts the words.
var (
	toWord   = strings.NewReplacer("%", "%25", " ", "%20")
	fromWord = strings.NewReplacer("%20", " ", "%25", "%")
)

// Words are the detail as text: words behind what /proc shows, "" where nothing is known.
func (d *OpenDetail) Words() string {
	var b strings.Builder
	if d.Type != 0 {
		fmt.Fprintf(&b, " domain=%d type=%d", d.Domain, d.Type)
	}
	if d.Local != "" {
		b.WriteString(" local=" + toWord.Replace(d.Local))
	}
	if d.Remote != "" {
		b.WriteString(" remote=" + toWord.Replace(d.Remote))
	}
	if d.Listens {
		b.WriteString(" listens=1")
	}
	if d.Peer != 0 {
		fmt.Fprintf(&b, " peer=%d", d.Peer)
	}
	if d.Likely {
		b.WriteString(" likely=1")
	}
	if d.PID != 0 {
		fmt.Fprintf(&b, " pid=%d", d.PID)
	}
	for _, w := range d.Watched {
		fmt.Fprintf(&b, " watch=%d:%x", w.FD, w.Events)
	}
	return b.String()
}

// CutDetail parts the name of a descriptor and its detail. A path is all name.
func CutDetail(text string) (name string, d OpenDetail) {
	if strings.HasPrefix(text, "/") {
		return text, d
	}
	name, rest, _ := strings.Cut(text, " ")
	for word := range strings.FieldsSeq(rest) {
		key, value, _ := strings.Cut(word, "=")
		n, _ := strconv.ParseUint(value, 10, 64)
		switch key {
		case "domain":
			d.Domain = uint32(n)
		case "type":
			d.Type = uint32(n)
		case "local":
			d.Local = fromWord.Replace(value)
		case "remote":
			d.Remote = fromWord.Replace(value)
		case "listens":
			d.Listens = n == 1
		case "peer":
			d.Peer = n
		case "likely":
			d.Likely = n == 1
		case "pid":
			d.PID = int(uint32(n))
		case "watch":
			fd, events, _ := strings.Cut(value, ":")
			number, err := strconv.ParseUint(fd, 10, 31)
			mask, bad := strconv.ParseUint(events, 16, 32)
			if err == nil && bad == nil {
				d.Watched = append(d.Watched, OpenWatch{int32(number), uint32(mask)})
			}
		}
	}
	return name, d
}
