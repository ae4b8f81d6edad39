// Package keeping records a command, a process or the regions of one, and keeps what
// the user asked for: cut to its test, verified by a replay, packed, and told in a line.
//
// It prints by the rules of package screen, and never changes how the command ends.
// Begin with Flags and Record.
package keeping

import (
	"time"

	"pyrr/internal/flagvalue"
	"pyrr/internal/recording"

	"github.com/spf13/pflag"
)

// Flags are the flags of pyrr record.
type Flags struct {
	Out       string
	Keep      string
	Timeout   time.Duration
	OnTimeout string
	Follow    string
	runs
	Verify  string
	Share   bool
	AVX512  bool
	CPUs    int
	Redact  string
	Secrets SecretFlags
	// pid is a process to record that runs already, and span for how long.
	pid  int
	span time.Duration
	// leashed: another process of pyrr's says when to let go of it.
	Leashed  bool
	instant  bool
	children bool // with pid: what runs Python below it too
	// region: only regions of this name are recorded.
	region string
	trialFlags
	KeepMax    int
	KeepSame   int
	VerifyTime time.Duration
	MaxSize    flagvalue.Size
	MaxTime    time.Duration
	Images     bool
	OrElse     bool
	Began      bool // the command may have been started
	// finisher: this process finishes recordings.
	Finisher bool
}

// trialFlags are hidden: they are for tests.
type trialFlags struct {
	Slice      uint64
	CallBuffer string
	Disable    []string
	From       uint64
}

// The values of --keep.
const (
	KeepAlways  = "always"
	KeepTimeout = "timeout"
	KeepFailure = "failure"
	KeepNever   = "never"
)

// The values of --verify.
const (
	VerifyReplay = "replay"
	VerifyFull   = "full"
	VerifyNone   = "none"
)

// checksumEvery is how many events lie between two checksums of all writable
// memory under --verify=full.
const checksumEvery = 500

// pack is how recordings are packed.
func (f *Flags) pack(dir, zip string) error {
	if f.Share {
		return recording.PackShared(dir, zip)
	}
	return recording.Pack(dir, zip)
}

// Kept says whether a recording is wanted.
func Kept(keep string, status int, timedOut bool) bool {
	switch keep {
	case KeepAlways:
		return true
	case KeepTimeout:
		return timedOut
	case KeepFailure:
		return timedOut || status != 0
	default:
		return false
	}
}

// DeclareProcess declares the flags of recording what runs already, or a part of a
// program.
func (f *Flags) DeclareProcess(fs *pflag.FlagSet) {
	fs.StringVar(&f.region, "from-mark", "", "record only what runs in regions of this `NAME`, each by itself\n(with pyrr_replay.region(NAME): in the program)")
	fs.Var(flagvalue.NewProcess(&f.pid), "pid", "record the process `PID`, which runs already, in place of CMD")
	fs.Var(flagvalue.NewDuration(&f.span), "for", "with --pid: for this `time`; the process goes on (default:\nuntil Ctrl-C, or its end)")
	fs.BoolVar(&f.children, "children", false, "with --pid: the Python processes below it too, each by itself\n(FILE.PID.pyrr.zip)")
	fs.BoolVar(&f.instant, "instant", false, "with --pid: where the process stands, and nothing of what it does then")
}

// The values of --call-buffer, which is for tests.
const (
	CallBufferOn    = "on"
	CallBufferPrctl = "prctl" // as on kernels from 5.11 to 6.3
	CallBufferOff   = "off"   // as before
)

// DeclareTrials declares the hidden flags.
func (f *Flags) DeclareTrials(fs *pflag.FlagSet) {
	fs.Uint64Var(&f.Slice, "slice", 0, "instructions that a thread runs before others may")
	fs.StringSliceVar(&f.Disable, "disable-syscall", nil, "treat these system calls as unknown")
	fs.Uint64Var(&f.From, "from-event", 0, "begin after so many events of the first process")
	flagvalue.ChoiceVar(fs, &f.CallBuffer, "call-buffer", "`how` system calls that can't wait are made", CallBufferOn, CallBufferPrctl, CallBufferOff)
	for _, name := range []string{"slice", "disable-syscall", "from-event", "call-buffer"} {
		if err := fs.MarkHidden(name); err != nil {
			panic(err) // declared above
		}
	}
}
