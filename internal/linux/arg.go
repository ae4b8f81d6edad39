package linux

// ArgKind says how an argument is shown to people.
type ArgKind uint8

// The kinds of arguments.
const (
	Int         ArgKind = iota // signed, 32 bits
	Long                       // signed, 64 bits
	Uint                       // unsigned
	Hex                        // hexadecimal
	Size64                     // a length in bytes
	FD                         // a file descriptor
	DirFD                      // a directory's descriptor or AT_FDCWD
	Mode                       // permission bits, octal
	Pointer                    // an address of no further interest
	Path                       // a NUL-terminated path
	String                     // another NUL-terminated string
	OutString                  // bytes that the kernel writes, as many as the result
	InBytes                    // bytes that the kernel reads, as many as the next argument
	OutSockAddr                // a socket address that the kernel writes; its length is behind the next argument
	InSockAddr                 // a socket address that the kernel reads; its length is the next argument
	SockLen                    // the length of, or the pointer to the length of, the argument before
	OutInts                    // two ints that the kernel writes (pipe, socketpair)
	OutInt                     // an int that the kernel writes
	PollFDs                    // struct pollfd[]; their number is the next argument
	OutEpoll                   // struct epoll_event[] that the kernel writes, as many as the result
	InEpoll                    // struct epoll_event
	FDSet                      // fd_set of select
	Timespec                   // struct timespec
	Timeval                    // struct timeval
	TimerIn                    // struct itimerval or itimerspec that the kernel reads
	Milli                      // a time-out in ms, negative: none
	Sigset                     // sigset_t of 8 bytes
	Signo                      // a signal number
	Flags                      // bits, named by Set
	Enum                       // one value, named by Set
	WaitStatus                 // int that wait4 writes
	Errno32                    // an int that getsockopt(SO_ERROR) and the like write
	Iovecs                     // struct iovec[]
	Msg                        // struct msghdr
	Futex                      // a futex's address
	IoctlCode                  // an ioctl request
)

// Arg is one argument of a system call.
type Arg struct {
	Name string
	Kind ArgKind
	// Set names the values of Flags and Enum arguments.
	Set *FlagSet
}

// Arguments that many calls have.
var (
	aFD       = Arg{Name: "fd", Kind: FD}
	aDirFD    = Arg{Name: "dirfd", Kind: DirFD}
	aPath     = Arg{Name: "path", Kind: Path}
	aMode     = Arg{Name: "mode", Kind: Mode}
	aOut      = Arg{Name: "buf", Kind: OutString}
	aIn       = Arg{Name: "buf", Kind: InBytes}
	aCount    = Arg{Name: "count", Kind: Size64}
	aPID      = Arg{Name: "pid", Kind: Int}
	aSig      = Arg{Name: "sig", Kind: Signo}
	aUID      = Arg{Name: "uid", Kind: Int}
	aGID      = Arg{Name: "gid", Kind: Int}
	aOffset   = Arg{Name: "offset", Kind: Long}
	aAddr     = Arg{Name: "addr", Kind: Pointer}
	aLength   = Arg{Name: "length", Kind: Size64}
	aIov      = Arg{Name: "iov", Kind: Iovecs}
	aIovcnt   = Arg{Name: "iovcnt", Kind: Uint}
	aMask     = Arg{Name: "sigmask", Kind: Sigset}
	aMaskSize = Arg{Name: "sigsetsize", Kind: Size64}
)

func num(name string) Arg                { return Arg{Name: name, Kind: Int} }
func unum(name string) Arg               { return Arg{Name: name, Kind: Uint} }
func hex(name string) Arg                { return Arg{Name: name, Kind: Hex} }
func ptr(name string) Arg                { return Arg{Name: name, Kind: Pointer} }
func str(name string) Arg                { return Arg{Name: name, Kind: String} }
func path(name string) Arg               { return Arg{Name: name, Kind: Path} }
func size(name string) Arg               { return Arg{Name: name, Kind: Size64} }
func fd(name string) Arg                 { return Arg{Name: name, Kind: FD} }
func kind(name string, k ArgKind) Arg    { return Arg{Name: name, Kind: k} }
func flags(name string, s *FlagSet) Arg  { return Arg{Name: name, Kind: Flags, Set: s} }
func choice(name string, s *FlagSet) Arg { return Arg{Name: name, Kind: Enum, Set: s} }

func fixed(arg uint8, n uint32) Out         { return Out{Arg: arg, N: n} }
func perArg(arg, by uint8, n uint32) Out    { return Out{Arg: arg, Size: ByArg, By: by, N: n} }
func perRet(arg, limit uint8, n uint32) Out { return Out{Arg: arg, Size: ByRet, By: limit, N: n} }
func byLen(arg, by uint8, most uint32) Out  { return Out{Arg: arg, Size: ByLen, By: by, N: most} }
func vector(arg, count uint8) Out           { return Out{Arg: arg, Size: Vector, By: count} }
func special(arg uint8, what string) Out    { return Out{Arg: arg, Size: Special, What: what} }

func (o Out) always() Out      { o.When = Always; return o }
func (o Out) interrupted() Out { o.When = Interrupted; return o }
