package page

import (
	"strings"
	"sync"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
)

// kind is what sort of thing happened at a row: what it is coloured by where it
// takes long, and filtered by.
type kind uint8

// The kinds. kindNames has their names, web/src/kinds.ts their colours, in the
// same order.
const (
	kindOther kind = iota
	kindLock
	kindSleep
	kindNetwork
	kindData
	kindPoll
	kindChild
	kindFile
	kindMemory
	kindProcess
	kindSignal
	kindTest
	kindSchedule
	kindOutput
	kindEnd
)

var kindNames = []string{"other", "lock", "sleep", "network", "read/write", "poll", "child", "files", "memory", "process", "signal", "test", "scheduling", "output", "end"}

// callKinds are the kinds of calls by their names, or how those begin.
var callKinds = []struct {
	kind  kind
	names string
}{
	{kindLock, "futex flock"},
	{kindSleep, "nanosleep clock_nanosleep pause rt_sigtimedwait rt_sigsuspend"},
	{kindPoll, "poll ppoll select pselect6 epoll_"},
	{kindNetwork, "recv send accept connect bind listen socket shutdown getsockopt setsockopt getsockname getpeername"},
	{kindChild, "wait4 waitid"},
	{kindData, "read write pread pwrite readv writev sendfile copy_file_range splice lseek fsync fdatasync pipe eventfd"},
	{kindMemory, "mmap munmap mprotect mremap madvise brk mlock"},
	{kindProcess, "clone fork vfork execve exit prctl"},
	{kindSignal, "rt_sigqueueinfo kill tgkill tkill signalfd alarm setitimer timer_"},
	{kindSchedule, "sched_"},
	{kindFile, "open stat lstat fstat newfstatat statx close access faccessat readlink getdents unlink rename mkdir rmdir dup fcntl ioctl chdir getcwd ftruncate truncate chmod fchmod chown utimensat link symlink inotify memfd"},
}

// kindOfCall is the kind of a system call: the first name that it has, or begins with.
func kindOfCall(nr int32) kind { return kindsOfCalls()[nr] }

var kindsOfCalls = sync.OnceValue(func() map[int32]kind {
	known := map[int32]kind{}
	for nr := range int32(512) {
		name := linux.Name(int(nr))
		best := 0
		for _, row := range callKinds {
			for _, n := range strings.Fields(row.names) {
				if strings.HasPrefix(name, n) && len(n) > best {
					known[nr], best = row.kind, len(n)
				}
			}
		}
	}
	return known
})

// kindOf is the kind of an event; ok is false for what is not a row of its own:
// pyrr's own preparations, and readings of the clock.
func kindOf(ev *recording.Event) (k kind, ok bool) {
	switch ev.Kind {
	case recording.KindSyscall, recording.KindEnter:
		if ev.Why == recording.OutStdout || ev.Why == recording.OutStderr {
			return kindOutput, true
		}
		if _, _, _, ok := linux.LockWanted(int(ev.Nr), ev.Args, ev.In); ok {
			return kindLock, true
		}
		return kindOfCall(ev.Nr), true
	case recording.KindThread:
		return kindOfCall(ev.Nr), ev.Why == recording.InCall
	case recording.KindSignal:
		return kindSignal, true
	case recording.KindStart, recording.KindDeath:
		return kindProcess, true
	case recording.KindEnd, recording.KindTimeout:
		return kindEnd, true
	case recording.KindNote:
		return kindTest, true
	case recording.KindSwitch:
		return kindSchedule, true
	}
	return 0, false
}
