package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"

	"pyrr/capture"
	"pyrr/internal/recording"
)

// A session of pytest that ends reports the reasons of what was recorded in it.
// For that the recordings have to be finished (shortened, verified, packed) while
// the session still runs. Another process of pyrr does it, the finisher: the
// recorder waits for all processes of the program in one wait, which must not meet
// those of a replay. It is started with the first recording that is kept, gets
// their names on its standard input, and the plugin asks it by a socket.

// finishSocket is the name of the socket, in the folder of the plugin.
const finishSocket = "reasons"

// startFinisher is the argument of the process that starts the finisher.
const startFinisher = "start"

// oneReason is what the plugin gets to know of a recording.
type oneReason struct {
	Test      string `json:"test"`
	Outcome   string `json:"outcome"`
	Recording string `json:"recording"`
	// Reason is a sentence, "" where nothing hung.
	Reason string `json:"reason"`
}

// finished is what the finisher leaves for the recorder to print.
type finished struct {
	Dir  string
	Text string
}

// finisher is the recorder's end.
type finisher struct {
	u    *ui
	argv []string // of the process
	dir  string   // of the plugin

	mu      sync.Mutex
	started bool
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     bytes.Buffer
}

// newFinisher prepares one. f are the flags of pyrr record as given, fs knows
// which.
func newFinisher(u *ui, fs *pflag.FlagSet, dir string) *finisher {
	argv := []string{"pyrr", "record", "--finisher"}
	fs.Visit(func(f *pflag.Flag) {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				argv = append(argv, "--"+f.Name+"="+v)
			}
		} else {
			argv = append(argv, "--"+f.Name+"="+f.Value.String())
		}
	})
	return &finisher{u: u, argv: argv, dir: dir}
}

// begin starts the process, once. Without it recordings are finished when the
// command has ended, so an error costs only the report's reasons.
func (f *finisher) begin() {
	if f.started {
		return
	}
	f.started = true
	self, err := os.Executable()
	if err != nil {
		return
	}
	cmd := exec.Command(self)
	cmd.Args = append(slices.Clone(f.argv), startFinisher)
	cmd.Stdout = &f.out
	// The socket is there before the session goes on, so that a plugin that asks at
	// once finds it.
	socket, err := listenAt(filepath.Join(f.dir, finishSocket))
	if err != nil {
		return
	}
	defer socket.Close()
	cmd.ExtraFiles = []*os.File{socket}
	in, err := cmd.StdinPipe()
	if err != nil {
		return
	}
	if err := cmd.Start(); err != nil {
		return
	}
	f.cmd, f.in = cmd, in
}

// socketFD is the descriptor of the socket in the finisher.
const socketFD = 3

// listenAt makes a socket and returns its descriptor.
func listenAt(path string) (*os.File, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	defer l.Close()
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o777); err != nil { // tests may run as another user
		return nil, err
	}
	return l.File()
}

// finishMessage is a line that the finisher reads: a recording that is going to
// be kept, and then the same with what is in it.
type finishMessage struct {
	Coming string        `json:",omitempty"`
	Kept   *capture.Kept `json:",omitempty"`
	Err    string        `json:",omitempty"`
}

// keeping is capture.Tests.Keeping: it is called when a recording is to be kept,
// and what it returns when that is complete.
func (f *finisher) keeping(dir string) func(capture.Kept) {
	f.tell(&finishMessage{Coming: dir})
	return func(k capture.Kept) {
		m := &finishMessage{Kept: &k}
		if k.Err != nil {
			m.Err, k.Err = k.Err.Error(), nil
		}
		f.tell(m)
	}
}

func (f *finisher) tell(m *finishMessage) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.begin(); f.in == nil {
		return
	}
	b, err := json.Marshal(m)
	if err == nil {
		_, err = f.in.Write(append(b, '\n'))
	}
	if err != nil { // it has ended
		f.in.Close()
		f.in = nil
	}
}

