package replay

import (
	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
)

// Range is a part of an address space.
type Range struct{ Start, End uint64 }

// Writable returns the mappings of the process that can be written to, as
// they are at the event at hand: all that the program computed is there.
func (p *Process) Writable() ([]Range, error) {
	maps, err := linux.ReadMaps(p.pid)
	if err != nil {
		return nil, err
	}
	var out []Range
	for _, m := range maps {
		if m.Prot&(unix.PROT_READ|unix.PROT_WRITE) == unix.PROT_READ|unix.PROT_WRITE {
			out = append(out, Range{m.Start, m.End})
		}
	}
	return out, nil
}
