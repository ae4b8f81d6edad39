package console

import (
	"encoding/binary"
	"fmt"

	"pyrr/internal/mem"
	"pyrr/internal/unwind"
	"pyrr/replay"
)

// rawWatch is watched memory that holds a variable of C, or nothing that is known.
type rawWatch struct {
	name, typ string // typ is C's, "" for none
	last      string // the bytes there
	text      string // as print shows them
}

// read takes what the memory holds now; changed says that it is something else than before.
func (w *rawWatch) read(c *Console, at *replay.Watch) (changed bool) {
	b, err := mem.Bytes(c.x.Memory(), at.Addr, at.Len)
	if err != nil {
		changed, w.last, w.text = w.last != "", "", "<not mapped>"
		return changed
	}
	if w.text != "" && w.last == string(b) {
		return false
	}
	var all [8]byte
	copy(all[:], b)
	changed, w.last, w.text = w.text != "", string(b), fmt.Sprintf("%#x", binary.LittleEndian.Uint64(all[:]))
	if w.typ == "" {
		return changed
	}
	// The variable itself may be out of scope; where its type can't be named, the number stays.
	if err := c.scope(nil, func(sc *unwind.Scope) error {
		text, err := sc.Print(fmt.Sprintf("*(%s *)%#x", w.typ, at.Addr), 0)
		if err == nil {
			w.text = text
		}
		return err
	}); err != nil {
		return changed
	}
	return changed
}

// addWatch adds a watchpoint if the processor can watch it too.
func (c *Console) addWatch(k *consoleBreak) error {
	var all []replay.Watch
	for _, o := range append(c.breaks[:len(c.breaks):len(c.breaks)], k) {
		if o.watch != nil && !o.off {
			all = append(all, *o.watch)
		}
	}
	if err := c.x.SetWatches(all); err != nil {
		return err
	}
	c.add(k)
	if k.raw != nil {
		k.raw.read(c, k.watch)
	}
	return nil
}
