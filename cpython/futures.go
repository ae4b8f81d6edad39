package cpython

import (
	"strconv"
	"strings"
)

// attribute returns an attribute of an instance, 0 for none.
func (c *taskReader) attribute(obj uint64, name string) uint64 {
	s, err := c.v.record("object", obj, c.r.l.object.typ+8)
	if err != nil {
		return 0
	}
	t, err := c.r.typeInfo(c.v, s.u64(c.r.l.object.typ))
	if err != nil {
		return 0
	}
	found := uint64(0)
	if c.r.attributes(c.v, obj, t, func(n string, value uint64) bool {
		if n == name {
			found = value
		}
		return found == 0
	}) != nil {
		return 0
	}
	return found
}

// future says what a future is that a task waits for.
func (c *taskReader) future(addr uint64, tasks map[uint64]*Task) (string, []uint64) {
	if addr == 0 {
		return "", nil
	}
	if t := tasks[addr]; t != nil {
		return "task " + t.Name, []uint64{addr}
	}
	s, err := c.v.record("future", addr, c.r.l.object.typ+8)
	if err != nil {
		return "", nil
	}
	t, err := c.r.typeInfo(c.v, s.u64(c.r.l.object.typ))
	switch {
	case err != nil || t.name == "NoneType":
		return "", nil
	case t.name == "Future":
		return "future", nil
	case c.isC(t) && c.coroAt != 0:
		// It is done, and who waited has not run since.
		if name, err := c.v.u64(addr + uint64(c.coroAt) + 8); err == nil {
			return "task " + c.name(name), nil
		}
		return "task", nil
	case c.attribute(addr, "_coro") != 0:
		return "task " + c.name(c.attribute(addr, "_name")), nil // done too, of the class written in Python
	case t.name != "_GatheringFuture":
		return "future " + t.name, nil
	}
	var names []string
	var waits []uint64
	list := c.attribute(addr, "_children")
	if list == 0 {
		return "gather", nil
	}
	n, err := c.v.u64(list + uint64(c.r.l.object.size))
	items, err2 := c.v.u64(list + uint64(c.r.l.list.items))
	if err != nil || err2 != nil {
		return "gather", nil
	}
	for i := range min(n, maxChildren) {
		child, err := c.v.u64(items + 8*i)
		if err != nil {
			break
		}
		if t := tasks[child]; t != nil {
			names, waits = append(names, t.Name), append(waits, child)
		}
	}
	if len(names) == 0 {
		return "gather of " + strconv.FormatUint(n, 10), nil
	}
	return "gather of " + strings.Join(names, ", "), waits
}
