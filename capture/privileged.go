package capture

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/sys"
)

// A set-uid program, or one with capabilities of its own, gets none of that
// when it is executed under a tracer that has no CAP_SYS_PTRACE (ptrace(2),
// execve(2)): sudo, su, ping would fail. So it is let go at its first
// instruction, and made to execute itself once more, untraced.

const (
	atExecFn = 31 // AT_EXECFN, linux/auxvec.h: the path that was executed
)

// deprived says whether the kernel kept privileges from the program that t has
// just executed.
func (r *recorder) deprived(t *task, exe string) (os.FileInfo, bool) {
	if os.Geteuid() == 0 {
		return nil, false
	}
	st, err := os.Stat(exe)
	if errors.Is(err, fs.ErrPermission) {
		r.warnf("process %d runs a program that may not be read; privileges that its file gives are not there while it is traced", t.pid)
	}
	if err != nil {
		return nil, false
	}
	if st.Mode()&(os.ModeSetuid|os.ModeSetgid) != 0 {
		return st, true
	}
	n, err := unix.Getxattr(exe, "security.capability", nil)
	return st, err == nil && n > 0
}

// letGain lets a program go that is to have privileges; false where it can't be
// made to execute itself again, and stays as it is.
func (r *recorder) letGain(t *task, exe string, file os.FileInfo) bool {
	name := exe
	if to, err := os.Readlink(exe); err == nil {
		name = shortName(to)
	}
	if err := execUntraced(t, file); err != nil {
		r.warnf("process %d (%s) runs without the privileges that its file gives, as it is traced: %v", t.pid, name, err)
		return false
	}
	if !r.gained[name] {
		if r.gained == nil {
			r.gained = map[string]bool{}
		}
		r.gained[name] = true
		r.warnf("process %d (%s) has privileges of its own, so it and what it starts are not recorded", t.pid, name)
	}
	t.leaving = true
	r.release1(t, 0)
	return true
}

// execUntraced prepares a fresh program to execute itself again with the same
// arguments and environment, as the first that it does.
func execUntraced(t *task, file os.FileInfo) error {
	var regs linux.Regs
	if err := ptrace.GetRegs(t.tid, &regs); err != nil {
		return fmt.Errorf("read registers: %w", err)
	}
	if !regs.Is64() {
		return errors.New("it is a 32-bit program")
	}
	words, environ, err := freshStack(t, regs.SP())
	if err != nil {
		return err
	}
	aux := environ
	for aux < len(words) && words[aux] != 0 {
		aux++
	}
	path := uint64(0)
	for aux++; aux+1 < len(words); aux += 2 {
		if words[aux] == atExecFn {
			path = words[aux+1]
		}
	}
	text := readString(t.tid, path, unix.PathMax)
	where := text
	if path == 0 || text == "" {
		return errors.New("its path is not known")
	}
	if text[0] != '/' {
		where = fmt.Sprintf("/proc/%d/cwd/%s", t.pid, text)
	}
	if again, err := os.Stat(where); err != nil || !os.SameFile(again, file) {
		return fmt.Errorf("%s is another file by now", text)
	}
	if err := ptrace.Write(t.tid, regs.PC(), execAgain); err != nil {
		return fmt.Errorf("write its first instruction: %w", err)
	}
	args := regs.Args()
	args[0], args[1], args[2] = path, regs.SP()+8, regs.SP()+8*uint64(environ)
	regs.SetCall(sys.SYS_EXECVE, args)
	if err := ptrace.SetRegs(t.tid, &regs); err != nil {
		return fmt.Errorf("set registers: %w", err)
	}
	return nil
}
