package setup

import (
	"testing"
	"time"
)

func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		load float64 // of each processor
		want time.Duration
	}{{0, 2 * time.Second}, {1, 2 * time.Second}, {6, 2 * time.Second}, {15, 5 * time.Second}, {100, 10 * time.Second}} {
		if got := patience(2*time.Second, tt.load); got != tt.want {
			t.Errorf("a load of %v: %v, not %v", tt.load, got, tt.want)
		}
	}
	if got := Patience(time.Minute); got < time.Minute {
		t.Errorf("%v of a minute", got)
	}
	if Slow(time.Second, time.Second) || !Slow(10*time.Hour, time.Second) {
		t.Error("a second is longer than a second may be, or ten hours are not")
	}
	for _, limit := range []string{"2s", "2", "0.5s", "1m"} {
		if got, err := time.ParseDuration(Timeout(limit)); err != nil || got < 500*time.Millisecond {
			t.Errorf("%s is %v, %v", limit, got, err)
		}
	}
}
