package compare

import (
	"testing"
	"time"

	"pyrr/assert"
	"pyrr/internal/stack"
)

// TestAlign holds that a call more from which both go on alike is passed over, and
// that the parting is behind it.
func TestAlign(t *testing.T) {
	run := func(extra, end bool) *source {
		s := &source{}
		for k := range 20 {
			s.call(1, "read", "/etc/a", k+1)
			if extra && k == 5 {
				s.call(1, "openat", "/etc/cache", 100)
			}
		}
		if end {
			s.call(1, "connect", "", 50)
		} else {
			s.call(1, "sendto", "", 51)
		}
		return s
	}
	r := sides(t, run(false, false), run(true, true))
	if th := r.Threads[0]; th.Equal != 20 || th.Skipped != 1 || r.A.Event(th.A).Name != "sendto" || r.B.Event(th.B).Name != "connect" {
		t.Errorf("%+v", th)
	}
	// Where nothing else differs, that call is the difference.
	r = sides(t, run(false, true), run(true, true))
	if th := r.Threads[0]; th.Equal != 6 || th.B < 0 || r.B.Event(th.B).Path != "/etc/cache" {
		t.Errorf("%+v", th)
	}
}

// TestCauses checks what is named as the cause where two runs part.
func TestCauses(t *testing.T) {
	base := func(change func(s *source)) *source {
		s := &source{}
		s.call(1, "connect", "", 1)
		s.call(2, "openat", "/etc/late", 20)
		s.call(1, "recvfrom", "", 2).Ret = 8
		s.call(2, "openat", "/etc/made", 21)
		s.call(1, "sendto", "", 3)
		if change != nil {
			change(s)
		}
		return s
	}
	tests := []struct {
		name   string
		change func(s *source)
		world  *World
		want   string
		follow string
	}{
		{name: "less data", change: func(s *source) { s.events[2].Ret = 4; s.line(4, 5) },
			want:   "result|recvfrom at app.py:2 in f|8 bytes|4 bytes",
			follow: "MainThread went on to app.py:5 in f in B; in A it went on to app.py:3 in f"},
		{name: "an error", change: func(s *source) { s.events[2].Ret, s.events[2].Errno = -104, "ECONNRESET" },
			want: "result|recvfrom at app.py:2 in f|8 bytes|ECONNRESET"},
		{name: "out of time", change: func(s *source) { s.events[2].Ret, s.events[2].Errno = -110, "ETIMEDOUT"; s.line(4, 5) },
			want: "time|recvfrom at app.py:2 in f|8 bytes|ETIMEDOUT"},
		{name: "slow", change: func(s *source) { s.events[2].End = s.events[2].Start + 3*time.Second; s.line(4, 5) },
			want: "time|recvfrom at app.py:2 in f|took 0.0 ms|took 3.0 s"},
		{name: "a variable", change: func(s *source) { s.line(4, 5) }, world: &World{Env: []string{"MODE=b", "PYRR_X=1", "API_TOKEN=x"}},
			want: `environment|the variable API_TOKEN|(a value)|(another value)`},
		{name: "the order", change: func(s *source) {
			s.line(4, 5)
			s.events[3].Pos.Event, s.events[2].Pos.Event = 2, 3 // made comes before the data
		}, want: "schedule|when MainThread came to recvfrom at app.py:2 in f, worker had come|to openat(\"/etc/late\") at app.py:20 in f|to openat(\"/etc/made\") at app.py:21 in f"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x, err := Read(base(nil))
			if err != nil {
				t.Fatal(err)
			}
			y, err := Read(base(tt.change))
			if err != nil {
				t.Fatal(err)
			}
			x.World, y.World = &World{Env: []string{"MODE=b", "API_TOKEN=y"}}, &World{Env: []string{"MODE=b", "API_TOKEN=y"}}
			if tt.world != nil {
				y.World = tt.world
			}
			r := Sides(x, y)
			causes := r.Causes()
			if len(causes) == 0 {
				t.Fatal("no cause")
			}
			c := causes[0]
			if got := c.Kind + "|" + c.What + "|" + c.First + "|" + c.Second; got != tt.want {
				t.Errorf("%s\nwant %s\nall: %+v", got, tt.want, causes)
			}
			if got := r.Followed("A", "B"); tt.follow != "" && got != tt.follow {
				t.Errorf("followed: %s", got)
			}
		})
	}
}

// line moves an event to another line.
func (s *source) line(n, line int) {
	s.stacks[n] = assert.Stacks{Python: stack.Stack{Frames: []stack.Frame{{Kind: stack.Python, Func: "f", File: "/proj/app.py", Line: line}}}}
}

// TestWithin: of two runs of pytest, the test that is in both is compared.
func TestWithin(t *testing.T) {
	run := func(before int, line int) *source {
		s := &source{}
		for k := range before {
			s.call(1, "openat", "/other", 100+k)
		}
		mark := func(kind string) { e := s.call(1, "t.py::test_a", "", 0); e.Kind = kind }
		mark(assert.KindTestStart)
		s.call(1, "read", "/etc/a", 1)
		s.call(1, "write", "/etc/b", line)
		mark(assert.KindTestEnd)
		s.call(1, "exit_group", "", 9+before)
		return s
	}
	a, b := run(0, 2), run(30, 3)
	x, y := read(t, a), read(t, b)
	x.Within("t.py::test_a")
	y.Within("t.py::test_a")
	r := Sides(x, y)
	if th := r.Threads[0]; th.Equal != 2 || th.A < 0 || r.A.Event(th.A).Name != "write" || th.MoreA != 1 {
		t.Errorf("%+v", th)
	}
}
