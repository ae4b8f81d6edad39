package conformance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const repo = "../.."

// TestDocument holds docs/conformance.md to the kept results.
func TestDocument(t *testing.T) {
	kept, err := ReadKept(repo)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(repo, Document))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(Report(kept), string(got)); d != "" {
		t.Errorf("%s is not what `go run ./internal/conformance/run report` writes (-want +got):\n%s", Document, d)
	}
}

// TestCauses holds that every failure has a named cause, and that no cause is
// kept for what is good by now.
func TestCauses(t *testing.T) {
	kept, err := ReadKept(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Count(kept.Corpus, kept.Causes).Unnamed {
		t.Errorf("%s fails without a cause in causes.tsv", name)
	}
	for name := range kept.Causes {
		for _, r := range kept.Corpus {
			if r.Name == name && r.Good() {
				t.Errorf("%s is good, and has a cause in causes.tsv", name)
			}
		}
	}
}

func TestReport(t *testing.T) {
	k := Kept{
		Corpus: []Row{
			{Name: "test_good", Native: Pass, Record: Same, Replay: Exact},
			{Name: "test_bad", Native: Pass, Record: Same, Replay: Diverged, Detail: "at | 5"},
			{Name: "test_new", Native: Pass, Record: Different, Replay: Exact},
			{Name: "test_skip", Native: Skip},
			{Name: "test_fail", Native: Fail, Detail: "<last>"},
		},
		Soak: []SoakRow{{"deb311/a", 10, 1, "why", "abc", 3}, {"deb311/b", 5, 0, "", "", 0}, {"sid/a", 7, 0, "", "abc", 2}},
		Elsewhere: []ElsewhereRow{
			{"EPYC", "6.1", "replays", 3, 3, 0, 3, 3, "abc"},
			{"max", "6.1", "replays", 3, 2, 0, 3, 3, "abc"},
			{"Westmere", "6.1", "refused", 3, 0, 3, 0, 0, "abc"},
		},
		Others: map[string][]Row{"3.13_abc": {{Name: "test_good", Native: Pass, Record: Same, Replay: Exact}, {Name: "test_bad", Native: Pass, Record: TimedOut, Replay: None, Detail: "slow"}}},
		Causes: map[string]string{"test_bad": "a named cause", "3.13/test_bad": "its own cause", "deb311/a": "raced"},
	}
	text := Report(k)
	for _, want := range []string{
		"| in the suite | 5 |", "| **pass without pyrr, so tried** | 3 |", "| **both** | 1 |", "33.3 %",
		`| test_bad | same | diverged | at \| 5 | a named cause |`,
		"| test_new | different | exact |  | **not known yet** |",
		"| test_fail | &lt;last> |",
		"**22 pairs of a recording and a replay, 5 of them with `--chaos`, 1 with a difference.**", "| deb311 | 5 | – | 0 | not kept |", "| deb311 | 10 | 3 | 1 | abc |", "| deb311/a | 10 | 1 | why | raced |",
		"| 3.13 | 2 | 0 | 0 | 0 | 2 | 1 | 1 | 1 | abc |", "| 3.13 | test_bad | timed out | - | slow | its own cause |",
		"| EPYC | 6.1 | 3 of 3 exact | 3 of 3 exact | abc |", "| max | 6.1 | 2 of 3 exact **(not as expected)** | 3 of 3 exact | abc |",
		"| Westmere | 6.1 | 3 of 3 refused by name | refused | abc |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the report lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "test_skip |") {
		t.Errorf("the report lists a skipped file:\n%s", text)
	}
}

// TestReadPlaces reads the table of places, and refuses a line that is none.
func TestReadPlaces(t *testing.T) {
	for _, tt := range []struct {
		text string
		rows int
		err  string
	}{
		{placeFields + "\nulimit -n 16\trefused: few\texact\tabc\n", 1, ""},
		{placeFields + "\nulimit -n 16\trefused\n", 0, "places.tsv:2: 2 fields, not 4"},
	} {
		file := filepath.Join(t.TempDir(), "places.tsv")
		if err := os.WriteFile(file, []byte(tt.text), 0o666); err != nil {
			t.Fatal(err)
		}
		rows, err := ReadPlaces(file)
		if len(rows) != tt.rows || (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%q: %v, %v", tt.text, rows, err)
		}
	}
}
