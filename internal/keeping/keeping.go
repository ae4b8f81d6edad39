//go:build linux

package keeping

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"pyrr/capture"
	"pyrr/internal/cli"
	"pyrr/internal/headroom"
	"pyrr/internal/hint"
	"pyrr/internal/inject"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
	"pyrr/internal/show"
)

func Record(ctx context.Context, u *screen.UI, f *Flags, fs *pflag.FlagSet, args []string) error {
	if probe.Elsewhere {
		return probe.Cannot("record")
	}
	if fs.Changed("until-fail") {
		return untilFails(ctx, u, f, args)
	}
	if f.pid != 0 && f.Within {
		return tellWhyNot(u, recordProcess(ctx, u, f, fs, args))
	}
	if f.pid != 0 {
		return recordProcess(ctx, u, f, fs, args)
	}
	if err := f.forCommand(fs, args); err != nil {
		return err
	}
	t, err := naming.Plan(f.Out, args)
	if err != nil {
		return err
	}
	if err := Prepare(&t); err != nil {
		return err
	}
	o := f.options(u, args, t.Part)
	if f.chaos {
		u.Note("chaos seed %d", f.seed)
	}
	if inject.Host().HostXSaveSize == 0 {
		return hint.With(hint.Machinef("this processor has no XSAVE, without which the registers of a thread can't be recorded"), "pyrr doctor")
	}
	tidy, fin := testByTest(u, o, &t, f, fs)
	f.Began = true
	info, err := recordTests(ctx, u, o, &t, f)
	var done map[string]finished
	if fin != nil {
		done = fin.end()
	}
	tidy()
	if err != nil {
		return recordFailed(u, &t, args, err)
	}
	t.Program = args[0]
	return settle(u, f, &t, info, done)
}

// forCommand refuses flags that don't go with a command.
func (f *Flags) forCommand(fs *pflag.FlagSet, args []string) error {
	if f.children {
		return hint.Usagef("record: --children goes with --pid; what a command starts is recorded with it")
	}
	if fs.Changed("for") {
		return hint.Usagef("record: --for goes with --pid; --max-time bounds the recording of a command")
	}
	if len(args) == 0 {
		return hint.With(hint.Usagef("record: no command to record"), "pyrr record -- python app.py")
	}
	if args[0] == "" {
		return hint.Usagef("record: the command is empty")
	}
	if f.Secrets.masks == "-" {
		return hint.Usagef("record: --masks -: standard input is the program's; name a file")
	}
	if f.CPUs < 0 {
		return hint.Usagef("record: --cpus %d: a number of processors, or 0 for all", f.CPUs)
	}
	return f.given(fs)
}

// given refuses values that mean nothing: an empty one mostly is a variable of the shell that
// is not set, and who names a secret by one would believe that it is replaced.
func (f *Flags) given(fs *pflag.FlagSet) error {
	for _, name := range []string{"output", "masks"} {
		if flag := fs.Lookup(name); flag != nil && flag.Changed && flag.Value.String() == "" {
			return hint.With(hint.Usagef("record: --%s is given, and empty", name), "pyrr record --help")
		}
	}
	if slices.Contains(f.Secrets.names, "") {
		return hint.With(hint.Usagef("record: --secret is given, and empty: the name of a variable"), "pyrr record --secret API_TOKEN -- …")
	}
	for name, n := range map[string]int{"keep-max": f.KeepMax, "keep-same": f.KeepSame} {
		if n < 0 {
			return hint.With(hint.Usagef("record: --%s %d: a number of tests, or 0 for all", name, n), "pyrr record --"+name+" 0 -- …")
		}
	}
	return nil
}

func (f *Flags) schedule() capture.Schedule {
	return capture.Schedule{Chaos: f.chaos, Seed: f.seed, Slice: f.Slice}
}

func (f *Flags) limits() capture.Bounds {
	return capture.Bounds{MaxSize: int64(f.MaxSize), MaxTime: f.MaxTime}
}

