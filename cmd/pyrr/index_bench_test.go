//go:build linux && amd64

package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"pyrr/internal/setup"
	"pyrr/internal/stackwalk"

	"golang.org/x/sys/unix"

	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// BenchmarkIndex replays a recording of the HTTP suite without making the index and with
// it: the difference is what the index costs. The sizes say how large a part of the
// recording the index is.
func BenchmarkIndex(b *testing.B) {
	probe.Require(b)
	python := setup.Path("venv-311/bin/python")
	if _, err := os.Stat(python); err != nil {
		b.Skip(err)
	}
	suite, err := filepath.Abs("../../fixtures/http_suite")
	if err != nil {
		b.Fatal(err)
	}
	dir := b.TempDir()
	cmd := exec.Command(os.Args[0], "record", "--keep", "always", "--verify", "none", "-o", "suite.pyrr.zip", "--", python, "-m", "pytest", "-q", "-p", "no:cacheprovider", suite)
	cmd.Args[0], cmd.Dir = "pyrr", dir
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	packed := filepath.Join(dir, "suite.pyrr.zip")
	st, err := os.Stat(packed)
	if err != nil {
		b.Fatal(err)
	}
	folder := filepath.Join(dir, "suite.part")
	if out, err := exec.Command("python3", "-m", "zipfile", "-e", packed, folder).CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	rec, err := recording.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer rec.Close()
	events := uint64(0)
	b.Run("replay", func(b *testing.B) {
		defer cpuPerOp(b)()
		for b.Loop() {
			res, err := replay.Batch(rec, replay.Options{Stdout: io.Discard})
			if err != nil {
				b.Fatal(err)
			}
			events = res.Events
		}
	})
	// The same with a stop at each event, where nothing is read.
	b.Run("stops", func(b *testing.B) {
		defer cpuPerOp(b)()
		for b.Loop() {
			none := func(*replay.Process, *replay.Thread, *recording.Event) error { return nil }
			if _, err := replay.Batch(rec, replay.Options{Stdout: io.Discard, OnEvent: none}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("index", func(b *testing.B) {
		defer cpuPerOp(b)()
		for b.Loop() {
			x, err := stackwalk.NewIndexer(rec, stackwalk.FromMachine)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := replay.Batch(rec, replay.Options{Stdout: io.Discard, OnEvent: x.Event}); err != nil {
				b.Fatal(err)
			}
			if err := x.Close(); err != nil {
				b.Fatal(err)
			}
		}
		for _, name := range []string{"stacks", "sources"} {
			st2, err := os.Stat(filepath.Join(folder, name))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(100*float64(st2.Size())/float64(st.Size()), name+"-%")
		}
		b.ReportMetric(float64(events), "events")
	})
}

// cpuPerOp measures the processor time of this process and its children: the cost of
// an operation also where other programs keep the machine busy.
func cpuPerOp(b *testing.B) func() {
	used := func() time.Duration {
		var self, children unix.Rusage
		if unix.Getrusage(unix.RUSAGE_SELF, &self) != nil || unix.Getrusage(unix.RUSAGE_CHILDREN, &children) != nil {
			return 0
		}
		return time.Duration(self.Utime.Nano() + self.Stime.Nano() + children.Utime.Nano() + children.Stime.Nano())
	}
	start := used()
	return func() { b.ReportMetric(float64((used()-start).Milliseconds())/float64(b.N), "cpu-ms/op") }
}
