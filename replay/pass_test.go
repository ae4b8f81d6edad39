package replay_test

import (
	"testing"

	"pyrr/capture"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// A replay that passes over most buffered calls tells of every event in order, and
// stands at those that it was to stop at.
func TestPassOver(t *testing.T) {
	const code = "import os\nfd = os.open('/etc/hostname', os.O_RDONLY)\nfor i in range(300): os.stat('/'); os.lseek(fd, i, 0); os.getpid()"
	rec := record(t, capture.Options{Command: []string{pythonOf(t), "-c", code}})
	const each = 50
	next, stood, passed := uint64(0), 0, 0
	_, err := replay.Batch(rec, replay.Options{
		Pass: func(_ int, number uint64, _ *recording.Event) bool { return number%each != 0 },
		OnEvent: func(p *replay.Process, th *replay.Thread, ev *recording.Event) error {
			if p.Number != next {
				t.Fatalf("event %d follows %d", p.Number, next)
			}
			next++
			switch {
			case ev.Stop != recording.StopBuffered:
			case th == nil && p.Number%each == 0:
				t.Errorf("event %d: the process is not there", p.Number)
			case th == nil:
				passed++
			default:
				if r := th.Regs(); r.Args() != ev.Args {
					t.Errorf("event %d: arguments %#x, not %#x", p.Number, r.Args(), ev.Args)
				}
				stood++
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if passed == 0 && stood == 0 {
		t.Skip("no buffered calls on this kernel")
	}
	if stood < 15 || passed < 800 {
		t.Errorf("stood at %d calls, passed over %d", stood, passed)
	}
}
