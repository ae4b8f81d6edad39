//go:build linux

package keeping

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/capture"
	"pyrr/internal/headroom"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// While the command runs, recordings are finished beside it, one by one, and take a
// quarter of a processor: where others want it, by a nice value whose weight is a
// third of the default's (sched(7)), and on average, by pauses between them. Of tests
// that failed alike the first has to be verified; of the others those whose turn
// comes within the share. When the command has ended, --verify-time bounds the rest.
const (
	finishShare = 4
	finishNice  = 5
)

// verified says how far a recording was finished.
type verified struct {
	Reason string // of its test's failure
	Exact  bool   // it was cut and replays exactly
	Alike  bool   // it was not looked at: another one with its reason is exact
	Late   bool   // it was not looked at: --verify-time was over
}

// verifying decides which recordings are cut and verified.
type verifying struct {
	f     *Flags
	since time.Time // when the command, or its session, ended; zero before
	exact map[string]bool
}

// flags are those to finish a recording with. spare says whether there is time for
// a recording that could be missed, since there is another one like it.
func (v *verifying) flags(k *capture.Kept, spare bool, what *verified) *Flags {
	what.Reason = k.Reason
	if v.f.Verify == VerifyNone {
		return v.f
	}
	limit := v.f.VerifyTime
	what.Alike = !spare && k.Reason != "" && v.exact[k.Reason]
	what.Late = !what.Alike && limit > 0 && !v.since.IsZero() && time.Since(v.since) > limit
	if !what.Alike && !what.Late {
		return v.f
	}
	quick := *v.f
	quick.Verify = VerifyNone
	return &quick
}

// learn notes what was found of one.
func (v *verifying) learn(w *verified) {
	if w.Exact && w.Reason != "" {
		v.exact[w.Reason] = true
	}
}

// finishServer is the finisher itself.
type finishServer struct {
	mu     sync.Mutex
	coming map[string]bool
	told   map[string]bool // finished, and the session not told of it yet
	all    []*oneReason
	todo   []*capture.Kept
	busy   bool // one is being finished beside the command
	closed bool
	start  time.Time
	in     int    // what the recorder writes to
	rest   []byte // of a message that has not come as a whole
	verifying
	change *sync.Cond
}

// boundMemory holds the finisher's memory within bounds: it is there beside the command. What
// a test needs comes at once, and much of it: with room for 8 MiB a seventh of the finisher's
// time went into collections.
func boundMemory() {
	const garbage = 400 // percent, as for all commands
	const room = 32 << 20
	memory, _ := headroom.BoundHeap(garbage, room)
	for now := range time.Tick(time.Second / 4) {
		memory.Check(now)
	}
}

// ServeFinisher finishes the recordings that are named on standard input, when it
// is asked for their reasons.
func ServeFinisher(flags *Flags, args []string) error {
	if probe.Elsewhere {
		return probe.Cannot("record")
	}
	if slices.Equal(args, []string{startFinisher}) {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(self)
		cmd.Args = os.Args[:len(os.Args)-1]
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
		cmd.ExtraFiles = []*os.File{os.NewFile(socketFD, finishSocket)}
		// A child has the nice value of the thread that makes it.
		runtime.LockOSThread()
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, finishNice); err != nil {
			return fmt.Errorf("be nicer: %w", err)
		}
		return cmd.Start()
	}
	// The recorder minds these, and its end is ours. Not ignored: programs that are
	// started would inherit that.
	signal.Notify(make(chan os.Signal, 1), unix.SIGINT, unix.SIGTERM)
	l, err := net.FileListener(os.NewFile(socketFD, finishSocket))
	if err != nil {
		return err
	}
	defer l.Close()
	s := newFinishServer(flags, int(os.Stdin.Fd()))
	go boundMemory()
	go s.beside()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.answer(c)
		}
	}()
	for open := true; open; {
		if _, err := unix.Poll(s.unread(), -1); err != nil && err != unix.EINTR {
			return fmt.Errorf("wait for what to finish: %w", err)
		}
		s.mu.Lock()
		open, err = s.read()
		s.mu.Unlock()
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.closed = true
	for s.busy { // what is being finished is finished
		s.change.Wait()
	}
	return nil
}

// beside finishes recordings while the command runs.
func (s *finishServer) beside() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for len(s.todo) == 0 {
			s.change.Wait()
		}
		if wait := s.ahead(); wait > 0 {
			s.mu.Unlock()
			time.Sleep(min(wait, time.Second))
			s.mu.Lock()
			continue
		}
		if s.closed {
			return
		}
		k := s.next()
		s.busy = true
		s.mu.Unlock()
		one, what, text := s.finish(k, true)
		s.mu.Lock()
		s.busy = false
		s.tell(k, one, what, text)
		s.change.Broadcast()
	}
}

