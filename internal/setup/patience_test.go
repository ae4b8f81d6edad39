package setup

import (
	"testing"
	"time"
)

func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		load       float64
		processors int
		want       time.Duration
	}{{0, 2, 2 * time.Second}, {12, 2, 2 * time.Second}, {30, 2, 5 * time.Second}, {30, 16, 2 * time.Second}} {
		if got := patience(2*time.Second, tt.load, tt.processors); got != tt.want {
			t.Errorf("a load of %v on %d processors: %v, not %v", tt.load, tt.processors, got, tt.want)
		}
	}
	if got := Patience(time.Minute); got < time.Minute {
		t.Errorf("%v of a minute", got)
	}
}
