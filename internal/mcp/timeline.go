package mcp

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// event is what timeline reads of a line of pyrr events --json.
type event struct {
	Process     int      `json:"process"`
	Event       uint64   `json:"event"`
	Instruction uint64   `json:"instruction"`
	Thread      int32    `json:"thread"`
	ThreadName  string   `json:"threadName"`
	Time        float64  `json:"time"`
	Took        *float64 `json:"took"`
	Text        string   `json:"text"`
}

// bound is an end of a window.
type bound struct {
	n     uint64
	event bool
}

func newBound(text string, none uint64) (bound, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" || text == "end" || text == "start" {
		return bound{n: none}, nil
	}
	rest, isEvent := strings.CutPrefix(text, "e")
	n, err := strconv.ParseUint(plain(rest), 10, 64)
	if err != nil {
		return bound{}, fmt.Errorf("a window is from one position (185,730) or event (e1204) to another, not %q", text)
	}
	return bound{n, isEvent}, nil
}

func (b bound) of(e *event) uint64 {
	if b.event {
		return e.Event
	}
	return e.Instruction
}

func timeline(ctx context.Context, s *server, path string, in *timelineArgs) answer {
	const none = 1<<63 - 1
	from, err := newBound(in.From, 0)
	if err != nil {
		return answer{err: err.Error()}
	}
	to, err := newBound(in.To, none)
	if err != nil {
		return answer{err: err.Error()}
	}
	limit := 30
	if in.Limit > 0 {
		limit = min(in.Limit, 300)
	}
	args := []string{"events", "--json"}
	if in.Thread != "" {
		args = append(args, "--thread="+in.Thread)
	}
	if len(in.Kinds) > 0 {
		args = append(args, "--kind="+strings.Join(in.Kinds, ","))
	}
	r := s.Run(ctx, maxEvents, append(args, "--", path)...)
	if r.Err != "" {
		return answer{err: s.tidy(r.Err)}
	}
	first := strings.TrimSpace(in.From) != "" // else the last ones up to the end of the window
	var found []event
	more := 0
	sc := bufio.NewScanner(strings.NewReader(r.Out))
	sc.Buffer(nil, maxRead)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil || from.of(&e) < from.n || to.of(&e) > to.n {
			continue
		}
		if len(found) < limit {
			found = append(found, e)
			continue
		}
		more++
		if !first {
			found = append(found[:0], found[1:]...)
			found = append(found, e)
		}
	}
	var b strings.Builder
	for i := range found {
		e := &found[i]
		name := e.ThreadName
		if name == "" {
			name = strconv.Itoa(int(e.Thread))
		}
		took := ""
		if e.Took != nil && *e.Took > 0.001 {
			took = fmt.Sprintf("  (%.3f s)", *e.Took)
		}
		text, _, _ := strings.Cut(e.Text, "\n")
		fmt.Fprintf(&b, "p%d e%d at %d  %.6f s  %s  %s%s\n", e.Process, e.Event, e.Instruction, e.Time, name, text, took)
	}
	a := answer{text: b.String()}
	switch {
	case r.More:
		a.text += "the recording has more events than are read at once: kinds or a thread narrow them\n"
	case more > 0:
		a.text += fmt.Sprintf("%d more in the window\n", more)
	case len(found) == 0:
		a.text = "no event is in the window\n"
	}
	if n := len(found); n > 0 {
		e := found[n-1]
		a.next = append(a.next, call("stacks", "at", fmt.Sprintf("e%d", e.Event), "thread", strconv.Itoa(int(e.Thread))))
		if first && more > 0 {
			a.next = append(a.next, call("timeline", "from", fmt.Sprintf("e%d", e.Event+1)))
		}
	}
	return a
}

// maxEvents is how much of the events is read for a window.
const maxEvents = 64 << 20
