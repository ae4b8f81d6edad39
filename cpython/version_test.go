package cpython

import "testing"

func TestParseVersion(t *testing.T) {
	tests := []struct {
		text string
		want Version
		ok   bool
	}{
		{"3.8.18", Version{3, 8, 18}, true},
		{"3.13.0rc1", Version{3, 13, 0}, true},
		{"3.9.2+", Version{3, 9, 2}, true},
		{"3.14.0a7+", Version{3, 14, 0}, true},
		{"3.9", Version{}, false},
		{"3.9.x", Version{}, false},
		{"3.9.", Version{}, false},
		{"3.9.2.1", Version{}, false},
		{"3.9.2 ", Version{}, false},
		{"3.999.2", Version{}, false},
		{"", Version{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			if got, ok := parseVersion(tt.text); got != tt.want || ok != tt.ok {
				t.Errorf("%v, %v", got, ok)
			}
		})
	}
	if s := (Version{3, 11, 2}).String() + " " + (Version{3, 10, -1}).String(); s != "3.11.2 3.10" {
		t.Error(s)
	}
}
