//go:build linux && amd64

package keeping

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"pyrr/capture"
	"pyrr/internal/screen"
)

// Which recordings are looked at: the first of a reason always, others like it while
// there is time to spare, and none once --verify-time is over.
func TestVerifying(t *testing.T) {
	const limit = time.Minute
	for _, test := range []struct {
		name        string
		reason      string
		exact       bool // one with this reason is
		spare       bool
		ended       time.Duration // how long ago; 0 is not yet
		limit       time.Duration
		alike, late bool
	}{
		{name: "first of its reason", reason: "E a:1", limit: limit},
		{name: "first of its reason, command over", reason: "E a:1", ended: time.Second, limit: limit},
		{name: "another, with time to spare", reason: "E a:1", exact: true, spare: true, limit: limit},
		{name: "another, without", reason: "E a:1", exact: true, limit: limit, alike: true},
		{name: "the first was not exact", reason: "E a:1", ended: time.Second, limit: limit},
		{name: "time-outs have no reason", exact: true, limit: limit},
		{name: "time is over", reason: "E a:1", spare: true, ended: time.Hour, limit: limit, late: true},
		{name: "no limit", reason: "E a:1", ended: time.Hour},
		{name: "another, time over", reason: "E a:1", exact: true, ended: time.Hour, limit: limit, alike: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			flags := &Flags{Verify: VerifyReplay, bounds: bounds{VerifyTime: test.limit}}
			v := verifying{f: flags, exact: map[string]bool{}}
			v.learn(&verified{Reason: test.reason, Exact: test.exact})
			if test.ended > 0 {
				v.since = time.Now().Add(-test.ended)
			}
			var what verified
			got := v.flags(&capture.Kept{Reason: test.reason}, test.spare, &what)
			if what.Alike != test.alike || what.Late != test.late {
				t.Errorf("alike %v, late %v; want %v, %v", what.Alike, what.Late, test.alike, test.late)
			}
			if looked := got.Verify != VerifyNone; looked == (test.alike || test.late) {
				t.Errorf("verified: %v", looked)
			}
		})
	}
}

// A session that asks is told of each recording of which the recorder wrote before that,
// also where that was not read yet.
func TestAnswersAfterReading(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	s := newFinishServer(&Flags{}, int(r.Fd()))
	if _, err := io.WriteString(w, `{"Coming":"x"}`+"\n"); err != nil {
		t.Fatal(err)
	}
	session, asked := net.Pipe()
	go s.answer(asked)
	answer := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(session)
		answer <- string(b)
	}()
	knows := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.coming["x"]
	}
	for end := time.Now().Add(2 * time.Minute); !knows(); time.Sleep(time.Millisecond) {
		if len(answer) > 0 || time.Now().After(end) {
			t.Fatalf("it answers %q before it has read what is coming", <-answer)
		}
	}
	if _, err := io.WriteString(w, `{"Kept":{"Dir":"x"}}`+"\n"); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.closed = true // it is not to be finished
	open, err := s.read()
	s.mu.Unlock()
	if !open || err != nil || <-answer != "null" || len(s.todo) != 1 {
		t.Errorf("open %v, %v, %d to do", open, err, len(s.todo))
	}
}

// --checksums records what --verify=full does, and verifies nothing.
func TestChecksums(t *testing.T) {
	for _, test := range []struct {
		argv []string
		want uint64
	}{
		{nil, 0},
		{[]string{"--verify=none"}, 0},
		{[]string{"--verify=full"}, checksumEvery},
		{[]string{"--verify=none", "--checksums"}, checksumEvery},
	} {
		f := NewFlags()
		fs := pflag.NewFlagSet("record", pflag.ContinueOnError)
		f.Declare(fs)
		if err := fs.Parse(test.argv); err != nil {
			t.Fatal(err)
		}
		if o := f.options(&screen.UI{}, []string{"true"}, t.TempDir()); o.Checksums != test.want {
			t.Errorf("%v: a checksum every %d events; want %d", test.argv, o.Checksums, test.want)
		}
	}
}
