package assert

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"pyrr/internal/goldentest"
)

// many makes n recordings and a spec that names them all.
func many(t *testing.T, n int) (string, []*Spec) {
	dir := t.TempDir()
	for i := range n {
		goldentest.Write(t, filepath.Join(dir, fmt.Sprintf("many/%03d.zip", i)), "")
	}
	return dir, specIn(t, dir, "version: 1\nrecording: many/*.zip\nexpect: [connect]\n")
}

// TestWorkers holds that recordings are judged side by side and reported in
// order.
func TestWorkers(t *testing.T) {
	dir, specs := many(t, 20)
	var opened, open atomic.Int32
	var most int32
	opener := func(path string) (Source, error) {
		opened.Add(1)
		if n := open.Add(1); n > most {
			most = n
		}
		time.Sleep(ms)
		open.Add(-1)
		f := slowHTTP()
		if strings.HasSuffix(path, "7.zip") {
			f.events = nil
		}
		return f, nil
	}
	done := 0
	run, err := Check(t.Context(), specs, opener, Options{Workers: 4, Done: func(n, total int, _ []*SpecResult) {
		if done++; n != done || total != 20 {
			t.Errorf("%d of %d", n, total)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if opened.Load() != 20 || most > 4 || done != 20 {
		t.Errorf("opened %d, %d at once, %d done", opened.Load(), most, done)
	}
	for i, s := range run.Specs {
		if want := filepath.Join(dir, fmt.Sprintf("many/%03d.zip", i)); s.Recording != want {
			t.Errorf("%d is %s", i, s.Recording)
		}
		if (s.Verdict == Pass) == (i%10 == 7) {
			t.Errorf("%s: %s", s.Recording, s.Verdict)
		}
	}
}

func TestFailFast(t *testing.T) {
	_, specs := many(t, 5)
	opened := 0
	run, err := Check(t.Context(), specs, func(path string) (Source, error) {
		opened++
		f := slowHTTP()
		if opened == 2 {
			f.events = nil
		}
		return f, nil
	}, Options{FailFast: true})
	if err != nil {
		t.Fatal(err)
	}
	if opened != 2 || len(run.Specs) != 2 || run.Outcome() != OutcomeFail {
		t.Errorf("opened %d, %d results, outcome %v", opened, len(run.Specs), run.Outcome())
	}
}

func TestCancelled(t *testing.T) {
	_, specs := many(t, 5)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Check(ctx, specs, func(string) (Source, error) { cancel(); return slowHTTP(), nil }, Options{})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
