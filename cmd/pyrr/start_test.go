package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Every command and every recording pays for what packages prepare at the start of the
// program: so expressions and tables that few commands use are made at their first use.
func TestStartsWithLittleWork(t *testing.T) {
	t.Parallel()
	const most, mostOfOne = 1200, 300 // allocations
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "GODEBUG=inittrace=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sum, seen := 0, 0
	for line := range strings.Lines(string(out)) {
		var name, at, clock string
		var bytes, allocs int
		// As the runtime writes it: init NAME @1.2 ms, 0.03 ms clock, 456 bytes, 7 allocs
		if n, _ := fmt.Sscanf(line, "init %s @%s ms, %s ms clock, %d bytes, %d allocs", &name, &at, &clock, &bytes, &allocs); n < 5 || !strings.HasPrefix(name, "pyrr/") || strings.HasPrefix(name, "pyrr/cmd/") || strings.HasSuffix(name, "test") { // what tests alone have
			continue
		}
		sum, seen = sum+allocs, seen+1
		if allocs > mostOfOne {
			t.Errorf("%s allocates %d times at the start (at most %d)", name, allocs, mostOfOne)
		}
	}
	if seen < 10 || sum > most {
		t.Errorf("%d packages of pyrr allocate %d times at the start (at most %d)\n%s", seen, sum, most, out)
	}
}
