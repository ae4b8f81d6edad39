package conformance

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rows.tsv")
	want := []Row{
		{Name: "test_a", Native: Pass, Record: Same, Replay: Exact, NativeSeconds: 1.5, RecordSeconds: 2, ReplaySeconds: 0.5},
		{Name: "test_b", Native: Pass, Record: TimedOut, Replay: None, NativeSeconds: 3, Detail: "tabs and lines are one line"},
	}
	in := append([]Row(nil), want...)
	in[1].Detail = "tabs\tand\nlines are  one line"
	if err := WriteRows(path, in); err != nil {
		t.Fatal(err)
	}
	got, err := ReadRows(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rows read back (-want +got):\n%s", d)
	}
	if rows, err := ReadRows(filepath.Join(t.TempDir(), "none")); rows != nil || err != nil {
		t.Errorf("a table that is not there: %v, %v", rows, err)
	}
	if err := os.WriteFile(path, []byte("a\tb\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRows(path); err == nil || !strings.Contains(err.Error(), "rows.tsv:1: 2 columns") {
		t.Errorf("a short row: %v", err)
	}
}

func TestReadCauses(t *testing.T) {
	for _, test := range []struct {
		name, text, want string
	}{
		{"good", "# comment\n\ntest_a\tits cause\n", ""},
		{"no cause", "test_a\n", "causes.tsv:1: no tab"},
		{"empty cause", "test_a\t  \n", "causes.tsv:1: no tab"},
		{"twice", "test_a\tx\ntest_a\ty\n", "causes.tsv:2: a second cause"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "causes.tsv")
			if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, err := ReadCauses(path)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("ReadCauses: %v, want %q", err, test.want)
			}
		})
	}
}

func TestSoakRows(t *testing.T) {
	var rows []SoakRow
	for _, r := range []Row{
		{Name: "b/x", Record: Same, Replay: Exact},
		{Name: "a/x", Record: Same, Replay: Diverged, Detail: "why"},
		{Name: "b/x", Record: Same, Replay: Exact},
		{Name: "a/x", Record: Same, Replay: Exact},
	} {
		rows = AddPair(rows, r, "abc", r.Name == "b/x")
	}
	want := []SoakRow{{"a/x", 2, 1, "why", "abc", 0}, {"b/x", 2, 0, "", "abc", 2}}
	if d := cmp.Diff(want, rows); d != "" {
		t.Errorf("rows (-want +got):\n%s", d)
	}
	path := filepath.Join(t.TempDir(), "soak.tsv")
	if err := WriteSoak(path, rows); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSoak(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("rows read back (-want +got):\n%s", d)
	}
	old := []SoakRow{{"b/x", 9, 0, "", "", 0}, {"b/x", 1, 1, "", "abc", 0}}
	want = []SoakRow{{"a/x", 2, 1, "why", "abc", 0}, {"b/x", 9, 0, "", "", 0}, {"b/x", 2, 0, "", "abc", 2}}
	if d := cmp.Diff(want, MergeSoak(old, got)); d != "" {
		t.Errorf("rows of two builds (-want +got):\n%s", d)
	}
}

// A soak that goes on where it was spreads its pairs evenly, and leaves out what
// fails without pyrr.
func TestSoakPlan(t *testing.T) {
	cases := []Case{{Name: "a"}, {Name: "b"}, {Name: "c"}}
	two := NewSoak(cases[:2], []SoakRow{{Name: "a", Pairs: 3}, {Name: "a", Pairs: 1, Build: "abc"}, {Name: "b", Pairs: 2}}, 3)
	for range 2 {
		if c, _ := two.next(); c.Name != "b" {
			t.Errorf("of 4 pairs with two builds, and 2, it goes on with %s", c.Name)
		}
	}
	all := NewSoak(cases, nil, 4)
	all.Chaos = true
	for range 4 {
		if c, _ := all.next(); !drawn(c) {
			t.Errorf("%s is made without --chaos where every pair was to have it", c.Name)
		}
	}
	s := NewSoak(cases, []SoakRow{{Name: "a", Pairs: 1}}, 6)
	var got []string
	chaos := 0
	for {
		c, ok := s.next()
		if !ok {
			break
		}
		got = append(got, c.Name)
		if drawn(c) {
			chaos++
		}
		row := Row{Name: c.Name, Native: Pass, Record: Same, Replay: Exact}
		if c.Name == "c" {
			row.Native = Fail
		}
		if err := s.done(row, drawn(c)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"b", "c", "a", "b", "a", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("pairs of %v, want %v", got, want)
	}
	if chaos < 2 {
		t.Errorf("%d of %d pairs have the order of threads drawn, not a third", chaos, len(got))
	}
	want := []SoakRow{{"a", 4, 0, "", "", 1}, {"b", 3, 0, "", "", 1}}
	if s.Done != 6 || s.Failed != 1 || !slices.Equal(s.rows, want) {
		t.Errorf("%d done, %d failed, %v; want 6, 1, %v", s.Done, s.Failed, s.rows, want)
	}
}
