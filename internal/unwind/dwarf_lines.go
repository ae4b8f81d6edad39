package unwind

import (
	"debug/dwarf"
	"errors"
	"io"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// lineRow is a row of a line table: from addr on, to the next row's.
type lineRow struct {
	addr uint64
	file *dwarf.LineFile // nil where a sequence ends
	line int
	stmt bool
}

// maxLineRows bounds a unit's table.
const maxLineRows = 8 << 20

// rows returns a unit's line table, by address.
func (d *dwarfData) rows(u *unit) []lineRow {
	if u.linesOK {
		return u.lines
	}
	u.linesOK = true
	r, err := d.d.LineReader(u.entry)
	if err != nil || r == nil {
		return nil
	}
	u.files = r.Files()
	var sequences [][]lineRow
	var seq []lineRow
	var e dwarf.LineEntry
	for n := 0; n < maxLineRows; n++ {
		if err := r.Next(&e); err != nil {
			if !errors.Is(err, io.EOF) {
				return nil
			}
			break
		}
		row := lineRow{addr: e.Address, file: e.File, line: e.Line, stmt: e.IsStmt}
		if e.EndSequence {
			row.file, row.stmt = nil, true
			// Where a linker dropped a function, its rows begin at 0.
			if len(seq) > 0 && seq[0].addr != 0 {
				sequences = append(sequences, append(seq, row))
			}
			seq = nil
			continue
		}
		seq = append(seq, row)
	}
	sort.SliceStable(sequences, func(i, j int) bool { return sequences[i][0].addr < sequences[j][0].addr })
	for _, s := range sequences {
		u.lines = append(u.lines, s...)
	}
	return u.lines
}

// line returns the source line of an address. Of several rows for one address
// the last that begins a statement counts, as in gdb.
func (d *dwarfData) line(u *unit, pc uint64) (file string, line int) {
	rows := d.rows(u)
	i := sort.Search(len(rows), func(i int) bool { return rows[i].addr > pc }) - 1
	if i < 0 || rows[i].file == nil {
		return "", 0
	}
	at := rows[i].addr
	best := i
	for j := i; j >= 0 && rows[j].addr == at && rows[j].file != nil; j-- {
		if rows[j].stmt {
			best = j
			break
		}
	}
	return u.fileName(rows[best].file), rows[best].line
}

// fileName prints a source file as the compiler was given it: relative to the
// folder it ran in.
func (u *unit) fileName(f *dwarf.LineFile) string {
	if f == nil {
		return ""
	}
	name := path.Clean(f.Name)
	if u.dir != "" && filepath.IsAbs(name) {
		if rel, err := filepath.Rel(u.dir, name); err == nil && strings.Count(rel, "..") <= 3 {
			return rel
		}
	}
	return name
}

// file returns a source file by its number in the unit's table.
func (d *dwarfData) file(u *unit, n int64) string {
	d.rows(u)
	if n < 0 || n >= int64(len(u.files)) {
		return ""
	}
	return u.fileName(u.files[n])
}
