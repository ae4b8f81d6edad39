package stack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// show writes a diff in short: an op, the two numbers, the function.
func show(d *Diff) string {
	ops := map[Op]string{Same: "=", Moved: "~", Gone: "-", Added: "+", Any: ".", Gap: "…"}
	var b strings.Builder
	for _, r := range d.Rows {
		fn := r.Line.Func
		if r.Op == Added || r.Op == Any {
			fn = r.Frame.Func
		}
		fmt.Fprintf(&b, "%s %d %d %s\n", ops[r.Op], r.Want, r.Got, fn)
	}
	return b.String()
}

func TestCompare(t *testing.T) {
	frames := func(names string) Stack {
		var s Stack
		for _, name := range strings.Fields(names) {
			s.Frames = append(s.Frames, Frame{Kind: Python, Func: name, File: name + ".py", Line: 1, Text: name + "()"})
		}
		return s
	}
	lines := func(names string) (p Pattern) {
		for _, name := range strings.Fields(names) {
			if name == "…" {
				p.Lines = append(p.Lines, Line{Gap: true})
				continue
			}
			p.Lines = append(p.Lines, Line{Kind: Python, Func: name, File: name + ".py", Number: "1"})
		}
		return p
	}
	tests := []struct {
		name  string
		want  Pattern
		got   Stack
		equal bool
		rows  string
	}{
		{"equal", lines("a b c"), frames("a b c"), true, "= 0 0 a\n= 1 1 b\n= 2 2 c\n"},
		{"empty", lines(""), frames(""), true, ""},
		{"one more", lines("a c"), frames("a b c"), false, "= 0 0 a\n+ -1 1 b\n= 1 2 c\n"},
		{"one less", lines("a b c"), frames("a c"), false, "= 0 0 a\n- 1 -1 b\n= 2 1 c\n"},
		{"one other", lines("a b c"), frames("a x c"), false, "= 0 0 a\n- 1 -1 b\n+ -1 1 x\n= 2 2 c\n"},
		{"swapped", lines("a b"), frames("b a"), false, "- 0 -1 a\n= 1 0 b\n+ -1 1 a\n"},
		{"gap", lines("a … c"), frames("a x y c"), true, "= 0 0 a\n… -1 -1 \n. -1 1 x\n. -1 2 y\n= 1 3 c\n"},
		{"gap of nothing", lines("a … b"), frames("a b"), true, "= 0 0 a\n… -1 -1 \n= 1 1 b\n"},
		{"gap at the end", lines("a …"), frames("a b"), true, "= 0 0 a\n… -1 -1 \n. -1 1 b\n"},
		{"gap goes back", lines("… a b"), frames("a x a b"), true, "… -1 -1 \n. -1 0 a\n. -1 1 x\n= 0 2 a\n= 1 3 b\n"},
		{"gap and a difference", lines("a … c d"), frames("a x y c e"), false, "= 0 0 a\n… -1 -1 \n. -1 1 x\n. -1 2 y\n= 1 3 c\n- 2 -1 d\n+ -1 4 e\n"},
		{"nothing wanted", lines(""), frames("a"), false, "+ -1 0 a\n"},
		{"nothing there", lines("a"), frames(""), false, "- 0 -1 a\n"},
		{"recursion", lines("f f f g"), frames("f f f f g"), false, "= 0 0 f\n= 1 1 f\n= 2 2 f\n+ -1 3 f\n= 3 4 g\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := Compare(tt.want, tt.got, false)
			if d.Equal != tt.equal {
				t.Errorf("equal: %v", d.Equal)
			}
			if diff := cmp.Diff(tt.rows, show(&d)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestFits holds what makes a frame the wanted one.
func TestFits(t *testing.T) {
	frame := Frame{Kind: Python, Func: "C.f", File: "pkg/a.py", Line: 10, Text: "x = g(*a)"}
	bare := frame
	bare.Text = ""
	tests := []struct {
		name  string
		line  string
		frame Frame
		exact bool
		want  fit
	}{
		{"same", "Py  C.f  pkg/a.py:10  x = g(\\*a)", frame, false, fit{ok: true}},
		{"moved", "Py  C.f  pkg/a.py:12  x = g(\\*a)", frame, false, fit{ok: true, moved: true}},
		{"moved but exact", "Py  C.f  pkg/a.py:12  x = g(\\*a)", frame, true, fit{}},
		{"other text on the line", "Py  C.f  pkg/a.py:10  x = h(\\*a)", frame, false, fit{}},
		{"text with a star", "Py  C.f  pkg/a.py:10  x = *", frame, false, fit{ok: true}},
		{"no text in the golden", "Py  C.f  pkg/a.py:10", frame, false, fit{ok: true}},
		{"no text in the golden, other line", "Py  C.f  pkg/a.py:11", frame, false, fit{}},
		{"no source at hand", "Py  C.f  pkg/a.py:10  x = g(\\*a)", bare, false, fit{ok: true, byNumber: true}},
		{"no source at hand, other line", "Py  C.f  pkg/a.py:11  x = g(\\*a)", bare, false, fit{}},
		{"no source at hand, any line", "Py  C.f  pkg/a.py:*  x = g(\\*a)", bare, false, fit{ok: true, open: true}},
		{"any line", "Py  C.f  pkg/a.py:*", frame, true, fit{ok: true}},
		{"no line", "Py  C.f  pkg/a.py", frame, true, fit{ok: true}},
		{"other function", "Py  C.g  pkg/a.py:10", frame, false, fit{}},
		{"star in the function", "Py  *.f  pkg/*:10", frame, false, fit{ok: true}},
		{"other file", "Py  C.f  a.py:10", frame, false, fit{}},
		{"a C frame", "C   C.f", frame, false, fit{}},
		{"C", "C   recv  libc.so.6", Frame{Kind: C, Func: "recv", Module: "libc.so.6"}, false, fit{ok: true}},
		{"C, other module", "C   recv  libc.so.7", Frame{Kind: C, Func: "recv", Module: "libc.so.6"}, false, fit{}},
		{"C, any module", "C   recv", Frame{Kind: C, Func: "recv", Module: "libc.so.6"}, false, fit{ok: true}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := Parse(tt.line)
			if err != nil {
				t.Fatal(err)
			}
			if got := fits(&p[0].Lines[0], &tt.frame, tt.exact); got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestCompareThreads(t *testing.T) {
	p := Pattern{Thread: "Thread-*", Lines: []Line{{Gap: true}}}
	for name, want := range map[string]bool{"Thread-1 (run)": true, "MainThread": false, "": false} {
		if d := Compare(p, Stack{Name: name}, false); d.Equal != want || d.Thread == want {
			t.Errorf("thread %q: %+v", name, d)
		}
	}
}

// TestCompareLarge holds that stacks of any depth are compared in bounded
// time, and that what is too large to align is still told apart.
func TestCompareLarge(t *testing.T) {
	var s Stack
	for i := range 6000 {
		s.Frames = append(s.Frames, Frame{Kind: Python, Func: fmt.Sprintf("f%d", i), File: "a.py", Line: i + 1})
	}
	p := PatternOf("x", s)
	if d := Compare(p, s, true); !d.Equal {
		t.Fatal("a deep stack differs from itself")
	}
	p.Lines[3000].Func = "other"
	d := Compare(p, s, true)
	if d.Equal || len(d.Rows) < 6000 {
		t.Errorf("equal %v, %d rows", d.Equal, len(d.Rows))
	}
}

func FuzzCompare(f *testing.F) {
	f.Add("ab…c", "abxc")
	f.Add("…a…b…", "ababab")
	f.Fuzz(func(t *testing.T, want, got string) {
		if len(want)+len(got) > 200 {
			return
		}
		var p Pattern
		for _, r := range want {
			p.Lines = append(p.Lines, Line{Gap: r == '…', Kind: Python, Func: string(r), File: "f"})
		}
		var s Stack
		for _, r := range got {
			s.Frames = append(s.Frames, Frame{Kind: Python, Func: string(r), File: "f"})
		}
		d := Compare(p, s, false)
		// Every line and every frame stands in the rows once, in order.
		w, g, differ := 0, 0, false
		for _, row := range d.Rows {
			if row.Op == Gone || row.Op == Added {
				differ = true
			}
			if row.Want >= 0 && row.Want != w || row.Got >= 0 && row.Got != g {
				t.Fatalf("out of order: %s", show(&d))
			}
			if row.Want >= 0 {
				w++
			}
			if row.Got >= 0 {
				g++
			}
		}
		gaps := 0
		for _, l := range p.Lines {
			if l.Gap {
				gaps++
			}
		}
		if w != len(p.Lines)-gaps || g != len(s.Frames) {
			t.Fatalf("%d lines of %d, %d frames of %d: %s", w, len(p.Lines)-gaps, g, len(s.Frames), show(&d))
		}
		if d.Equal == differ {
			t.Errorf("equal %v, but: %s", d.Equal, show(&d))
		}
	})
}
