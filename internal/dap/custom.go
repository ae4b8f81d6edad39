package dap

import (
	"errors"
	"fmt"

	"github.com/google/go-dap"

	"pyrr/internal/recording"
)

// GotoRequest (pyrr/goto) goes to a place: an instruction count, N%, eN for an
// event, start or end. A stopped event follows the response.
type GotoRequest struct {
	dap.Request
	Arguments struct {
		To string `json:"to"`
	} `json:"arguments"`
}

// EventsRequest (pyrr/events) lists Count events of the process from number
// From on; without From, around the place at hand.
type EventsRequest struct {
	dap.Request
	Arguments struct {
		From  *uint64 `json:"from"`
		Count int     `json:"count"`
	} `json:"arguments"`
}

// EventsResponse answers an EventsRequest.
type EventsResponse struct {
	dap.Response
	Body EventsBody `json:"body"`
}

// EventsBody lists events; Here is the number of the next one.
type EventsBody struct {
	Here   uint64  `json:"here"`
	Events []Event `json:"events"`
}

// Event is an event as it is listed. Time is in seconds since the beginning.
type Event struct {
	Number   uint64  `json:"number"`
	Position uint64  `json:"position"`
	Thread   int32   `json:"thread"`
	Time     float64 `json:"time"`
	Text     string  `json:"text"`
}

// WhenRequest (pyrr/when) asks where the process stands.
type WhenRequest struct{ dap.Request }

// WhenResponse answers a WhenRequest.
type WhenResponse struct {
	dap.Response
	Body WhenBody `json:"body"`
}

// WhenBody is a place: how many instructions come before it, of how many, and
// the number of the next event.
type WhenBody struct {
	Position uint64 `json:"position"`
	Total    uint64 `json:"total"`
	Event    uint64 `json:"event"`
}

func (s *Server) gotoPlace(m *message, req *GotoRequest) error {
	if req.Arguments.To == "" {
		return errors.New("pyrr/goto: where? a position, N%, eN, start or end")
	}
	s.run(&run{kind: "goto", where: req.Arguments.To, m: *m})
	return nil
}

// maxEvents bounds the events that are listed at once.
const maxEvents = 1000

func (s *Server) events(m *message, req *EventsRequest) error {
	count := req.Arguments.Count
	if count <= 0 {
		count = 20
	}
	count = min(count, maxEvents)
	r := &EventsResponse{Response: m.answer()}
	r.Body.Here, r.Body.Events = s.x.Point().Event, []Event{}
	from := r.Body.Here - min(r.Body.Here, uint64(count/2))
	if f := req.Arguments.From; f != nil {
		from = *f
	}
	it, err := s.t.Recording.Events(s.x.Proc().ID)
	if err != nil {
		return err
	}
	defer it.Close()
	it.Brief()
	if err := it.Seek(from); err != nil {
		return fmt.Errorf("there is no event %d: %w", from, err)
	}
	var ev recording.Event
	for i := from; i < from+uint64(count) && it.Next(&ev) == nil; i++ {
		r.Body.Events = append(r.Body.Events, Event{i, ev.Instr, ev.TID, float64(ev.Time) / 1e9, s.t.Describe(&ev)})
	}
	s.send(r)
	return nil
}

func (s *Server) when(m *message) error {
	at := s.x.Point()
	r := &WhenResponse{Response: m.answer()}
	r.Body.Position, r.Body.Event = at.Instr, at.Event
	if places, err := s.x.Places(); err == nil && len(places) > 0 {
		r.Body.Total = places[len(places)-1].Instr
	}
	s.send(r)
	return nil
}
