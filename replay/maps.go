package replay

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Range is a part of an address space.
type Range struct{ Start, End uint64 }

// Writable returns the mappings of the process that can be written to, as
// they are at the event at hand: all that the program computed is there.
func (p *Process) Writable() ([]Range, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/maps", p.pid))
	if err != nil {
		return nil, fmt.Errorf("read the mappings of process %d: %w", p.Info.ID, err)
	}
	defer f.Close()
	var out []Range
	in := bufio.NewScanner(f)
	for in.Scan() {
		var r Range
		var prot string
		if _, err := fmt.Sscanf(in.Text(), "%x-%x %s", &r.Start, &r.End, &prot); err != nil {
			return nil, fmt.Errorf("read the mappings of process %d: %q", p.Info.ID, in.Text())
		}
		if strings.HasPrefix(prot, "rw") {
			out = append(out, r)
		}
	}
	return out, in.Err()
}
