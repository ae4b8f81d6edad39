package traces

import (
	"errors"
	"fmt"
	"strings"

	"pyrr/cpython"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// btTask is what bt says of a stack that is an asyncio task's or a greenlet's.
type btTask struct {
	Name string `json:"name"`
	// Greenlet is the class of one, "" for a task; its Name is the address.
	Greenlet string `json:"greenlet,omitempty"`

	Running bool   `json:"running,omitempty"`
	Waits   string `json:"waits,omitempty"`
	// Loop tells event loops apart; Thread is the thread that runs it, by the
	// id that the program saw, 0 for none.
	Loop   string `json:"loop,omitempty"`
	Thread int32  `json:"loopThread,omitempty"`
	Err    string `json:"error,omitempty"`
}

// heading is the line above a task's stack.
func (t *btTask) heading() string {
	if t.Greenlet != "" {
		return fmt.Sprintf("greenlet %s %s is suspended", t.Greenlet, t.Name)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "task %q", t.Name)
	switch {
	case t.Running:
		b.WriteString(" runs")
	case t.Waits != "":
		b.WriteString(" waits for " + t.Waits)
	default:
		b.WriteString(" is ready to run")
	}
	if t.Thread != 0 {
		fmt.Fprintf(&b, ", in the loop of thread %d", t.Thread)
	} else {
		b.WriteString(", in a loop that does not run")
	}
	return b.String()
}

// replayedTasks reads the asyncio tasks during a replay.
func replayedTasks(rec *recording.Recording, f *Flags, places []place) ([]btStack, error) {
	return atPlaces(rec, places, func(*replay.Process, *recording.Event) {}, func(p *replay.Process, at *place) ([]btStack, error) {
		return tasksOf(p, at, f)
	})
}

func tasksOf(p *replay.Process, at *place, f *Flags) ([]btStack, error) {
	rt, err := p.Runtime()
	if errors.Is(err, replay.ErrNoPython) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tasks, err := rt.Tasks(p.Mem())
	if err != nil && len(tasks) == 0 {
		return nil, fmt.Errorf("read the tasks of process %d: %w", p.Info.ID, err)
	}
	var out []btStack
	for i := range tasks {
		t := &tasks[i]
		s := btStack{at: at, task: &btTask{Name: t.Name, Running: t.Running, Waits: t.Waits, Loop: fmt.Sprintf("%#x", t.Loop), Err: t.Err}}
		for tid, th := range p.Threads() {
			if regs := th.Regs(); t.Thread != 0 && regs.TLS() == t.Thread {
				s.thread, s.task.Thread = tid, tid
			}
		}
		s.frames = pythonOnly(rt, p, t.Frames, f)
		out = append(out, s)
	}
	greenlets, err := rt.Greenlets(p.Mem())
	if err != nil && len(greenlets) == 0 {
		return nil, fmt.Errorf("read the greenlets of process %d: %w", p.Info.ID, err)
	}
	for i := range greenlets {
		g := &greenlets[i]
		s := btStack{at: at, task: &btTask{Name: fmt.Sprintf("%#x", g.Addr), Greenlet: g.Type}}
		s.frames = pythonOnly(rt, p, g.Frames, f)
		out = append(out, s)
	}
	return out, nil
}

// pythonOnly are the frames of a stack that is on no C stack.
func pythonOnly(rt *cpython.Runtime, p *replay.Process, frames []cpython.Frame, f *Flags) []Frame {
	var out []Frame
	for _, fr := range frames {
		b := Frame{Frame: fr.Frame}
		if f.Locals {
			b.Locals, b.LocalsErr = localsOf(rt, p, fr)
		}
		out = append(out, b)
	}
	return out
}

// localsOf renders a frame's variables, and says what went wrong.
func localsOf(rt *cpython.Runtime, p *replay.Process, f cpython.Frame) ([]cpython.Variable, string) {
	vars, err := rt.Locals(p.Mem(), f)
	if err != nil {
		return vars, err.Error()
	}
	return vars, ""
}
