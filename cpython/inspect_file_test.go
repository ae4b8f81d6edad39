package cpython

import (
	"encoding/json"
	"testing"
)

// TestUnflushed compares what is read of bytes that lie in file objects with what the
// program has written to them.
func TestUnflushed(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "filepoints.py")
			var want [][3]uint64 // id, descriptor, bytes
			if err := json.Unmarshal([]byte(p.line(t)), &want); err != nil {
				t.Fatal(err)
			}
			p.awaitRead(t)
			x := openLive(t, in, p.m.PID).Inspect(p.m)
			defer x.Release()
			for k, w := range want {
				got, ok := x.Unflushed(w[0])
				fd, _ := x.Descriptor(w[0])
				if ok != (w[2] > 0) || got.Bytes != int(w[2]) || fd != int(w[1]) {
					t.Errorf("file %d, a %s of descriptor %d with %d bytes, reads as %+v of %d", k, x.Type(w[0]), w[1], w[2], got, fd)
				}
				if word, err := x.v.u64(got.Word); ok && (err != nil || word == got.Empty) {
					t.Errorf("file %d, a %s: its number is %d, as when it is empty: %v", k, x.Type(w[0]), word, err)
				}
			}
		})
	}
}
