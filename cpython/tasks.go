package cpython

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"pyrr/internal/mem"
)

// Task is an asyncio task that is not done.
type Task struct {
	// Addr is the address of the Task object.
	Addr uint64
	// Loop is the address of its event loop, Thread the ident of the thread
	// that runs the loop, 0 when it does not run.
	Loop, Thread uint64
	// Name is what get_name() would return.
	Name string
	// Running is set for the task whose code runs just now.
	Running bool
	// Frames are those of its coroutine and of what that awaits, innermost
	// first; of a running task, also what it has called.
	Frames []Frame
	// Waits says what the task waits for: a future, "task NAME", "gather of
	// …"; "" when nothing keeps it from running.
	Waits string
	// WaitsFor are the addresses of the tasks among that, except for done ones.
	WaitsFor []uint64
	// Waiter is the address of the future that it waits for, 0 for none.
	Waiter uint64
	// Err says what could not be read.
	Err string
}

// maxTasks bounds the tasks of a process.
const maxTasks = 1 << 17

// Tasks lists the tasks of all event loops that are not done, by loop and
// name. It is empty as long as asyncio has not been imported. With an error
// come those found before it.
func (r *Runtime) Tasks(m mem.Reader) ([]Task, error) {
	v := newView(m)
	defer v.release()
	c := taskReader{r: r, v: v, m: m, seen: map[uint64]bool{}, loops: map[uint64]uint64{}, stacks: map[uint64][]Frame{}}
	interp, err := v.u64(r.Addr + uint64(r.l.runtime.interpHead))
	for n := 0; err == nil && interp != 0; n++ {
		if n >= maxInterpreters {
			err = fmt.Errorf("list of interpreters does not end (%#x)", interp)
			break
		}
		if err = c.interpreter(interp); err != nil {
			err = fmt.Errorf("tasks of the interpreter at %#x: %w", interp, err)
			break
		}
		interp, err = v.u64(interp + uint64(r.l.interp.next))
	}
	if err == nil && c.coroAt == 0 {
		err = c.other
	}
	c.describe()
	slices.SortStableFunc(c.tasks, func(a, b Task) int {
		return cmp.Or(cmp.Compare(a.Loop, b.Loop), cmp.Compare(len(a.Name), len(b.Name)), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Addr, b.Addr))
	})
	return c.tasks, err
}

type taskReader struct {
	r      *Runtime
	v      *view
	m      mem.Reader
	tasks  []Task
	seen   map[uint64]bool
	coroAt int                // of TaskObj, 0 before it is known
	other  error              // a task whose coroutine is not where it should be, or not Python's
	waiter []uint64           // of each task, the future that it waits for
	loops  map[uint64]uint64  // threads by loop
	stacks map[uint64][]Frame // threads' frames by the address of one of them
	walked bool
}

// interpreter collects an interpreter's tasks: in the weak sets of
// asyncio.tasks, and from 3.14 on in a list of each thread and one of
// those left by others (Modules/_asynciomodule.c), which the sets then only add
// tasks of other classes to.
func (c *taskReader) interpreter(interp uint64) error {
	modules, err := c.v.u64(interp + uint64(c.r.l.interp.modules))
	if err != nil || modules == 0 {
		return err
	}
	dict, err := c.r.moduleDict(c.v, modules, "asyncio.tasks")
	if err != nil || dict == 0 {
		return err
	}
	for _, name := range []string{"_all_tasks", "_scheduled_tasks", "_eager_tasks"} {
		set, err := c.r.lookup(c.v, dict, name)
		if err != nil {
			return err
		}
		if set == 0 {
			continue
		}
		if err := c.weakSet(set); err != nil {
			return fmt.Errorf("asyncio.tasks.%s: %w", name, err)
		}
	}
	if c.r.l.task.tasksHead == no {
		return nil
	}
	thread, err := c.v.u64(interp + uint64(c.r.l.interp.threads))
	for n := 0; err == nil && thread != 0 && n < maxThreads; n++ {
		if err = c.list(thread + uint64(c.r.l.task.tasksHead)); err != nil {
			return err
		}
		thread, err = c.v.u64(thread + uint64(c.r.l.thread.next))
	}
	if err != nil || c.r.l.task.leftHead == no {
		return err
	}
	// Those of threads that have ended (PyThreadState_Clear).
	return c.list(interp + uint64(c.r.l.task.leftHead))
}