// end waits for the process and returns what it finished: by the folder, what it
// had to say.
func (f *finisher) end() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := map[string]string{}
	if f.cmd == nil {
		return done
	}
	if f.in != nil {
		f.in.Close()
	}
	// This waits for the end of its output. What that holds is complete line by
	// line; how its parent ended the tracer may have learnt.
	_ = f.cmd.Wait()
	dec := json.NewDecoder(&f.out)
	for {
		var one finished
		if dec.Decode(&one) != nil {
			return done
		}
		done[one.Dir] = one.Text
	}
}

// finishServer is the finisher itself.
type finishServer struct {
	flags *recordFlags

	mu     sync.Mutex
	coming map[string]bool
	all    []*oneReason
	todo   []*capture.Kept
	reason map[*capture.Kept]*oneReason
	closed bool
	began  time.Time // when the first was
	change *sync.Cond
}

// serveFinisher finishes the recordings that are named on standard input, when it
// is asked for their reasons.
func serveFinisher(flags *recordFlags, args []string) error {
	if slices.Equal(args, []string{startFinisher}) {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		cmd := exec.Command(self)
		cmd.Args = os.Args[:len(os.Args)-1]
		cmd.Stdin, cmd.Stdout = os.Stdin, os.Stdout
		cmd.ExtraFiles = []*os.File{os.NewFile(socketFD, finishSocket)}
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
	s := &finishServer{flags: flags, coming: map[string]bool{}, reason: map[*capture.Kept]*oneReason{}}
	s.change = sync.NewCond(&s.mu)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.answer(c)
		}
	}()
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			break
		}
		var m finishMessage
		if err := json.Unmarshal(line, &m); err != nil {
			return fmt.Errorf("read what to finish: %w", err)
		}
		s.take(&m)
	}
	s.mu.Lock() // what is being finished is finished
	s.closed = true
	return nil
}

func (s *finishServer) take(m *finishMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
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
	for len(s.coming) > 0 {
		s.change.Wait()
	}
	for len(s.todo) > 0 && !s.closed {
		k := s.todo[0]
		s.todo = s.todo[1:]
		s.finish(k)
	}
	b, err := json.Marshal(s.all)
	if err == nil {
		_, _ = c.Write(b) // the plugin may have given up
	}
}

// finish finishes one recording.
func (s *finishServer) finish(k *capture.Kept) {
	var text bytes.Buffer
	u := &ui{out: io.Discard, err: &text, width: 80}
	packed := packedName(k.Dir)
	flags := s.flags
	if s.began.IsZero() {
		s.began = time.Now()
	} else if limit := flags.verifyTime; limit > 0 && flags.verify != verifyNone && time.Since(s.began) > limit {
		quick := *flags
		quick.verify = verifyNone
		flags = &quick
		u.note("%s: not verified and not cut: --verify-time %v was over", k.Test, limit)
	}
	finishTests(u, nil, flags, []capture.Kept{*k})
	one := &oneReason{Test: k.Test, Outcome: k.Outcome, Recording: packed}
	if rec, err := recording.Open(packed); err == nil {
		if k.Outcome == recording.EndTimeout || k.Outcome == "crashed" {
			one.Reason = sentenceOf(rec) // of a test that failed, pytest tells the exception
		}
		rec.Close()
	} else {
		one.Recording = k.Dir
	}
	s.all = append(s.all, one)
	if b, err := json.Marshal(finished{k.Dir, text.String()}); err == nil {
		os.Stdout.Write(append(b, '\n'))
	}
}

// sentenceOf says in one sentence why the test of a recording hung, or failed; ""
// where neither can be told.
func sentenceOf(rec *recording.Recording) string {
	all, err := endings(rec, true)
	if err != nil {
		return ""
	}
	v := reasonOf(rec, all)
	if v == nil {
		return ""
	}
	s := strings.TrimPrefix(strings.TrimSuffix(v.Sentence, "."), "No verdict: ")
	if w := v.Where; w != nil && !strings.Contains(s, fmt.Sprintf(":%d)", w.Line)) {
		s += fmt.Sprintf(" (%s:%d)", w.File, w.Line)
	}
	return cleanLine(s)
}
