package stackwalk

import (
	"time"

	"pyrr/cpython"
	"pyrr/internal/hang"
	"pyrr/internal/recording"
	"pyrr/internal/sys"
	"pyrr/replay"
)

// exited goes back, where the program ended with an error status and by no exception that
// was told of, to the SystemExit that its main thread raised last, and notes the stack
// there: at the end nothing is left of it. Like raised it goes through the recording once
// more, and leaves out what can't be found.
func exited(rec *recording.Recording, facts map[int]*hang.Facts, took, busy time.Duration) {
	procs, err := rec.Procs()
	if err != nil || len(procs) == 0 {
		return
	}
	last := procs[0]
	for _, p := range procs {
		if p.PID == last.PID {
			last = p // what it became by exec counts as it
		}
	}
	f := facts[last.ID]
	ev, err := rec.LastEvent(last.ID)
	if f != nil && f.Raised != nil || err != nil || ev.Kind != recording.KindEnd || ev.Why != recording.EndExited {
		return
	}
	if status := sys.WaitStatus(ev.Ret); !status.Exited() || status.ExitStatus() == 0 {
		return
	}
	x, err := replay.Open(rec, replay.Options{Returns: true})
	if err != nil {
		return
	}
	defer x.Close()
	b := backwards{x: x, took: took, busy: busy, tid: int32(last.PID)}
	if x.Select(last.ID) != nil {
		return
	}
	if exit := b.toExit(); exit != nil {
		if f == nil {
			f = &hang.Facts{Proc: last.ID}
			facts[last.ID] = f
		}
		f.Exit = exit
	}
}

// toExit goes back to where the main thread raised SystemExit last.
func (b *backwards) toExit() (exit *hang.Exit) {
	defer func() {
		if recover() != nil {
			exit = nil
		}
	}()
	if !b.toEnd(0) {
		return nil
	}
	b.until = time.Now().Add(max(b.busy*maxToRaise, b.took)) // it is near the end, or nowhere
	b.x.SetBreaks([]*replay.Break{{Kind: replay.BreakRaise, Name: "SystemExit", Thread: b.tid}})
	st, ok := b.within(func() (*replay.Stop, error) { return b.x.ReverseContinue(nil) })
	b.x.SetBreaks(nil)
	if !ok || st.Kind != replay.StopBreak {
		return nil
	}
	b.python(func(p *replay.Process, t *replay.Thread, rt *cpython.Runtime, pt cpython.Thread) {
		frames, _ := rt.Frames(p.Mem(), pt, cpython.Options{NextInstr: p.NextInstr(t)})
		if len(frames) == 0 {
			return
		}
		exit = &hang.Exit{Point: hang.Point{Event: st.Point.Event, Instr: st.Point.Instr}}
		for k := range frames[:min(len(frames), maxExitFrames)] {
			exit.Frames = append(exit.Frames, hang.Frame{Func: frames[k].Func, File: frames[k].File, Line: frames[k].Line})
		}
	})
	return exit
}

// maxExitFrames bounds how much of the stack at an exit is kept.
const maxExitFrames = 64
