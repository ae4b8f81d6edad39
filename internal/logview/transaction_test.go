package logview

import (
	"testing"

	"pyrr/internal/recording"
)

// TestTransactions: what a database's server says at the end of its answers tells whether
// a transaction is open, and since when; calls are summed up in parts of any length.
func TestTransactions(t *testing.T) {
	const z = "Z\x00\x00\x00\x05"
	for _, tt := range []struct {
		name     string
		received []string
		began    uint64 // the number of what was received, from 1; 0 for no transaction
		database bool
	}{
		{"no database", []string{"HTTP/1.0 200 OK", "T", ""}, 0, false},
		{"only the end of a message", []string{"\x00\x00\x00\x05T", "Z\x00\x00\x00\x05"}, 0, false},
		{"none yet", []string{"R\x00\x00\x00\x08\x00\x00\x00\x00" + z + "I"}, 0, true},
		{"one is open", []string{z + "I", z + "T", "D", z + "T"}, 2, true},
		{"and failed", []string{z + "I", z + "T", z + "E"}, 2, true},
		{"it was committed", []string{z + "I", z + "T", z + "I"}, 0, true},
		{"the second", []string{z + "T", z + "I", z + "I", z + "T", "x"}, 4, true},
		{"open before the recording", []string{z + "T", z + "T"}, 1, true},
	} {
		for part := 1; part <= len(tt.received); part++ {
			var whole, sum transaction
			for i, b := range tt.received {
				if i%part == 0 {
					whole, sum = whole.then(sum), transaction{}
				}
				var ev recording.Event
				ev.Mem = []recording.Write{{Data: []byte(b)}}
				sum.learn(&ev, Moment{Pos: recording.Pos{Event: uint64(i + 1)}})
			}
			f := File{tx: whole.then(sum)}
			at, open := f.Transaction()
			if !open {
				at = Moment{}
			}
			if at.Pos.Event != tt.began || open != (tt.began != 0) || f.Database() != tt.database {
				t.Errorf("%s, in parts of %d: open %v since %d, a database %v", tt.name, part, open, at.Pos.Event, f.Database())
			}
		}
	}
}
