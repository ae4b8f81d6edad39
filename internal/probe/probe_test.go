//go:build linux && amd64

package probe

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// TestMachine holds that on this machine, where the program's own tests
// trace, every trial gives a definite answer and leaves no child behind.
func TestMachine(t *testing.T) {
	r := Machine()
	want := []string{
		Arch, Kernel, Procfs, Yama, Sandbox,
		TraceMe, Seize, ReadMemory, WriteMemory, ThreadState, SyscallInfo, Dispatch, Sysemu, SeccompFilter,
		VDSO, Pin, Cores, CPU,
	}
	var got []string
	for _, f := range r.Features {
		got = append(got, f.ID)
		t.Logf("%-14s %-14v %-20s %s %s", f.ID, f.Answer, f.Value, f.Reason, f.Remedy)
		if f.Answer != Yes && f.Reason == "" {
			t.Errorf("%s: %v without a reason", f.ID, f.Answer)
		}
		if f.Answer == Yes && f.Reason != "" {
			t.Errorf("%s: yes, and yet a reason: %s", f.ID, f.Reason)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("features (-want +got):\n%s", diff)
	}
	var ws unix.WaitStatus
	if pid, err := unix.Wait4(-1, &ws, unix.WALL|unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("a child is left: wait4 gave %d, %v", pid, err)
	}
}

// TestAgainstStrace compares the trials with a program that traces: where
// gdb or strace can trace a child, the probe must say so too, and the other
// way round.
func TestAgainstStrace(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	out, err := exec.Command(strace, "-o", os.DevNull, "true").CombinedOutput()
	if got := Machine().Feature(TraceMe).Answer; (err == nil) != (got == Yes) {
		t.Errorf("strace: %v %s; the probe: %v", err, out, got)
	}
}

// helperEnv makes the test binary act as a process under some restriction.
const helperEnv = "PYRR_PROBE_HELPER"

func TestMain(m *testing.M) {
	switch os.Getenv(helperEnv) {
	case "":
		os.Exit(m.Run())
	case "report":
		if err := json.NewEncoder(os.Stdout).Encode(probeMachine()); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	default:
		// deny:NR installs a seccomp filter under which syscall NR gives
		// EPERM, as a container's profile does, and probes.
		var nr uint32
		if _, err := fmt.Sscanf(os.Getenv(helperEnv), "deny:%d", &nr); err != nil {
			panic(err)
		}
		denySyscall(nr)
		if err := json.NewEncoder(os.Stdout).Encode(probeMachine()); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// TestUnderSeccomp puts the probe under a container-like filter and expects
// it to name the filter and what it forbids.
func TestUnderSeccomp(t *testing.T) {
	require(t, Machine(), false, []string{TraceMe, SeccompFilter})
	tests := []struct {
		name   string
		deny   int
		id     string
		want   Answer
		reason string
		others map[string]Answer
	}{
		{"ptrace", unix.SYS_PTRACE, TraceMe, Unsupported, "seccomp filter",
			map[string]Answer{Seize: Unknown, Sysemu: Unknown, Sandbox: Yes, Kernel: Yes}},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, ReadMemory, Unsupported, "seccomp filter",
			map[string]Answer{TraceMe: Yes, Seize: Yes, WriteMemory: Yes, Sysemu: Yes, SeccompFilter: Yes}},
		{"seccomp", unix.SYS_SECCOMP, SeccompFilter, Unsupported, "seccomp filter",
			map[string]Answer{TraceMe: Yes, Sysemu: Yes}},
		{"sched_setaffinity", unix.SYS_SCHED_SETAFFINITY, Pin, Unsupported, "sched_setaffinity",
			map[string]Answer{TraceMe: Yes}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := probeIn(t, fmt.Sprintf("deny:%d", tt.deny))
			f := got.Feature(tt.id)
			if f.Answer != tt.want || !strings.Contains(f.Reason, tt.reason) {
				t.Errorf("%s: %v, %q; want %v with %q", tt.id, f.Answer, f.Reason, tt.want, tt.reason)
			}
			for id, want := range tt.others {
				if f := got.Feature(id); f.Answer != want {
					t.Errorf("%s: %v (%s), want %v", id, f.Answer, f.Reason, want)
				}
			}
			if tt.id != Pin && got.CanRecord() && got.CanReplay() {
				t.Error("the report says that everything works")
			}
		})
	}
}

// TestUnderStrace expects the probe to notice that it is being traced
// itself: strace -f takes its children.
func TestUnderStrace(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	require(t, Machine(), false, []string{TraceMe})
	cmd := exec.Command(strace, "-f", "-o", os.DevNull, os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"=report")
	f := decodeReport(t, cmd).Feature(TraceMe)
	if f.Answer != Unsupported || !strings.Contains(f.Reason, "being traced") {
		t.Errorf("under strace: %v, %q", f.Answer, f.Reason)
	}
}

func probeIn(t *testing.T, helper string) *Report {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), helperEnv+"="+helper, "KUBERNETES_SERVICE_HOST=")
	return decodeReport(t, cmd)
}

