//go:build linux && amd64

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"pyrr/internal/hang"
	"pyrr/internal/linux"
	"pyrr/internal/recording"
	"pyrr/internal/stack"
)

// forge writes a recording of the given streams; more adds to its folder.
func forge(t *testing.T, streams func(w *recording.Writer), more func(r *recording.Recording)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bomb"+recording.PartSuffix)
	w, err := recording.Create(dir, recording.Header{Tool: "pyrr", Command: []string{"bomb"}, Started: time.Now(), Host: recording.Host{XCR0: 7, XSaveSize: 832}})
	if err != nil {
		t.Fatal(err)
	}
	streams(w)
	if err := w.Close(recording.Summary{}); err != nil {
		t.Fatal(err)
	}
	if more != nil {
		r, err := recording.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		more(r)
		r.Close()
	}
	return dir
}

// stream begins the log of a process with a page of code that makes system calls.
func stream(t *testing.T, w *recording.Writer, proc recording.Process, more ...func(start *recording.Event)) func(ev recording.Event) {
	s := w.Stream(proc.ID)
	add := func(ev recording.Event) {
		if err := s.Append(&ev); err != nil {
			t.Fatal(err)
		}
	}
	code := make([]byte, 4096)
	for i := 0; i < 4090; i += 4 {
		copy(code[i:], []byte{0x0f, 0x05, 0x90, 0x90}) // syscall; nop; nop
	}
	start := recording.Event{Kind: recording.KindStart, TID: int32(proc.ID), Proc: &proc, Regs: &linux.Regs{Rip: 0x10000, Rsp: 0x10f00, Cs: 0x33, Ss: 0x2b, Eflags: 0x202}}
	if !proc.Fork {
		start.Maps = []recording.Mapping{{Start: 0x10000, End: 0x11000, Prot: 7}}
		start.Mem = []recording.Write{{Addr: 0x10000, Data: code}}
	}
	for _, f := range more {
		f(&start)
	}
	add(start)
	return add
}

func end(add func(ev recording.Event), tid int) {
	add(recording.Event{Kind: recording.KindEnd, TID: int32(tid), Why: recording.EndExited})
}

// bombs are small files that unpack to much, or lead in circles. Only the full run takes those
// after the first quickBombs: those needed little memory from the beginning.
const quickBombs = 6

