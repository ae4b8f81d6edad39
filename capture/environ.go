package capture

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"pyrr/internal/inject"
	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
)

// The fresh stack of a program (System V ABI x86-64, 3.4.1): the number of
// arguments, pointers to them, 0, pointers to the variables of the
// environment, 0, the auxiliary vector, strings.

// addToPath puts a folder in front of the PYTHONPATH that a fresh program
// finds in its environment. The stack pointer in regs may change. The new
// variable lies in the engine area.
func (r *recorder) addToPath(t *task, folder string, regs *linux.Regs) error {
	words, environ, err := freshStack(t, regs.SP())
	if err != nil {
		return err
	}
	const name = "PYTHONPATH="
	at := -1
	value := name + folder
	for i := environ; words[i] != 0; i++ {
		head := make([]byte, len(name))
		if (ptrace.Mem)(t.tid).ReadAt(head, words[i]) != nil || string(head) != name {
			continue
		}
		at = i
		if old := readString(t.tid, words[i]+uint64(len(name)), inject.RoomSize); old != "" {
			value += ":" + old
		}
		break
	}
	if len(value) >= inject.RoomSize {
		return fmt.Errorf("PYTHONPATH has more than the %d bytes that leave room for it", inject.RoomSize-len(name)-len(folder)-2)
	}
	area := t.proc.area
	room := inject.Write{Addr: area.Room, Data: append([]byte(value), 0)}
	if err := ptrace.Write(t.tid, room.Addr, room.Data); err != nil {
		return fmt.Errorf("write the environment: %w", err)
	}
	area.Writes = append(area.Writes, room)
	if at >= 0 {
		return ptrace.WriteU64(t.tid, regs.SP()+8*uint64(at), area.Room)
	}
	// One more pointer. The stack pointer stays a multiple of 16, so a word
	// between the auxiliary vector and the strings is left over.
	grown := make([]byte, 0, 8*len(words)+8)
	for i, w := range words {
		if i == environ {
			grown = binary.LittleEndian.AppendUint64(grown, area.Room)
		}
		grown = binary.LittleEndian.AppendUint64(grown, w)
	}
	regs.SetSP(regs.SP() - 16)
	if err := ptrace.Write(t.tid, regs.SP(), grown); err != nil {
		return fmt.Errorf("write the environment: %w", err)
	}
	if err := ptrace.SetRegs(t.tid, regs); err != nil {
		return fmt.Errorf("move the stack pointer: %w", err)
	}
	return nil
}

// freshStack reads the words of a fresh stack up to the end of the auxiliary
// vector, and says which is the first pointer to the environment.
func freshStack(t *task, sp uint64) (words []uint64, environ int, err error) {
	const most = 1 << 18
	m := ptrace.Mem(t.tid)
	next := func() (uint64, error) {
		var b [8]byte
		if err := m.ReadAt(b[:], sp+8*uint64(len(words))); err != nil {
			return 0, fmt.Errorf("read the initial stack: %w", err)
		}
		w := binary.LittleEndian.Uint64(b[:])
		if words = append(words, w); len(words) > most {
			return 0, fmt.Errorf("read the initial stack: more than %d words", most)
		}
		return w, nil
	}
	argc, err := next()
	if err != nil {
		return nil, 0, err
	}
	environ = int(argc) + 2
	for len(words) < environ {
		if _, err := next(); err != nil {
			return nil, 0, err
		}
	}
	for {
		w, err := next()
		if err != nil {
			return nil, 0, err
		}
		if w == 0 {
			break
		}
	}
	for {
		tag, err := next()
		if err != nil {
			return nil, 0, err
		}
		if _, err := next(); err != nil {
			return nil, 0, err
		}
		if tag == 0 {
			return words, environ, nil
		}
	}
}

// readString reads a string of less than most bytes that ends with a 0.
func readString(tid int, addr uint64, most int) string {
	var all []byte
	for len(all) < most {
		b := make([]byte, min(256-addr%256, uint64(most)))
		if (ptrace.Mem)(tid).ReadAt(b, addr) != nil {
			break
		}
		if i := bytes.IndexByte(b, 0); i >= 0 {
			return string(append(all, b[:i]...))
		}
		all = append(all, b...)
		addr += uint64(len(b))
	}
	return string(all)
}
