package headroom

import (
	"fmt"
	"runtime"
	"runtime/pprof"
	"sync"

	"pyrr/internal/hint"
)

// mostProcs is on how many processors at once a recorder runs Go code, and spare how many
// threads more it has at a time, which wait in the kernel for files and processes.
const mostProcs, spare = 8, 8

// KeepThreads makes all the threads that this process will need: Go's runtime never ends
// one. Where the program under test has used up what may be there (ulimit -u, pids.max of a
// control group), a thread could not be made later: Go's runtime would end the process for
// that, and the program with it. Where there is no room for them now, nor for a program,
// the error says so.
func KeepThreads() error {
	procs := min(runtime.GOMAXPROCS(0), mostProcs)
	if procs == mostProcs {
		runtime.GOMAXPROCS(procs)
	}
	if err := room(procs + spare); err != nil {
		return err
	}
	makeThreads(procs + spare)
	return nil
}

// ReplayThreads is the same for a replay, which makes its threads when it needs them.
func ReplayThreads() error { return room(min(runtime.GOMAXPROCS(0), mostProcs) + spare) }

// atStart is one more than how many threads could be made when pyrr began, 16 at most; 0
// where that is not known. cmd/pyrr writes it, where its user may not have many processes.
var atStart uint32

// Crammed makes Go's runtime do with fewer threads, where not many can be made.
func Crammed() {
	if atStart != 0 && atStart <= uint32(min(runtime.GOMAXPROCS(0), mostProcs)+spare) {
		runtime.GOMAXPROCS(1)
	}
}

// threads is how many this process has.
func threads() int { return pprof.Lookup("threadcreate").Count() }

// room says in an error where this process can't have so many threads, and another process.
func room(all int) error {
	if atStart != 0 && int(atStart) < min(all, 16) { // with the one that was there
		return Crowded(fmt.Errorf("pyrr needs %d threads and can have %d", all, atStart))
	}
	need := max(all-threads(), 0) + 1
	if made := spareThreads(need); made < need {
		return Crowded(fmt.Errorf("%d of %d threads and processes can be made", made, need))
	}
	return nil
}

// Crowded explains an error where the kernel makes no further thread or process.
func Crowded(err error) error {
	return hint.With(hint.Machinef("%v: too many processes are there, of this user or in this control group", err), "ulimit -u unlimited", "docker run --pids-limit …")
}

// makeThreads makes threads that have nothing to do, until there are so many.
func makeThreads(all int) {
	var over sync.WaitGroup
	end := make(chan bool)
	// Each keeps a thread for itself as long as it waits. The first get some that were there.
	for range all {
		if threads() >= all {
			break
		}
		there := make(chan bool)
		over.Go(func() {
			runtime.LockOSThread()
			close(there)
			<-end
			runtime.UnlockOSThread()
		})
		<-there
	}
	close(end)
	over.Wait()
}