// list goes through a list of tasks (struct llist_node, pycore_llist.h).
func (c *taskReader) list(head uint64) error {
	node, err := c.v.u64(head)
	if err == nil && node != 0 {
		if prev, err := c.v.u64(node + 8); err != nil || prev != head {
			return err // not the head of a list
		}
	}
	for n := 0; err == nil && node != head && node != 0; n++ {
		if n > maxTasks {
			return fmt.Errorf("list of tasks at %#x does not end", head)
		}
		if err = c.add(node - uint64(c.r.l.task.node)); err != nil {
			return err
		}
		node, err = c.v.u64(node)
	}
	return err
}

// weakSet goes through a weakref.WeakSet, or a set of tasks themselves.
func (c *taskReader) weakSet(addr uint64) error {
	s, err := c.v.record("object", addr, c.r.l.object.typ+8)
	if err != nil {
		return err
	}
	t, err := c.r.typeInfo(c.v, s.u64(c.r.l.object.typ))
	if err != nil {
		return err
	}
	set := addr
	if t.name != "set" {
		set = 0
		err = c.r.attributes(c.v, addr, t, func(name string, value uint64) bool {
			if name == "data" {
				set = value
			}
			return set == 0
		})
		if err != nil || set == 0 {
			return err
		}
	}
	return c.r.setItems(c.v, set, func(item uint64) error {
		typ, err := c.r.typeName(c.v, item)
		if err != nil {
			return err
		}
		if strings.HasPrefix(typ, "weakref") {
			if item, err = c.v.u64(item + uint64(c.r.l.weakref.object)); err != nil {
				return err
			}
		}
		// A dead reference leads to None.
		return c.add(item)
	})
}

// add reads a task, unless it is done.
func (c *taskReader) add(addr uint64) error {
	if addr == 0 || c.seen[addr] {
		return nil
	}
	if len(c.tasks) >= maxTasks {
		return fmt.Errorf("more than %d tasks", maxTasks)
	}
	c.seen[addr] = true
	s, err := c.v.record("task", addr, c.r.l.object.typ+8)
	if err != nil {
		return err
	}
	t, err := c.r.typeInfo(c.v, s.u64(c.r.l.object.typ))
	if err != nil || t.name == "NoneType" {
		return err
	}
	task := Task{Addr: addr}
	coro, waiter, name, err := c.fields(addr, t, &task)
	if err != nil || coro == 0 {
		return err
	}
	_, state, err := c.r.genFrame(c.v, coro)
	if err != nil || state == genDone {
		return err
	}
	task.Name = c.name(name)
	frames, _, running, err := c.r.chain(c.v, coro)
	task.Frames = frames
	if running != 0 {
		task.Running = true
		task.Frames = append(c.called(running), frames...)
	}
	if err != nil {
		task.Err = err.Error()
	}
	c.tasks = append(c.tasks, task)
	c.waiter = append(c.waiter, waiter)
	return nil
}

// fields reads a task's members: of the C class (TaskObj) by their offsets,
// of one written in Python by name.
func (c *taskReader) fields(addr uint64, t typeInfo, task *Task) (coro, waiter, name uint64, err error) {
	if c.isC(t) {
		at, err := c.taskCoro(addr)
		if err != nil {
			c.other = err // one of Cython's, it may be: others will tell
			return 0, 0, 0, nil
		}
		s, err := c.v.record("task", addr, at+16)
		if err != nil {
			return 0, 0, 0, err
		}
		if typ, err := c.r.typeName(c.v, s.u64(at)); err != nil || genKinds[typ] != isGen {
			return 0, 0, 0, nil // an awaitable of another kind
		}
		task.Loop = s.u64(c.r.l.object.typ + 8)
		return s.u64(at), s.u64(at - 8), s.u64(at + 8), nil
	}
	err = c.r.attributes(c.v, addr, t, func(attr string, value uint64) bool {
		switch attr {
		case "_coro":
			coro = value
		case "_fut_waiter":
			waiter = value
		case "_name":
			name = value
		case "_loop":
			task.Loop = value
		}
		return true
	})
	if coro != 0 {
		if typ, err := c.r.typeName(c.v, coro); err != nil || genKinds[typ] != isGen {
			coro = 0 // an awaitable of another kind
		}
	}
	return coro, waiter, name, err
}

