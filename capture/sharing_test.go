package capture

import (
	"testing"

	"golang.org/x/sys/unix"

	"pyrr/internal/sys"
)

// shows adds a mapping of n units of an object, from the unit first on, at an
// address of its own.
func shows(f *fakeRecorder, p *process, at, first, n uint64, key objectKey) *sharedMap {
	return f.addShared(p, at, at+n*unitSize, first*unitSize, unix.PROT_READ|unix.PROT_WRITE, key)
}

func holders(o *sharedObject) (out map[uint64]int) {
	out = map[uint64]int{}
	for u, h := range o.holder {
		out[u] = 1
		for i, m := range o.maps {
			if m == h {
				out[u] = i + 1
			}
		}
	}
	return out
}

func TestOneMappingHasAllOfIt(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	p := f.process(f.command, 1)
	m := shows(f, p, 1<<20, 0, 4, objectKey{1, 7})
	if m.obj.multi || len(m.obj.holder) != 0 {
		t.Error("what one shows is shared")
	}
	if p.findShared(1<<20) != nil {
		t.Error("a touch of the only mapping has to be looked at")
	}
	f.dropShared(m)
	if len(f.objects) != 0 || len(p.shared) != 0 {
		t.Errorf("%d objects, %d mappings are left", len(f.objects), len(p.shared))
	}
}

func TestTheFirstHoldsWhatItShows(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	a, b := f.process(f.command, 1), f.process(f.command, 1)
	key := objectKey{1, 7}
	first := shows(f, a, 1<<20, 2, 3, key)
	second := shows(f, b, 1<<24, 0, 8, key)
	o := first.obj
	if second.obj != o || !o.multi {
		t.Fatal("the mappings are not one object")
	}
	want := map[uint64]int{2: 1, 3: 1, 4: 1}
	got := holders(o)
	if len(got) != len(want) {
		t.Fatalf("held are %v", got)
	}
	for u, h := range want {
		if got[u] != h {
			t.Errorf("unit %d is held by %d", u, got[u])
		}
	}
	for unit, want := range map[uint64]*sharedMap{0: nil, 2: first, 4: first, 5: nil} {
		if h := o.other(second, unit); h != want {
			t.Errorf("unit %d has to be given up by %p, not %p", unit, h, want)
		}
		if h := o.other(first, unit); h != nil {
			t.Errorf("the first has to ask itself for unit %d", unit)
		}
	}
	if b.findShared(1<<24) != second || b.findShared(1<<24+8*unitSize) != nil || b.findShared(1<<24-1) != nil {
		t.Error("a mapping is not found by its addresses")
	}
}

func TestOtherFilesAreOtherObjects(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	a, b := f.process(f.command, 1), f.process(f.command, 1)
	m := []*sharedMap{shows(f, a, 1<<20, 0, 1, objectKey{1, 7}), shows(f, b, 1<<20, 0, 1, objectKey{2, 7}), shows(f, b, 1<<24, 0, 1, objectKey{1, 8})}
	for i := range m {
		for k := range m {
			if (m[i].obj == m[k].obj) != (i == k) {
				t.Errorf("mappings %d and %d are of one object", i, k)
			}
		}
	}
	// Anonymous memory has no key: only a fork shows it twice.
	x, y := shows(f, a, 1<<26, 0, 1, objectKey{}), shows(f, a, 1<<27, 0, 1, objectKey{})
	if x.obj == y.obj {
		t.Error("two anonymous mappings are one object")
	}
	if len(f.objects) != 3 {
		t.Errorf("%d objects can be found", len(f.objects))
	}
}

func TestAMappingThatGoesGivesBack(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	a, b := f.process(f.command, 1), f.process(f.command, 1)
	key := objectKey{1, 7}
	first, second := shows(f, a, 1<<20, 0, 2, key), shows(f, b, 1<<20, 0, 2, key)
	o := first.obj
	o.holder[1] = second
	f.dropShared(first)
	if len(o.holder) != 1 || o.holder[1] != second {
		t.Errorf("held are %v", holders(o))
	}
	if !o.multi || f.objects[key] != o {
		t.Error("the object is forgotten, or taken for unshared")
	}
	if last := o.hide(second); !last || len(o.holder) != 0 {
		t.Errorf("last %v, held %v", last, holders(o))
	}
	o.maps = append(o.maps, second)
	f.dropShared(second)
	if len(f.objects) != 0 || len(a.shared)+len(b.shared) != 0 {
		t.Error("something is left")
	}
}