// options are the recorder's, for a recording in the folder dir.
func (f *Flags) options(u *screen.UI, args []string, dir string) *capture.Options {
	o := &capture.Options{
		Command:        args,
		Dir:            dir,
		Timeout:        f.Timeout,
		Kill:           f.OnTimeout == "kill",
		FollowAll:      f.Follow == "all",
		Schedule:       f.schedule(),
		AVX512:         f.AVX512,
		CPUs:           f.CPUs,
		DisableSyscall: f.Disable,
		From:           f.From,
		Bounds:         f.limits(),
		Warn:           u.Warn, NoBuffer: f.CallBuffer == CallBufferOff, Dispatch: f.dispatch(),
	}
	if f.Keep != KeepAlways {
		o.Keep = func(i *capture.Info) bool { return Kept(f.Keep, i.Status, i.TimedOut) }
	}
	if f.Verify == VerifyFull || f.Checksums {
		o.Checksums = checksumEvery
	}
	if f.region != "" {
		o.Timeout = 0
	}
	return o
}

// settle keeps what was recorded, or does not, tells what came of it and returns the
// command's status. done is what was finished while the command ran.
func settle(u *screen.UI, f *Flags, t *naming.Target, info *capture.Info, done map[string]finished) error {
	if n := len(info.Images); f.Images && n > 0 {
		slices.Sort(info.Images)
		u.Note("%d images, median %v, 90 %% within %v, at most %v", n, info.Images[n/2], info.Images[n*9/10], info.Images[n-1])
	}
	status := info.Status
	if info.TimedOut {
		status = cli.ExitTimeout
		u.Note("the time-out of %v ended the program", info.After)
	}
	if info.Procs == 0 && len(info.Kept) == 0 && !info.Runner && len(info.Clients) > 0 {
		u.Warn(fmt.Sprintf("nothing was recorded: no Python ran here, but %s did, which runs things elsewhere", strings.Join(info.Clients, ", ")))
		u.Hint("record there, with pyrr brought into the container: docs/ci.md, \"Where the tests run elsewhere\"")
	}
	if f.region != "" && len(info.Kept) == 0 {
		if !info.Runner {
			u.Warn(fmt.Sprintf("nothing was recorded: no region %q began", f.region))
			u.Hint("docs/attach.md, \"A part of a program\"")
		}
		discard(u, t)
		return cli.Status(status)
	}
	if f.From == 0 && (len(info.Kept) > 0 || info.Runner && info.Procs == 0) {
		finishTests(u, done, f, info.Kept)
		saySurplus(u, f, info.Surplus)
		discard(u, t)
		return cli.Status(status)
	}
	if len(info.Kept) > 0 && f.From > 0 {
		late := info.Kept[0]
		info.Procs, info.Events, info.Instructions = late.Procs, late.Events, late.Instructions
		if late.Err != nil {
			u.Warn(late.Err.Error())
		}
		t.Part = late.Dir
	}
	if Kept(f.Keep, info.Status, info.TimedOut) {
		Finish(u, t, f, info)
		sayOf(u, made(t.Packed, t.Part), info.TimedOut)
	} else {
		discard(u, t)
	}
	return cli.Status(status)
}

// recordFailed explains why the command did not run.
func recordFailed(u *screen.UI, t *naming.Target, args []string, err error) error {
	discardEmpty(u, t)
	start, isStart := errors.AsType[*capture.StartError](err)
	// EPERM is what a refused ptrace gives, EACCES what a file gives.
	if !isStart || errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSYS) {
		if missing := probe.Machine().Missing(false); len(missing) > 0 {
			return show.Cannot("record", missing[0], err)
		}
	}
	if errors.Is(err, syscall.EAGAIN) {
		return usedUp(err, isStart)
	}
	if !isStart {
		return err
	}
	u.Fail(hint.With(err, startHint(args[0])))
	if errors.Is(err, syscall.EISDIR) {
		return cli.Status(cli.ExitCannotRun)
	}
	return cli.Status(start.Status)
}

