package recording

import (
	"bytes"
	"errors"
	"testing"
)

func TestPatched(t *testing.T) {
	block := []byte("abcdefgh") // at 100
	for _, test := range []struct {
		name    string
		patches []Patch
		want    string
		loaded  bool
	}{
		{"none", nil, "abcdefgh", true},
		{"before and behind", []Patch{{Off: 90, Data: make([]byte, 10)}, {Off: 108, Data: make([]byte, 10)}}, "abcdefgh", true},
		{"a part", []Patch{{Off: 102, Data: []byte("XY")}}, "abXYefgh", true},
		{"all", []Patch{{Off: 99, Data: []byte("0123456789")}}, "12345678", false},
		{"all, by two", []Patch{{Off: 100, Data: []byte("0123")}, {Off: 104, Data: []byte("4567")}}, "01234567", false},
		{"a hole between", []Patch{{Off: 100, Data: []byte("012")}, {Off: 104, Data: []byte("4567")}}, "012d4567", true},
		{"one inside another", []Patch{{Off: 100, Data: []byte("01234567")}, {Off: 102, Data: []byte("X")}}, "01X34567", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			loaded := false
			got, err := patched(100, len(block), test.patches, func() ([]byte, error) { loaded = true; return block, nil })
			if err != nil || string(got) != test.want || loaded != test.loaded {
				t.Errorf("patched = %q (loaded: %v), %v; want %q (loaded: %v)", got, loaded, err, test.want, test.loaded)
			}
			if !bytes.Equal(block, []byte("abcdefgh")) {
				t.Fatal("the block that was read is changed")
			}
		})
	}
	damaged := errors.New("damaged")
	if _, err := patched(100, 8, []Patch{{Off: 100, Data: []byte("0")}}, func() ([]byte, error) { return nil, damaged }); !errors.Is(err, damaged) {
		t.Errorf("patched of a damaged block: %v", err)
	}
}
