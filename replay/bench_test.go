package replay_test

import (
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

// travelProgram computes for some seconds and calls hot 20,000 times.
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
    fib(29)
    d = {}
    for i in range(3000000):
        d[i % 1000] = i
    return t
main()
`

func travelRecording(b *testing.B) *recording.Recording {
	python := pythonOf(b)
	script := filepath.Join(b.TempDir(), "travel.py")
	if err := os.WriteFile(script, []byte(travelProgram), 0o666); err != nil {
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

// BenchmarkMiss compares a replay with a breakpoint on a line that never runs
// to one without: miss is the ratio.
func BenchmarkMiss(b *testing.B) {
	rec := travelRecording(b)
	var plain, missed time.Duration
	for b.Loop() {
		// The least of several: other work on the machine only adds.
		p := batch(b, rec, replay.Options{})
		m := batch(b, rec, replay.Options{Breaks: []*replay.Break{{Kind: replay.BreakLine, File: "travel.py", Line: 8}}})
		if plain == 0 || p < plain {
			plain = p
		}
		if missed == 0 || m < missed {
			missed = m
		}
	}
	b.ReportMetric(float64(missed)/float64(plain), "miss")
	b.ReportMetric(float64((missed-plain).Microseconds())/1000, "ms-more")
}

// BenchmarkHits counts how many hits of a line a second are told.
func BenchmarkHits(b *testing.B) {
	rec := travelRecording(b)
	var rates []float64
	for b.Loop() {
		n := 0
		plain := batch(b, rec, replay.Options{})
		took := batch(b, rec, replay.Options{Breaks: []*replay.Break{{Kind: replay.BreakLine, File: "travel.py", Line: 5}},
			OnHit: func(*replay.Hit) error { n++; return nil }})
		rates = append(rates, float64(n)/(took-plain).Seconds())
	}
	slices.Sort(rates)
	b.ReportMetric(rates[len(rates)/2], "hits/s")
}

// BenchmarkTravel reports the ratio of the first run to the end to a replay
// at full speed, the median time to go to a place at random afterwards, and
// that of a step backwards by a line.
func BenchmarkTravel(b *testing.B) {
	rec := travelRecording(b)
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
		slices.Sort(seeks)
		slices.Sort(steps)
		b.ReportMetric(float64(first)/float64(plain), "first")
		b.ReportMetric(float64(seeks[len(seeks)/2].Microseconds())/1000, "ms/goto")
		b.ReportMetric(float64(steps[len(steps)/2].Microseconds())/1000, "ms/reverse-step")
		x.Close()
	}
}
