package paging

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/internal/checking"
	"pyrr/internal/page"
	"pyrr/internal/printable"
	"pyrr/internal/report"
	"pyrr/internal/screen"
)

// checksOfPage holds a recording against the specs that name it: those of --specs, else
// those of the folder specs where there is one. Nothing is recorded for it.
func checksOfPage(u *screen.UI, path string, f *Flags) ([]page.Check, error) {
	from := f.Specs
	switch {
	case from == "none":
		return nil, nil
	case from == "":
		if st, err := os.Stat(checking.DefaultSpecs); err != nil || !st.IsDir() {
			return nil, nil
		}
		from = checking.DefaultSpecs
	}
	specs, err := checking.LoadSpecs("report", &checking.Flags{}, []string{from})
	if err != nil && f.Specs == "" {
		u.Note("the specs in %s are not on the page: they have mistakes (pyrr check %s)", from, from)
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if specs = specsOf(specs, path); len(specs) == 0 {
		if f.Specs != "" {
			u.Note("no spec in %s names %s", printable.Line(from), printable.Line(path))
		}
		return nil, nil
	}
	u.Status("holding %s against %s", path, printable.Plural(uint64(len(specs)), "spec", "specs"))
	run, err := assert.Check(context.Background(), specs, checking.OpenSource, assert.Options{SourceText: checking.NewSourceLines().Line})
	if err != nil {
		return nil, err
	}
	var out []page.Check
	for _, s := range run.Specs {
		if len(s.Checks) == 0 {
			out = append(out, page.Check{Spec: s.Spec.Name, Place: s.Spec.File, Want: "the spec", Got: s.Reason, Verdict: string(s.Verdict)})
		}
		for _, c := range s.Checks {
			out = append(out, checkOfPage(s, c))
		}
	}
	return out, nil
}

// specsOf are the specs that name a recording, each for it alone.
func specsOf(specs []*assert.Spec, path string) []*assert.Spec {
	mine, err := os.Stat(path)
	abs, aerr := filepath.Abs(path)
	if err != nil || aerr != nil || strings.ContainsAny(abs, `*?[`) {
		return nil // a spec could not name it alone
	}
	var out []*assert.Spec
	for _, s := range specs {
		if s.Record != nil {
			continue // it names a command
		}
		named, err := filepath.Glob(s.Path(s.Recording))
		if err != nil || !slices.ContainsFunc(named, func(name string) bool {
			st, err := os.Stat(name)
			return err == nil && os.SameFile(st, mine)
		}) {
			continue
		}
		own := *s
		own.Recording = abs
		out = append(out, &own)
	}
	return out
}

func checkOfPage(s *assert.SpecResult, c *assert.Result) page.Check {
	out := page.Check{Spec: s.Spec.Name, Place: fmt.Sprintf("%s:%d", s.Spec.File, c.Place.Line), Want: c.Want, Got: c.Got, Verdict: string(c.Verdict)}
	at := func(m *assert.Moment, chosen bool) {
		out.At = append(out.At, page.CheckAt{Place: page.Place{Proc: m.Proc, Event: m.Pos.Event}, Text: m.Event, Chosen: chosen})
	}
	for i := range c.Moments {
		at(&c.Moments[i], c.Moments[i].Chosen)
	}
	for i := range c.Took {
		if len(c.Moments) == 0 {
			at(&c.Took[i], true)
		}
	}
	if len(out.At) == 0 && len(c.Nearest) > 0 {
		at(&c.Nearest[0].Moment, true) // what came nearest
	}
	if c.Golden != nil {
		for i := range c.Golden.Threads {
			out.Stacks = append(out.Stacks, report.StackOf(&c.Golden.Threads[i]))
		}
	}
	return out
}
