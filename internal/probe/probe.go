// Package probe finds out what this machine can do for pyrr by trying it: it
// starts a child, traces it and makes the kernel do each thing that the
// recorder and the replay need. `pyrr doctor` prints the answers, and tests
// skip by them.
// It changes nothing of the machine. Begin with Machine.
package probe

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
)

// Answer is the outcome of a probe. The zero value is Unknown, so a probe that
// was never made says so.
type Answer uint8

// The answers.
const (
	// Unknown: the attempt failed for a reason that says nothing about the
	// feature, or it could not be made.
	Unknown Answer = iota
	// Yes: it was tried and it worked.
	Yes
	// Unsupported: it was tried and the kernel, or a policy, refused it.
	Unsupported
)

func (a Answer) String() string {
	switch a {
	case Yes:
		return "yes"
	case Unsupported:
		return "unsupported"
	default:
		return "could not tell"
	}
}

// MarshalText makes the JSON form the printed one.
func (a Answer) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Need says what is lost without a feature.
type Need uint8

// The needs.
const (
	// NeedNothing: a fact about the machine, printed for bug reports.
	NeedNothing Need = iota
	// NeedSpeed: without it pyrr works, but slower.
	NeedSpeed
	// NeedRecord: without it nothing can be recorded here.
	NeedRecord
	// NeedReplay: without it nothing can be replayed here.
	NeedReplay
	// NeedBoth: without it nothing can be recorded or replayed here.
	NeedBoth
)

func (n Need) String() string {
	switch n {
	case NeedSpeed:
		return "speed"
	case NeedRecord:
		return "record"
	case NeedReplay:
		return "replay"
	case NeedBoth:
		return "record and replay"
	default:
		return "information"
	}
}

// MarshalText makes the JSON form the printed one.
func (n Need) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// The ids of the features, in the order of a Report.
const (
	Arch          = "arch"
	Kernel        = "kernel"
	Procfs        = "procfs"
	Yama          = "yama"
	Sandbox       = "sandbox"
	TraceMe       = "traceme"
	Seize         = "seize"
	ReadMemory    = "read-memory"
	WriteMemory   = "write-memory"
	ThreadState   = "thread-state"
	SyscallInfo   = "syscall-info"
	Dispatch      = "syscall-user-dispatch"
	Sysemu        = "sysemu"
	SeccompFilter = "seccomp-filter"
	VDSO          = "vdso"
	Pin           = "pin"
	Cores         = "cores"
	CPU           = "cpu"
)

// Feature is one answer with its grounds.
type Feature struct {
	ID     string `json:"id"`
	Title  string `json:"title"`
	Need   Need   `json:"needed_for"`
	Answer Answer `json:"answer"`
	// Value is what was found where the answer is more than yes or no.
	Value string `json:"value,omitempty"`
	// Reason says why the answer is not Yes.
	Reason string `json:"reason,omitempty"`
	// Remedy is what to do about it, a command where there is one.
	Remedy string `json:"remedy,omitempty"`
}

// Report holds the answers for this machine.
type Report struct {
	Features []Feature
}

// Feature returns the answer for an id. An id that was not probed is Unknown.
func (r *Report) Feature(id string) Feature {
	for _, f := range r.Features {
		if f.ID == id {
			return f
		}
	}
	return Feature{ID: id, Title: id, Reason: "not probed"}
}

// Missing lists the features that are needed for recording (or, with replay
// set, for replaying) and that this machine does not have for certain.
func (r *Report) Missing(replay bool) []Feature {
	own := NeedRecord
	if replay {
		own = NeedReplay
	}
	var out []Feature
	for _, f := range r.Features {
		if (f.Need == own || f.Need == NeedBoth) && f.Answer != Yes {
			out = append(out, f)
		}
	}
	return out
}

// CanRecord says whether everything that recording needs was seen to work.
func (r *Report) CanRecord() bool { return len(r.Missing(false)) == 0 }

// CanReplay says whether everything that replaying needs was seen to work.
func (r *Report) CanReplay() bool { return len(r.Missing(true)) == 0 }

// MarshalJSON adds the two verdicts to the list of features.
func (r *Report) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		CanRecord bool      `json:"can_record"`
		CanReplay bool      `json:"can_replay"`
		Features  []Feature `json:"features"`
	}{r.CanRecord(), r.CanReplay(), r.Features})
}

var machine = sync.OnceValue(probeMachine)

// Machine probes this machine once and returns the answers. It takes a few
// milliseconds and leaves nothing behind.
func Machine() *Report { return machine() }

// TB is the part of testing.TB that Require uses; naming it here keeps the
// testing package out of the program.
type TB interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// StrictEnv is the environment variable that turns the skips of Require into
// failures. A machine that is meant to support everything sets it, so that a
// lost feature cannot hide the tests that need it.
const StrictEnv = "PYRR_NO_SKIP"

// Require skips a test that needs features which this machine does not have,
// with the reason. Without ids it asks for all that recording and replaying
// need.
func Require(t TB, ids ...string) {
	t.Helper()
	require(t, Machine(), os.Getenv(StrictEnv) != "", ids)
}

func require(t TB, r *Report, strict bool, ids []string) {
	t.Helper()
	var missing []string
	for _, f := range r.Features {
		needed := slices.Contains(ids, f.ID)
		if len(ids) == 0 {
			needed = f.Need == NeedRecord || f.Need == NeedReplay || f.Need == NeedBoth
		}
		if needed && f.Answer != Yes {
			missing = append(missing, fmt.Sprintf("%s: %v: %s", f.Title, f.Answer, f.Reason))
		}
	}
	for _, id := range ids {
		if f := r.Feature(id); f.Reason == "not probed" {
			missing = append(missing, id+": not probed")
		}
	}
	if len(missing) == 0 {
		return
	}
	if strict {
		t.Fatalf("%s is set and this machine lacks: %s", StrictEnv, strings.Join(missing, "; "))
		return // a TB that does not end the goroutine
	}
	t.Skipf("this machine lacks: %s", strings.Join(missing, "; "))
}
