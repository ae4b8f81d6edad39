//go:build linux

package keeping

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"pyrr/internal/inject"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// approxWatch sees, during a replay, which approximate instructions run: a breakpoint for
// each kind of them in each file, up to where it stops first.
type approxWatch struct {
	breaks []*replay.Break
	file   map[*replay.Break]string
	ran    map[string][]string // by file
}

// newApproxWatch looks through the mapped files of a recording. What can't be read, or is
// no code, has none.
func newApproxWatch(rec *recording.Recording) *approxWatch {
	w := &approxWatch{file: map[*replay.Break]string{}, ran: map[string][]string{}}
	for _, f := range rec.Files() {
		sites, err := approxIn(rec, f)
		if err != nil {
			continue
		}
		at := map[string][]replay.CodeAt{}
		for _, s := range sites {
			at[s.Name] = append(at[s.Name], replay.CodeAt{File: f.ID, Addr: s.Vaddr})
		}
		for name, code := range at {
			b := &replay.Break{Kind: replay.BreakCode, Name: name, Code: &code}
			w.breaks = append(w.breaks, b)
			w.file[b] = f.Path
		}
	}
	return w
}

// approxIn are the approximate instructions of a file, known by its original where that is
// still the same.
func approxIn(rec *recording.Recording, f recording.File) ([]inject.ApproxSite, error) {
	if src, err := rec.Original(f); err == nil {
		defer src.Close()
		return inject.ApproxCached(fmt.Sprintf("/proc/self/fd/%d", src.Fd()))
	}
	r, _, err := rec.ReadFile(f.ID)
	if err != nil {
		return nil, err
	}
	if c, ok := r.(io.Closer); ok {
		defer c.Close()
	}
	return inject.ApproxSites(r, f.Path)
}

// hit notes an instruction that is about to run.
func (w *approxWatch) hit(h *replay.Hit) error {
	for _, b := range h.Breaks {
		file, ours := w.file[b]
		if !ours {
			continue
		}
		if !slices.Contains(w.ran[file], b.Name) {
			w.ran[file] = append(w.ran[file], b.Name)
		}
		h.Leave(b)
	}
	return nil
}

// note writes down in the recording what ran.
func (w *approxWatch) note(rec *recording.Recording) error {
	var list []recording.Approx
	for file, names := range w.ran {
		slices.Sort(names)
		list = append(list, recording.Approx{File: file, Instructions: names})
	}
	slices.SortFunc(list, func(a, b recording.Approx) int { return strings.Compare(a.File, b.File) })
	if len(list) == 0 {
		return nil
	}
	return rec.SetApprox(list)
}
