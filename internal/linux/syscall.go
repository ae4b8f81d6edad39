package linux

import (
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Class says how a system call is recorded and replayed.
type Class uint8

// The classes of system calls.
const (
	// Plain: the result and the bytes of Outputs are all that the program
	// sees of it; never executed on replay.
	Plain Class = iota
	// AddressSpace: changes the address space or the thread's segment bases; really
	// executed on replay, at the recorded addresses.
	AddressSpace
	// Process: makes, replaces or ends a thread or a process.
	Process
	// Sigreturn: restores the registers from a signal frame (rt_sigreturn).
	Sigreturn
	// Hidden: not executed; the program gets -Errno, as from a kernel
	// without that feature.
	Hidden
	// Faked: the engine answers instead of the kernel; Errno 0 is success.
	Faked
	// Refuse: known, but what it does can't be recorded; Note says why.
	Refuse
)

var classNames = [...]string{"plain", "space", "process", "sigreturn", "hidden", "faked", "refuse"}

func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("class(%d)", uint8(c))
}

// Syscall is one row of the table of x86-64 system calls
// (arch/x86/entry/syscalls/syscall_64.tbl of the kernel).
type Syscall struct {
	Nr    int
	Name  string
	Class Class
	// Blocks is set where the call may wait for another thread, another
	// process or the outside. MayBlock looks at the arguments too.
	Blocks bool
	// Errno is what the program gets from a Hidden call.
	Errno int
	Args  []Arg
	Outs  []Out
	FDs   []FDUse
	Note  string
}

// Size says how the length of an output is found.
type Size uint8

// The ways to find the length of an output.
const (
	// Fixed: N bytes.
	Fixed Size = iota
	// ByArg: N times the 32-bit argument By.
	ByArg
	// ByRet: N times the result, not more than N times argument By.
	ByRet
	// ByLen: the 32-bit word that argument By points at holds the length
	// after the call; not more than N. The word itself is an output too.
	ByLen
	// Vector: an array of By struct iovec, filled in order by the result.
	Vector
	// Special: found by code; What says what.
	Special
)

// When says for which results an output is written.
type When uint8

// The results for which an output is written.
const (
	// OnSuccess: a result that is not an error. (After EFAULT every output is
	// taken, because the kernel may have stopped half way.)
	OnSuccess When = iota
	// Always: with errors as well.
	Always
	// Interrupted: only when a signal cut the call short.
	Interrupted
)

// Out is memory that the kernel writes: at the address in argument Arg
// (counted from 0), unless that is null.
type Out struct {
	Arg  uint8
	Size Size
	By   uint8
	When When
	N    uint32
	What string
}

// MaxNr is the highest system call number in the table.
const MaxNr = 471

var (
	table  [MaxNr + 1]*Syscall
	byName map[string]int
	names  sync.Once
)

func init() {
	for _, rows := range [][]Syscall{fileRows, pathRows, ioRows, netRows, memoryRows, processRows, signalRows, timeRows, identityRows, systemRows} {
		for i := range rows {
			table[rows[i].Nr] = &rows[i]
		}
	}
}

// Lookup returns the row of system call nr.
func Lookup(nr int) (*Syscall, bool) {
	if nr < 0 || nr >= len(table) || table[nr] == nil {
		return nil, false
	}
	return table[nr], true
}

// LookupName returns the row of the system call with a name.
func LookupName(name string) (*Syscall, bool) {
	for _, s := range table {
		if s != nil && s.Name == name {
			return s, true
		}
	}
	return nil, false
}

// Name returns the name of system call nr, or "syscall_N" for an unknown one.
func Name(nr int) string {
	if s, ok := Lookup(nr); ok {
		return s.Name
	}
	return fmt.Sprintf("syscall_%d", nr)
}

// Number returns the number of the system call of that name.
func Number(name string) (int, bool) {
	names.Do(func() {
		byName = make(map[string]int, len(table))
		for nr, s := range table {
			if s != nil {
				byName[s.Name] = nr
			}
		}
	})
	nr, ok := byName[name]
	return nr, ok
}

// Names returns the names of all system calls, sorted.
func Names() []string {
	var all []string
	for _, s := range table {
		if s != nil {
			all = append(all, s.Name)
		}
	}
	sort.Strings(all)
	return all
}

