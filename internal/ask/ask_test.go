package ask

import (
	"slices"
	"testing"
)

func TestParsePlace(t *testing.T) {
	tests := []struct {
		text, want string // of the first breakpoint; "" for an error
		calls      int
	}{
		{"pool.py:31", "line pool.py:31", 0},
		{"a/b c.py:31", "", 0},
		{"Pool.take", "call Pool.take", 0},
		{"pool.py::Pool.take", "call pool.py::Pool.take", 0},
		{"c:read", "enter read", 0},
		{"c:", "", 0},
		{"raise", "raise", 0},
		{"raise urllib3.exceptions.ReadTimeoutError", "raise ReadTimeoutError", 0},
		{"syscall recv", "", 1},
		{"syscall nix", "", 0},
		{"pool.py:0", "", 0},
		{" ", "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			p, err := ParsePlace(tt.text)
			if (err != nil) != (tt.want == "" && tt.calls == 0) {
				t.Fatalf("error %v", err)
			}
			if err != nil {
				return
			}
			got := ""
			if len(p.breaks) > 0 {
				got = p.breaks[0].String()
			}
			if got != tt.want || len(p.calls) != tt.calls {
				t.Errorf("%q, %d system calls", got, len(p.calls))
			}
		})
	}
}

func TestSplitTop(t *testing.T) {
	tests := []struct {
		text string
		want []string
	}{
		{"", nil},
		{"a", []string{"a"}},
		{"a,b.c", []string{"a", "b.c"}},
		{"f[1,2],g", []string{"f[1,2]", "g"}},
		{`d["a,b"],x in (1, 2)`, []string{`d["a,b"]`, "x in (1, 2)"}},
		{`s == 'it\',s',t`, []string{`s == 'it\',s'`, "t"}},
		{"a,", []string{"a", ""}},
		{")),a", []string{"))", "a"}},
	}
	for _, tt := range tests {
		if got := splitTop(tt.text); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}
