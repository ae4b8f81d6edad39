package cpython

import (
	"strings"
	"testing"
)

// TestEval compares what expressions come to, read from memory, with what
// Python says of them.
func TestEval(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			var want [][]*string
			p, r, ts := liveThreads(t, in, "expr.py", &want)
			if len(want) < 50 || len(ts) != 1 {
				t.Fatalf("%d expressions, threads %v", len(want), ts)
			}
			frames, err := r.Frames(p.m, ts[0], Options{})
			if err != nil || len(frames) < 2 {
				t.Fatalf("%d frames, error %v", len(frames), err)
			}
			f := frames[0]
			if f.Func != "last" {
				f = frames[1]
			}
			sameValues(t, want, r, p, f)
			object := func(expr string) Object {
				t.Helper()
				e, err := ParseExpr(expr)
				if err != nil {
					t.Fatal(err)
				}
				o, err := r.Eval(p.m, f, e)
				if err != nil {
					t.Fatal(err)
				}
				return o.Object
			}
			for expr, want := range map[string]string{
				"items": "[0]=1 [1]=2 [2]=3",
				"table": "['a']=1 [2]='two'",
				"point": "x=4 y='why'",
				"slots": "a=[10, 20, 30]",
				"error": "args=('bad', 3)",
				"small": "",
				"text":  "",
			} {
				o := object(expr)
				if o.Inside != (want != "") {
					t.Errorf("%s: Inside is %v", expr, o.Inside)
				}
				parts, err := r.Children(p.m, o.Addr, 0, 0)
				var got []string
				for _, c := range parts {
					got = append(got, c.Name+"="+c.Text)
				}
				if strings.Join(got, " ") != want || err != nil {
					t.Errorf("%s has %q (error %v), want %q", expr, got, err, want)
				}
			}
			if parts, err := r.Children(p.m, object("items").Addr, 1, 1); err != nil || len(parts) != 1 || parts[0].Name != "[1]" {
				t.Errorf("one item from 1: %v, error %v", parts, err)
			}
			globals, err := r.Globals(p.m, f)
			found := false
			for _, v := range globals {
				found = found || v.Name == "LIMIT" && v.Value == "12"
			}
			if err != nil || !found {
				t.Errorf("no LIMIT in %d globals, error %v", len(globals), err)
			}
		})
	}
}

// sameValues holds expressions against the values that Python gives them.
func sameValues(t *testing.T, want [][]*string, r *Runtime, p *process, f Frame) {
	for _, w := range want {
		e, err := ParseExpr(*w[0])
		var got Result
		if err == nil {
			got, err = r.Eval(p.m, f, e)
		}
		switch {
		case w[1] == nil || *w[0] == "items.append":
			if err == nil {
				t.Errorf("%s is %s, no error", *w[0], got.Text)
			}
		case err != nil:
			t.Errorf("%s: %v", *w[0], err)
		case got.Text != *w[1] && !strings.HasPrefix(*w[1], "<class"):
			t.Errorf("%s is %s, Python says %s", *w[0], got.Text, *w[1])
		}
	}
}

// TestParseExpr holds that what can't be evaluated is refused with a reason.
func TestParseExpr(t *testing.T) {
	for _, text := range []string{
		"", "x +", "x y", "f(x)", "x.", "x.1", "a[", "a[1", "'open", `"a\q"`, "lambda: 1", "x if y else z", "x := 1", "$rax", "len", "len(", "1.2.3", "0b3",
		strings.Repeat("(", 500), strings.Repeat("-", 1500) + "1", strings.Repeat("x", 3000), "x not y", "not",
	} {
		if e, err := ParseExpr(text); err == nil && text != "len" {
			t.Errorf("%.20q was read as %v", text, e)
		}
	}
}

func FuzzParseExpr(f *testing.F) {
	f.Add("a.b[1] == 'x' and not 3 < y <= len(z)")
	f.Fuzz(func(t *testing.T, text string) {
		if e, err := ParseExpr(text); err == nil && e.root == nil {
			t.Error("nothing, and no error")
		}
	})
}
