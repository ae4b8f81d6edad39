package stackwalk

import (
	"testing"
	"time"
)

// TestBusyness: a replay that took no longer than its processor time leaves the bounds as
// they are, one that was kept waiting widens them, and never without end.
func TestBusyness(t *testing.T) {
	for _, c := range []struct{ own, took, want time.Duration }{
		{time.Second, time.Second, 1},
		{time.Second, 3 * time.Second, 1},
		{time.Second, 8 * time.Second, 2},
		{time.Second, time.Hour, 4},
	} {
		if got := load(ownTime() - c.own).busyness(c.took); got != c.want {
			t.Errorf("%v of processor time in %v: %d times, want %d", c.own, c.took, got, c.want)
		}
	}
}
