package cpython

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInspectAgainstPython compares what is read of locks, queues, tasks and
// with statements with what the program says of them itself.
func TestInspectAgainstPython(t *testing.T) {
	for _, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "inspectpoints.py")
			var want struct {
				Held   [][3]any // function, id, line
				Locks  [][4]any // id, locked, owner, count
				Items  map[string][]uint64
				Simple [2]any
				Tasks  [][3]any // id, name, how it ended
			}
			line := p.line(t)
			if err := json.Unmarshal([]byte(line), &want); err != nil {
				t.Fatal(err)
			}
			p.awaitRead(t)
			r := openLive(t, in, p.m.PID)
			x := r.Inspect(p.m)
			defer x.Release()
			var got, expect []string
			for _, h := range want.Held {
				expect = append(expect, fmt.Sprintf("%s %.0f :%.0f", h[0], h[1], h[2]))
			}
			for _, frames := range allFrames(t, r, p) {
				for k := range frames {
					for _, h := range x.Held(&frames[k]) {
						if name := afterLastDot(frames[k].Func); x.Type(h.Obj) != "suppress" && x.Type(h.Obj) != "_GeneratorContextManager" && name != "wait" && name != "main" {
							got = append(got, fmt.Sprintf("%s %d :%d", name, h.Obj, h.Line))
						}
					}
				}
			}
			slices.Sort(expect)
			slices.Sort(got)
			if d := cmp.Diff(expect, got); d != "" {
				t.Errorf("held (-Python +memory):\n%s", d)
			}
			for _, l := range want.Locks {
				obj := uint64(l[0].(float64))
				s, ok := x.Lock(obj)
				if !ok || s.Locked != l[1].(bool) || s.Owner != uint64(l[2].(float64)) || s.Count != int(l[3].(float64)) {
					t.Errorf("lock %v reads as %+v, %v", l, s, ok)
				}
			}
			for id, items := range want.Items {
				obj, _ := strconv.ParseUint(id, 10, 64)
				if items == nil {
					continue
				}
				if got := x.Items(obj, 10_000); !slices.Equal(got, items) || x.Len(obj) != len(items) {
					t.Errorf("%s has %d items, %d were read, length %d", x.Type(obj), len(items), len(got), x.Len(obj))
				}
			}
			var texts []any
			for _, item := range x.Items(uint64(want.Simple[0].(float64)), 100) {
				texts = append(texts, x.Str(item))
			}
			if d := cmp.Diff(want.Simple[1], any(texts)); d != "" {
				t.Errorf("SimpleQueue (-Python +memory):\n%s", d)
			}
			for _, task := range want.Tasks {
				obj := uint64(task[0].(float64))
				s, ok := x.AsyncTask(obj)
				how := taskState(ok, s, x)
				if how != task[2] || x.TaskName(obj) != task[1] {
					t.Errorf("task %v reads as %q, %s: %+v", task, x.TaskName(obj), how, s)
				}
			}
		})
	}
}

// taskState names how a task ended.
func taskState(ok bool, s AsyncFuture, x *Inspector) string {
	how := "waits"
	switch {
	case !ok:
		how = "?"
	case s.Exception != 0 && !x.None(s.Exception):
		how = "failed"
	case s.Cancelled:
		how = "cancelled"
	case s.Done:
		how = "returned"
	}
	return how
}

// allFrames returns the stacks of all threads and tasks.
func allFrames(t *testing.T, r *Runtime, p *process) [][]Frame {
	t.Helper()
	threads, err := r.Threads(p.m)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]Frame
	for _, th := range threads {
		frames, err := r.Frames(p.m, th, Options{})
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, frames)
	}
	tasks, err := r.Tasks(p.m)
	if err != nil {
		t.Fatal(err)
	}
	for k := range tasks {
		if !tasks[k].Running {
			out = append(out, tasks[k].Frames)
		}
	}
	return out
}
