package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// ElsewhereRow is what became of recordings on an emulated processor under a kernel,
// as scripts/elsewhere.sh keeps it.
type ElsewhereRow struct {
	Processor, Kernel string
	Expected          string // replays, or refused
	// Of the recordings made here, how many were tried there, replayed exactly, refused.
	Tried, Exact, Refused int
	// Of the programs run there, how many were recorded, and replayed here exactly.
	Recorded, Back int
	Build          string
}

// elsewhereFields is the first line of the file.
const elsewhereFields = "processor\tkernel\texpected\ttried\texact\trefused\trecorded\tback\tbuild"

// Good says whether it is as expected.
func (r *ElsewhereRow) Good() bool {
	if r.Expected == "refused" {
		return r.Tried > 0 && r.Refused == r.Tried && r.Recorded == 0
	}
	return r.Tried > 0 && r.Exact == r.Tried && r.Recorded > 0 && r.Back == r.Recorded
}

// ReadElsewhere reads a file of them; none is not an error.
func ReadElsewhere(path string) ([]ElsewhereRow, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	var rows []ElsewhereRow
	n := -1
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\n")
		if line == "" || n == 0 && line == elsewhereFields {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 9 {
			return nil, fmt.Errorf("%s:%d: %d fields, not 9", path, n+1, len(f))
		}
		r := ElsewhereRow{Processor: f[0], Kernel: f[1], Expected: f[2], Build: f[8]}
		for i, to := range []*int{&r.Tried, &r.Exact, &r.Refused, &r.Recorded, &r.Back} {
			if *to, err = strconv.Atoi(f[3+i]); err != nil {
				return nil, fmt.Errorf("%s:%d: %w", path, n+1, err)
			}
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func elsewhereReport(b *strings.Builder, rows []ElsewhereRow) {
	b.WriteString("Recordings of this machine replayed in guests of qemu-system-x86_64 that emulate another processor\n" +
		"(TCG) under Debian's kernels, and recordings made in the guests replayed here (`make elsewhere`). TCG has\n" +
		"no AVX-512 and not the makers' differences in approximate instructions: this proves layouts, kernels and\n" +
		"what programs are shown, not a real Intel against a real AMD.\n\n")
	b.WriteString("| processor | kernel | made here, replayed there | made there, replayed here | build |\n|---|---|---|---|---|\n")
	for _, r := range rows {
		there, back := fmt.Sprintf("%d of %d exact", r.Exact, r.Tried), fmt.Sprintf("%d of %d exact", r.Back, r.Recorded)
		if r.Expected == "refused" {
			there, back = fmt.Sprintf("%d of %d refused by name", r.Refused, r.Tried), "refused"
		}
		if !r.Good() {
			there += " **(not as expected)**"
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s | %s |\n", cell(r.Processor), cell(r.Kernel), there, back, cell(r.Build))
	}
}
