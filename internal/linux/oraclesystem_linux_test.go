package linux

import (
	"encoding/binary"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

var oracleSystem = []oracleCall{
	{"time", func(o *oracle) {
		o.ok("time", o.buf(8))
		o.ok("time", 0)
		o.ok("gettimeofday", o.buf(16), o.buf(8))
		o.ok("clock_gettime", 1, o.buf(16))
		o.ok("clock_getres", 1, o.buf(16))
		o.ok("clock_getres", 1, 0)
		o.ok("times", o.buf(32))
		o.ok("nanosleep", o.in(uint64(0), uint64(1)), o.buf(16))
		o.ok("clock_nanosleep", 1, 0, o.in(uint64(0), uint64(1)), o.buf(16))
		o.during(func() {
			if ret := o.call("nanosleep", o.in(uint64(10), uint64(0)), o.buf(16)); ret != -4 {
				o.t.Errorf("nanosleep = %d, want EINTR", ret)
			}
			o.call("clock_nanosleep", 1, 0, o.in(uint64(10), uint64(0)), o.buf(16))
			o.call("clock_nanosleep", 1, 1, o.in(uint64(1<<40), uint64(0)), o.buf(16))
		})
		o.ok("getitimer", 2, o.buf(32))
		o.ok("setitimer", 2, o.in(make([]byte, 32)), o.buf(32))
		o.ok("alarm", 0)
		id := o.buf(4)
		o.ok("timer_create", 1, o.in(uint64(0), uint32(0), uint32(1), make([]byte, 48)), id)
		n := uint64(le32(o.at(id, 4)))
		o.ok("timer_settime", n, 0, o.in(uint64(0), uint64(0), uint64(100), uint64(0)), o.buf(32))
		o.ok("timer_gettime", n, o.buf(32))
		o.ok("timer_getoverrun", n)
		o.ok("timer_delete", n)
		o.try("adjtimex", o.in(make([]byte, 208)))
		o.try("clock_adjtime", 0, o.in(make([]byte, 208)))
		o.try("adjtimex", o.in(uint32(1), make([]byte, 204)))
	}},
	{"identity", func(o *oracle) {
		for _, c := range []string{"getpid", "gettid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getpgrp"} {
			o.ok(c)
		}
		o.ok("getpgid", 0)
		o.ok("getsid", 0)
		o.ok("getresuid", o.buf(4), o.buf(4), o.buf(4))
		o.ok("getresgid", o.buf(4), o.buf(4), o.buf(4))
		n := o.ok("getgroups", 0, 0)
		o.ok("getgroups", 0, o.buf(8))
		o.ok("getgroups", uint64(n), o.buf(max(1, int(n)*4)))
		for _, v := range []uint32{0x19980330, 0x20071026, 0x20080522} {
			data := 24
			if v == 0x19980330 {
				data = 12
			}
			o.ok("capget", o.in(v, uint32(0)), o.buf(data))
		}
		o.call("capget", o.in(uint32(1), uint32(0)), o.buf(24)) // EINVAL
		o.call("capget", o.in(uint32(1), uint32(0)), 0)
		o.call("capset", o.in(uint32(1), uint32(0)), o.buf(24))
		o.ok("setfsuid", ^uint64(0))
		o.ok("setfsgid", ^uint64(0))
	}},
	{"system", func(o *oracle) {
		o.ok("uname", o.buf(390))
		o.ok("sysinfo", o.buf(112))
		o.ok("getrandom", o.buf(33), 33, 0)
		o.call("getrandom", o.buf(33), 100, 0)
		o.ok("getrlimit", 7, o.buf(16))
		o.ok("prlimit64", 0, 7, 0, o.buf(16))
		o.ok("getrusage", 0, o.buf(144))
		o.ok("getcpu", o.buf(4), o.buf(4), 0)
		o.ok("getpriority", 0, 0)
		o.try("syslog", 3, o.buf(500), 500)
		o.try("syslog", 10, 0, 0)
		o.try("seccomp", 3, 0, o.buf(6))
		o.ok("personality", 0xffffffff)
		o.ok("ioprio_get", 1, 0)
		o.ok("sync")
	}},
	{"scheduling", func(o *oracle) {
		o.ok("sched_yield")
		o.ok("sched_getaffinity", 0, 128, o.buf(128))
		o.ok("sched_getscheduler", 0)
		o.ok("sched_getparam", 0, o.buf(4))
		attr := o.buf(48)
		o.ok("sched_getattr", 0, attr, 48, 0)
		o.ok("sched_getattr", 0, o.buf(56), 56, 0)
		o.ok("sched_getattr", 0, o.buf(200), 200, 0)
		big := o.in(uint32(200), make([]byte, 44), make([]byte, 100), ^uint64(0), make([]byte, 44))
		o.call("sched_setattr", 0, big, 0) // E2BIG
		o.ok("sched_rr_get_interval", 0, o.buf(16))
		o.ok("sched_get_priority_max", 1)
		o.ok("sched_get_priority_min", 1)
	}},
	{"signals", func(o *oracle) {
		o.ok("rt_sigaction", 10, 0, o.buf(32), 8)
		o.ok("rt_sigprocmask", 0, 0, o.buf(8), 8)
		o.ok("rt_sigpending", o.buf(8), 8)
		o.ok("rt_sigpending", o.buf(4), 4)
		o.ok("sigaltstack", 0, o.buf(24))
		o.ok("kill", uint64(os.Getpid()), 0)
		o.ok("tgkill", uint64(os.Getpid()), uint64(unix.Gettid()), 0)
		o.ok("tkill", uint64(unix.Gettid()), 0)
		// A pending signal, taken from the queue.
		set := uint64(1 << (unix.SIGUSR2 - 1))
		old := o.buf(8)
		o.ok("rt_sigprocmask", 0, o.in(set), old, 8)
		o.ok("tgkill", uint64(os.Getpid()), uint64(unix.Gettid()), uint64(unix.SIGUSR2))
		o.ok("rt_sigtimedwait", o.in(set), o.buf(128), o.in(uint64(1), uint64(0)), 8)
		o.ok("tgkill", uint64(os.Getpid()), uint64(unix.Gettid()), uint64(unix.SIGUSR2))
		o.ok("rt_sigtimedwait", o.in(set), 0, 0, 8)
		o.call("rt_sigtimedwait", o.in(set), o.buf(128), o.in(uint64(0), uint64(0)), 8) // EAGAIN
		o.ok("rt_sigprocmask", 2, old, 0, 8)
	}},
	{"processes", func(o *oracle) {
		o.ok("wait4", o.child(), o.buf(4), 0, o.buf(144))
		o.ok("waitid", 1, o.child(), o.buf(128), unix.WEXITED, o.buf(144))
		o.call("waitid", 1, 999999, o.buf(128), unix.WEXITED, 0) // ECHILD
		o.call("wait4", 999999, o.buf(4), 0, o.buf(144))
		slow := o.child()
		o.call("waitid", 1, slow, o.buf(128), unix.WEXITED|unix.WNOHANG, o.buf(144))
		o.call("wait4", slow, o.buf(4), 0, 0)
		nr, _ := Number("clone")
		a := [6]uint64{unix.CLONE_PARENT_SETTID | uint64(unix.SIGCHLD), 0, o.buf(4), 0}
		pid := o.watch(nr, a, func() int64 { return cloneAndExit(a) })
		o.ok("wait4", uint64(pid), o.buf(4), unix.WALL, 0)
		a = [6]uint64{unix.CLONE_PIDFD | uint64(unix.SIGCHLD), 0, o.buf(4), 0}
		pid = o.watch(nr, a, func() int64 { return cloneAndExit(a) })
		unix.Close(int(le32(o.at(a[2], 4))))
		o.ok("wait4", uint64(pid), o.buf(4), 0, 0)
		o.ok("get_robust_list", 0, o.buf(8), o.buf(8))
		p := o.ok("pidfd_open", uint64(os.Getpid()), 0)
		o.ok("pidfd_send_signal", uint64(p), 0, 0, 0)
		o.try("pidfd_getfd", uint64(p), 9999, 0)
		unix.Close(int(p))
		o.ok("kcmp", uint64(os.Getpid()), uint64(os.Getpid()), 1, 0, 0)
		o.ok("getpgid", 0)
	}},
	{"futex", func(o *oracle) {
		o.ok("futex", o.in(uint32(0)), 1, 1)
		o.call("futex", o.in(uint32(1)), 0, 0, o.in(uint64(0), uint64(1)))
		o.call("futex", o.in(uint32(0)), 0, 0, o.in(uint64(0), uint64(1)))
		o.call("futex", o.in(uint32(0)), 9|128, 0, o.in(uint64(0), uint64(1)), 0, 0xffffffff)
		o.ok("futex", o.in(uint32(0)), 3, 1, 1, o.in(uint32(0)))
		o.ok("futex", o.in(uint32(0)), 4, 1, 1, o.in(uint32(0)), 0)
		// WAKE_OP: the second word becomes 7.
		o.ok("futex", o.in(uint32(0)), 5, 1, 1, o.in(uint32(0)), 7<<12)
		o.call("futex", o.in(uint32(0)), 99, 1)
		// With priority inheritance: a free lock, the thread's own, one that another thread keeps.
		free := o.in(uint32(0))
		o.ok("futex", free, futexLockPI)
		o.call("futex", free, futexTryLockPI) // EDEADLK
		o.ok("futex", free, futexUnlockPI)
		held := o.in(uint32(o.held()))
		o.call("futex", held, futexTryLockPI)
		o.call("futex", held, futexLockPI, 0, o.in(uint64(1), uint64(0)))
		o.ok("membarrier", 0, 0)
	}},
	{"ptrace", func(o *oracle) {
		pid, err := syscall.ForkExec("/bin/true", []string{"true"}, &syscall.ProcAttr{Sys: &syscall.SysProcAttr{Ptrace: true}})
		if err != nil {
			o.t.Skip("can't trace: ", err)
		}
		p := uint64(pid)
		o.ok("wait4", p, o.buf(4), 0, 0)
		regs := o.buf(userRegsSize)
		o.ok("ptrace", ptraceGetRegs, p, 0, regs)
		stack := binary.LittleEndian.Uint64(o.at(regs+19*8, 8)) // rsp
		o.ok("ptrace", ptracePeekData, p, stack, o.buf(8))
		o.ok("ptrace", ptracePeekUsr, p, 16*8, o.buf(8))
		o.ok("ptrace", ptraceGetFPRegs, p, 0, o.buf(userFPRegsSize))
		o.ok("ptrace", ptraceGetSigInfo, p, 0, o.buf(sigInfoSize))
		o.ok("ptrace", ptraceGetSigMask, p, 8, o.buf(8))
		o.ok("ptrace", ptraceGetEventMsg, p, 0, o.buf(8))
		o.ok("ptrace", ptraceArchPrctl, p, o.buf(8), archGetFS)
		for _, room := range []int{16, 216, 400} {
			o.ok("ptrace", ptraceGetRegSet, p, 1, o.in(o.buf(room), uint64(room))) // NT_PRSTATUS
		}
		o.ok("ptrace", ptraceGetRegSet, p, 0x202, o.in(o.buf(12000), uint64(12000))) // NT_X86_XSTATE
		o.ok("ptrace", ptracePeekSigInfo, p, o.in(uint64(0), uint32(0), uint32(4)), o.buf(4*sigInfoSize))
		o.call("ptrace", ptraceGetSyscallInfo, p, 88, o.buf(88))
		o.call("ptrace", ptraceGetSyscallInfo, p, 8, o.buf(8))
		o.call("ptrace", ptraceGetRseqConfig, p, 24, o.buf(24))
		o.call("ptrace", ptraceGetUserDispatchConfig, p, 32, o.buf(32))
		o.call("ptrace", ptraceSeccompGetFilter, p, 0, o.buf(64))
		o.ok("ptrace", ptraceCont, p, 0, 0)
		o.ok("wait4", p, o.buf(4), 0, 0)
		o.call("ptrace", ptraceGetRegs, p, 0, o.buf(userRegsSize)) // ESRCH
	}},
	{"prctl", func(o *oracle) {
		o.ok("prctl", unix.PR_GET_NAME, o.buf(16))
		o.ok("prctl", unix.PR_GET_PDEATHSIG, o.buf(4))
		o.ok("prctl", unix.PR_GET_CHILD_SUBREAPER, o.buf(4))
		o.ok("prctl", unix.PR_GET_TSC, o.buf(4))
		o.try("prctl", unix.PR_GET_TID_ADDRESS, o.buf(8))
		o.try("prctl", prGetAuxv, o.buf(1000), 1000)
		o.try("prctl", prGetAuxv, o.buf(64), 64)
		o.try("prctl", unix.PR_SCHED_CORE, 0, uint64(os.Getpid()), 0, o.buf(8))
		for _, op := range []uint64{unix.PR_GET_DUMPABLE, unix.PR_GET_KEEPCAPS, unix.PR_GET_SECUREBITS, unix.PR_GET_TIMERSLACK, unix.PR_GET_NO_NEW_PRIVS} {
			o.ok("prctl", op, 0, 0, 0, 0)
		}
		for _, op := range []uint64{unix.PR_GET_UNALIGN, unix.PR_GET_FPEMU, unix.PR_GET_FPEXC, unix.PR_GET_ENDIAN, 99999} {
			o.call("prctl", op, o.buf(64))
		}
		o.ok("arch_prctl", archGetFS, o.buf(8))
		o.ok("arch_prctl", archGetGS, o.buf(8))
		for _, op := range []uint64{archGetXcompSupp, archGetXcompPerm, archGetXcompGuest, archGetUntagMask, archGetMaxTagBits, archShstkStatus, archGetCPUID} {
			o.call("arch_prctl", op, o.buf(8))
		}
		o.call("arch_prctl", 0x9999, o.buf(8))
	}},
	{"memory", func(o *oracle) {
		page := o.buf(4096)
		o.ok("mincore", page, 4096, o.buf(1))
		o.ok("mincore", page, 4095, o.buf(1))
		big := o.buf(3 * 4096)
		o.ok("mincore", big, 2*4096+1, o.buf(3))
		o.ok("madvise", page, 4096, 0)
		o.ok("mprotect", page, 4096, 3)
		o.ok("msync", page, 4096, 4)
		o.ok("mlock", page, 4096)
		o.ok("munlock", page, 4096)
		m := o.ok("mmap", 0, 4096, 3, 0x22, ^uint64(0), 0)
		m = o.ok("mremap", uint64(m), 4096, 8192, 1, 0)
		o.ok("munmap", uint64(m), 8192)
		o.ok("brk", 0)
		o.try("get_mempolicy", o.buf(4), o.buf(128), 1024, 0, 0)
		o.try("get_mempolicy", o.buf(4), o.buf(8), 64, 0, 0)
		o.try("get_mempolicy", o.buf(4), o.buf(128), 1025, 0, 0)
		o.try("get_mempolicy", o.buf(4), 0, 0, page, 2)
		o.try("move_pages", 0, 2, o.in(page, big), 0, o.buf(8), 0)
		src := o.in("0123456789")
		pid := uint64(os.Getpid())
		o.try("process_vm_readv", pid, o.in(o.buf(4), uint64(4), o.buf(6), uint64(6)), 2, o.in(src, uint64(10)), 1, 0)
		o.try("process_vm_readv", pid, o.in(o.buf(20), uint64(20)), 1, o.in(src, uint64(10)), 1, 0)
		o.try("process_vm_readv", pid, o.in(o.buf(20), uint64(20)), 1, o.in(src, uint64(20)), 1, 0)
		o.try("process_vm_readv", pid, o.in(o.buf(4), uint64(4), o.guard(), uint64(6)), 2, o.in(src, uint64(10)), 1, 0)
	}},
	{"System V", func(o *oracle) {
		if id := o.try("shmget", 0, 4096, 0o1600); id >= 0 {
			defer raw(sysShmctl, [6]uint64{uint64(id), 0})
			o.ok("shmctl", uint64(id), 2, o.buf(112))
			o.ok("shmctl", 0, 3, o.buf(72))
			o.ok("shmctl", 0, 14, o.buf(48))
			o.try("shmctl", 0, 13, o.buf(112))
			o.call("shmctl", uint64(id), 99, o.buf(112))
		}
		if id := o.try("semget", 0, 5, 0o1600); id >= 0 {
			defer raw(sysSemctl, [6]uint64{uint64(id), 0, 0})
			o.ok("semctl", uint64(id), 0, 2, o.buf(104))
			o.ok("semctl", 0, 0, 3, o.buf(40))
			o.ok("semctl", 0, 0, 19, o.buf(40))
			o.ok("semctl", uint64(id), 0, 13, o.buf(10))
			o.ok("semctl", uint64(id), 0, 12, 0)
			o.ok("semop", uint64(id), o.in(uint16(0), int16(1), uint16(0)), 1)
		}
		if id := o.try("msgget", 0, 0o1600); id >= 0 {
			defer raw(sysMsgctl, [6]uint64{uint64(id), 0})
			o.ok("msgsnd", uint64(id), o.in(uint64(1), "hello"), 5, 0)
			o.ok("msgrcv", uint64(id), o.buf(8+100), 100, 0, 0)
			o.ok("msgsnd", uint64(id), o.in(uint64(1), "hello"), 5, 0)
			o.ok("msgrcv", uint64(id), o.buf(8+2), 2, 0, 0x1000)
			o.call("msgrcv", uint64(id), o.buf(8+2), 2, 0, ipcNoWait)
			o.ok("msgctl", uint64(id), 2, o.buf(120))
			o.ok("msgctl", 0, 3, o.buf(32))
			o.ok("msgctl", 0, 12, o.buf(32))
		}
	}},
	{"message queues", func(o *oracle) {
		name := o.str("pyrr-oracle")
		q := o.try("mq_open", name, unix.O_CREAT|unix.O_RDWR|unix.O_NONBLOCK, 0o600, o.in(uint64(0), uint64(2), uint64(16), uint64(0), make([]byte, 32)))
		if q < 0 {
			return
		}
		defer unix.Close(int(q))
		o.ok("mq_unlink", name)
		o.ok("mq_getsetattr", uint64(q), 0, o.buf(64))
		o.ok("mq_timedsend", uint64(q), o.in("hello"), 5, 3, 0)
		o.ok("mq_timedreceive", uint64(q), o.buf(16), 16, o.buf(4), 0)
		o.call("mq_timedreceive", uint64(q), o.buf(16), 16, o.buf(4), 0)
	}},
	{"keys and modules", func(o *oracle) {
		o.try("keyctl", 0, ^uint64(2), 1)
		session := ^uint64(2) // KEY_SPEC_SESSION_KEYRING
		o.try("keyctl", 6, session, o.buf(200), 200)
		o.try("keyctl", 6, session, o.buf(3), 3)
		o.try("keyctl", 11, session, o.buf(64), 64)
		o.try("keyctl", 31, o.buf(16), 16)
		o.call("keyctl", 999, 0)
		size := func(n uint32) uint64 { return o.in(n) }
		o.try("lsm_list_modules", o.buf(256), size(256), 0)
		o.try("lsm_list_modules", o.buf(4), size(4), 0)
		o.try("lsm_get_self_attr", 100, o.buf(4096), size(4096), 0)
		o.try("lsm_get_self_attr", 100, 0, size(0), 0)
	}},
}
