package conformance

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
)

// SoakRow counts the pairs of one fixture under one interpreter.
type SoakRow struct {
	Name       string
	Pairs, Bad int
	// Detail is what the last bad pair showed.
	Detail string
}

const soakHeader = "name\tpairs\tbad\tdetail"

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
		if n == 1 && lines.Text() == soakHeader {
			continue
		}
		f := strings.Split(lines.Text(), "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("%s:%d: %d columns, not 4", path, n, len(f))
		}
		pairs, err1 := strconv.Atoi(f[1])
		bad, err2 := strconv.Atoi(f[2])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, n, err)
		}
		rows = append(rows, SoakRow{f[0], pairs, bad, f[3]})
	}
	return rows, lines.Err()
}

// WriteSoak writes the table of a soak.
func WriteSoak(path string, rows []SoakRow) error {
	var b strings.Builder
	fmt.Fprintln(&b, soakHeader)
	for _, r := range rows {
		fmt.Fprintf(&b, "%s\t%d\t%d\t%s\n", r.Name, r.Pairs, r.Bad, clean(r.Detail))
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		return fmt.Errorf("write soak results: %w", err)
	}
	return nil
}

// Pairs is how many pairs of a case a table has.
func Pairs(rows []SoakRow, name string) int {
	if i := slices.IndexFunc(rows, func(r SoakRow) bool { return r.Name == name }); i >= 0 {
		return rows[i].Pairs
	}
	return 0
}

// NextPair is the case with the fewest pairs, in the order of cases; skip of
// those are passed over.
func NextPair(cases []Case, rows []SoakRow, skip int) Case {
	order := slices.Clone(cases)
	slices.SortStableFunc(order, func(a, b Case) int { return Pairs(rows, a.Name) - Pairs(rows, b.Name) })
	return order[skip%len(order)]
}

// AddPair counts one pair in a soak's table, which stays sorted by name.
func AddPair(rows []SoakRow, r Row) []SoakRow {
	i, found := slices.BinarySearchFunc(rows, r.Name, func(s SoakRow, name string) int { return strings.Compare(s.Name, name) })
	if !found {
		rows = slices.Insert(rows, i, SoakRow{Name: r.Name})
	}
	rows[i].Pairs++
	if !r.Good() {
		rows[i].Bad++
		rows[i].Detail = r.Detail
	}
	return rows
}
