package capture

import (
	"fmt"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"pyrr/internal/mem"
	"pyrr/internal/recording"
)

// fakeKernel is a kernel for tests without processes: it reports what a test puts
// into it, and keeps what it was told to do.
type fakeKernel struct {
	asleep map[int]bool
	stops  map[int]unix.WaitStatus // of threads that have stopped meanwhile
	placed map[int]int
}

func newFakeKernel() *fakeKernel {
	return &fakeKernel{asleep: map[int]bool{}, stops: map[int]unix.WaitStatus{}, placed: map[int]int{}}
}

func (k *fakeKernel) sleeping(tid int) bool { return k.asleep[tid] }

func (k *fakeKernel) poll(tid int) (unix.WaitStatus, bool) {
	st, ok := k.stops[tid]
	delete(k.stops, tid)
	return st, ok
}

func (k *fakeKernel) place(tid, cpu int) { k.placed[tid] = cpu }

// fakeRecorder is a recorder of a command that does not run: its log is kept in memory,
// and its warnings in the field warnings.
type fakeRecorder struct {
	*recorder
	k        *fakeKernel
	warnings []string
	dir      string
	pids     int
}

func newFakeRecorder(t *testing.T, o Options) *fakeRecorder {
	t.Helper()
	f := &fakeRecorder{k: newFakeKernel(), dir: t.TempDir(), pids: 1 << 28}
	o.Warn = func(s string) { f.warnings = append(f.warnings, s) }
	o.Dir = f.dir + "/command.pyrr.part"
	w := recording.Hold(o.Dir, recording.Header{})
	f.recorder = newRecorder(o, w, recording.Header{}, nil)
	f.kernel = f.k
	f.placement.cpus = []int{0, 1}
	t.Cleanup(func() {
		if f.command != nil {
			f.command.w.Discard()
		}
		for _, ep := range f.epochs.list {
			ep.w.Discard()
		}
		f.writing.Wait()
	})
	return f
}

// process adds a process with n threads, in an epoch or in none. No such process
// exists on the machine.
func (f *fakeRecorder) process(ep *epoch, n int) *process {
	f.pids += 1000
	lead := &task{tid: f.pids, pid: f.pids, state: stateRun}
	f.tasks[lead.tid] = lead
	p := f.newProcess(lead, modeRecord)
	for i := 1; i < n; i++ {
		t := &task{tid: f.pids + i, pid: f.pids, proc: p, state: stateRun}
		p.tasks[t.tid], f.tasks[t.tid] = t, t
	}
	f.join(p, ep)
	if ep != nil {
		p.stream = ep.w.Stream(p.id)
		f.log(p, &recording.Event{Kind: recording.KindStart, TID: int32(p.pid), Proc: &recording.Process{ID: p.id, PID: p.pid}})
	}
	return p
}

// epoch adds the recording of a test that begins with a process.
func (f *fakeRecorder) epoch(name string, lead *process) *epoch {
	dir := fmt.Sprintf("%s/%s.pyrr.part", f.dir, name)
	ep := &epoch{w: recording.Hold(dir, recording.Header{}), dir: dir, name: name, live: map[*process]bool{}, lead: lead, began: f.since()}
	if lead != nil {
		f.join(lead, ep)
		lead.stream = ep.w.Stream(lead.id)
		lead.ended = false
		f.log(lead, &recording.Event{Kind: recording.KindStart, TID: int32(lead.pid), Proc: &recording.Process{ID: lead.id, PID: lead.pid}})
	}
	f.epochs.list = append(f.epochs.list, ep)
	return ep
}

// in moves a thread's call to a state.
func (t *task) in(moves ...callMove) *task {
	for _, m := range moves {
		t.sys.move(m)
	}
	return t
}

// line is a slot whose threads have the ids 1, 2 and so on.
func line(n int) (*slot, []*task) {
	s, all := &slot{}, make([]*task, n)
	for i := range all {
		all[i] = &task{tid: i + 1, pid: 1, state: stateRun}
	}
	return s, all
}

func tids(list []*task) []int {
	out := []int{}
	for _, t := range list {
		out = append(out, t.tid)
	}
	return out
}

var someTime = time.Unix(1_700_000_000, 0)

// rangeOf is where some bytes of this test lie in memory.
func rangeOf(b []byte) mem.Range {
	return mem.Range{Addr: uint64(uintptr(unsafe.Pointer(&b[0]))), Len: uint64(len(b))}
}
