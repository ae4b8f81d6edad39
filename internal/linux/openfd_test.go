package linux

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestOpenDetail(t *testing.T) {
	for _, d := range []OpenDetail{
		{},
		{Domain: 2, Type: 1, Local: "127.0.0.1:80", Listens: true},
		{Domain: 10, Type: 2, Local: "[::1]:53", Remote: "[::1]:5353"},
		{Domain: 1, Type: 1, Local: "unix:/tmp/a b%20c", Remote: "unix:unnamed", Peer: 77},
		{Domain: 2, Type: 1, Remote: "127.0.0.1:80", Peer: 77, Likely: true},
		{Watched: []OpenWatch{{3, 0x19}, {5, 1}}},
		{PID: 4711},
	} {
		name, got := CutDetail("socket:[12]" + d.Words())
		if name != "socket:[12]" {
			t.Errorf("name %q", name)
		}
		if diff := cmp.Diff(d, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
	}
	if name, _ := CutDetail("/tmp/a peer=3"); name != "/tmp/a peer=3" {
		t.Errorf("a path became %q", name)
	}
}
