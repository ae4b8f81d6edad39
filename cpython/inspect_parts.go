package cpython

// Parts returns the objects that an object of C refers to by the first n words behind its head:
// what its type has, without asking for names.
func (i *Inspector) Parts(obj uint64, n int) []uint64 {
	var out []uint64
	for k := range n {
		p, err := i.v.u64(obj + uint64(i.r.l.object.typ) + 8 + 8*uint64(k))
		if err != nil {
			return out
		}
		if p > 1<<16 && p%8 == 0 && i.Type(p) != "" {
			out = append(out, p)
		}
	}
	return out
}
