package capture

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/linux"
)

// The addresses in the kernel's lists are the same as those of the sockets themselves: lists
// are needed in containers in which another process's descriptors can't be had.
func TestListedSockets(t *testing.T) {
	dir := t.TempDir()
	var kept []any
	for _, at := range []string{"tcp4 127.0.0.1:0", "tcp6 [::1]:0", "unix " + dir + "/s"} {
		network, addr, _ := strings.Cut(at, " ")
		l, err := net.Listen(network, addr)
		if err != nil {
			t.Log(err) // a machine without IPv6
			continue
		}
		defer l.Close()
		c, err := net.Dial(network, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		kept = append(kept, l, c)
	}
	for _, at := range []string{"udp4 127.0.0.1:0", "udp6 [::1]:0"} {
		network, addr, _ := strings.Cut(at, " ")
		if c, err := net.ListenPacket(network, addr); err == nil {
			defer c.Close()
			kept = append(kept, c)
		}
	}
	asked := openDetails{pid: os.Getpid(), pidfd: -1}
	defer asked.close()
	read := openDetails{pid: os.Getpid(), refused: true}
	n := 0
	for _, o := range openFDs(os.Getpid()) {
		name, _ := linux.CutDetail(o.Name)
		inode, ok := strings.CutPrefix(name, "socket:[")
		d := asked.socket(int(o.FD))
		if !ok || asked.refused || !strings.Contains(fmt.Sprint(d.Local), ":") {
			continue
		}
		if d.Domain == 1 { // lists of Unix sockets have no other ends
			d.Remote = ""
		}
		n++
		if diff := cmp.Diff(d, read.listed()[strings.TrimSuffix(inode, "]")]); diff != "" {
			t.Errorf("descriptor %d, -asked +listed:\n%s", o.FD, diff)
		}
	}
	if !asked.refused && n < len(kept) {
		t.Errorf("%d sockets of %d were seen", n, len(kept))
	}
}
