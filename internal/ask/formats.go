package ask

import (
	"bufio"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/google/pprof/profile"

	"pyrr/internal/stack"
)

// Stacks writes the forms that show times by stack.
type Stacks struct {
	Profile *Profile
	// Name is that of the recording, Began when it began, in ns since 1970.
	Name  string
	Began int64
	// Lines keeps the lines of frames apart; else a function is one frame.
	Lines bool
	// Short shortens the name of a file.
	Short func(file string) string
}

// frameKey is a frame as the forms tell them apart.
type frameKey struct {
	fn, file string
	line     int
}

func (s *Stacks) key(f *stack.Frame) frameKey {
	k := frameKey{fn: f.Func, file: f.File}
	if s.Lines {
		k.line = f.Line
	}
	return k
}

func (s *Stacks) label(k frameKey) string {
	text := fmt.Sprintf("%s (%s", k.fn, s.Short(k.file))
	if k.line > 0 {
		text += ":" + strconv.Itoa(k.line)
	}
	return text + ")"
}

// path lists the frames of a sample, outermost first, and at its end the call that it
// waits in.
func (s *Stacks) path(x *Sample) []frameKey {
	out := make([]frameKey, 0, len(x.Frames)+1)
	for i := range x.Frames {
		out = append(out, s.key(&x.Frames[i]))
	}
	slices.Reverse(out)
	if x.Wait != "" {
		out = append(out, frameKey{fn: x.Wait, file: "system call"})
	}
	return out
}

// threadName names the thread of a sample among those of all processes.
func threadName(x *Sample) string {
	name := cmp.Or(x.Thread, "thread "+strconv.Itoa(int(x.TID)))
	if x.Process != 1 {
		name = fmt.Sprintf("process %d, %s", x.Process, name)
	}
	return name
}

// Collapsed writes a line for each stack, with ns: what flame graphs are made of.
func (s *Stacks) Collapsed(w io.Writer) error {
	sums := map[string]int64{}
	clean := strings.NewReplacer(";", ",", "\n", " ", "\r", " ")
	for i := range s.Profile.Samples {
		x := &s.Profile.Samples[i]
		parts := []string{clean.Replace(threadName(x))}
		for _, k := range s.path(x) {
			parts = append(parts, clean.Replace(s.label(k)))
		}
		sums[strings.Join(parts, ";")] += x.End - x.Begin
	}
	b := bufio.NewWriter(w)
	for _, line := range slices.Sorted(maps.Keys(sums)) {
		if sums[line] > 0 {
			fmt.Fprintf(b, "%s %d\n", line, sums[line])
		}
	}
	return b.Flush()
}

type speedscopeFrame struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

type speedscopeProfile struct {
	Type    string  `json:"type"`
	Name    string  `json:"name"`
	Unit    string  `json:"unit"`
	Start   int64   `json:"startValue"`
	End     int64   `json:"endValue"`
	Samples [][]int `json:"samples"`
	Weights []int64 `json:"weights"`
}

// Speedscope writes a profile for each thread, in the form of speedscope.
func (s *Stacks) Speedscope(w io.Writer) error {
	var doc struct {
		Schema string `json:"$schema"`
		Name   string `json:"name"`
		Shared struct {
			Frames []speedscopeFrame `json:"frames"`
		} `json:"shared"`
		Profiles []*speedscopeProfile `json:"profiles"`
	}
	doc.Schema, doc.Name = "https://www.speedscope.app/file-format-schema.json", s.Name
	doc.Shared.Frames, doc.Profiles = []speedscopeFrame{}, []*speedscopeProfile{}
	numbers := map[frameKey]int{}
	threads := map[nameKey]*speedscopeProfile{}
	for i := range s.Profile.Samples {
		x := &s.Profile.Samples[i]
		if x.End <= x.Begin {
			continue
		}
		key := nameKey{x.Process, x.TID}
		p := threads[key]
		if p == nil {
			p = &speedscopeProfile{Type: "sampled", Name: threadName(x), Unit: "nanoseconds", Samples: [][]int{}, Weights: []int64{}}
			threads[key] = p
			doc.Profiles = append(doc.Profiles, p)
		}
		st := []int{}
		for _, k := range s.path(x) {
			n, ok := numbers[k]
			if !ok {
				n = len(numbers)
				numbers[k] = n
				doc.Shared.Frames = append(doc.Shared.Frames, speedscopeFrame{k.fn, s.Short(k.file), k.line})
			}
			st = append(st, n)
		}
		p.Samples, p.Weights = append(p.Samples, st), append(p.Weights, x.End-x.Begin)
		p.End += x.End - x.Begin
	}
	return json.NewEncoder(w).Encode(doc)
}

// Pprof writes the counts of lines, exactly, and the times of stacks, in pprof's form.
func (s *Stacks) Pprof(w io.Writer) error {
	p := &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "instructions", Unit: "count"}, {Type: "begun", Unit: "count"}, {Type: "run", Unit: "nanoseconds"}, {Type: "wait", Unit: "nanoseconds"}},
		TimeNanos:  s.Began, DurationNanos: s.Profile.End,
		DefaultSampleType: "instructions",
	}
	funcs := map[frameKey]*profile.Function{}
	places := map[frameKey]*profile.Location{}
	place := func(k frameKey) *profile.Location {
		if l := places[k]; l != nil {
			return l
		}
		whole := frameKey{fn: k.fn, file: k.file}
		fn := funcs[whole]
		if fn == nil {
			fn = &profile.Function{ID: uint64(len(p.Function) + 1), Name: k.fn, SystemName: k.fn, Filename: k.file}
			funcs[whole] = fn
			p.Function = append(p.Function, fn)
		}
		l := &profile.Location{ID: uint64(len(p.Location) + 1), Line: []profile.Line{{Function: fn, Line: int64(k.line)}}}
		places[k] = l
		p.Location = append(p.Location, l)
		return l
	}
	for i := range s.Profile.Lines {
		l := &s.Profile.Lines[i]
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{place(frameKey{l.Func, l.File, l.Line})}, Value: []int64{int64(l.Instrs), int64(l.Begun), 0, 0}})
	}
	if n := s.Profile.Unknown; n > 0 { // so that the sum is the recording's count
		p.Sample = append(p.Sample, &profile.Sample{Location: []*profile.Location{place(frameKey{fn: "code that was gone before it was read"})}, Value: []int64{int64(n), 0, 0, 0}})
	}
	type stackKey struct {
		thread, wait string
		node         uint32
	}
	times := map[stackKey]*profile.Sample{}
	for i := range s.Profile.Samples {
		x := &s.Profile.Samples[i]
		if x.End <= x.Begin {
			continue
		}
		k := stackKey{threadName(x), x.Wait, x.node}
		one := times[k]
		if one == nil {
			one = &profile.Sample{Value: make([]int64, 4), Label: map[string][]string{"thread": {k.thread}}}
			path := (&Stacks{Lines: true}).path(x)
			for _, f := range slices.Backward(path) {
				one.Location = append(one.Location, place(f))
			}
			times[k] = one
			p.Sample = append(p.Sample, one)
		}
		at := 2
		if x.Wait != "" {
			at = 3
		}
		one.Value[at] += x.End - x.Begin
	}
	if err := p.CheckValid(); err != nil {
		return err
	}
	return p.Write(w)
}
