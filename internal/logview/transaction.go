package logview

import "pyrr/internal/recording"

// Transaction states, as PostgreSQL's server tells them after each query in the message
// ReadyForQuery ("Message Formats"): the last of what it sends.
const (
	txNone = 'I'
	txOpen = 'T'
	txBad  = 'E' // a failed one, which is open until it is rolled back
)

// transaction is what a client has learnt of its connection to a database.
type transaction struct {
	state byte   // of the last ReadyForQuery, 0 for none
	idle  bool   // one of them said that none is open
	began Moment // of the first that said that one is open, behind all that said none
}

// learn takes in what a call has received.
func (x *transaction) learn(ev *recording.Event, at Moment) {
	for i := range ev.Mem {
		switch state := readyForQuery(ev.Mem[i].Data); state {
		case txNone:
			*x = transaction{state: state, idle: true}
		case txOpen, txBad:
			if x.state != txOpen && x.state != txBad {
				x.began = at
			}
			x.state = state
		}
	}
}

// readyForQuery returns the state in the message that b ends with, 0 for no such message.
func readyForQuery(b []byte) byte {
	const head = "Z\x00\x00\x00\x05"
	if n := len(b) - len(head) - 1; n >= 0 && string(b[n:len(b)-1]) == head {
		return b[len(b)-1]
	}
	return 0
}

// then is what is known of a connection where x was learnt first, and y after it.
func (x transaction) then(y transaction) transaction {
	open := func(t transaction) bool { return t.state == txOpen || t.state == txBad }
	switch {
	case y.state == 0:
		return x
	case open(x) && open(y) && !y.idle:
		y.began = x.began
	}
	y.idle = x.idle || y.idle
	return y
}

// Database reports whether a server of PostgreSQL is at the other end.
func (f *File) Database() bool { return f.tx.state != 0 }

// Transaction returns when a transaction began that is open on a connection to a
// database, as its server has said.
func (f *File) Transaction() (at Moment, open bool) {
	return f.tx.began, f.tx.state == txOpen || f.tx.state == txBad
}