// share is done once: a process that came to hold something since then keeps it.
func TestShareIsDoneOnce(t *testing.T) {
	f := newFakeRecorder(t, Options{})
	a, b := f.process(f.command, 1), f.process(f.command, 1)
	key := objectKey{1, 7}
	first, second := shows(f, a, 1<<20, 0, 2, key), shows(f, b, 1<<20, 0, 2, key)
	o := first.obj
	o.holder[0] = second
	o.share(first)
	if o.holder[0] != second {
		t.Error("the first took it back")
	}
	shows(f, b, 1<<24, 0, 2, key)
	if o.holder[0] != second || len(o.maps) != 3 {
		t.Errorf("a third mapping changed who holds: %v", holders(o))
	}
}

func TestSpansOfUnits(t *testing.T) {
	const at = 1 << 30
	tests := []struct {
		name       string
		off, size  uint64
		unit       uint64
		start, end uint64
	}{
		{"the whole", 0, unitSize, 0, at, at + unitSize},
		{"the second", 0, 2 * unitSize, 1, at + unitSize, at + 2*unitSize},
		{"less than one", 0, pageSize, 0, at, at + pageSize},
		{"its end", 0, unitSize + pageSize, 1, at + unitSize, at + unitSize + pageSize},
		{"from the middle of one", 3 * pageSize, unitSize, 0, at, at + unitSize - 3*pageSize},
		{"and what is in the next", 3 * pageSize, unitSize, 1, at + unitSize - 3*pageSize, at + unitSize},
		{"behind it", 0, unitSize, 1, 0, 0},
		{"before it", unitSize, unitSize, 0, 0, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := &sharedMap{start: at, end: at + tt.size, off: tt.off}
			start, end := m.span(tt.unit)
			if start != tt.start || end != tt.end {
				t.Errorf("%#x to %#x", start, end)
			}
			if end > start && (m.unitOf(start) != tt.unit || m.unitOf(end-1) != tt.unit) {
				t.Errorf("its bytes are of the units %d and %d", m.unitOf(start), m.unitOf(end-1))
			}
		})
	}
}

// A unit is not taken from a process that may be using it.
func TestBusyHolders(t *testing.T) {
	inside := []callMove{moveEnter, moveResume}
	tests := []struct {
		name   string
		set    func(p *process, m *sharedMap, th *task, k *fakeKernel)
		except bool // the thread is the one for which the unit is asked
		want   bool
	}{
		{"nothing runs", func(p *process, m *sharedMap, th *task, k *fakeKernel) { th.stopped = true }, false, false},
		{"it computes", func(p *process, m *sharedMap, th *task, k *fakeKernel) { p.cur = th }, false, true},
		{"for itself", func(p *process, m *sharedMap, th *task, k *fakeKernel) { p.cur = th }, true, false},
		{"it has stopped", func(p *process, m *sharedMap, th *task, k *fakeKernel) { p.cur, th.stopped = th, true }, false, false},
		{"it is dead", func(p *process, m *sharedMap, th *task, k *fakeKernel) { p.cur, th.dead = th, true }, false, false},
		{"in a call that uses another unit", func(p *process, m *sharedMap, th *task, k *fakeKernel) {
			th.in(inside...).pins = []pin{{m: m, unit: 1}}
		}, false, false},
		{"in a call that uses it", func(p *process, m *sharedMap, th *task, k *fakeKernel) {
			th.in(inside...).pins = []pin{{m: m, unit: 0}}
		}, false, true},
		{"which has returned", func(p *process, m *sharedMap, th *task, k *fakeKernel) {
			th.in(inside...).pins = []pin{{m: m, unit: 0}}
			th.stopped = true
		}, false, false},
		{"it goes to sleep on a futex there", func(p *process, m *sharedMap, th *task, k *fakeKernel) {
			th.in(inside...).pins = []pin{{m: m, unit: 0}}
			th.ev.Nr = sys.SYS_FUTEX
		}, false, true},
		{"it sleeps on a futex there", func(p *process, m *sharedMap, th *task, k *fakeKernel) {
			th.in(inside...).pins = []pin{{m: m, unit: 0}}
			th.ev.Nr = sys.SYS_FUTEX
			k.asleep[th.tid] = true
		}, false, false},
		{"it sleeps in a read there", func(p *process, m *sharedMap, th *task, k *fakeKernel) {
			th.in(inside...).pins = []pin{{m: m, unit: 0}}
			k.asleep[th.tid] = true
		}, false, true},
		{"it is not recorded any more", func(p *process, m *sharedMap, th *task, k *fakeKernel) { p.cur, p.mode = th, modeLeave }, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeRecorder(t, Options{})
			p := f.process(f.command, 1)
			m := shows(f, p, 1<<20, 0, 2, objectKey{1, 7})
			th := p.tasks[p.pid]
			tt.set(p, m, th, f.k)
			var asks *task
			if tt.except {
				asks = th
			}
			if got := m.busy(f.k, 0, asks); got != tt.want {
				t.Errorf("busy: %v", got)
			}
		})
	}
}
