package gdbserver

import (
	"fmt"
	"strconv"
	"strings"

	"pyrr/replay"
)

// cont handles the actions of vCont: at most one thread can run, the one that
// ran in the recording.
func (s *Server) cont(actions string) (string, bool, error) {
	cur := s.current()
	action := byte(0)
	for a := range strings.SplitSeq(actions, ";") {
		what, thread, named := strings.Cut(a, ":")
		tid, err := strconv.ParseInt(thread, 16, 64)
		if what == "" || named && (err != nil || tid > 0 && int32(tid) != cur) {
			continue
		}
		if action == 0 {
			action = what[0]
		}
	}
	if action == 's' || action == 'S' {
		return s.step()
	}
	return s.move(func() (*replay.Stop, error) { return s.Session.Continue(s.signalStops) })
}

// step executes one instruction, or comes to a signal instead.
func (s *Server) step() (string, bool, error) {
	return s.move(func() (*replay.Stop, error) {
		st, err := s.Session.StepInstr()
		if err != nil || !st.Point.At {
			return st, err
		}
		if ev := s.Session.Next(); ev != nil && s.signalStops(ev) {
			st.Kind, st.Event = replay.StopEvent, ev
		}
		return st, nil
	})
}

func (s *Server) move(f func() (*replay.Stop, error)) (string, bool, error) {
	st, err := f()
	if err != nil {
		return "", false, err
	}
	s.general = 0
	return s.stopReply(st), false, nil
}

func (s *Server) stopReply(st *replay.Stop) string {
	tid := st.TID
	if tid == 0 {
		tid = s.current()
	}
	why := ""
	switch st.Kind {
	case replay.StopEnd:
		why = "replaylog:end;"
	case replay.StopStart:
		why = "replaylog:begin;"
	case replay.StopBreak:
		why = "swbreak:;"
	case replay.StopWatch:
		if len(s.watches) > 0 {
			name := map[byte]string{'2': "watch", '3': "rwatch", '4': "awatch"}[s.watches[0].kind]
			why = fmt.Sprintf("%s:%x;", name, s.watches[0].Addr)
		}
	case replay.StopEvent:
		return fmt.Sprintf("T%02xthread:%x;", gdbSignal(int(st.Event.Nr)), tid)
	case replay.StopInterrupted:
		return fmt.Sprintf("T02thread:%x;", tid)
	}
	return fmt.Sprintf("T05%sthread:%x;", why, tid)
}
