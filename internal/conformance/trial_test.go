package conformance

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(RunTests(m)) }

// newTrial makes a trial, or skips where this machine can't trace.
func newTrial(t *testing.T) *Trial {
	t.Helper()
	pyrr, err := Binary()
	if err != nil {
		t.Fatal(err)
	}
	return &Trial{Pyrr: pyrr, Scratch: t.TempDir(), Isolate: CanIsolate()}
}

// slots bounds how many programs run at once: some are about time-outs.
var slots = make(chan struct{}, 2)

// try runs a case, and fails the test unless it is good.
func try(t *testing.T, trial *Trial, c Case) {
	t.Helper()
	slots <- struct{}{}
	defer func() { <-slots }()
	row, err := trial.Run(context.Background(), c)
	switch {
	case err != nil:
		t.Fatal(err)
	case row.Native == Skip:
		t.Skipf("skips itself: %s", row.Detail)
	case row.Native != Pass:
		t.Errorf("without pyrr: %s: %s", row.Native, row.Detail)
	case !row.Good():
		t.Errorf("recording %s, replay %s: %s", row.Record, row.Replay, row.Detail)
	}
}

// TestShortCorpus runs the short list of CPython's regression tests.
func TestShortCorpus(t *testing.T) {
	corpus := Corpus{Python: "/usr/bin/python3.11", Limit: 2 * time.Minute}
	if _, err := corpus.Version(context.Background()); err != nil {
		t.Skip(err)
	}
	files, err := Short(repo)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := ReadKept(repo)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			if cause := kept.Causes[file]; cause != "" {
				t.Skip(cause)
			}
			t.Parallel()
			try(t, newTrial(t), corpus.Case(file))
		})
	}
}

// TestTrialNotices holds that a trial can fail: each program differs from its
// native run, or does what a replay can't repeat, in one way.
func TestTrialNotices(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3.11")
	if err != nil {
		t.Skip("no /usr/bin/python3.11")
	}
	same := func(native, recorded Output) string {
		if native.Stdout != recorded.Stdout {
			return "other output"
		}
		return ""
	}
	for _, test := range []struct {
		name, code     string
		native, record Verdict
	}{
		{"good", "print(1)", Pass, Same},
		{"other output", "import time; print(time.time())", Pass, Different},
		{"fails", "raise SystemExit(3)", Fail, None},
		{"slow", "import time; time.sleep(60)", Slow, None},
	} {
		t.Run(test.name, func(t *testing.T) {
			limit := time.Minute
			if test.native == Slow {
				limit = 2 * time.Second
			}
			row, err := newTrial(t).Run(context.Background(), Case{Name: test.name, Argv: []string{python, "-c", test.code}, Judge: same,
				NativeLimit: limit})
			if err != nil {
				t.Fatal(err)
			}
			if row.Native != test.native || row.Record != test.record {
				t.Errorf("native %s, record %s (%s); want %s, %s", row.Native, row.Record, row.Detail, test.native, test.record)
			}
		})
	}
}

// TestFixtureHeaders holds that headers are read as fixtures/README.md says,
// and that the table there names every program.
func TestFixtureHeaders(t *testing.T) {
	dir := filepath.Join(repo, "fixtures")
	fixtures, err := Fixtures(dir)
	if err != nil {
		t.Fatal(err)
	}
	table, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Fixture{}
	for _, f := range fixtures {
		byName[f.Name] = f
		if !strings.Contains(string(table), f.Name+".py") {
			t.Errorf("fixtures/README.md does not name %s.py", f.Name)
		}
	}
	if f := byName["monitoring"]; !slices.Equal(f.Requires, []string{"python>=3.12"}) {
		t.Errorf("monitoring.py requires %q", f.Requires)
	}
	if f := byName["slow_http"]; !f.Hangs || !slices.Equal(f.Requires, []string{"requests"}) {
		t.Errorf("slow_http.py: %+v", f)
	}
	if f := byName["signal_segv"]; f.Exit != 139 {
		t.Errorf("signal_segv.py ends with %d", f.Exit)
	}
	if f := byName["proc_system"]; !f.FollowAll {
		t.Error("proc_system.py is not to be recorded with its native children")
	}
}

// What a replay ended with is said, not how long it took.
func TestWithoutProgress(t *testing.T) {
	const said = "pyrr: … replaying r.pyrr.zip, for 10 s\npyrr: error: the replay diverged\n"
	if got := firstLine(withoutProgress(said)); !strings.Contains(got, "diverged") {
		t.Errorf("the first line is %q", got)
	}
}
