package draft

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"pyrr/assert"
)

// Checker holds specs against the recordings that they name.
type Checker func(context.Context, []*assert.Spec) (*assert.Run, error)

// GoldenName is the path of the draft's golden beside a spec, "" for none.
func (d *Draft) GoldenName(spec string) string {
	if !d.golden {
		return ""
	}
	return "golden/" + strings.TrimSuffix(filepath.Base(spec), filepath.Ext(spec)) + "/" + d.id + ".stack"
}

// Checked is the text of a draft with what checking it says. Sentences that it can
// do without are left out where they don't hold.
func (d *Draft) Checked(ctx context.Context, check Checker, out, recording, golden string, force bool) (string, *assert.Run, error) {
	for {
		text := d.text(recording, golden)
		specs, err := assert.Parse(out, []byte(text))
		if err != nil {
			return "", nil, fmt.Errorf("the draft is not a spec (please report this): %w\n%s", err, text)
		}
		run, err := check(ctx, specs)
		if err != nil {
			return "", nil, err
		}
		before := len(d.expect)
		for _, r := range run.Specs[0].Checks {
			if r.Verdict == assert.Pass || r.Golden != nil && (r.Golden.Missing || force) {
				continue
			}
			if !d.spare[r.Want] {
				return "", nil, fmt.Errorf("the draft does not hold (please report this): %s: %s\n%s", r.Want, r.Got, text)
			}
			d.expect = slices.DeleteFunc(d.expect, func(s string) bool { return s == r.Want })
		}
		if len(d.expect) == before {
			return text, run, nil
		}
	}
}

// Differs reports whether the draft does not hold for the other recording. An
// expectation that can't be judged there does not count.
func (d *Draft) Differs(ctx context.Context, check Checker, unlike, out, text string, seen *assert.Run) (bool, error) {
	if _, err := os.Stat(unlike); err != nil {
		return false, fmt.Errorf("--unlike: %w", err)
	}
	other := strings.Replace(text, "recording: "+d.recording, "recording: "+strconv.Quote(globQuote(Relative(filepath.Dir(out), unlike))), 1)
	specs, err := assert.Parse(out, []byte(other))
	if err != nil {
		return false, err
	}
	run, err := check(ctx, specs)
	if err != nil {
		return false, err
	}
	s := run.Specs[0]
	if s.Verdict == assert.Unjudged && len(s.Checks) == 0 {
		return false, fmt.Errorf("--unlike %s: %s", unlike, s.Reason)
	}
	for i, r := range s.Checks {
		switch {
		case r.Golden == nil && r.Verdict == assert.Fail:
			return true, nil
		case r.Golden != nil && r.Golden.Text != "" && r.Golden.Text != seen.Specs[0].Checks[i].Golden.Text:
			return true, nil
		}
	}
	return false, nil
}

// Relative is path seen from a folder.
func Relative(dir, path string) string {
	a, err1 := filepath.Abs(dir)
	b, err2 := filepath.Abs(path)
	if rel, err := filepath.Rel(a, b); err1 == nil && err2 == nil && err == nil {
		return rel
	}
	return path
}

// globQuote keeps what a name holds from being a pattern.
func globQuote(s string) string {
	if _, err := filepath.Match(s, ""); err == nil && !strings.ContainsAny(s, `*?[`) {
		return s
	}
	return strings.NewReplacer(`*`, `?`, `[`, `?`).Replace(s)
}
