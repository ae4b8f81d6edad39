package dap

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"pyrr/replay"
)

// outputs are what the program printed. Each is shown when the replay passes
// it forwards, and again where it is passed again after going back: what the
// editor shows ends with what was printed before the place at hand.
type outputs struct {
	s *Server

	mu    sync.Mutex
	live  bool // going forwards: shown at once
	upto  uint64
	items map[uint64]*output // by the number of the event
	size  int
}

type output struct {
	stderr bool
	text   []byte
}

// maxOutput bounds what is kept of the output.
const maxOutput = 64 << 20

// take gets what the process writes at an event; on the tracing thread.
func (o *outputs) take(p *replay.Process, stderr bool, text []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.items == nil {
		o.items = map[uint64]*output{}
	}
	n := p.Number
	item := o.items[n]
	if item == nil || o.live && n >= o.upto {
		if o.size+len(text) <= maxOutput && item == nil {
			o.size += len(text)
			item = &output{stderr: stderr, text: slices.Clone(text)}
			o.items[n] = item
		}
		if o.live && n >= o.upto {
			o.upto = n + 1
			o.show(&output{stderr, text})
		}
		return
	}
}

func (o *outputs) show(i *output) {
	category := "stdout"
	if i.stderr {
		category = "stderr"
	}
	o.s.say(category, "%s", strings.ToValidUTF8(string(i.text), "\ufffd"))
}

// going says that the process is about to move.
func (o *outputs) going(live bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.live = live
}

// at brings what is shown in line with the place, the event that comes next.
func (o *outputs) at(event uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.live = false
	switch {
	case event > o.upto:
		for _, n := range slices.Sorted(maps.Keys(o.items)) {
			if n >= o.upto && n < event {
				o.show(o.items[n])
			}
		}
	case event < o.upto:
		for n := range o.items {
			if n >= event && n < o.upto {
				o.s.say("console", "(Back before the last output; it comes again.)\n")
				break
			}
		}
	}
	o.upto = event
}
