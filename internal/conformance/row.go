package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Verdict is what one of a case's three runs came to.
type Verdict string

// The verdicts. Native runs pass, fail, skip or are slow; recordings are the
// same as the native run, different, incomplete or timed out; replays are
// exact, diverged, of different output or timed out. None: it was not made.
const (
	None       Verdict = "-"
	Pass       Verdict = "pass"
	Fail       Verdict = "fail"
	Skip       Verdict = "skip"
	Slow       Verdict = "slow"
	Same       Verdict = "same"
	Different  Verdict = "different"
	Incomplete Verdict = "incomplete"
	TimedOut   Verdict = "timed out"
	Exact      Verdict = "exact"
	Diverged   Verdict = "diverged"
)

// Row is the result of one case.
type Row struct {
	Name                                        string
	Native, Record, Replay                      Verdict
	NativeSeconds, RecordSeconds, ReplaySeconds float64
	// Detail says what was wrong, in one line.
	Detail string
}

// Good says that the recording and the replay were as they have to be.
func (r Row) Good() bool { return r.Record == Same && r.Replay == Exact }

const header = "name\tnative\trecord\treplay\tnative s\trecord s\treplay s\tdetail"

// ReadRows reads a table of results. A file that is not there has none.
func ReadRows(path string) ([]Row, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	var rows []Row
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\n")
		if n == 1 && line == header || line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 8 {
			return nil, fmt.Errorf("%s:%d: %d columns, not 8", path, n, len(f))
		}
		row := Row{Name: f[0], Native: Verdict(f[1]), Record: Verdict(f[2]), Replay: Verdict(f[3]), Detail: f[7]}
		for i, p := range []*float64{&row.NativeSeconds, &row.RecordSeconds, &row.ReplaySeconds} {
			if *p, err = strconv.ParseFloat(f[4+i], 64); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n, err)
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// WriteRows writes a table of results in one step, so that an interrupted run
// leaves the table of before.
func WriteRows(path string, rows []Row) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".results-")
	if err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	defer os.Remove(f.Name())
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, header)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%.1f\t%.1f\t%.1f\t%s\n", r.Name, r.Native, r.Record, r.Replay,
			r.NativeSeconds, r.RecordSeconds, r.ReplaySeconds, clean(r.Detail))
	}
	if err := errors.Join(w.Flush(), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return os.Rename(f.Name(), path)
}

// ReadCauses reads the named causes of what fails: a file's name, a tab, the
// cause. Lines that begin with # are comments.
func ReadCauses(path string) (map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read causes: %w", err)
	}
	causes := map[string]string{}
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, cause, ok := strings.Cut(line, "\t")
		if !ok || strings.TrimSpace(cause) == "" {
			return nil, fmt.Errorf("%s:%d: no tab and cause after the name", path, n)
		}
		if causes[name] != "" {
			return nil, fmt.Errorf("%s:%d: a second cause for %s", path, n, name)
		}
		causes[name] = strings.TrimSpace(cause)
	}
	return causes, nil
}
