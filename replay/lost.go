package replay

import (
	"errors"
	"fmt"
	"io"

	unix "pyrr/internal/sys"

	"pyrr/internal/linux"
	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// LostFileError says that a replay can't go on, as the program needs bytes of a mapped
// file that are not in the recording. Up to there it was exact.
type LostFileError struct {
	Process int
	Pos     recording.Pos
	File    *recording.NotKeptError
}

func (e *LostFileError) Error() string {
	return fmt.Sprintf("process %d was exact up to event %d, instruction %d; there it needs bytes of %.200s that are not in the recording: %v",
		e.Process, e.Pos.Event, e.Pos.Instr, e.File.File.Path, e.File)
}

func (e *LostFileError) Unwrap() error { return e.File }

// lost is the error of a thread that stopped by a fault because a file was not kept as
// far as it is mapped, nil for any other stop. Where the program itself came to the end of
// its file, the log says so.
func (p *Process) lost(t *Thread, sig unix.Signal, count uint64) error {
	var info ptrace.SigInfo
	if sig != unix.SIGBUS || ptrace.GetSigInfo(t.tid, &info) != nil {
		return nil
	}
	kept, err := p.notKept(info.Addr())
	if kept == nil || err != nil {
		return err
	}
	at := recording.Pos{Instr: count, Event: p.Number}
	if !p.calls.empty() { // some of which it has not come to
		made, err := p.calls.feed.Made(p.Mem())
		if err != nil {
			return err
		}
		at.Event -= uint64(max(len(p.calls.want)-made, 0))
	}
	return &LostFileError{p.Info.ID, at, kept}
}

// notKept says of the file that is mapped at an address that it was not kept as a whole;
// nil where it was, or where there is none.
func (p *Process) notKept(addr uint64) (*recording.NotKeptError, error) {
	maps, err := linux.ReadMaps(p.pid)
	if err != nil {
		return nil, err
	}
	for _, m := range maps {
		if addr < m.Start || addr >= m.End || m.Ino == 0 {
			continue
		}
		for id, fd := range p.s.files {
			var st unix.Stat_t
			if unix.Fstat(fd, &st) != nil || st.Ino != m.Ino || st.Dev != m.Dev {
				continue
			}
			file, _, err := p.s.rec.ReadFile(id)
			if c, ok := file.(io.Closer); ok {
				c.Close()
			}
			if kept, ok := errors.AsType[*recording.NotKeptError](err); ok {
				return kept, nil
			}
		}
	}
	return nil, nil
}