// aliases maps names of the C library to the system calls behind them, where
// they differ or where there are several (glibc 2.31 to 2.42, musl 1.2).
var aliases = map[string][]string{
	"recv":            {"recvfrom"},
	"send":            {"sendto"},
	"open":            {"openat", "open", "openat2", "creat"},
	"stat":            {"newfstatat", "stat", "statx"},
	"lstat":           {"newfstatat", "lstat", "statx"},
	"fstat":           {"fstat", "newfstatat", "statx"},
	"fstatat":         {"newfstatat", "statx"},
	"accept":          {"accept", "accept4"},
	"select":          {"select", "pselect6"},
	"pselect":         {"pselect6"},
	"poll":            {"poll", "ppoll"},
	"epoll_wait":      {"epoll_wait", "epoll_pwait", "epoll_pwait2"},
	"epoll_pwait":     {"epoll_pwait", "epoll_pwait2"},
	"epoll_create":    {"epoll_create", "epoll_create1"},
	"eventfd":         {"eventfd", "eventfd2"},
	"signalfd":        {"signalfd", "signalfd4"},
	"inotify_init":    {"inotify_init", "inotify_init1"},
	"pipe":            {"pipe", "pipe2"},
	"dup2":            {"dup2", "dup3"},
	"fork":            {"fork", "clone"},
	"vfork":           {"vfork", "clone"},
	"pthread_create":  {"clone", "clone3"},
	"wait":            {"wait4"},
	"wait3":           {"wait4"},
	"waitpid":         {"wait4"},
	"exec":            {"execve", "execveat"},
	"execv":           {"execve"},
	"execvp":          {"execve"},
	"execvpe":         {"execve"},
	"fexecve":         {"execveat", "execve"},
	"_exit":           {"exit_group"},
	"sleep":           {"clock_nanosleep", "nanosleep"},
	"usleep":          {"clock_nanosleep", "nanosleep"},
	"nanosleep":       {"clock_nanosleep", "nanosleep"},
	"pread":           {"pread64"},
	"pwrite":          {"pwrite64"},
	"preadv":          {"preadv", "preadv2"},
	"pwritev":         {"pwritev", "pwritev2"},
	"sigaction":       {"rt_sigaction"},
	"signal":          {"rt_sigaction"},
	"sigprocmask":     {"rt_sigprocmask"},
	"pthread_sigmask": {"rt_sigprocmask"},
	"sigpending":      {"rt_sigpending"},
	"sigsuspend":      {"rt_sigsuspend"},
	"sigtimedwait":    {"rt_sigtimedwait"},
	"sigwait":         {"rt_sigtimedwait"},
	"sigwaitinfo":     {"rt_sigtimedwait"},
	"sigqueue":        {"rt_sigqueueinfo"},
	"sigreturn":       {"rt_sigreturn"},
	"pthread_kill":    {"tgkill"},
	"raise":           {"tgkill", "tkill"},
	"getrlimit":       {"prlimit64", "getrlimit"},
	"setrlimit":       {"prlimit64", "setrlimit"},
	"prlimit":         {"prlimit64"},
	"fadvise":         {"fadvise64"},
	"posix_fadvise":   {"fadvise64"},
	"posix_fallocate": {"fallocate"},
	"getdents":        {"getdents64", "getdents"},
	"readdir":         {"getdents64", "getdents"},
	"unlink":          {"unlink", "unlinkat"},
	"rmdir":           {"rmdir", "unlinkat"},
	"remove":          {"unlink", "rmdir", "unlinkat"},
	"mkdir":           {"mkdir", "mkdirat"},
	"rename":          {"rename", "renameat", "renameat2"},
	"link":            {"link", "linkat"},
	"symlink":         {"symlink", "symlinkat"},
	"readlink":        {"readlink", "readlinkat"},
	"chmod":           {"chmod", "fchmodat", "fchmodat2"},
	"fchmodat":        {"fchmodat", "fchmodat2"},
	"chown":           {"chown", "fchownat"},
	"lchown":          {"lchown", "fchownat"},
	"mknod":           {"mknod", "mknodat"},
	"mkfifo":          {"mknod", "mknodat"},
	"access":          {"access", "faccessat", "faccessat2"},
	"faccessat":       {"faccessat", "faccessat2"},
	"utime":           {"utime", "utimes", "utimensat"},
	"utimes":          {"utimes", "utimensat"},
	"futimens":        {"utimensat"},
	"umount":          {"umount2"},
	"statvfs":         {"statfs"},
	"fstatvfs":        {"fstatfs"},
	"isatty":          {"ioctl"},
	"tcgetattr":       {"ioctl"},
	"sbrk":            {"brk"},
	"mq_send":         {"mq_timedsend"},
	"mq_receive":      {"mq_timedreceive"},
	"mq_getattr":      {"mq_getsetattr"},
	"mq_setattr":      {"mq_getsetattr"},
	"sendfile64":      {"sendfile"},
}

// Aliases returns the system calls that a name from a program's source may
// stand for: the C library's recv is the kernel's recvfrom, its open is openat
// or open. The name's own system call is among them if there is one. Nil means
// that the name is unknown.
func Aliases(name string) []string {
	name = strings.ToLower(name)
	if a, ok := aliases[name]; ok {
		return append([]string(nil), a...)
	}
	if _, ok := Number(name); ok {
		return []string{name}
	}
	return nil
}