// usedUp explains what the kernel refuses for now: a process, or a timer, each of which takes
// a signal that may wait (setrlimit(2), RLIMIT_SIGPENDING).
func usedUp(err error, process bool) error {
	if process {
		return headroom.Crowded(err)
	}
	return hint.With(hint.Machinef("%v: too many signals of this user may wait, or too few are permitted (ulimit -i)", err), "ulimit -i 1000")
}

// discardEmpty removes the .part folder unless events were written to it.
func discardEmpty(u *screen.UI, t *naming.Target) {
	if rec, err := recording.Open(t.Part); err == nil {
		procs, err := rec.Procs()
		rec.Close()
		if err == nil && len(procs) > 0 {
			u.Note("what was recorded is in %s", t.Part)
			return
		}
	}
	if err := t.Discard(); err != nil {
		u.Warn(err.Error())
	}
}

// startHint guesses what was meant by a command that does not start.
func startHint(name string) string {
	st, err := os.Stat(name)
	switch {
	case err != nil || st.IsDir():
		return ""
	case strings.HasSuffix(name, ".py"):
		return "pyrr record -- python3 " + printable.ShellQuote(name) + " …"
	case st.Mode()&0o111 == 0 && isProgram(name):
		return "chmod +x " + printable.ShellQuote(name)
	case !strings.Contains(name, "/"):
		return "pyrr record -- ./" + printable.ShellQuote(name) + " …"
	}
	return ""
}

// isProgram says whether a file begins as one that the kernel executes.
func isProgram(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := io.ReadFull(f, head) // what there is
	return bytes.HasPrefix(head[:n], []byte("#!")) || string(head[:n]) == "\x7fELF"
}

// minFree is the least room on the disk to begin a recording with.
const minFree = 32 << 20

// leastFiles is how many files a process must be allowed to have open for anything to be
// recorded: with 24, not even a Python that imports nothing was.
const leastFiles = 26

// leastSize is how large a file must be allowed to be: with 500 KiB there was nothing to
// replay of a Python that prints a line.
const leastSize = 1 << 20

// Prepare makes the folder of a target and tries to write there, so that
// what can't be kept is said before the program starts.
func Prepare(t *naming.Target) error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err == nil && files.Cur < leastFiles {
		return hint.With(hint.Machinef("%d files may be open at a time, and recording takes %d at least", files.Cur, leastFiles), "ulimit -n 256")
	}
	var size unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &size); err == nil && size.Cur < leastSize {
		return hint.With(hint.Machinef("a file may have %s at most, and a recording takes more (ulimit -f)", printable.ByteSize(int64(size.Cur))), "ulimit -f unlimited")
	}
	dir := filepath.Dir(t.Part)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Made = true
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return hint.With(fmt.Errorf("make the folder for the recording: %w", err), "pyrr record -o /tmp …")
	}
	if _, err := os.Lstat(t.Part); err == nil {
		return hint.With(fmt.Errorf("%s is there already: another pyrr is recording to it, or one was killed", t.Part),
			"pyrr info "+printable.ShellQuote(t.Part), "rm -r "+printable.ShellQuote(t.Part))
	}
	f, err := os.CreateTemp(dir, ".pyrr-*.part")
	if err != nil {
		return hint.With(fmt.Errorf("write to the folder for the recording: %w", err), "pyrr record -o /tmp …")
	}
	_, err = f.Write(make([]byte, 4096))
	err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	if err != nil {
		return hint.With(fmt.Errorf("write to the folder for the recording: %w", err), roomFor(err))
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err == nil {
		// Blocks is 0 where the file system keeps no count.
		if free := st.Bavail * uint64(st.Bsize); st.Blocks > 0 && free < minFree {
			return hint.With(fmt.Errorf("only %s are free in %s", printable.ByteSize(int64(free)), dir), "pyrr record -o DIR …, with a DIR on another disk")
		}
	}
	return nil
}

// dispatch is what --call-buffer says of Syscall User Dispatch.
func (f *Flags) dispatch() capture.Dispatch {
	if f.CallBuffer == CallBufferPrctl {
		return capture.DispatchCall
	}
	return capture.DispatchAny
}
