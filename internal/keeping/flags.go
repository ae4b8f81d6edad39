// Package keeping records a command, a process or the regions of one, and keeps what
// the user asked for: cut to its test, verified by a replay, packed, and told in a line.
//
// It prints by the rules of package screen, and never changes how the command ends.
// Begin with Flags and Record.
package keeping

import (
	"time"

	"pyrr/internal/cli"
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
	bounds
	part
	trialFlags
	hidden
	Began bool // the command may have been started
}

// bounds are how much is recorded, kept and verified.
type bounds struct {
	KeepMax    int
	KeepSame   int
	VerifyTime time.Duration
	MaxSize    flagvalue.Size
	MaxTime    time.Duration
}

// part is what is recorded in place of a command from its start.
type part struct {
	pid      int           // a process that runs already
	span     time.Duration // for how long
	instant  bool          // where it stands, and nothing of what it does then
	children bool          // what runs Python below it too
	region   string        // only regions of this name
}

// hidden are flags for pyrr's own use, and for tests.
type hidden struct {
	Leashed     bool // another process of pyrr's says when to let go of the one that is recorded
	Finisher    bool // this process finishes recordings
	OrElse      bool
	Within      bool   // the process to record waits for it, to run tests
	TellTimeout bool   // say only what --timeout is, with the project's settings
	DefaultKeep string // --keep where neither it nor a setting is given
	Images      bool
}

// NewFlags are the flags with their defaults.
func NewFlags() *Flags { return &Flags{bounds: bounds{VerifyTime: time.Minute}} }

// Declare declares the flags.
func (f *Flags) Declare(fs *pflag.FlagSet) {
	fs.StringVarP(&f.Out, "output", "o", "", "folder, or `FILE.pyrr.zip`, to keep the recording in\n(default recordings/NAME-ID.pyrr.zip)")
	flagvalue.ChoiceVar(fs, &f.Keep, "keep", "`when` to keep the recording: always (default), timeout, failure\n(any exit status but 0, or a time-out), never; under pytest,\nof each test",
		KeepAlways, KeepTimeout, KeepFailure, KeepNever)
	fs.IntVar(&f.KeepMax, "keep-max", 20, "keep the recordings of at most so many tests; 0 is all\n(default 20)")
	fs.IntVar(&f.KeepSame, "keep-same", 3, "of tests that failed by the same exception at the same line,\nkeep at most so many; 0 is all (default 3)")
	fs.Var(flagvalue.NewDuration(&f.VerifyTime), "verify-time", "after CMD has ended, check recordings of tests no longer than\nthis `time` (default 1m); before, it takes a quarter of one\nprocessor")
	fs.Var(&f.MaxSize, "max-size", "stop recording, not CMD, when the events take more than this `size`")
	fs.Var(flagvalue.NewDuration(&f.MaxTime), "max-time", "stop recording, not CMD, after this `time`")
	fs.Var(flagvalue.NewDuration(&f.Timeout), "timeout", "end CMD, or a test, after this `time`: 30, 2.5s, 5m")
	flagvalue.ChoiceVar(fs, &f.OnTimeout, "on-timeout", "`how` to end it: interrupt (SIGINT, after 5 s SIGKILL; default)\nor kill (SIGKILL)",
		"interrupt", "kill")
	flagvalue.ChoiceVar(fs, &f.Follow, "follow", "`which` child processes to record: python (default) or all",
		"python", "all")
	f.DeclareRuns(fs)
	flagvalue.ChoiceVar(fs, &f.Verify, "verify", "`how` to check the recording afterwards: by a replay (default),\nfull: with checksums of memory too, or none",
		VerifyReplay, VerifyFull, VerifyNone)
	flagvalue.ChoiceVar(fs, &f.Redact, "redact", "`when` to replace known secrets before packing: auto (default:\nwhere CI is set, or a secret is named), always, never",
		RedactAuto, RedactAlways, RedactNever)
	f.Secrets.Declare(fs)
	f.DeclareProcess(fs)
	fs.IntVar(&f.CPUs, "cpus", 0, "show native libraries `N` processors, which decides how many\nthreads they start; 0 is all (default). Python sees what there is")
	fs.BoolVar(&f.AVX512, "avx512", false, "let the program use AVX-512, where there is some; the recording\nreplays only where there is some too")
	f.DeclareTrials(fs)
	f.hidden.declare(fs)
}

func (h *hidden) declare(fs *pflag.FlagSet) {
	fs.BoolVar(&h.Images, "image-times", false, "say how long the program stood still for images")
	fs.BoolVar(&h.Finisher, "finisher", false, "finish recordings, and answer at an inherited socket")
	fs.BoolVar(&h.Leashed, "leashed", false, "let go of the process when an inherited pipe is closed")
	fs.StringVar(&h.DefaultKeep, "default-keep", "", "--keep where neither it nor a setting is given")
	fs.BoolVar(&h.OrElse, "or-else-run", false, "run CMD unrecorded where it can't be recorded")
	fs.BoolVar(&h.Within, "within", false, "with --pid: of a process that asks for it, and is going to run tests")
	fs.BoolVar(&h.TellTimeout, "tell-timeout", false, "print --timeout in seconds, and record nothing")
	fs.String(cli.SettingsFrom, ".", "the folder whose settings count")
	for _, name := range []string{"or-else-run", "within", "tell-timeout", cli.SettingsFrom, "default-keep", "finisher", "leashed", "instant", "image-times"} {
		if err := fs.MarkHidden(name); err != nil {
			panic(err) // declared above
		}
	}
}

// trialFlags are hidden: they are for tests.
type trialFlags struct {
	Slice      uint64
	CallBuffer string
	Disable    []string
	From       uint64
	Checksums  bool
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
	fs.BoolVar(&f.Checksums, "checksums", false, "record checksums of memory as --verify=full does, for a later replay")
	flagvalue.ChoiceVar(fs, &f.CallBuffer, "call-buffer", "`how` system calls that can't wait are made", CallBufferOn, CallBufferPrctl, CallBufferOff)
	for _, name := range []string{"slice", "disable-syscall", "from-event", "call-buffer", "checksums"} {
		if err := fs.MarkHidden(name); err != nil {
			panic(err) // declared above
		}
	}
}
