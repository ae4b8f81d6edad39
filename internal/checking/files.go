package checking

import (
	"crypto/sha256"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/assert"
	"pyrr/internal/hint"
	"pyrr/internal/outfile"
	"pyrr/internal/report"
	"pyrr/internal/screen"
	"pyrr/internal/usercache"
)

// part chooses among the specs what --lf and --shard leave.
func (f *Flags) part(specs []*assert.Spec) ([]*assert.Spec, error) {
	if f.LastFailed {
		if failed := lastFailed(); len(failed) > 0 {
			some := slices.DeleteFunc(slices.Clone(specs), func(s *assert.Spec) bool { return !slices.Contains(failed, s.ID()) })
			if len(some) > 0 {
				specs = some
			}
		}
	}
	if f.Shard == "" {
		return specs, nil
	}
	mine, err := f.mine()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(specs), func(s *assert.Spec) bool {
		if s.Record != nil {
			return !mine(s.ID())
		}
		paths, err := f.find(s)
		if err != nil || len(paths) == 0 { // one part says so
			return !mine(s.Recording)
		}
		return !slices.ContainsFunc(paths, mine)
	}), nil
}

// mine says which recordings are in the part I/N: by their names, so that another
// recording moves none, and it does not matter where they lie.
func (f *Flags) mine() (func(path string) bool, error) {
	if f.Shard == "" {
		return nil, nil
	}
	var i, n uint32
	if k, err := fmt.Sscanf(f.Shard, "%d/%d", &i, &n); k != 2 || err != nil || n < 1 || i < 1 || i > n || f.Shard != fmt.Sprintf("%d/%d", i, n) {
		return nil, hint.With(hint.Usagef("check: %q is not a part I/N", f.Shard), "pyrr check --shard 1/4")
	}
	return func(path string) bool {
		h := fnv.New32a()
		io.WriteString(h, filepath.Base(path))
		return h.Sum32()%n == i-1
	}, nil
}

// failedFile is where the ids of the specs are kept that failed the last time
// that specs were checked in this folder.
func failedFile() (string, error) {
	cwd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return usercache.Dir("failed", fmt.Sprintf("%x", sha256.Sum256([]byte(cwd)))[:16])
}

func lastFailed() []string {
	file, err := failedFile()
	if err != nil {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// rememberFailed keeps the ids of what failed, for --lf, and drops those that
// hold now. Where they can't be kept nothing is said: in CI there may be no
// home folder.
func rememberFailed(u *screen.UI, run *assert.Run) {
	file, err := failedFile()
	if err != nil {
		return
	}
	failed := lastFailed()
	for _, s := range run.Specs {
		id := s.Spec.ID()
		failed = slices.DeleteFunc(failed, func(f string) bool { return f == id || f == "" })
	}
	for _, s := range run.Specs {
		if id := s.Spec.ID(); (s.Failed() || s.Verdict == assert.Unjudged || s.Verdict == assert.Broken) && !slices.Contains(failed, id) {
			failed = append(failed, id)
		}
	}
	_ = usercache.WriteFile(file, []byte(strings.Join(failed, "\n"))) // see above
}

// addResults puts results into a run that is not complete, in the order of
// the specs.
func addResults(run *assert.Run, specs []*assert.Spec, results []*assert.SpecResult) {
	for _, r := range results {
		if r != nil {
			run.Specs = append(run.Specs, r)
		}
	}
	place := map[*assert.Spec]int{}
	for i, s := range specs {
		place[s] = i
	}
	slices.SortStableFunc(run.Specs, func(a, b *assert.SpecResult) int {
		if d := place[a.Spec] - place[b.Spec]; d != 0 {
			return d
		}
		return strings.Compare(a.Recording, b.Recording)
	})
}

// appendSummary adds the job's summary to the file that GitHub shows.
func appendSummary(file string, run *assert.Run) error {
	err := outfile.Append(file, 0o666, func(w io.Writer, size int64) error {
		return report.Markdown(w, run, report.MaxSummary-int(size))
	})
	if err != nil {
		return fmt.Errorf("write the job's summary: %w", err)
	}
	return nil
}
