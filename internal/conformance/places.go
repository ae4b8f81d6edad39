package conformance

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// PlaceRow is what became of a small program that was recorded and replayed in a place, as
// scripts/places.sh keeps it.
type PlaceRow struct{ Place, Record, Replay, Build string }

// placeFields is the first line of the file.
const placeFields = "place\trecord\treplay\tbuild"

// ReadPlaces reads a file of them; none is no error.
func ReadPlaces(path string) ([]PlaceRow, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	var rows []PlaceRow
	n := 0
	for line := range strings.Lines(string(data)) {
		n++
		line = strings.TrimRight(line, "\n")
		if n == 1 && line == placeFields {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != 4 {
			return nil, fmt.Errorf("%s:%d: %d fields, not 4", path, n, len(f))
		}
		rows = append(rows, PlaceRow{f[0], f[1], f[2], f[3]})
	}
	return rows, nil
}

func placesReport(b *strings.Builder, rows []PlaceRow) {
	b.WriteString("A program of two threads, recorded and replayed in each place by `make places`; a place that this\n" +
		"machine can't play keeps the line of the last one that could. Where nothing could be recorded, a recording\n" +
		"that was made outside is replayed. A refusal is the line that pyrr printed.\n\n")
	b.WriteString("| place | record | replay | build |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", cell(r.Place), cell(r.Record), cell(r.Replay), cell(r.Build))
	}
}
