package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"pyrr/internal/cli"
	"pyrr/internal/contents"
	"pyrr/internal/goldentest"
	"pyrr/internal/recording"
	"pyrr/internal/recording/rectest"
	"pyrr/internal/show"
)

// golden compares text with testdata/golden/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	goldentest.Compare(t, filepath.Join("testdata", "golden", name), got)
}

func TestEventsText(t *testing.T) {
	status, out, errs := capturePyrr("events", rectest.Write(t))
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	golden(t, "events.txt", out)
}

func TestEventsJSON(t *testing.T) {
	status, out, errs := capturePyrr("events", "--json", rectest.Write(t))
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	for line := range strings.Lines(out) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Errorf("%v: %s", err, line)
		}
	}
	golden(t, "events.json", out)
}

func TestEventsFilter(t *testing.T) {
	dir := rectest.Write(t)
	tests := []struct {
		name   string
		args   []string
		status int
		want   []string // what each line of the answer must hold
	}{
		{"a system call by its libc name", []string{"--kind", "recv"}, 0, []string{"recvfrom(3", "recvfrom(3", "recvfrom(4"}},
		{"a kind", []string{"--kind", "death,start"}, 0, []string{"start, python3", "start: fork", "the thread ends"}},
		{"a signal", []string{"--kind", "sigchld"}, 0, []string{"signal SIGCHLD"}},
		{"a kind and a call", []string{"--kind", "connect", "--kind", "insn"}, 0, []string{"cpuid", "connect(3, 127.0.0.1:8888"}},
		{"a process by number", []string{"--process", "2", "--kind", "end"}, 0, []string{"exit status 2"}},
		{"a process by pid", []string{"--process", "102", "--kind", "end"}, 0, []string{"exit status 2"}},
		{"a thread", []string{"--thread", "101"}, 0, []string{"write(1", "switch"}},
		{"nothing", []string{"--kind", "fork"}, cli.ExitNothing, nil},
		{"no such process", []string{"--process", "9"}, cli.ExitUnjudged, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, out, errs := capturePyrr(append([]string{"events", dir, "--json"}, tt.args...)...)
			if status != tt.status {
				t.Fatalf("status %d, want %d: %s", status, tt.status, errs)
			}
			lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
			if out == "" {
				lines = nil
			}
			if len(lines) != len(tt.want) {
				t.Fatalf("%d events, want %d:\n%s", len(lines), len(tt.want), out)
			}
			for i, want := range tt.want {
				var ev show.JsonEvent
				if err := json.Unmarshal([]byte(lines[i]), &ev); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(ev.Text, want) {
					t.Errorf("event %d is %q, want %q", i, ev.Text, want)
				}
			}
		})
	}
}

// TestDamagedStream: the events before the damage are listed; the command names the place
// and ends with exit status 3.
func TestDamagedStream(t *testing.T) {
	dir := rectest.Write(t)
	path := filepath.Join(dir, "events", "0002")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-3] ^= 0x40
	if err := os.WriteFile(path, b, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"events", "info"} {
		status, out, errs := capturePyrr(command, dir)
		if status != cli.ExitUnjudged || !strings.Contains(errs, "damaged recording: events/0002 at byte ") {
			t.Errorf("%s: status %d, stderr %q", command, status, errs)
		}
		if !strings.Contains(out, "python3 app.py") {
			t.Errorf("%s does not show what is intact:\n%s", command, out)
		}
	}
}

var (
	sizeLine = regexp.MustCompile(`(?m)^size .* in a folder`)
	pathLine = regexp.MustCompile(`(?m)^recording .*/`)
	timeLine = regexp.MustCompile(`(?m)^started .*`)
	lackLine = regexp.MustCompile(`(?m)^ +not here: .*\n`)
)

func TestInfoText(t *testing.T) {
	status, out, errs := capturePyrr("info", rectest.Write(t))
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	out = sizeLine.ReplaceAllString(out, "size          N in a folder")
	out = pathLine.ReplaceAllString(out, "recording     …/")
	out = timeLine.ReplaceAllString(out, "started       T")
	out = lackLine.ReplaceAllString(out, "")
	golden(t, "info.txt", out)
}

func TestInfoJSON(t *testing.T) {
	dir := rectest.Write(t)
	status, out, errs := capturePyrr("info", "--json", dir)
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	var info contents.Info
	if err := json.Unmarshal([]byte(out), &info); err != nil {
		t.Fatal(err)
	}
	if !info.TimedOut || info.Status == nil || *info.Status != 130 || info.Verified != "no" || !info.Complete {
		t.Errorf("outcome: %+v", info)
	}
	if diff := cmp.Diff([]string{"3.11.7"}, info.Pythons); diff != "" {
		t.Errorf("pythons (-want +got):\n%s", diff)
	}
	if info.Events != 17 || len(info.Processes) != 2 || info.Processes[0].Threads != 2 || info.Processes[1].Made != "fork" {
		t.Errorf("contents: %+v", info)
	}
	if info.Seconds != 30.011 || info.Instructions != 384000+183300 {
		t.Errorf("length: %v s, %d instructions", info.Seconds, info.Instructions)
	}
}

// TestPackedIsTheSame: a packed recording shows the same as its folder did.
func TestPackedIsTheSame(t *testing.T) {
	dir := rectest.Write(t)
	zip := filepath.Join(filepath.Dir(dir), "made.pyrr.zip")
	if err := recording.Pack(dir, zip); err != nil {
		t.Fatal(err)
	}
	_, folder, _ := capturePyrr("events", dir)
	status, packed, errs := capturePyrr("events", zip)
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	if diff := cmp.Diff(folder, packed); diff != "" {
		t.Errorf("events (-folder +zip):\n%s", diff)
	}
}

// TestEventsRaw: the raw form has everything: read back, it is the same stream.
func TestEventsRaw(t *testing.T) {
	dir := rectest.Write(t)
	status, out, errs := capturePyrr("events", "--raw", "--process", "1", dir)
	if status != 0 || errs != "" {
		t.Fatalf("status %d, stderr %q", status, errs)
	}
	got, err := recording.ParseText(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := recording.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Close()
	it, err := rec.Events(1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		var want recording.Event
		if err := it.Next(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got[i], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("event %d (-stream +text):\n%s", i, diff)
		}
	}
	if len(got) != 13 {
		t.Errorf("%d events, want 13", len(got))
	}
}
