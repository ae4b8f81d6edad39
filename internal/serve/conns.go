package serve

import (
	"net"
	"sync"
)

// few makes a listener that gives most connections at a time: further ones wait in the
// kernel's line until one is closed, which each is that says nothing for a while.
func few(l net.Listener, most int) net.Listener {
	return &fewListener{Listener: l, room: make(chan struct{}, most), done: make(chan struct{})}
}

type fewListener struct {
	net.Listener
	room chan struct{}
	done chan struct{}
	once sync.Once
}

func (l *fewListener) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &fewConn{Conn: c, free: sync.OnceFunc(func() { <-l.room })}, nil
}

func (l *fewListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return l.Listener.Close()
}

type fewConn struct {
	net.Conn
	free func()
}

func (c *fewConn) Close() error {
	err := c.Conn.Close()
	c.free()
	return err
}
