package linux

import (
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }

// notExercised lists rows with outputs that the oracle can't make succeed
// everywhere, with the reason.
var notExercised = map[string]string{
	"ustat":             "needs a mounted device",
	"getxattrat":        "Linux 6.13",
	"listxattrat":       "Linux 6.13",
	"file_getattr":      "Linux 6.17",
	"listns":            "Linux 6.19",
	"statmount":         "Linux 6.8",
	"listmount":         "Linux 6.8",
	"cachestat":         "Linux 6.5",
	"lookup_dcookie":    "removed in Linux 6.8",
	"lsm_get_self_attr": "Linux 6.8 and a security module",
	"lsm_list_modules":  "Linux 6.8",
	"quotactl":          "needs a file system with quotas",
	"quotactl_fd":       "needs a file system with quotas",
	"keyctl":            "kept from containers",
	"syslog":            "kept from containers",
	"adjtimex":          "kept from containers",
	"clock_adjtime":     "kept from containers",
	"name_to_handle_at": "not on all file systems",
	"capset":            "writes only when it fails",
	"sched_setattr":     "writes only when it fails",
	"process_vm_readv":  "kept from containers",
	"mq_timedreceive":   "kept from containers",
	"mq_getsetattr":     "kept from containers",
	"get_mempolicy":     "kept from containers",
	"move_pages":        "kept from containers",
	"nanosleep":         "writes only when interrupted",
	"clock_nanosleep":   "writes only when interrupted",
	"arch_prctl":        "the kernel may lack CPUID faulting",
	"seccomp":           "kept from containers",
}

// oracleCalls lists what the oracle does; each makes its buffers again.
var oracleCalls = slices.Concat(oracleFiles, oracleNet, oracleSystem)

type oracleCall struct {
	name string
	run  func(o *oracle)
}

// file makes a file with content and returns its path and an open descriptor.
func (o *oracle) file(content string) (string, uint64) {
	o.t.Helper()
	name := filepath.Join(o.t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		o.t.Fatal(err)
	}
	return name, o.open(name, unix.O_RDWR)
}

func (o *oracle) open(name string, flags int) uint64 {
	o.t.Helper()
	fd, err := unix.Open(name, flags|unix.O_CLOEXEC, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(fd) })
	return uint64(fd)
}

// pair makes a pipe that holds s, or with an empty s nothing.
func (o *oracle) pipe(s string) (r, w uint64) {
	o.t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	if s != "" {
		unix.Write(p[1], []byte(s))
	}
	return uint64(p[0]), uint64(p[1])
}

func (o *oracle) sockets(typ int) (a, b uint64) {
	o.t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return uint64(p[0]), uint64(p[1])
}

// udp makes a bound socket of IPv4 and sends s to it.
func (o *oracle) udp(s string) uint64 {
	o.t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		o.t.Fatal(err)
	}
	sa, _ := unix.Getsockname(fd)
	if s != "" {
		if err := unix.Sendto(fd, []byte(s), 0, sa); err != nil {
			o.t.Fatal(err)
		}
	}
	return uint64(fd)
}

// listener makes a TCP listener that n clients have connected to.
func (o *oracle) listener(n int) uint64 {
	o.t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets lack options
	l, err := lc.Listen(o.t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		o.t.Fatal(err)
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(func() { f.Close(); l.Close() })
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			o.t.Fatal(err)
		}
		o.t.Cleanup(func() { c.Close() })
	}
	fd := f.Fd()
	unix.SetNonblock(int(fd), false)
	return uint64(fd)
}

// child starts a process that ends at once with status 3.
func (o *oracle) child() uint64 {
	o.t.Helper()
	pid, err := syscall.ForkExec("/bin/sh", []string{"sh", "-c", "exit 3"}, nil)
	if err != nil {
		o.t.Fatal(err)
	}
	return uint64(pid)
}

// held is the number of a thread that lives as long as the test.
func (o *oracle) held() int {
	tid, end := make(chan int), make(chan bool)
	go func() {
		runtime.LockOSThread()
		tid <- unix.Gettid()
		<-end
		runtime.UnlockOSThread()
	}()
	o.t.Cleanup(func() { close(end) })
	return <-tid
}

// during runs do while another thread sends this one SIGURG until it returns:
// the runtime's handler ignores it, and the call is interrupted.
func (o *oracle) during(do func()) {
	pid, tid := os.Getpid(), unix.Gettid()
	stop := make(chan bool)
	done := make(chan bool)
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(20 * time.Millisecond):
				unix.Tgkill(pid, tid, unix.SIGURG)
			}
		}
	}()
	do()
	close(stop)
	<-done
}

// msghdr makes a struct msghdr with buffers of the given sizes.
func (o *oracle) msghdr(name, namelen uint64, control, controllen uint64, sizes ...int) uint64 {
	var iov []byte
	for _, n := range sizes {
		iov = le(iov, o.buf(n), uint64(n))
	}
	return o.in(name, namelen, o.in(iov), uint64(len(sizes)), control, controllen, uint64(0))
}

func fdcwd() uint64 { return 0xffffffffffffff9c }

// cloneAndExit makes a process that ends at once.
//
//go:norace
//go:nosplit
func cloneAndExit(a [6]uint64) int64 {
	r, _, e := syscall.RawSyscall6(unix.SYS_CLONE, uintptr(a[0]), uintptr(a[1]), uintptr(a[2]), uintptr(a[3]), 0, 0)
	if e != 0 {
		return -int64(e)
	}
	if r == 0 {
		for {
			syscall.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
		}
	}
	return int64(r)
}
