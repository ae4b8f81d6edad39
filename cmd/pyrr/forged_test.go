package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// TestForgedRecordings changes single values in the events of a real recording,
// with checksums that are right. Whatever the events say, the commands print it, or
// end with 3 and say where the damage is; they don't panic and don't wait.
func TestForgedRecordings(t *testing.T) {
	t.Parallel()
	python := tracedPython(t)
	dir := t.TempDir()
	const program = "import os, threading\nt = threading.Thread(target=print, args=('hello',))\nt.start(); t.join()\nif os.fork() == 0: os._exit(3)\nos.wait()"
	real := filepath.Join(dir, "real.pyrr.zip")
	cmd := exec.Command(os.Args[0], "record", "-o", real, "--verify", "none", python, "-I", "-S", "-c", program)
	cmd.Args[0] = "pyrr"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("record: %v\n%s", err, out)
	}
	rec, err := recording.Open(real)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	sum, _ := rec.Summary()
	total := 0
	for _, n := range sum.Streams {
		total += int(n)
	}
	tries, full := 14, os.Getenv("PYRR_E2E") == "full"
	if full {
		tries = 400
	}
	for seed := range tries {
		f := forger{rnd: rand.New(rand.NewPCG(uint64(seed), 1)), regs: full}
		at, n, what := f.rnd.IntN(total), 0, ""
		if seed%3 == 0 {
			at = f.rnd.IntN(40) // where the process is made
		}
		forged := filepath.Join(dir, "forged.pyrr.part")
		err := rec.Rewrite(forged, recording.Changes{Event: func(proc int, number uint64, ev *recording.Event) {
			if n == at {
				what = fmt.Sprintf("process %d, event %d: %s", proc, number, f.change(ev))
			}
			n++
		}})
		if err != nil {
			continue // the writer holds to the format
		}
		t.Logf("seed %d, %s", seed, what)
		os.Remove(filepath.Join(forged, "stacks"))
		for _, args := range [][]string{{"replay", "--batch"}, {"bt"}, {"events"}, {"info"}, {"explain", "--all"}, {"report", "-o", filepath.Join(dir, "page.html")}} {
			status, out, errs := capturePyrr(append(args, forged)...)
			if args[0] != "replay" && strings.Contains(out+errs, escape) {
				t.Errorf("seed %d, %s: %v prints it as it is", seed, what, args)
			}
			if status != 0 && (status != 3 || !strings.HasPrefix(errs, "pyrr: error: ")) {
				t.Errorf("seed %d, %s: %v ends with %d: %s", seed, what, args, status, errs)
			}
		}
		if err := os.RemoveAll(forged); err != nil {
			t.Fatal(err)
		}
	}
}

// forger changes events at random.
type forger struct {
	rnd  *rand.Rand
	regs bool // registers too, with which a program may run for long
}

// number makes another number: near the old one, one bit different, or at a limit.
func (f forger) number(v uint64) uint64 {
	const gadget = 0x6f0000000000 // where the replay makes its calls
	switch f.rnd.IntN(5) {
	case 0:
		limits := []uint64{0, 1, ^uint64(0), 1 << 31, 1 << 32, 1<<47 - 4096, 1 << 47, 1 << 63, 1<<63 - 1, gadget, gadget + 4096}
		return limits[f.rnd.IntN(len(limits))]
	case 1:
		return v ^ 1<<f.rnd.IntN(64)
	case 2:
		return v + 1
	case 3:
		return v - 4096
	}
	return f.rnd.Uint64() >> f.rnd.IntN(64)
}

func (f forger) bytes(b []byte) []byte {
	b = bytes.Clone(b)
	if len(b) > 0 && f.rnd.IntN(2) == 0 {
		b[f.rnd.IntN(len(b))] ^= 1 << f.rnd.IntN(8)
		return b
	}
	return append(b[:f.rnd.IntN(len(b)+1)], make([]byte, f.rnd.IntN(50))...)
}

