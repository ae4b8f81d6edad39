package cpython

import "testing"

// BenchmarkStack30 reads one 30-frame stack of a live process blocked in a
// system call: its code objects known (what an index over many events pays)
// and new.
func BenchmarkStack30(b *testing.B) {
	for _, in := range interpreters() {
		b.Run(in.name, func(b *testing.B) {
			p := startPython(b, in, "thirty.py")
			p.line(b)
			p.awaitRead(b)
			r := openLive(b, in, p.m.PID)
			ts, err := r.Threads(p.m)
			if err != nil || len(ts) != 1 {
				b.Fatal(len(ts), err)
			}
			read := func(b *testing.B) {
				s, err := r.Stack(p.m, ts[0], Options{})
				if n := len(s.Frames); err != nil || n != 30 || s.Frames[29].Err != "" {
					b.Fatal(n, err)
				}
			}
			b.Run("known", func(b *testing.B) {
				for b.Loop() {
					read(b)
				}
			})
			b.Run("new", func(b *testing.B) {
				for b.Loop() {
					r.codes = codeCache{}
					read(b)
				}
			})
			b.Run("tracked", func(b *testing.B) {
				k := r.NewTracker()
				for b.Loop() {
					if s, _, _, ok, err := k.Frames(p.m, ts[0].Ident, 0); err != nil || !ok || len(s) != 30 {
						b.Fatal(len(s), ok, err)
					}
				}
			})
			b.Run("threads", func(b *testing.B) {
				for b.Loop() {
					if _, err := r.Threads(p.m); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}
