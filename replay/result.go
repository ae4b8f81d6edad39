package replay

import "pyrr/internal/recording"

// Result sums up a complete replay.
type Result struct {
	Procs        int
	Events       uint64
	Instructions uint64
	// Compiled is set where what CPython's JIT or tier two made ran, which is not counted.
	Compiled bool
	// Pages counts the pages that were compared by checksum.
	Pages uint64
	// Truncated is set where the recording of a process does not reach its
	// end; TruncatedAt is the position of the last event there was.
	Truncated   bool
	TruncatedAt recording.Pos
	Why         string
}