// change changes one thing in the event, and returns what it changed.
func (f forger) change(ev *recording.Event) string {
	for {
		switch f.rnd.IntN(17) {
		case 0:
			i := f.rnd.IntN(len(ev.Args))
			ev.Args[i] = f.number(ev.Args[i])
			return fmt.Sprintf("argument %d is %#x", i, ev.Args[i])
		case 1:
			ev.Ret = int64(f.number(uint64(ev.Ret)))
			return fmt.Sprintf("result %#x", ev.Ret)
		case 2, 3:
			if len(ev.Mem) == 0 {
				continue
			}
			ev.Mem = append([]recording.Write(nil), ev.Mem...)
			w := &ev.Mem[f.rnd.IntN(len(ev.Mem))]
			if f.rnd.IntN(2) == 0 {
				w.Addr = f.number(w.Addr)
			} else {
				w.Data = f.bytes(w.Data)
			}
			return fmt.Sprintf("%d bytes at %#x", len(w.Data), w.Addr)
		case 4, 5:
			if len(ev.Maps) == 0 {
				continue
			}
			ev.Maps = append([]recording.Mapping(nil), ev.Maps...)
			m := forgedMapping(ev, f)
			return fmt.Sprintf("mapping %+v", *m)
		case 6:
			if ev.Regs == nil || !f.regs {
				continue
			}
			r := forgedRegs(ev, f)
			return fmt.Sprintf("registers %+v", r)
		case 7:
			ev.Nr = int32(f.number(uint64(ev.Nr)))
			return fmt.Sprintf("number %d", ev.Nr)
		case 8:
			ev.Kind = recording.Kind(2 + f.rnd.IntN(15))
			return fmt.Sprintf("kind %s", ev.Kind)
		case 9:
			ev.TID, ev.Child = int32(f.number(uint64(ev.TID))), int32(f.number(uint64(ev.Child)))
			return fmt.Sprintf("thread %d, child %d", ev.TID, ev.Child)
		case 10:
			ev.Instr = f.number(ev.Instr)
			return fmt.Sprintf("instruction %d", ev.Instr)
		case 11:
			ev.XState, ev.Readings, ev.In = f.bytes(ev.XState), f.bytes(ev.Readings), f.bytes(ev.In)
			return "extended state, clocks and input"
		case 12:
			ev.Time, ev.EndTime = int64(f.number(uint64(ev.Time))), int64(f.number(uint64(ev.EndTime)))
			return fmt.Sprintf("from %d to %d ns", ev.Time, ev.EndTime)
		case 13:
			if ev.Proc == nil {
				continue
			}
			return f.process(ev)
		case 14:
			ev.Stop = recording.Stop(f.rnd.IntN(int(recording.StopSpin) + 1))
			ev.Pauses, ev.OutSum = f.number(ev.Pauses), uint32(f.number(uint64(ev.OutSum)))
			return fmt.Sprintf("stop %d, %d pauses, sum %#x", ev.Stop, ev.Pauses, ev.OutSum)
		case 15:
			ev.Text, ev.Why = f.text(ev.Text), f.text(ev.Why)
			return fmt.Sprintf("text %.100q, reason %.100q", ev.Text, ev.Why)
		case 16:
			if len(ev.Open) == 0 {
				continue
			}
			ev.Open = append([]recording.OpenFD(nil), ev.Open...)
			o := &ev.Open[f.rnd.IntN(len(ev.Open))]
			o.FD, o.Flags, o.Name = int32(f.number(uint64(o.FD))), uint32(f.number(uint64(o.Flags))), f.text(o.Name)
			return fmt.Sprintf("descriptor %.200q", fmt.Sprint(*o))
		}
	}
}

// forgedRegs changes one of the registers.
func forgedRegs(ev *recording.Event, f forger) linux.Regs {
	r := *ev.Regs
	ev.Regs = &r
	values := []*uint64{&r.Rip, &r.Rsp, &r.Rax, &r.Rbx, &r.Cs, &r.Ss, &r.Eflags, &r.FsBase, &r.OrigRax}
	p := values[f.rnd.IntN(len(values))]
	*p = f.number(*p)
	return r
}

// forgedMapping changes one of the mappings.
func forgedMapping(ev *recording.Event, f forger) *recording.Mapping {
	m := &ev.Maps[f.rnd.IntN(len(ev.Maps))]
	switch f.rnd.IntN(5) {
	case 0:
		m.Start = f.number(m.Start)
	case 1:
		m.End = f.number(m.End)
	case 2:
		m.Prot = uint32(f.number(uint64(m.Prot)))
	case 3:
		m.File = recording.FileID(f.rnd.IntN(20))
	case 4:
		m.Offset = f.number(m.Offset)
	}
	return m
}

// process changes what an event says about a process.
func (f forger) process(ev *recording.Event) string {
	p := *ev.Proc
	ev.Proc = &p
	p.Argv, p.Env = append([]string{f.text("a")}, p.Argv...), append([]string{f.text("A=b")}, p.Env...)
	switch f.rnd.IntN(7) {
	case 0:
		p.PID = int(f.number(uint64(p.PID)))
	case 1:
		p.Parent = int(f.number(uint64(p.Parent)) >> 33)
	case 2:
		p.ParentEvent = f.number(p.ParentEvent)
	case 3:
		p.Fork = !p.Fork
	case 4:
		p.Brk, p.StackLimit = f.number(p.Brk), f.number(p.StackLimit)
	case 5:
		p.Start = int64(f.number(uint64(p.Start)))
	case 6:
		p.Exe, p.Cwd, p.Python = f.text(p.Exe), f.text(p.Cwd), f.text(p.Python)
	}
	p.Env = p.Env[:min(len(p.Env), 2)]
	return fmt.Sprintf("process %.300q", fmt.Sprintf("%+v", p))
}

// text makes another text, with a meaning of its own for a terminal, a page or a path.
func (f forger) text(s string) string {
	texts := []string{"", escape, "../../../../etc/passwd", "/etc/passwd", "a\nb\rc", "</script><script>alert(1)</script>", "\xff\xfe", strings.Repeat("x", 70<<10), s + escape}
	return texts[f.rnd.IntN(len(texts))]
}

// escape sets a terminal's title.
const escape = "\x1b]0;forged\x07"
