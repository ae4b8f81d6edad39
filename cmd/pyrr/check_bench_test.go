//go:build linux && amd64

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/assert"
	"pyrr/internal/checking"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// benchProgram is a client that hangs, with threads and imports as a test
// has them.
const benchProgram = `
import socket, threading, json, email.message, http.client
def fetch(addr):
    c = socket.create_connection(addr)
    c.sendall(b"GET / HTTP/1.0\r\n\r\n")
    return c.recv(100)
` + fetches

// benchRecording records benchProgram once.
func benchRecording(b *testing.B) string {
	b.Helper()
	python := tracedPython(b)
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hang.py"), []byte(benchProgram), 0o666); err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "record", "--timeout", "2", "--on-timeout=kill", "-o", "hang.pyrr.zip", python, "hang.py")
	cmd.Args[0], cmd.Dir = "pyrr", dir
	out, _ := cmd.CombinedOutput() // the time-out ends the program
	if _, err := os.Stat(filepath.Join(dir, "hang.pyrr.zip")); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	return filepath.Join(dir, "hang.pyrr.zip")
}

func parseSpecs(b *testing.B, file, expect string) []*assert.Spec {
	b.Helper()
	specs, err := assert.Parse(file, []byte("version: 1\nrecording: \"*.pyrr.zip\"\nexpect:\n"+expect))
	if err != nil {
		b.Fatal(err)
	}
	return specs
}

// BenchmarkCheckIndexed checks 200 recordings by five expectations each,
// from the index, two at once. It reports recordings per second, and the most
// memory that was in use.
func BenchmarkCheckIndexed(b *testing.B) {
	one := benchRecording(b)
	dir := b.TempDir()
	const n = 200
	for i := range n {
		if err := os.Link(one, filepath.Join(dir, fmt.Sprintf("r%03d.pyrr.zip", i))); err != nil {
			b.Fatal(err)
		}
	}
	specs := parseSpecs(b, filepath.Join(dir, "spec.yaml"), `  - connect to 127.0.0.1:* at hang.py:4 by client as conn
  - recv at hang.py:6 within 200 instructions of conn as recv
  - recv blocked at end for > 100ms by client
  - sendto on same fd between conn and recv
  - no close on same fd after conn
`)
	var most uint64
	cpu := cpuTime(b)
	for b.Loop() {
		run, err := assert.Check(context.Background(), specs, checking.OpenSource, assert.Options{Workers: 2, Done: func(done, _ int, _ []*assert.SpecResult) {
			var m runtime.MemStats
			if done%10 == 0 {
				runtime.ReadMemStats(&m)
				most = max(most, m.Sys-m.HeapReleased)
			}
		}})
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range run.Specs {
			if s.Verdict != assert.Pass {
				b.Fatalf("%s %s: %+v", s.Verdict, s.Reason, s.Checks[0])
			}
		}
	}
	b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "recordings/s")
	b.ReportMetric((cpuTime(b)-cpu).Seconds()*1000/float64(n*b.N), "cpu-ms/recording")
	b.ReportMetric(float64(most)/(1<<20), "MiB")
}

// cpuTime is the processor time that this process has used, and with it what
// an idle machine would need.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCheckExecuted checks a spec that needs Python breakpoints, and
// says how much longer that takes than a replay alone.
func BenchmarkCheckExecuted(b *testing.B) {
	one := benchRecording(b)
	specs := parseSpecs(b, filepath.Join(filepath.Dir(one), "spec.yaml"), `  - call hang.py::fetch by client as fetch
  - line hang.py:6 within 200000 instructions of fetch
  - call socket.py::create_connection after fetch
  - return create_connection
`)
	var plain, checked time.Duration
	for b.Loop() {
		start := time.Now()
		rec, err := recording.Open(one)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := replay.Batch(rec, replay.Options{Stdout: io.Discard, Stderr: io.Discard}); err != nil {
			b.Fatal(err)
		}
		rec.Close()
		plain += time.Since(start)
		start = time.Now()
		run, err := assert.Check(context.Background(), specs, checking.OpenSource, assert.Options{})
		if err != nil {
			b.Fatal(err)
		}
		checked += time.Since(start)
		for _, c := range run.Specs[0].Checks {
			if c.Verdict != assert.Pass {
				b.Fatalf("%s: %s: %s", c.Verdict, c.Want, c.Got)
			}
		}
	}
	b.ReportMetric(checked.Seconds()/plain.Seconds(), "x-replay")
}
