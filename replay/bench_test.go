package replay_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pyrr/capture"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// travelProgram calls hot 20,000 times, then computes.
const travelProgram = `
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
def hot(i):
    x = i
    return x
def unused():
    return 1
def main():
    t = 0
    for i in range(20000):
        t += hot(i)
    for _ in range(%d):
        fib(27)
        d = {}
        for i in range(1000000):
            d[i %% 1000] = i
    return t
main()
`

// Rounds of travelProgram: a tenth of a second each.
const (
	shortTravel = 3
	longTravel  = 100
)

func travelRecording(b *testing.B, rounds int) *recording.Recording {
	python := pythonOf(b)
	script := filepath.Join(b.TempDir(), "travel.py")
	if err := os.WriteFile(script, fmt.Appendf(nil, travelProgram, rounds), 0o666); err != nil {
		b.Fatal(err)
	}
	return record(b, capture.Options{Command: []string{python, script}})
}

func batch(b *testing.B, rec *recording.Recording, o replay.Options) time.Duration {
	begin := time.Now()
	if _, err := replay.Batch(rec, o); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

func median[T cmp.Ordered](list []T) T {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkMiss compares replays with a breakpoint on a line that never runs
// to ones without, in turns: miss is the ratio of the medians, of a program
// that computes and of one that imports.
func BenchmarkMiss(b *testing.B) {
	run := func(b *testing.B, rec *recording.Recording) {
		var plain, missed []time.Duration
		for b.Loop() {
			plain = append(plain, batch(b, rec, replay.Options{}))
			missed = append(missed, batch(b, rec, replay.Options{Breaks: []*replay.Break{{Kind: replay.BreakLine, File: "travel.py", Line: 8}}}))
		}
		b.ReportMetric(float64(median(missed))/float64(median(plain)), "miss")
	}
	b.Run("compute", func(b *testing.B) { run(b, travelRecording(b, longTravel/4)) })
	b.Run("import", func(b *testing.B) {
		python := pythonOf(b)
		const modules = "import json, email.message, http.client, logging, unittest, asyncio, argparse, xml.dom.minidom, sqlite3, decimal"
		run(b, record(b, capture.Options{Command: []string{python, "-c", modules}}))
	})
}

// BenchmarkHits measures how many hits of a line per second are counted, and at how
// many hits per second the session can stop.
func BenchmarkHits(b *testing.B) {
	line := []*replay.Break{{Kind: replay.BreakLine, File: "travel.py", Line: 5}}
	b.Run("counted", func(b *testing.B) {
		rec := travelRecording(b, shortTravel)
		var rates []float64
		for b.Loop() {
			n := 0
			var begin, end time.Time
			batch(b, rec, replay.Options{Breaks: line, OnHit: func(*replay.Hit) error {
				if end = time.Now(); n == 0 {
					begin = end
				}
				n++
				return nil
			}})
			rates = append(rates, float64(n-1)/end.Sub(begin).Seconds())
		}
		b.ReportMetric(median(rates), "hits/s")
	})
	b.Run("stops", func(b *testing.B) {
		x := open(b, travelRecording(b, shortTravel))
		var rates []float64
		for b.Loop() {
			x.SetBreaks(line)
			if _, err := x.Goto(replay.Point{Pos: recording.Pos{Event: 1}}); err != nil {
				b.Fatal(err)
			}
			// The time to the first stop is only the way to it.
			const hits = 1000
			var begin time.Time
			for i := range hits + 1 {
				st, err := x.Continue(nil)
				if err != nil || st.Kind != replay.StopBreak {
					b.Fatal(st, err)
				}
				if i == 0 {
					begin = time.Now()
				}
			}
			rates = append(rates, hits/time.Since(begin).Seconds())
		}
		b.ReportMetric(median(rates), "hits/s")
	})
}

// BenchmarkTravel uses a recording of ten seconds. It reports how much longer the first run to the end takes
// than a replay at full speed, the median time to go to a random place afterwards,
// and the median time of a step backwards by a line.
func BenchmarkTravel(b *testing.B) {
	rec := travelRecording(b, longTravel)
	for b.Loop() {
		plain := batch(b, rec, replay.Options{})
		x, err := replay.Open(rec, replay.Options{})
		if err != nil {
			b.Fatal(err)
		}
		ix, err := x.Places()
		if err != nil {
			b.Fatal(err)
		}
		total := ix[len(ix)-1].Instr
		begin := time.Now()
		if _, err := x.ToCount(total - 1); err != nil {
			b.Fatal(err)
		}
		first := time.Since(begin)
		var seeks, steps []time.Duration
		for range 25 {
			begin := time.Now()
			if _, err := x.ToCount(rand.Uint64N(total)); err != nil {
				b.Fatal(err)
			}
			seeks = append(seeks, time.Since(begin))
			for range 4 {
				begin := time.Now()
				if _, err := x.ReverseStepLine(); err != nil {
					b.Fatal(err)
				}
				steps = append(steps, time.Since(begin))
			}
		}
		b.ReportMetric(float64(first)/float64(plain), "first")
		b.ReportMetric(float64(median(seeks).Microseconds())/1000, "ms/goto")
		b.ReportMetric(float64(median(steps).Microseconds())/1000, "ms/reverse-step")
		x.Close()
	}
}
