package recording

import (
	"bufio"
	"io"
	"slices"
	"strconv"

	"pyrr/internal/stack"
)

// WriteText writes the text form of the index: its frames, its stacks (each a
// frame inside another stack), the names of threads, and which events have
// which stack.
func (x *StackIndex) WriteText(w io.Writer) error {
	out := bufio.NewWriter(w)
	var b []byte
	line := func() {
		out.Write(append(b, '\n'))
		b = b[:0]
	}
	num := func(key string, v int64) {
		if v != 0 {
			b = strconv.AppendInt(appendKey(b, key), v, 10)
		}
	}
	text := func(key, s string) {
		if s != "" {
			b = appendData(appendKey(b, key), s)
		}
	}
	for i := range x.frames {
		f := &x.frames[i]
		b = strconv.AppendInt(append(b, "frame "...), int64(i), 10)
		if f.Kind == stack.C {
			b = append(b, " c"...)
		} else {
			b = append(b, " python"...)
		}
		if f.Eval {
			b = append(b, " eval"...)
		}
		text("func", f.Func)
		text("file", f.File)
		num("line", int64(f.Line))
		num("endline", int64(f.EndLine))
		num("col", int64(f.Col))
		num("endcol", int64(f.EndCol))
		text("module", f.Module)
		if f.Offset != 0 {
			b = appendHex(appendKey(b, "offset"), f.Offset)
		}
		text("err", f.Err)
		line()
	}
	for i := 1; i < len(x.tree); i++ {
		b = strconv.AppendInt(append(b, "stack "...), int64(i), 10)
		num("outer", int64(x.tree[i].parent))
		b = strconv.AppendUint(appendKey(b, "frame"), uint64(x.tree[i].frame), 10)
		line()
	}
	procs := make([]int, 0, len(x.procs))
	for proc := range x.procs {
		procs = append(procs, proc)
	}
	slices.Sort(procs)
	for _, proc := range procs {
		for _, n := range x.namesOf(proc) {
			b = append(b, "name"...)
			num("proc", int64(proc))
			num("tid", int64(n.tid))
			num("event", int64(n.event))
			text("name", n.name)
			line()
		}
		if err := x.writeEvents(proc, func(from, to uint64, node uint32) {
			b = append(b, "events"...)
			num("proc", int64(proc))
			b = strconv.AppendUint(appendKey(b, "from"), from, 10)
			b = strconv.AppendUint(appendKey(b, "to"), to, 10)
			b = strconv.AppendUint(appendKey(b, "stack"), uint64(node), 10)
			line()
		}); err != nil {
			return err
		}
	}
	return out.Flush()
}

// namesOf returns the names of a process's threads, by thread and event.
func (x *StackIndex) namesOf(proc int) []threadName {
	var all []threadName
	for key, names := range x.names {
		if key.proc == proc {
			all = append(all, names...)
		}
	}
	slices.SortStableFunc(all, func(a, b threadName) int {
		if a.tid != b.tid {
			return int(a.tid) - int(b.tid)
		}
		return int(int64(a.event) - int64(b.event))
	})
	return all
}

// writeEvents calls f for each run of events with the same stack.
func (x *StackIndex) writeEvents(proc int, f func(from, to uint64, node uint32)) error {
	n := x.Events(proc)
	from, last := uint64(0), uint32(0)
	for i := range n {
		node, err := x.Node(proc, i)
		if err != nil {
			return err
		}
		if i > 0 && node != last {
			f(from, i-1, last)
			from = i
		}
		last = node
	}
	if n > 0 {
		f(from, n-1, last)
	}
	return nil
}