func decodeReport(t *testing.T, cmd *exec.Cmd) *Report {
	t.Helper()
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd.Args, err)
	}
	var got struct {
		Features []struct{ ID, Answer, Needed_for, Reason, Value string }
	}
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	answers := map[string]Answer{"yes": Yes, "unsupported": Unsupported, "could not tell": Unknown}
	needs := map[string]Need{"speed": NeedSpeed, "record": NeedRecord, "replay": NeedReplay,
		"record and replay": NeedBoth, "information": NeedNothing}
	r := &Report{}
	for _, f := range got.Features {
		a, ok := answers[f.Answer]
		n, ok2 := needs[f.Needed_for]
		if !ok || !ok2 {
			t.Fatalf("unknown word in %+v", f)
		}
		r.Features = append(r.Features, Feature{ID: f.ID, Answer: a, Need: n, Reason: f.Reason, Value: f.Value})
	}
	return r
}

// TestRefused holds the explanations of each cause of a refusal.
func TestRefused(t *testing.T) {
	tests := []struct {
		name   string
		env    environment
		errno  unix.Errno
		want   Answer
		reason string
		remedy string
	}{
		{"traced", environment{tracer: 7, yama: 2, seccomp: 2}, unix.EPERM, Unsupported, "traced, by process 7", "without the debugger"},
		// What a kernel with Yama itself answers: scripts/elsewhere.sh yama.
		{"yama 2", environment{yama: 2, seccomp: 2}, unix.EPERM, Unsupported, "ptrace_scope is 2", "sysctl kernel.yama.ptrace_scope=1"},
		{"yama 3", environment{yama: 3}, unix.EPERM, Unsupported, "until the machine restarts", "restart"},
		{"selinux", environment{yama: -1, selinux: true}, unix.EACCES, Unsupported, "deny_ptrace", "setsebool"},
		{"docker", environment{yama: 1, seccomp: 2, container: "docker"}, unix.EPERM, Unsupported, "seccomp filter", "docker run --cap-add=SYS_PTRACE"},
		{"kubernetes", environment{yama: 1, seccomp: 2, container: "kubernetes"}, unix.EPERM, Unsupported, "seccomp filter", "securityContext"},
		{"unnamed container", environment{yama: 1, seccomp: 2}, unix.EPERM, Unsupported, "seccomp filter", "seccomp profile"},
		{"other policy", environment{yama: 1}, unix.EPERM, Unsupported, "security policy", ""},
		{"emulator", environment{yama: -1}, unix.ENOSYS, Unsupported, "emulator", "qemu-user"},
		{"chance", environment{yama: -1}, unix.EAGAIN, Unknown, "resource temporarily unavailable", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, reason, remedy := tt.env.refused("PTRACE_TRACEME", tt.errno)
			if a != tt.want || !strings.Contains(reason, tt.reason) || !strings.Contains(remedy, tt.remedy) {
				t.Errorf("got %v, %q, %q", a, reason, remedy)
			}
			if !strings.HasPrefix(reason, "PTRACE_TRACEME: ") {
				t.Errorf("the reason does not start with what was tried: %q", reason)
			}
		})
	}
}