// ahead is how long to wait until what was used is the share of what has passed.
func (s *finishServer) ahead() time.Duration {
	return finishShare*processorTime() - time.Since(s.start)
}

// processorTime is what this process and its children have used.
func processorTime() time.Duration {
	var sum time.Duration
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}

// next takes the recording to finish next: one of whose reason there is none.
func (s *finishServer) next() *capture.Kept {
	i := max(0, slices.IndexFunc(s.todo, func(k *capture.Kept) bool { return k.Reason == "" || !s.exact[k.Reason] }))
	k := s.todo[i]
	s.todo = slices.Delete(s.todo, i, i+1)
	return k
}

func newFinishServer(flags *Flags, in int) *finishServer {
	s := &finishServer{coming: map[string]bool{}, told: map[string]bool{}, start: time.Now(), in: in, verifying: verifying{f: flags, exact: map[string]bool{}}}
	s.change = sync.NewCond(&s.mu)
	return s
}

func (s *finishServer) unread() []unix.PollFd {
	return []unix.PollFd{{Fd: int32(s.in), Events: unix.POLLIN}}
}

// read takes what the recorder has written so far; false says that it has ended. Nobody is
// answered meanwhile.
func (s *finishServer) read() (bool, error) {
	part := make([]byte, 1<<16)
	for {
		n, err := unix.Poll(s.unread(), 0)
		if n == 0 && err == nil {
			return true, nil
		}
		if err == nil {
			n, err = unix.Read(s.in, part)
		}
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return false, fmt.Errorf("read what to finish: %w", err)
		case n == 0:
			return false, nil
		}
		s.rest = append(s.rest, part[:n]...)
		for line, rest, whole := bytes.Cut(s.rest, []byte("\n")); whole; line, rest, whole = bytes.Cut(s.rest, []byte("\n")) {
			s.rest = rest
			var m finishMessage
			if err := json.Unmarshal(line, &m); err != nil {
				return false, fmt.Errorf("read what to finish: %w", err)
			}
			s.take(&m)
		}
	}
}

func (s *finishServer) take(m *finishMessage) {
	switch k := m.Kept; {
	case m.Coming != "":
		s.coming[m.Coming] = true
	case k != nil:
		delete(s.coming, k.Dir)
		if m.Err != "" {
			k.Err = errors.New(m.Err)
		}
		s.todo = append(s.todo, k)
		s.change.Broadcast()
	}
}

// answer finishes what there is and tells all reasons.
func (s *finishServer) answer(c net.Conn) {
	defer c.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	// The recorder has written of a recording before the session could ask for it.
	if _, err := s.read(); err != nil {
		return
	}
	for len(s.coming) > 0 || s.busy {
		s.change.Wait()
	}
	s.since = time.Now()
	for len(s.todo) > 0 && !s.closed {
		k := s.next()
		one, what, text := s.finish(k, s.ahead() <= 0)
		s.tell(k, one, what, text)
	}
	s.since = time.Time{}
	b, err := json.Marshal(s.all)
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		return // the plugin may have given up
	}
	for dir := range s.told {
		s.note(&finished{Dir: dir, Told: true})
	}
	clear(s.told)
}

// finish finishes one recording. Nobody else does meanwhile.
func (s *finishServer) finish(k *capture.Kept, spare bool) (*oneReason, verified, string) {
	var text bytes.Buffer
	var what verified
	u := &screen.UI{Out: io.Discard, Err: &text, StatusWidth: 80}
	finishTest(u, s.flags(k, spare, &what), k)
	one := &oneReason{Test: k.Test, Outcome: k.Outcome, Recording: made(packedName(k.Dir), k.Dir)}
	rec, err := recording.Open(one.Recording)
	if err != nil {
		return one, what, text.String()
	}
	defer rec.Close()
	what.Exact = isExact(rec)
	if hasReason(k) {
		one.Reason, one.Plain = sentencesOf(rec)
	}
	return one, what, text.String()
}

// tell notes what was finished, for the plugin and for the recorder.
func (s *finishServer) tell(k *capture.Kept, one *oneReason, what verified, text string) {
	s.learn(&what)
	s.all = append(s.all, one)
	s.told[k.Dir] = true
	s.note(&finished{Dir: k.Dir, Text: text, Why: one.Reason, verified: what})
}

// note writes a line for the recorder.
func (s *finishServer) note(f *finished) {
	if b, err := json.Marshal(f); err == nil {
		os.Stdout.Write(append(b, '\n'))
	}
}

// isExact reports whether a replay has shown a recording to be exact.
func isExact(rec *recording.Recording) bool {
	sum, ok := rec.Summary()
	return ok && sum.Verified == "exact"
}
