package setup

import (
	"os"
	"os/signal"
	"syscall"
)

// HeedSignals has the programs that tests start heed SIGINT and SIGHUP. A script ignores
// the first for what it runs in the background, nohup(1) the second, and programs inherit
// that: Python raises no KeyboardInterrupt then.
func HeedSignals() {
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGHUP} {
		if signal.Ignored(sig) {
			signal.Notify(make(chan os.Signal, 1), sig) // which programs don't inherit
		}
	}
}
