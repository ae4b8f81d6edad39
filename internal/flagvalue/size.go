package flagvalue

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"pyrr/internal/printable"
)

func RandomSeed() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	// Small enough to be typed, and exact in JSON.
	return binary.LittleEndian.Uint64(b[:]) >> 11
}

// Size is a flag that takes a number of bytes: 5MB, 24MiB, 1000000.
type Size int64

func (s *Size) Type() string { return "size" }

func (s *Size) String() string {
	if *s == 0 {
		return ""
	}
	return printable.ByteSize(int64(*s))
}

func (s *Size) Set(text string) error {
	units := []struct {
		suffix string
		factor float64
	}{
		{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9},
		{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1}, {"", 1},
	}
	low := strings.ToLower(strings.TrimSpace(text))
	for _, u := range units {
		number, ok := strings.CutSuffix(low, u.suffix)
		if !ok {
			continue
		}
		v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err != nil || !(v > 0) || v*u.factor > 1e15 {
			break
		}
		*s = Size(v * u.factor)
		return nil
	}
	return fmt.Errorf("must be a number of bytes, such as 5MB or 24MiB")
}
