package headroom

import (
	"runtime"
	"runtime/pprof"
	"sync"
)

// mostProcs is on how many processors at once a recorder runs Go code, and spare how many
// threads more it has at a time, which wait in the kernel for files and processes.
const mostProcs, spare = 8, 8

// KeepThreads makes all the threads that this process will need: Go's runtime never ends
// one. Where the program under test has used up what may be there (ulimit -u, pids.max of a
// control group), a thread could not be made later: Go's runtime would end the process for
// that, and the program with it.
func KeepThreads() {
	procs := min(runtime.GOMAXPROCS(0), mostProcs)
	if procs == mostProcs {
		runtime.GOMAXPROCS(procs)
	}
	makeThreads(procs + spare - pprof.Lookup("threadcreate").Count())
}

// makeThreads makes so many threads that have nothing to do.
func makeThreads(n int) {
	var all, over sync.WaitGroup
	all.Add(max(n, 0))
	for range n {
		over.Go(func() {
			runtime.LockOSThread() // one of its own, as long as it waits
			all.Done()
			all.Wait()
			runtime.UnlockOSThread()
		})
	}
	over.Wait()
}
