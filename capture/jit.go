package capture

import (
	"slices"
	"strings"

	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// jitName is the setting of CPython's JIT, from 3.13 on.
const jitName = "PYTHON_JIT="

// withoutJIT is what the command gets of an environment: with the JIT of CPython
// 3.13 and later off, by its own setting (PYTHON_JIT), since instructions that it has
// compiled go through no table and would not be counted. said is what the user is
// told of it, "" where nothing had to be changed.
func withoutJIT(env []string) (out []string, said string) {
	for _, e := range env {
		if wantsJIT(e) {
			said = jitOff(e)
			e = jitName + "0"
		}
		out = append(out, e)
	}
	return out, said
}

// wantsJIT says whether a variable of the environment turns the JIT on.
func wantsJIT(e string) bool {
	value, ok := strings.CutPrefix(e, jitName)
	return ok && value != "" && value[0] != '0'
}

// jitOff is what the user is told of a variable that does.
func jitOff(e string) string {
	return e + ": recorded with the JIT off (PYTHON_JIT=0), as what it compiles can't be counted"
}

// stopJIT does the same for a fresh program that others start with an environment of their
// own making, as env or tox do.
func (r *recorder) stopJIT(t *task, sp uint64) error {
	p := t.proc
	for i, e := range p.env {
		if !wantsJIT(e) || !r.isPython(p.exe) {
			continue
		}
		words, at, err := freshStack(t, sp)
		if err != nil {
			return err
		}
		for ; words[at] != 0; at++ {
			if readString(t.tid, words[at], len(e)+1) != e {
				continue
			}
			if err := ptrace.Write(t.tid, words[at]+uint64(len(jitName)), []byte("0\x00")); err != nil {
				return err
			}
		}
		p.env[i] = jitName + "0"
		if !r.saidJIT {
			r.saidJIT = true
			r.warnf("%s", jitOff(e))
		}
	}
	return nil
}

// answerJIT turns off the JIT of an interpreter that has it on by itself, where code of its was
// mapped: it finds PYTHON_JIT=0 where it asks, of which the program's environment has nothing. Who
// has asked already, before pyrr attached, is left as it is.
func (r *recorder) answerJIT(t *task, ev *recording.Event, start, end uint64) error {
	p := t.proc
	if p.find == nil {
		return nil
	}
	for _, a := range p.find.clock.JIT {
		addr := a.Addr + p.find.bias
		if addr < start || addr+uint64(len(a.Code)) > end {
			continue
		}
		if err := ptrace.Write(t.tid, addr, a.Code); err != nil {
			return err
		}
		ev.Mem = append(ev.Mem, recording.Write{Addr: addr, Data: a.Code})
		said := slices.ContainsFunc(p.env, func(e string) bool { return strings.HasPrefix(e, jitName+"0") })
		if !said && !r.saidJIT {
			r.saidJIT = true
			r.warnf("%s has its JIT on by itself: recorded with the JIT off, as by PYTHON_JIT=0, as what it compiles can't be counted", p.exe)
		}
	}
	return nil
}

// sayCompiled says once of a program that its JIT, or its interpreter of tier two, runs loops:
// it may have been on before the recorder came, or be on by itself.
func (r *recorder) sayCompiled(p *process, entered byte) {
	if entered == 0 || r.saidCompiled {
		return
	}
	r.saidCompiled = true
	r.warnf("process %d: its Python has the JIT on: what it compiled is replayed, but not counted, so what ran there is not found by line or function; start it with PYTHON_JIT=0", p.pid)
}
