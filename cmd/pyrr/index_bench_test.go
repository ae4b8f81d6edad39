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

// BenchmarkFacts says how much larger the index of a recording is for what explain needs of
// Python's objects: of programs that hang, the index with it to the one without.
func BenchmarkFacts(b *testing.B) {
	probe.Require(b)
	for _, name := range []string{"abba", "ring_by_hand", "pool_nested", "queue_join", "aio_queue_join", "http_keepalive_single"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			cmd := exec.Command(os.Args[0], "record", "--timeout", "4s", "--verify", "none", "-o", filepath.Join(dir, "hang.pyrr.zip"), "--", "/usr/bin/python3", name+".py")
			cmd.Args[0], cmd.Dir = "pyrr", "../../fixtures/hangs"
			out, _ := cmd.CombinedOutput() // it ends as the program does
			folder := filepath.Join(dir, "hang.part")
			if out2, err := exec.Command("python3", "-m", "zipfile", "-e", filepath.Join(dir, "hang.pyrr.zip"), folder).CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s%s", err, out, out2)
			}
			size := map[bool]int64{}
			for b.Loop() {
				for _, bare := range []bool{true, false} {
					size[bare] = indexSize(b, folder, bare)
				}
			}
			b.ReportMetric(float64(size[false])/1000, "kB")
			b.ReportMetric(100*float64(size[false]-size[true])/float64(size[true]), "more-%")
		})
	}
}

// indexSize makes the index of a recording, with what explain needs or bare of it, and
// returns how many bytes it has.
func indexSize(b *testing.B, folder string, bare bool) (size int64) {
	b.Helper()
	rec, err := recording.Open(folder)
	if err != nil {
		b.Fatal(err)
	}
	defer rec.Close()
	x, err := stackwalk.NewIndexer(rec, stackwalk.FromMachine)
	if err != nil {
		b.Fatal(err)
	}
	x.Bare = bare
	if _, err := replay.Batch(rec, replay.Options{Stdout: io.Discard, OnEvent: x.Event}); err != nil {
		b.Fatal(err)
	}
	if err := x.Close(); err != nil {
		b.Fatal(err)
	}
	for _, name := range []string{"stacks", "sources"} {
		st, err := os.Stat(filepath.Join(folder, name))
		if err != nil {
			b.Fatal(err)
		}
		size += st.Size()
	}
	return size
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
