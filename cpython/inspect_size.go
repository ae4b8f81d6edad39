package cpython

// SizeWord is where a container has the number of its items, 0 for what is none: list,
// dict, bytearray and deque right behind the object's head, set a word later
// (setobject.h: fill, used).
func (i *Inspector) SizeWord(obj uint64) uint64 {
	head := obj + uint64(i.r.l.object.typ) + 8
	switch i.Type(obj) {
	case "list", "dict", "bytearray", "deque", "defaultdict", "OrderedDict":
		return head
	case "set":
		return head + 8
	}
	return 0
}
