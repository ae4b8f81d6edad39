package ask

import (
	"slices"
	"testing"
)

func TestWireQueries(t *testing.T) {
	tests := []struct {
		name, sent string
		want       []string
	}{
		{"a simple query", "Q\x00\x00\x00\x0dselect 1\x00", []string{"select 1"}},
		{"as pg8000 and libpq send one with parameters", "P\x00\x00\x00\x20s1\x00select name from t\x00\x00\x01\x00\x00\x00\x17S\x00\x00\x00\x04", []string{"select name from t"}},
		{"two messages", "Q\x00\x00\x00\x06a\x00Q\x00\x00\x00\x06b\x00", []string{"a", "b"}},
		{"a bind alone", "B\x00\x00\x00\x0c\x00s1\x00\x00\x00\x00\x00", nil},
		{"not whole", "Q\x00\x00\x00\x0eselect 1\x00", nil},
		{"a length that is none", "Q\xff\xff\xff\xffselect 1\x00", nil},
		{"a text", "Query: what is this?", nil},
		{"as PyMySQL sends one", "\x09\x00\x00\x00\x03select 1", []string{"select 1"}},
		{"a statement that is prepared", "\x09\x00\x00\x00\x16select ?", []string{"select ?"}},
		{"an answer of a server", "\x09\x00\x00\x01\x03select 1", nil},
		{"another command", "\x01\x00\x00\x00\x0e", nil},
		{"nothing", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := wireQueries([]byte(tt.sent)); !slices.Equal(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
