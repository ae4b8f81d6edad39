package screen

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// OnInterrupt calls f when Ctrl-C is pressed or pyrr is asked to end, until
// the returned function is called.
func OnInterrupt(f func()) func() {
	ch := make(chan os.Signal, 1)
	signal.Notify(ch, syscall.SIGINT, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		select {
		case <-ch:
			f()
		case <-done:
		}
	}()
	return func() {
		signal.Stop(ch)
		close(done)
	}
}

// cleanups are to be made before pyrr ends early.
type cleanups struct {
	mu   sync.Mutex
	next int
	list map[int]func()
}

// Add registers a cleanup; the returned function makes it now.
func (c *cleanups) Add(f func()) (now func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.list == nil {
		c.list = map[int]func(){}
	}
	c.next++
	n := c.next
	c.list[n] = f
	return func() {
		c.mu.Lock()
		delete(c.list, n)
		c.mu.Unlock()
		f()
	}
}

// Run makes all cleanups that are left.
func (c *cleanups) Run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.list {
		f()
	}
	c.list = nil
}
