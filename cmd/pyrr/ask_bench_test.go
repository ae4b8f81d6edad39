//go:build linux && amd64

package main

import (
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/ask"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// spentInAll is the time that this process and its replays that have ended took together.
func spentInAll() time.Duration {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var r unix.Rusage
		if unix.Getrusage(who, &r) == nil {
			sum += time.Duration(r.Utime.Nano() + r.Stime.Nano())
		}
	}
	return sum
}

// BenchmarkAsk measures, in processor time, the lines of a print, and how long a profile
// takes compared with a plain replay.
func BenchmarkAsk(b *testing.B) {
	probe.Require(b)
	const program = `def f(n):
    total = 0
    for i in range(n):
        total += i
f(`
	open := func(name, n string) *recording.Recording {
		dir := b.TempDir()
		recordFor(b, dir, name, program+n+")\n")
		rec, err := recording.Open(filepath.Join(dir, name+recording.PackedSuffix))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { rec.Close() })
		return rec
	}
	b.Run("print", func(b *testing.B) {
		rec := open("many", "20000")
		place, err := ask.ParsePlace("many.py:4")
		if err != nil {
			b.Fatal(err)
		}
		lines := uint64(0)
		from, begun := spentInAll(), time.Now()
		for b.Loop() {
			done, err := ask.Print(rec, place, ask.PrintOptions{Exprs: "i, total"}, func(*ask.Hit) error { return nil })
			if err != nil {
				b.Fatal(err)
			}
			lines += done.Hits
		}
		b.ReportMetric(float64(lines)/(spentInAll()-from).Seconds(), "lines/s")
		b.ReportMetric(float64(lines)/time.Since(begun).Seconds(), "lines/wall-s")
	})
	b.Run("profile", func(b *testing.B) {
		rec := open("busy", "2000000")
		var plain, counted time.Duration
		for b.Loop() {
			from := spentInAll()
			if _, err := replay.Batch(rec, replay.Options{}); err != nil {
				b.Fatal(err)
			}
			mid := spentInAll()
			if _, err := ask.NewProfile(rec, ask.ProfileOptions{Counts: true}); err != nil {
				b.Fatal(err)
			}
			plain += mid - from
			counted += spentInAll() - mid
		}
		b.ReportMetric(float64(counted)/float64(plain), "x-replay")
	})
}
