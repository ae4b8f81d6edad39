package conformance

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// SoakRow counts the pairs of one fixture under one interpreter, made with one build.
type SoakRow struct {
	Name       string
	Pairs, Bad int
	// Detail is what the last bad pair showed.
	Detail string
	// Build is the commit of pyrr; "" for rows of before it was kept.
	Build string
	// Chaos counts the pairs with --chaos, which rows of before do not have.
	Chaos int
}

const soakHeader = "name\tpairs\tbad\tdetail\tbuild\tchaos"

// ReadSoak reads the table of a soak; a file that is not there has none.
func ReadSoak(path string) ([]SoakRow, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read soak results: %w", err)
	}
	defer f.Close()
	var rows []SoakRow
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		if n == 1 && strings.HasPrefix(soakHeader, lines.Text()) {
			continue
		}
		f := strings.Split(lines.Text(), "\t")
		switch len(f) {
		case 4:
			f = append(f, "", "0")
		case 5:
			f = append(f, "0")
		}
		if len(f) != 6 {
			return nil, fmt.Errorf("%s:%d: %d columns, not 6", path, n, len(f))
		}
		pairs, err1 := strconv.Atoi(f[1])
		bad, err2 := strconv.Atoi(f[2])
		chaos, err3 := strconv.Atoi(f[5])
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		rows = append(rows, SoakRow{f[0], pairs, bad, f[3], f[4], chaos})
	}
	return rows, lines.Err()
}

// WriteSoak writes the table of a soak.
func WriteSoak(path string, rows []SoakRow) error {
	var b strings.Builder
	fmt.Fprintln(&b, soakHeader)
	for _, r := range rows {
		fmt.Fprintf(&b, "%s\t%d\t%d\t%s\t%s\t%d\n", r.Name, r.Pairs, r.Bad, clean(r.Detail), r.Build, r.Chaos)
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write soak results: %w", err)
	}
	return nil
}

// AddPair counts one pair, made with a build, with --chaos or not, in a soak's table,
// which stays sorted by name and build.
func AddPair(rows []SoakRow, r Row, build string, chaos bool) []SoakRow {
	i, found := slices.BinarySearchFunc(rows, SoakRow{Name: r.Name, Build: build}, compareSoak)
	if !found {
		rows = slices.Insert(rows, i, SoakRow{Name: r.Name, Build: build})
	}
	rows[i].Pairs++
	if chaos {
		rows[i].Chaos++
	}
	if !r.Good() {
		rows[i].Bad++
		rows[i].Detail = r.Detail
	}
	return rows
}

func compareSoak(a, b SoakRow) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Build, b.Build))
}

// MergeSoak puts the rows of a further soak into a table. Those of the same fixture,
// interpreter and build take the place of the ones there.
func MergeSoak(rows, more []SoakRow) []SoakRow {
	rows = slices.DeleteFunc(slices.Clone(rows), func(r SoakRow) bool {
		return slices.ContainsFunc(more, func(m SoakRow) bool { return compareSoak(r, m) == 0 })
	})
	rows = append(rows, more...)
	slices.SortFunc(rows, compareSoak)
	return rows
}

// Soak makes pairs of a recording and a replay of many cases, those with the
// fewest pairs first.
type Soak struct {
	// Report is called after each pair, never twice at once, with the number of
	// pairs made, the pair's result and the table so far.
	Report func(n int, row Row, rows []SoakRow) error
	// Build is the commit of pyrr.
	Build string
	// Chaos has every pair made with --chaos, not one in three: for a table in which
	// fewer have it.
	Chaos bool
	// Done counts the pairs made, Bad those with a difference, and Failed the
	// native runs that failed, which make no pair.
	Done, Bad, Failed int

	mu      sync.Mutex
	cases   []Case
	rows    []SoakRow
	started map[string]int
	// place is where a case stood among all.
	place map[string]int
	left  int
}

// NewSoak plans pairs of the cases, after those in rows.
func NewSoak(cases []Case, rows []SoakRow, pairs int) *Soak {
	s := &Soak{cases: slices.Clone(cases), rows: slices.Clone(rows), started: map[string]int{}, place: map[string]int{}, left: pairs}
	for i, c := range cases {
		s.place[c.Name] = i
	}
	for _, r := range rows {
		s.started[r.Name] += r.Pairs // of each build
	}
	return s
}

// next is the case to run next, if there is one.
func (s *Soak) next() (Case, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 || len(s.cases) == 0 {
		return Case{}, false
	}
	c := slices.MinFunc(s.cases, func(a, b Case) int { return s.started[a.Name] - s.started[b.Name] })
	// A third of the pairs with slices far finer than usual, of another length each; a
	// third with the order of threads drawn. Which third comes first differs from case to
	// case: a round of all cases has each kind.
	n := s.started[c.Name]
	kind := (n + s.place[c.Name]) % 3
	if s.Chaos {
		kind = 2
	}
	switch kind {
	case 1:
		c.Flags = append(slices.Clone(c.Flags), fmt.Sprintf("--slice=%d", 500+(s.left+n)*37%2500))
	case 2:
		c.Flags = append(slices.Clone(c.Flags), fmt.Sprintf("--chaos=%d", 1+s.left+n))
	}
	s.started[c.Name]++
	s.left--
	return c, true
}

// drawn says whether a case is recorded with --chaos.
func drawn(c Case) bool {
	return slices.ContainsFunc(c.Flags, func(f string) bool { return strings.HasPrefix(f, "--chaos") })
}

// done takes a result. A case that fails natively is not tried again.
func (s *Soak) done(row Row, chaos bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if row.Native != Pass {
		s.Failed++
		s.left++
		s.cases = slices.DeleteFunc(s.cases, func(c Case) bool { return c.Name == row.Name })
	} else {
		s.Done++
		s.rows = AddPair(s.rows, row, s.Build, chaos)
		if !row.Good() {
			s.Bad++
		}
	}
	if s.Report == nil {
		return nil
	}
	return s.Report(s.Done, row, s.rows)
}

// Go makes the pairs, jobs at once, and returns the table of all.
func (s *Soak) Go(ctx context.Context, t *Trial, jobs int) ([]SoakRow, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for range jobs {
		mine := *t
		wg.Go(func() {
			for ctx.Err() == nil {
				c, ok := s.next()
				if !ok {
					return
				}
				row, err := mine.Run(ctx, c)
				if err == nil {
					err = s.done(row, drawn(c))
				}
				if err != nil {
					cancel(err)
				}
			}
		})
	}
	wg.Wait()
	return s.rows, context.Cause(ctx)
}
