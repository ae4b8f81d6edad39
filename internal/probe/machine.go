//go:build linux && amd64

package probe

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func probeMachine() *Report {
	env := readEnvironment()
	r := &Report{}
	r.Features = append(r.Features, env.features()...)
	r.Features = append(r.Features, traceFeatures(env)...)
	r.Features = append(r.Features, localFeatures()...)
	return r
}

// environment is what the machine says about itself; it explains why a trial
// failed, and is never used in its place.
type environment struct {
	machine   string // uname -m
	release   string // uname -r
	procErr   error  // why /proc/self/status could not be read
	tracer    int    // TracerPid of this process
	seccomp   int    // Seccomp mode: 0 off, 1 strict, 2 filter; -1 unknown
	noNew     bool   // NoNewPrivs
	yama      int    // kernel.yama.ptrace_scope, -1 where there is no Yama
	yamaErr   error
	selinux   bool
	rosetta   bool
	container string
}

func readEnvironment() *environment {
	e := &environment{seccomp: -1, yama: -1}
	var u unix.Utsname
	if err := unix.Uname(&u); err == nil {
		e.machine = unix.ByteSliceToString(u.Machine[:])
		e.release = unix.ByteSliceToString(u.Release[:])
	}
	status, err := os.ReadFile("/proc/self/status")
	e.procErr = err
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil {
			continue
		}
		switch key {
		case "TracerPid":
			e.tracer = n
		case "Seccomp":
			e.seccomp = n
		case "NoNewPrivs":
			e.noNew = n == 1
		}
	}
	b, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	switch {
	case err == nil:
		if n, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
			e.yama = n
		} else {
			e.yamaErr = err
		}
	case !os.IsNotExist(err):
		e.yamaErr = err
	}
	if b, err := os.ReadFile("/sys/fs/selinux/booleans/deny_ptrace"); err == nil {
		e.selinux = strings.HasPrefix(string(b), "1")
	}
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		e.rosetta = strings.Contains(string(b), "VirtualApple")
	}
	e.container = containerKind()
	return e
}

// containerKind names the container that this process runs in, "" for none
// that is known by its marks.
func containerKind() string {
	if os.Getenv("KUBERNETES_SERVICE_HOST") != "" {
		return "kubernetes"
	}
	if _, err := os.Stat("/run/.containerenv"); err == nil {
		return "podman"
	}
	if _, err := os.Stat("/.dockerenv"); err == nil {
		return "docker"
	}
	return ""
}

// features are the facts that need no trial.
func (e *environment) features() []Feature {
	arch := Feature{ID: Arch, Title: "processor architecture", Need: NeedBoth, Answer: Yes, Value: e.machine}
	switch {
	case runtime.GOARCH != "amd64":
		arch.Answer = Unsupported
		arch.Reason = "pyrr counts and replays on x86-64 only; this is a build for " + runtime.GOARCH
		arch.Remedy = "run pyrr and the program on an x86-64 Linux machine"
	case e.rosetta:
		arch.Answer = Unsupported
		arch.Value = "x86_64 by Rosetta"
		arch.Reason = "Rosetta translates x86-64 code and has no ptrace for it"
		arch.Remedy = "run the container on an x86-64 machine"
	case e.machine != "x86_64":
		arch.Answer = Unknown
		arch.Reason = fmt.Sprintf("the kernel calls its machine %q", e.machine)
	}

	kernel := Feature{ID: Kernel, Title: "Linux 5.3 or later", Need: NeedBoth, Value: e.release}
	major, minor, ok := parseRelease(e.release)
	switch {
	case !ok:
		kernel.Reason = fmt.Sprintf("the kernel calls its release %q", e.release)
	case major > 5 || major == 5 && minor >= 3:
		kernel.Answer = Yes
	default:
		kernel.Answer = Unsupported
		kernel.Reason = "PTRACE_GET_SYSCALL_INFO came with Linux 5.3"
		kernel.Remedy = "run on a newer kernel"
	}

	proc := Feature{ID: Procfs, Title: "/proc is mounted", Need: NeedBoth, Answer: Yes}
	if e.procErr != nil {
		proc.Answer = Unsupported
		proc.Reason = e.procErr.Error()
		proc.Remedy = "mount -t proc proc /proc"
	}

	yama := Feature{ID: Yama, Title: "Yama lets a child be traced", Answer: Yes}
	switch {
	case e.yamaErr != nil:
		yama.Answer = Unknown
		yama.Reason = e.yamaErr.Error()
	case e.yama < 0:
		yama.Value = "no Yama"
	default:
		yama.Value = fmt.Sprintf("ptrace_scope %d", e.yama)
		if e.yama >= 2 {
			yama.Answer = Unsupported
			yama.Reason, yama.Remedy = e.yamaReason()
		}
	}

	sandbox := Feature{ID: Sandbox, Title: "seccomp filter over pyrr itself", Answer: Yes}
	switch e.seccomp {
	case -1:
		sandbox.Answer = Unknown
		sandbox.Reason = "/proc/self/status does not say"
	case 0:
		sandbox.Value = "none"
	default:
		sandbox.Value = "filtered"
		if e.container != "" {
			sandbox.Value += " (" + e.container + ")"
		}
	}
	return []Feature{arch, kernel, proc, yama, sandbox}
}

