//go:build !linux

package ptrace

import (
	"os"
	"time"

	"pyrr/internal/sys"
)

// Where there is no such ptrace, every call fails with sys.ErrElsewhere: readers of
// recordings build, and a replay says what it needs.

const (
	Options     = 0
	SyscallStop = sys.SIGTRAP | 0x80
	CloneFork   = 0
	CloneThread = 1
)

func Gone(error) bool                          { return false }
func Seize(int, uintptr) error                 { return sys.ErrElsewhere }
func Interrupt(int) error                      { return sys.ErrElsewhere }
func Cont(int, int) error                      { return sys.ErrElsewhere }
func Syscall(int, int) error                   { return sys.ErrElsewhere }
func Sysemu(int, int) error                    { return sys.ErrElsewhere }
func SysemuStep(int, int) error                { return sys.ErrElsewhere }
func Step(int, int) error                      { return sys.ErrElsewhere }
func Detach(int, int) error                    { return sys.ErrElsewhere }
func EventMsg(int) (uint64, error)             { return 0, sys.ErrElsewhere }
func GetSigInfo(int, *SigInfo) error           { return sys.ErrElsewhere }
func WaitFor(int) (int, sys.WaitStatus, error) { return 0, 0, sys.ErrElsewhere }
func Reap(int)                                 {}
func Kill(int)                                 {}
func KillTracee(int)                           {}
func Yield()                                   {}
func Event(sys.WaitStatus) int                 { return 0 }
func Describe(sys.WaitStatus) string           { return "" }
func ExitThread(int, uint64) error             { return sys.ErrElsewhere }
func StartStub(uint64, int) (int, error)       { return 0, sys.ErrElsewhere }
func ReadV(int, []Span) (int, error)           { return 0, sys.ErrElsewhere }
func WriteV(int, []Span) error                 { return sys.ErrElsewhere }
func Write(int, uint64, []byte) error          { return sys.ErrElsewhere }
func WriteU64(int, uint64, uint64) error       { return sys.ErrElsewhere }

func Inject(int, uint64, uint64, [6]uint64, func(sys.WaitStatus) error) (int64, error) {
	return 0, sys.ErrElsewhere
}

func Attend(time.Duration) (func(), error) { return nil, sys.ErrElsewhere }

// SigInfo is a siginfo_t.
type SigInfo [128]byte

func (*SigInfo) Signo() int     { return 0 }
func (*SigInfo) Code() int      { return 0 }
func (*SigInfo) Addr() uint64   { return 0 }
func (*SigInfo) Syscall() int32 { return 0 }

// Span is memory of a process.
type Span struct {
	Addr uint64
	Data []byte
}

// Mem would read a process.
type Mem int

func (Mem) ReadAt([]byte, uint64) error      { return sys.ErrElsewhere }
func (Mem) ReadBatch([][]byte, []uint64) int { return 0 }
func (Mem) ReadSome([]byte, uint64) int      { return 0 }

// FileMem would read one by its file.
type FileMem struct{}

func OpenMem(int) (FileMem, error)          { return FileMem{}, sys.ErrElsewhere }
func (FileMem) ReadAt([]byte, uint64) error { return sys.ErrElsewhere }
func (FileMem) Close() error                { return os.ErrClosed }
