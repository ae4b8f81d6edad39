//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/pprof/profile"

	"pyrr/internal/ask"
)

// formsProgram has what no form may lose: threads, a child, waits, code that is made and
// is gone later, names with a semicolon and a line break.
const formsProgram = `import os, threading, time
def busy(n):
    total = 0
    for i in range(n):
        total += i
    return total
def rest():
    busy(50)
    time.sleep(0.02)
def made(k):
    exec(compile("def made(n):\n    return n + 1\nmade(1)\n", "<ma;de\n%d>" % k, "exec"), {})
for k in range(20):
    made(k)
threads = [threading.Thread(target=rest, name="sleeper;%d" % k) for k in range(3)]
[t.start() for t in threads]
pid = os.fork()
if pid == 0:
    busy(300)
    time.sleep(0.01)
    os._exit(0)
os.waitpid(pid, 0)
[t.join() for t in threads]
print(busy(200))
`

// TestProfileForms: every form has the whole profile: each instruction and each moment
// of each thread once.
func TestProfileForms(t *testing.T) {
	t.Parallel()
	rec, p := profileOf(t, recordText(t, formsProgram))
	sum, ok := rec.Summary()
	if !ok || sum.Instructions != p.Instrs {
		t.Errorf("%d instructions, info says %d", p.Instrs, sum.Instructions)
	}
	funcs, lines := p.Unknown, p.Unknown
	for i := range p.Funcs {
		funcs += p.Funcs[i].Instrs
	}
	for i := range p.Lines {
		lines += p.Lines[i].Instrs
	}
	if funcs != p.Instrs || lines != p.Instrs {
		t.Errorf("%d instructions, by function %d, by line %d", p.Instrs, funcs, lines)
	}
	var run, wait int64
	var threadInstrs uint64
	for _, th := range p.Threads {
		run, wait, threadInstrs = run+th.Run, wait+th.Wait, threadInstrs+th.Instrs
	}
	if len(p.Threads) != 5 || wait < 60e6 || threadInstrs != p.Instrs {
		t.Errorf("%d threads, which ran %d instructions and waited %d ns", len(p.Threads), threadInstrs, wait)
	}
	st := &ask.Stacks{Profile: p, Name: "forms", Began: rec.Header().Started.UnixNano(), Short: filepath.Base}
	write := func(form func(io.Writer) error) []byte {
		t.Helper()
		var once, twice bytes.Buffer
		if err := form(&once); err != nil {
			t.Fatal(err)
		}
		if err := form(&twice); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Errorf("the second file has other bytes than the first: %v", err)
		}
		return once.Bytes()
	}
	if got := pprofTotals(t, write(st.Pprof)); !slices.Equal(got, []int64{int64(p.Instrs), run, wait}) {
		t.Errorf("pprof has %v instructions and times, the profile %d, %d, %d", got, p.Instrs, run, wait)
	}
	if got := collapsedTotal(t, write(st.Collapsed)); got != run+wait {
		t.Errorf("collapsed stacks have %d ns of %d", got, run+wait)
	}
	if got := speedscopeTotal(t, write(st.Speedscope), len(p.Threads)); got != run+wait {
		t.Errorf("speedscope has %d ns of %d", got, run+wait)
	}
	if got := perfettoWaits(t, write(st.Perfetto), len(p.Threads)); got != wait {
		t.Errorf("perfetto has waits of %d ns of %d", got, wait)
	}
}

// pprofTotals reads a profile by pprof's own library: instructions, running, waiting.
func pprofTotals(t *testing.T, form []byte) []int64 {
	t.Helper()
	p, err := profile.ParseData(form)
	if err == nil {
		err = p.CheckValid()
	}
	if err != nil {
		t.Fatal(err)
	}
	out := make([]int64, 3)
	for i, name := range []string{"instructions", "run", "wait"} {
		at := slices.IndexFunc(p.SampleType, func(v *profile.ValueType) bool { return v.Type == name })
		for _, s := range p.Sample {
			out[i] += s.Value[at]
		}
	}
	return out
}

func collapsedTotal(t *testing.T, form []byte) (sum int64) {
	t.Helper()
	for line := range strings.Lines(string(form)) {
		at := strings.LastIndexByte(line, ' ')
		n, err := strconv.ParseInt(strings.TrimSpace(line[at+1:]), 10, 64)
		if err != nil || n <= 0 {
			t.Fatalf("%q: %v", line, err)
		}
		sum += n
	}
	return sum
}

// speedscopeTotal checks the rules that the schema of speedscope's files has for sampled
// profiles, and returns the sum of their weights.
func speedscopeTotal(t *testing.T, form []byte, threads int) (sum int64) {
	t.Helper()
	var doc struct {
		Shared   struct{ Frames []struct{ Name string } }
		Profiles []struct {
			Type, Unit           string
			StartValue, EndValue int64
			Samples              [][]int
			Weights              []int64
		}
	}
	if err := json.Unmarshal(form, &doc); err != nil || len(doc.Profiles) != threads {
		t.Fatalf("%d profiles for %d threads, %v", len(doc.Profiles), threads, err)
	}
	for _, p := range doc.Profiles {
		own := int64(0)
		for i, w := range p.Weights {
			own += w
			for _, f := range p.Samples[i] {
				if f < 0 || f >= len(doc.Shared.Frames) {
					t.Fatalf("a stack has frame %d of %d", f, len(doc.Shared.Frames))
				}
			}
		}
		if p.Type != "sampled" || p.Unit != "nanoseconds" || len(p.Samples) != len(p.Weights) || p.EndValue-p.StartValue != own {
			t.Errorf("%s in %s, %d samples, %d weights of %d ns from %d to %d", p.Type, p.Unit, len(p.Samples), len(p.Weights), own, p.StartValue, p.EndValue)
		}
		sum += own
	}
	return sum
}

// perfettoWaits checks that of two slices of a thread one contains the other or they are
// apart, each with its beginning and its end in the order of time, as the Trace Event Format
// wants them. It returns how long the slices of system calls are.
func perfettoWaits(t *testing.T, form []byte, threads int) (waits int64) {
	t.Helper()
	type event struct {
		Ph, Name, Cat string
		PID, TID      int
		TS            float64 // µs
	}
	var doc struct{ TraceEvents []event }
	if err := json.Unmarshal(form, &doc); err != nil {
		t.Fatal(err)
	}
	named, open, at := map[[2]int]bool{}, map[[2]int][]event{}, map[[2]int]float64{}
	for _, e := range doc.TraceEvents {
		key := [2]int{e.PID, e.TID}
		if e.TS < at[key] || e.TS < 0 {
			t.Errorf("%+v comes after %.3f", e, at[key])
		}
		at[key] = e.TS
		st := open[key]
		switch {
		case e.Ph == "M" && e.Name == "thread_name":
			named[key] = true
		case e.Ph == "B" && named[key]:
			open[key] = append(st, e)
		case e.Ph == "E" && len(st) > 0 && st[len(st)-1].Name == e.Name && st[len(st)-1].TS < e.TS:
			if e.Cat == "wait" {
				waits += int64((e.TS-st[len(st)-1].TS)*1000 + 0.5)
			}
			open[key] = st[:len(st)-1]
		default:
			t.Errorf("an event of an unexpected kind, in %v: %+v", st, e)
		}
	}
	if len(named) != threads {
		t.Errorf("%d of %d threads have a name", len(named), threads)
	}
	for key, st := range open {
		if len(st) > 0 {
			t.Errorf("thread %v ends in %v", key, st)
		}
	}
	return waits
}