// parseRelease reads "6.18.44-fc" as 6, 18.
func parseRelease(s string) (major, minor int, ok bool) {
	if n, err := fmt.Sscanf(s, "%d.%d", &major, &minor); n != 2 || err != nil {
		return 0, 0, false
	}
	return major, minor, true
}

// yamaReason explains a ptrace_scope of 2 or 3 (the kernel's
// Documentation/admin-guide/LSM/Yama.rst).
func (e *environment) yamaReason() (reason, remedy string) {
	if e.yama == 2 {
		return "Yama's ptrace_scope is 2: only a process with CAP_SYS_PTRACE may trace",
			"sudo sysctl kernel.yama.ptrace_scope=1"
	}
	return "Yama's ptrace_scope is 3: nothing may trace until the machine restarts",
		"set kernel.yama.ptrace_scope=1 in /etc/sysctl.d and restart the machine"
}

// refused explains an errno of a tracing call by what is known of the
// machine, most specific first.
func (e *environment) refused(what string, errno error) (Answer, string, string) {
	said := fmt.Sprintf("%s: %v", what, errno)
	switch errno {
	case unix.EPERM, unix.EACCES:
	case unix.ENOSYS, unix.EIO, unix.EINVAL:
		return Unsupported, said + ": this kernel, or the sandbox or emulator that plays it, does not have the call",
			"run pyrr directly on Linux, not under an emulator (qemu-user) or a sandbox (gVisor)"
	default:
		return Unknown, said, ""
	}
	switch {
	case e.tracer != 0:
		return Unsupported, fmt.Sprintf("%s: pyrr itself is being traced, by process %d", said, e.tracer),
			"run pyrr without the debugger or strace around it"
	case e.yama >= 2:
		reason, remedy := e.yamaReason()
		return Unsupported, said + ": " + reason, remedy
	case e.selinux:
		return Unsupported, said + ": SELinux's deny_ptrace is on", "sudo setsebool deny_ptrace off"
	case e.seccomp > 0:
		reason := said + ": the seccomp filter around this process forbids it"
		switch e.container {
		case "docker", "podman":
			return Unsupported, reason, e.container + " run --cap-add=SYS_PTRACE …"
		case "kubernetes":
			return Unsupported, reason, "securityContext: {capabilities: {add: [SYS_PTRACE]}}"
		}
		return Unsupported, reason, "start the container with a seccomp profile that permits ptrace, as Docker's own does since Linux 4.8"
	}
	return Unsupported, said + ": a security policy of this machine forbids it (see AppArmor, SELinux, dmesg)", ""
}
