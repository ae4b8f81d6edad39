//go:build linux

package keeping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"pyrr/capture"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
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
	// Reason is a sentence, "" where nothing hung; Plain is it without values, for files
	// that others read.
	Reason string `json:"reason"`
	Plain  string `json:"plain"`
}

// finished is what the finisher leaves for the recorder: what to print of a
// recording, and what is known of it. Told says that the session's report has the reason.
type finished struct {
	Dir, Text string
	Why       string `json:",omitempty"`
	Told      bool   `json:",omitempty"`
	verified
}

// finisher is the recorder's end.
type finisher struct {
	u    *screen.UI
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
func newFinisher(u *screen.UI, fs *pflag.FlagSet, dir string) *finisher {
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

// end waits for the process and returns what it finished, by the folder.
func (f *finisher) end() map[string]finished {
	f.mu.Lock()
	defer f.mu.Unlock()
	done := map[string]finished{}
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
		if before, ok := done[one.Dir]; ok && one.Told {
			before.Told = true
			one = before
		}
		done[one.Dir] = one
	}
}

// sentencesOf say why the test of a recording hung, or failed, with values and without; ""
// where neither can be told.
func sentencesOf(rec *recording.Recording) (whole, plain string) {
	all, err := reason.Endings(rec, true)
	if err != nil {
		return "", ""
	}
	v := reason.Judge(rec, all)
	if v == nil {
		return "", ""
	}
	one := func(s string) string {
		s = strings.TrimPrefix(strings.TrimSuffix(s, "."), "No verdict: ")
		if w := v.Where; w != nil && !strings.Contains(s, fmt.Sprintf(":%d)", w.Line)) && !strings.Contains(s, fmt.Sprintf(":%d, for at most", w.Line)) {
			s += fmt.Sprintf(" (%s:%d)", fromHere(w.File), w.Line)
		}
		return printable.Line(s)
	}
	return one(v.Sentence), one(v.Plain)
}

// hasReason says whether there is something to say of a test that its runner does not: of
// one that failed it tells the exception.
func hasReason(k *capture.Kept) bool {
	return k.Outcome == recording.EndTimeout || k.Outcome == "crashed"
}

// sayWhy says in a line why something hung or crashed, where a sentence is given.
func sayWhy(u *screen.UI, sentence string) {
	if sentence != "" {
		u.Note("why: %s", sentence)
	}
}

// sayOf says why what a recording is of hung, if it did.
func sayOf(u *screen.UI, name string, hung bool) {
	if !hung {
		return
	}
	if rec, err := recording.Open(name); err == nil {
		why, _ := sentencesOf(rec)
		sayWhy(u, why)
		rec.Close()
	}
}

// fromHere is a file's name from the working directory, where it lies below.
func fromHere(file string) string {
	if here, err := os.Getwd(); err == nil {
		if name, err := filepath.Rel(here, file); err == nil && filepath.IsLocal(name) {
			return name
		}
	}
	return file
}