var bombs = []struct {
	name string
	make func(t *testing.T) string
}{
	{"memory", func(t *testing.T) string {
		zeros := make([]byte, 16<<20)
		return forge(t, func(w *recording.Writer) {
			add := stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}})
			for range 8 {
				add(recording.Event{Kind: recording.KindWrite, TID: 1, Memory: recording.Memory{Mem: []recording.Write{{Addr: 1 << 32, Data: zeros}},
					Maps: []recording.Mapping{{Start: 1 << 32, End: 1<<32 + 16<<20, Prot: 3}}}})
			}
			end(add, 1)
		}, nil)
	}},
	{"texts", func(t *testing.T) string {
		text := strings.Repeat("x", 8<<20)
		return forge(t, func(w *recording.Writer) {
			add := stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}})
			for range 10 {
				add(recording.Event{Kind: recording.KindNote, TID: 1, Why: "x", Text: text})
				add(recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_OPEN, In: []byte(text), Ret: 3})
			}
			end(add, 1)
		}, nil)
	}},
	{"mappings", func(t *testing.T) string {
		var maps []recording.Mapping
		name := strings.Repeat("n", 500)
		for i := range 3000 {
			maps = append(maps, recording.Mapping{Start: 1<<33 + uint64(i)<<14, End: 1<<33 + uint64(i)<<14 + 4096, Prot: 3, Name: name})
		}
		return forge(t, func(w *recording.Writer) {
			add := stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}})
			for range 4 {
				add(recording.Event{Kind: recording.KindWrite, TID: 1, Memory: recording.Memory{Maps: maps}})
			}
			end(add, 1)
		}, nil)
	}},
	{"arguments", func(t *testing.T) string {
		args := make([]string, 1<<18)
		for i := range args {
			args[i] = strings.Repeat("a", 50)
		}
		return forge(t, func(w *recording.Writer) {
			for i := range 6 {
				end(stream(t, w, recording.Process{ID: i + 1, PID: i + 1, Argv: args, Exe: strings.Repeat("/e", 1<<20)}), i+1)
			}
		}, nil)
	}},
	{"open descriptors", func(t *testing.T) string {
		return forge(t, func(w *recording.Writer) {
			name := strings.Repeat("n", 200)
			for i := range 10 {
				add := stream(t, w, recording.Process{ID: i + 1, PID: i + 1, Argv: []string{"bomb"}}, func(start *recording.Event) {
					for fd := range 60_000 {
						start.Open = append(start.Open, recording.OpenFD{FD: int32(fd), Name: name})
					}
				})
				end(add, i+1)
			}
		}, nil)
	}},
	{"tests", func(t *testing.T) string {
		return forge(t, func(w *recording.Writer) {
			add := stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}})
			name := strings.Repeat("n", 60<<10)
			for range 3000 {
				add(recording.Event{Kind: recording.KindNote, TID: 1, Why: recording.MarkTestStart, Text: name})
			}
			end(add, 1)
		}, nil)
	}},
	{"threads", func(t *testing.T) string {
		return forge(t, func(w *recording.Writer) {
			add := stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}})
			for i := range 20_000 {
				add(recording.Event{Kind: recording.KindThread, TID: int32(i + 2), Regs: &linux.Regs{Rip: 0x10000, Cs: 0x33, Ss: 0x2b},
					Why: recording.InCall, Nr: unix.SYS_FUTEX, Args: [6]uint64{0x10000, 0, 1}})
			}
			end(add, 1)
		}, nil)
	}},
	{"processes in a circle", func(t *testing.T) string {
		return forge(t, func(w *recording.Writer) {
			const n = 200
			for i := range n {
				add := stream(t, w, recording.Process{ID: i + 1, PID: i + 1, Parent: (i+1)%n + 1, Fork: true, Argv: []string{"bomb"}})
				end(add, i+1)
			}
		}, nil)
	}},
	{"descriptors", func(t *testing.T) string {
		return forge(t, func(w *recording.Writer) {
			add := stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}})
			path := bytes.Repeat([]byte("p"), 200)
			for i := range 30_000 {
				add(recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_OPEN, Reached: recording.Reached{PC: 0x10002}, In: path, Ret: int64(i + 3)})
			}
			end(add, 1)
		}, nil)
	}},
	{"stacks", func(t *testing.T) string {
		return forge(t, func(w *recording.Writer) {
			add := stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}})
			for range 300 {
				add(recording.Event{Kind: recording.KindSyscall, Stop: recording.StopSyscall, TID: 1, Nr: unix.SYS_READ, Reached: recording.Reached{PC: 0x10002}, Args: [6]uint64{3}, Ret: 1})
			}
			end(add, 1)
		}, func(r *recording.Recording) {
			w, err := r.WriteStacks()
			if err != nil {
				t.Fatal(err)
			}
			node := uint32(0)
			for i := range 60_000 {
				node = w.Node(node, w.Frame(&stack.Frame{Kind: stack.Python, Func: "f", File: "a.py", Line: i % 100}))
			}
			for range 303 {
				w.Event(1, node)
			}
			w.SetFull()
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}},
	{"facts", func(t *testing.T) string {
		return forge(t, func(w *recording.Writer) {
			end(stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}}), 1)
		}, func(r *recording.Recording) {
			f := hang.Facts{Proc: 1}
			const n = 3_000
			for i := range n {
				f.Units = append(f.Units, hang.Unit{Wait: &hang.Wait{How: "acquire", On: []int{(i + 1) % n}, Units: []int{(i + 7) % n}}})
				f.Things = append(f.Things, hang.Thing{})
			}
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			w, err := r.WriteStacks()
			if err != nil {
				t.Fatal(err)
			}
			w.Facts(1, text)
			w.SetFull()
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}},
	{"files", func(t *testing.T) string {
		zeros, err := os.Create(filepath.Join(t.TempDir(), "zeros"))
		if err != nil {
			t.Fatal(err)
		}
		defer zeros.Close()
		const size = 1 << 30
		var st unix.Stat_t
		if err := zeros.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if err := unix.Fstat(int(zeros.Fd()), &st); err != nil {
			t.Fatal(err)
		}
		return forge(t, func(w *recording.Writer) {
			id, err := w.AddFile("/opt/libzeros.so", int(zeros.Fd()), st, size)
			if err != nil {
				t.Fatal(err)
			}
			end(stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}}, func(start *recording.Event) {
				start.Maps = append(start.Maps, recording.Mapping{Start: 1 << 33, End: 1<<33 + size, Prot: 5, File: id, Name: "/opt/libzeros.so"})
			}), 1)
		}, nil)
	}},
	{"nested", func(t *testing.T) string {
		dir := forge(t, func(w *recording.Writer) {
			end(stream(t, w, recording.Process{ID: 1, PID: 1, Argv: []string{"bomb"}}), 1)
		}, nil)
		name := filepath.Join(dir, "summary.json")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		deep := `{"deep":` + strings.Repeat("[", 1<<20) + strings.Repeat("]", 1<<20) + ","
		if err := os.WriteFile(name, []byte(strings.Replace(string(text), "{", deep, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		return dir
	}},
}

// readers are the commands that read a recording; REC stands for it.
var readers = []string{
	"info REC", "ls DIR", "events REC", "events --raw REC", "bt REC", "explain REC", "report -o OUT/page.html REC", "diff REC REC",
	"pack -o OUT/packed.pyrr.zip REC", "check SPEC", "summary REC", "print --first 1 REC f x", "last REC x", "profile REC",
	"replay --batch REC", "new --force -o OUT/new.yaml REC", "serve --port 0 REC",
	"accept SPEC", "pack --masks MASKS -o OUT/redacted.pyrr.zip REC", "open -o OUT REC", "where REC x", "replay -ex bt REC",
	"mcp DIR", "dap",
}

// asked holds what the servers among them get on their standard input.
var asked = map[string]func(rec string) string{
	"mcp": func(rec string) string {
		var b strings.Builder
		b.WriteString(`{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}` + "\n" +
			`{"jsonrpc":"2.0","method":"notifications/initialized"}` + "\n")
		for i, tool := range []string{"list", "explain", "stacks", "timeline", "draft"} {
			fmt.Fprintf(&b, `{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":%q,"arguments":{"recording":%q}}}`+"\n", i+1, tool, filepath.Base(rec))
		}
		return b.String()
	},
	"dap": func(rec string) string {
		var b strings.Builder
		for i, ask := range []string{`"initialize","arguments":{"adapterID":"pyrr"}`, fmt.Sprintf(`"launch","arguments":{"recording":%q}`, rec),
			`"configurationDone"`, `"threads"`, `"stackTrace","arguments":{"threadId":1}`, `"continue","arguments":{"threadId":1}`, `"disconnect"`} {
			line := fmt.Sprintf(`{"seq":%d,"type":"request","command":%s}`, i+1, ask)
			fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(line), line)
		}
		return b.String()
	},
}

// No reader takes much memory or time for a small file that unpacks to much.
func TestReadersAreBounded(t *testing.T) {
	const most = 450 // MiB; it took up to 1,528
	for i, b := range bombs {
		if i >= quickBombs && os.Getenv("PYRR_E2E") != "full" {
			break
		}
		dir := b.make(t)
		out := t.TempDir()
		spec := filepath.Join(out, "spec.yaml")
		if err := os.WriteFile(spec, []byte("version: 1\nname: bomb\nrecording: "+dir+"\nexpect:\n  - read on fd 3\ngolden:\n  - at: end\n    file: end.stack\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		masks := filepath.Join(out, "masks")
		if err := os.WriteFile(masks, []byte("s3cr3t-value-of-a-bomb\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		for _, r := range readers {
			t.Run(b.name+"/"+r, func(t *testing.T) {
				line := strings.NewReplacer("REC", dir, "DIR", filepath.Dir(dir), "OUT", out, "SPEC", spec, "MASKS", masks).Replace(r)
				used, took, said := measured(t, strings.Fields(line), dir)
				t.Logf("%d MiB, %v: %.200q", used, took, said)
				if used > most {
					t.Errorf("it takes %d MiB", used)
				}
				if strings.Contains(said, "goroutine ") {
					t.Errorf("it panics")
				}
			})
		}
	}
}

// measured runs a command to its end, or to its page, and says how many MiB it had in
// memory at most and what processor time it took.
func measured(t *testing.T, args []string, rec string) (used int64, took time.Duration, said string) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Args[0] = "pyrr" // see TestMain
	var out tail
	cmd.Stdout, cmd.Stderr = &out, &out
	if ask, ok := asked[args[0]]; ok {
		in, w, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		cmd.Stdin = in
		questions := ask(rec)
		go func() {
			defer w.Close()
			io.WriteString(w, questions)
			if args[0] != "mcp" {
				return // it answers the questions one after the other, up to the last
			}
			for range 2000 {
				if out.lines.Load() >= int64(strings.Count(questions, `"id":`)) {
					break
				}
				time.Sleep(100 * time.Millisecond)
			}
		}()
	}
	var page io.Reader
	if args[0] == "serve" {
		cmd.Stdout = nil
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		page = pipe
	}
	// Until a child executes its program, the kernel counts the peak of its parent for it.
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Logf("the peak of this process counts too: %v", err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(5*time.Minute, func() { cmd.Process.Kill() })
	if page != nil {
		b := make([]byte, 1000)
		n, _ := page.Read(b)
		if at := regexp.MustCompile(`http://\S+`).Find(b[:n]); at == nil {
			t.Logf("it serves nothing: %s", b[:n])
		} else if answer, err := http.Get(string(at)); err == nil {
			n, _ := io.Copy(io.Discard, answer.Body)
			out.Write(fmt.Appendf(nil, "%s, %d bytes", answer.Status, n))
			answer.Body.Close()
		}
		cmd.Process.Signal(syscall.SIGTERM)
	}
	cmd.Wait()
	if !timer.Stop() {
		t.Errorf("pyrr %s does not end", args[0])
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	return usage.Maxrss >> 10, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), out.String()
}