// isC tells whether a type is the Task of the C module or derived from it.
func (c *taskReader) isC(t typeInfo) bool {
	for range 32 {
		if name, err := c.r.nameOfType(c.v, t.addr); err != nil || name == "_asyncio.Task" {
			return err == nil
		}
		if t.base == 0 {
			return false
		}
		var err error
		if t, err = c.r.typeInfo(c.v, t.base); err != nil {
			return false
		}
	}
	return false
}

// taskCoro returns the offset of TaskObj.task_coro, which moved within minor
// versions: the member near the known offset that holds a coroutine.
func (c *taskReader) taskCoro(addr uint64) (int, error) {
	if c.coroAt != 0 {
		return c.coroAt, nil
	}
	for _, d := range []int{0, -8, 8, -16, 16} {
		at := c.r.l.task.coro + d
		coro, err := c.v.u64(addr + uint64(at))
		if err != nil || coro == 0 || coro%8 != 0 {
			continue
		}
		if typ, err := c.r.typeName(c.v, coro); err == nil && genKinds[typ] == isGen {
			c.coroAt = at
			return at, nil
		}
	}
	return 0, fmt.Errorf("task at %#x has no coroutine where it is known to be", addr)
}

// name returns a task's name; one that is only a number yet stands for
// Task-N (3.13 and later).
func (c *taskReader) name(addr uint64) string {
	if addr == 0 {
		return ""
	}
	s, err := c.v.record("object", addr, c.r.l.object.typ+8)
	if err != nil {
		return ""
	}
	t, err := c.r.typeInfo(c.v, s.u64(c.r.l.object.typ))
	switch {
	case err != nil:
	case t.flags&flagStr != 0:
		if name, err := c.r.rawString(c.v, addr, maxString); err == nil {
			return name.text()
		}
	case t.flags&flagLong != 0:
		if n, err := c.r.integer(c.v, addr); err == nil {
			return "Task-" + n.String()
		}
	}
	return ""
}

// called returns a running coroutine's frame and those that it has called: the
// frames of its thread from the innermost one to that one.
func (c *taskReader) called(frame uint64) []Frame {
	if !c.walked {
		c.walked = true
		threads, _ := c.r.Threads(c.m)
		for _, t := range threads {
			frames, err := c.r.Frames(c.m, t, Options{})
			if err != nil {
				continue
			}
			for i := range frames {
				c.stacks[frames[i].Addr] = frames[:i+1]
			}
		}
	}
	return slices.Clone(c.stacks[frame])
}

// describe says, now that all tasks are known, what each waits for and which
// thread runs it.
func (c *taskReader) describe() {
	byAddr := map[uint64]*Task{}
	for i := range c.tasks {
		byAddr[c.tasks[i].Addr] = &c.tasks[i]
	}
	for i := range c.tasks {
		t := &c.tasks[i]
		t.Thread = c.thread(t.Loop)
		t.Waiter = c.waiter[i]
		t.Waits, t.WaitsFor = c.future(c.waiter[i], byAddr)
	}
}

// maxChildren bounds the children of a gather that are named.
const maxChildren = 20

// moduleDict returns the namespace of an imported module, 0 when it is not
// imported.
func (r *Runtime) moduleDict(v *view, modules uint64, name string) (uint64, error) {
	module, err := r.find(v, modules, name)
	if err != nil || module == 0 {
		return 0, err
	}
	if typ, err := r.typeName(v, module); err != nil || typ != "module" {
		return 0, err // sys.modules takes anything
	}
	return v.u64(module + uint64(r.l.object.typ) + 8) // PyModuleObject.md_dict
}

// setItems calls f for each item of a set, in the order of its table: mask+1
// entries of key and hash. A deleted entry's key is the dummy object, whose
// hash is -1 (Objects/setobject.c).
func (r *Runtime) setItems(v *view, set uint64, f func(item uint64) error) error {
	l := r.l
	s, err := v.record("set", set, max(l.set.mask, l.set.table)+8)
	if err != nil {
		return err
	}
	for i := uint64(0); i <= min(s.u64(l.set.mask), maxEntries); i++ {
		e, err := v.record("set entry", s.u64(l.set.table)+16*i, 16)
		if err != nil {
			return err
		}
		if e.u64(0) == 0 || int64(e.u64(8)) == -1 {
			continue
		}
		if err := f(e.u64(0)); err != nil {
			return err
		}
	}
	return nil
}