func TestEnvironmentFeatures(t *testing.T) {
	tests := []struct {
		name string
		env  environment
		id   string
		want Answer
	}{
		{"new kernel", environment{release: "6.18.44-fc", machine: "x86_64"}, Kernel, Yes},
		{"just new enough", environment{release: "5.3.0-64-generic"}, Kernel, Yes},
		{"too old", environment{release: "4.18.0-553.el8"}, Kernel, Unsupported},
		{"just too old", environment{release: "5.2.21"}, Kernel, Unsupported},
		{"strange kernel", environment{release: "unknown"}, Kernel, Unknown},
		{"arch", environment{machine: "x86_64"}, Arch, Yes},
		{"strange arch", environment{machine: "i686"}, Arch, Unknown},
		{"rosetta", environment{machine: "x86_64", rosetta: true}, Arch, Unsupported},
		{"no proc", environment{procErr: os.ErrNotExist}, Procfs, Unsupported},
		{"no yama", environment{yama: -1}, Yama, Yes},
		{"yama 1", environment{yama: 1}, Yama, Yes},
		{"yama 2", environment{yama: 2}, Yama, Unsupported},
		{"yama unreadable", environment{yama: -1, yamaErr: os.ErrPermission}, Yama, Unknown},
		{"seccomp unknown", environment{seccomp: -1}, Sandbox, Unknown},
		{"seccomp filter", environment{seccomp: 2}, Sandbox, Yes},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &Report{Features: tt.env.features()}
			if f := r.Feature(tt.id); f.Answer != tt.want {
				t.Errorf("%s: %v (%s), want %v", tt.id, f.Answer, f.Reason, tt.want)
			}
		})
	}
}

func TestCPULevel(t *testing.T) {
	v2 := "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"
	v3 := v2 + " avx avx2 bmi1 bmi2 f16c fma abm movbe"
	v4 := v3 + " avx512f avx512bw avx512cd avx512dq avx512vl"
	tests := []struct {
		name  string
		flags string
		want  int
	}{
		{"baseline", "fpu sse sse2", 1},
		{"v2", v2, 2},
		{"v3", v3, 3},
		{"v3 without movbe", strings.Replace(v3, "movbe", "", 1), 2},
		{"v4", v4, 4},
		{"avx512 without avx2", strings.Replace(v4, "avx2", "", 1), 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := CPULevel(strings.Fields(tt.flags)); got != tt.want {
				t.Errorf("level %d, want %d", got, tt.want)
			}
		})
	}
}

// fakeTB records what Require does to a test.
type fakeTB struct{ skipped, failed string }

func (f *fakeTB) Helper()                   {}
func (f *fakeTB) Skipf(s string, a ...any)  { f.skipped = fmt.Sprintf(s, a...) }
func (f *fakeTB) Fatalf(s string, a ...any) { f.failed = fmt.Sprintf(s, a...) }

func TestRequire(t *testing.T) {
	r := &Report{Features: []Feature{
		{ID: TraceMe, Title: "trace", Need: NeedBoth, Answer: Yes},
		{ID: Sysemu, Title: "sysemu", Need: NeedReplay, Answer: Unsupported, Reason: "because"},
		{ID: VDSO, Title: "vdso", Need: NeedSpeed, Answer: Unknown, Reason: "unclear"},
	}}
	tests := []struct {
		name       string
		strict     bool
		ids        []string
		skip, fail string
	}{
		{"present", false, []string{TraceMe}, "", ""},
		{"missing", false, []string{Sysemu}, "because", ""},
		{"missing, strict", true, []string{Sysemu}, "", "because"},
		{"present, strict", true, []string{TraceMe}, "", ""},
		{"everything", false, nil, "because", ""},
		{"never probed", false, []string{"nonesuch"}, "nonesuch", ""},
		{"speed only when asked for", false, []string{VDSO}, "unclear", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f fakeTB
			require(&f, r, tt.strict, tt.ids)
			if !strings.Contains(f.skipped, tt.skip) || (f.skipped != "") != (tt.skip != "") {
				t.Errorf("skipped %q, want %q", f.skipped, tt.skip)
			}
			if !strings.Contains(f.failed, tt.fail) || (f.failed != "") != (tt.fail != "") {
				t.Errorf("failed %q, want %q", f.failed, tt.fail)
			}
		})
	}
}

func TestVerdicts(t *testing.T) {
	r := &Report{Features: []Feature{
		{ID: TraceMe, Need: NeedBoth, Answer: Yes},
		{ID: Seize, Need: NeedRecord, Answer: Yes},
		{ID: Sysemu, Need: NeedReplay, Answer: Unknown},
		{ID: VDSO, Need: NeedSpeed, Answer: Unsupported},
	}}
	if !r.CanRecord() || r.CanReplay() {
		t.Errorf("record %v, replay %v; want true, false", r.CanRecord(), r.CanReplay())
	}
}
