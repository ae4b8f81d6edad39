package cpython

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type taskPoint struct {
	Point int
	Tasks []taskSeen
}

// taskSeen is a task as the program saw it.
type taskSeen struct {
	Addr    uint64
	Loop    uint64
	Name    string
	Running bool
	Waits   string
	Frames  [][3]any // file, function, line
}

// fullTests is set for the wide form of tests that take long.
var fullTests = os.Getenv("PYRR_E2E") == "full"

// TestTasksAgainstPython compares, at random points of a program with two
// event loops, all tasks and their stacks read from memory with what asyncio
// itself reports.
func TestTasksAgainstPython(t *testing.T) {
	points := 40
	if fullTests {
		points = 200
	}
	for i, in := range interpreters() {
		t.Run(in.name, func(t *testing.T) {
			t.Parallel()
			p := startPython(t, in, "taskpoints.py", fmt.Sprint(i+1), fmt.Sprint(points))
			var r *Runtime
			tasks, frames := 0, 0
			for n := 1; n <= points; n++ {
				var want taskPoint
				if err := json.Unmarshal([]byte(p.line(t)), &want); err != nil {
					t.Fatal(err)
				}
				p.awaitRead(t)
				if r == nil {
					r = openLive(t, in, p.m.PID)
				}
				got := seenTasks(t, r, p)
				if byAddr := func(a, b taskSeen) int { return int(int64(a.Addr - b.Addr)) }; true {
					slices.SortFunc(got, byAddr)
					slices.SortFunc(want.Tasks, byAddr)
				}
				if d := cmp.Diff(want.Tasks, got); d != "" {
					t.Fatalf("point %d, seed %d: tasks (-Python +memory):\n%s", n, i+1, d)
				}
				tasks += len(got)
				for _, task := range got {
					frames += len(task.Frames)
				}
				p.proceed(t)
			}
			if tasks < points*3 {
				t.Errorf("only %d tasks at %d points", tasks, points)
			}
			t.Logf("Python %v: %d points, %d tasks, %d frames", r.Version, points, tasks, frames)
		})
	}
}

func seenTasks(t *testing.T, r *Runtime, p *process) []taskSeen {
	t.Helper()
	tasks, err := r.Tasks(p.m)
	if err != nil {
		t.Fatal(err)
	}
	got := []taskSeen{}
	for _, task := range tasks {
		if task.Err != "" || (task.Thread == 0) != strings.HasPrefix(task.Name, "left ") || len(task.WaitsFor) > 0 && !strings.HasPrefix(task.Waits, "task ") && !strings.HasPrefix(task.Waits, "gather of ") {
			t.Errorf("task %+v", task)
		}
		s := taskSeen{task.Addr, task.Loop, task.Name, task.Running, task.Waits, [][3]any{}}
		for _, f := range task.Frames {
			s.Frames = append(s.Frames, [3]any{f.File, f.Func, float64(f.Line)})
		}
		got = append(got, s)
	}
	return got
}
