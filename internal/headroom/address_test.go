package headroom

import (
	"math"
	"strings"
	"testing"
)

// TestAddresses holds that a limit of address space under which memory runs out on the way
// is told before, and one that does is not.
func TestAddresses(t *testing.T) {
	for kib, want := range map[uint64]string{
		600_000:              "ulimit -v is 600000, and pyrr takes 850000: ",
		800_000:              "ulimit -v is 800000",
		850_000:              "",
		900_000:              "",
		math.MaxUint64 >> 10: "",
	} {
		if got := tooFewAddresses(kib << 10); !strings.Contains(got, want) || want == "" && got != "" || strings.Contains(got, "\n") {
			t.Errorf("%d KiB: %q, want %q", kib, got, want)
		}
	}
}

// TestData holds the same of a limit of data.
func TestData(t *testing.T) {
	for kib, want := range map[uint64]string{
		240_000:              "ulimit -d is 240000, and pyrr takes 400000: ",
		400_000:              "",
		math.MaxUint64 >> 10: "",
	} {
		if got := tooLittleData(kib << 10); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%d KiB: %q, want %q", kib, got, want)
		}
	}
}
