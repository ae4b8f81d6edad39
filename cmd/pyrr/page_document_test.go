package main

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pageDocument is what the script of a page gets.
type pageDocument struct {
	Procs   []struct{ ID int }
	Lanes   []struct{ Proc int }
	Moments []json.RawMessage
	Raises  []struct {
		Text   string
		Event  uint64
		Frames []struct {
			F string
			V []struct{ N, V string }
		}
	}
	Checks []struct {
		Want, Got, Verdict string
		At                 []struct{ Event uint64 }
		Stacks             []struct {
			Rows []struct{ Class, Func string }
		}
	}
	Why     struct{ Evidence []struct{ Event uint64 } }
	Columns []struct {
		Name        string
		At, Size, N int
		Delta       bool
	}
	all  []byte // all of it, unpacked
	data []byte
}

// readPage unpacks the block of a page.
func readPage(t *testing.T, file string) *pageDocument {
	t.Helper()
	html, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(html), `id="block">`)
	text, _, _ := strings.Cut(rest, "<")
	packed, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	d := &pageDocument{}
	if d.all, err = io.ReadAll(flate.NewReader(bytes.NewReader(packed))); err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint32(d.all)
	if err := json.Unmarshal(d.all[4:4+n], d); err != nil {
		t.Fatal(err)
	}
	d.data = d.all[4+n:]
	d.all = append(d.all, html...)
	return d
}

func (d *pageDocument) column(name string) []uint64 {
	var out []uint64
	for _, c := range d.Columns {
		if c.Name != name {
			continue
		}
		data, last := d.data[c.At:], uint64(0)
		for range c.N {
			v, n := binary.Uvarint(data)
			if c.Delta {
				s, m := binary.Varint(data)
				v, n = last+uint64(s), m
				last = v
			}
			out, data = append(out, v), data[n:]
		}
	}
	return out
}

// rows are the texts of events by process and number.
func (d *pageDocument) rows() map[[2]uint64]string {
	var texts []string
	var at int
	for _, c := range d.Columns {
		if c.Name == "texts" {
			at = c.At
		}
	}
	for _, size := range d.column("textSize") {
		texts = append(texts, string(d.data[at:at+int(size)]))
		at += int(size)
	}
	out := map[[2]uint64]string{}
	lanes, events := d.column("lane"), d.column("event")
	for i, id := range d.column("text") {
		out[[2]uint64{uint64(d.Lanes[lanes[i]].Proc), events[i]}] = texts[id]
	}
	return out
}

// woke says whether an arrow leads from a call of a process to one of another.
func (d *pageDocument) woke(from uint64, call string, to uint64, waits string) bool {
	rows, wakes := d.rows(), [4][]uint64{d.column("wakeFromProc"), d.column("wakeFrom"), d.column("wakeToProc"), d.column("wakeTo")}
	for i := range wakes[0] {
		a, b := rows[[2]uint64{wakes[0][i], wakes[1][i]}], rows[[2]uint64{wakes[2][i], wakes[3][i]}]
		if wakes[0][i] == from && wakes[2][i] == to && strings.HasPrefix(a, call) && strings.HasPrefix(b, waits) {
			return true
		}
	}
	return false
}

// toldProgram lets a child wait for a lock, its parent for a pipe, catches an exception
// and has a secret in a variable.
const toldProgram = `import multiprocessing, os, time
def parse(text):
    wanted = text + "!"
    try:
        return int(text)
    except ValueError:
        return wanted
def child(lock, w):
    with lock:
        time.sleep(1)
        os.write(w, b"x")
token = os.environ["API_TOKEN"]
r, w = os.pipe()
context = multiprocessing.get_context("fork")
lock = context.Lock()
lock.acquire()
p = context.Process(target=child, args=(lock, w))
p.start()
time.sleep(1)
lock.release()
os.read(r, 1)
p.join()
print(parse("twelve"), flush=True)
raise KeyError(token)
`

const toldSpec = `version: 1
name: told
recording: told.pyrr.zip
expect:
  - wait4 at told.py:22 as got
  - read at told.py:21
  - connect at told.py:21
golden:
  - at: got
    file: got.stack
`

// TestPageTells checks what a page knows besides events: who woke whom by a pipe and by a
// lock of two processes, exceptions that were caught, what specs say, and that neither
// a packed recording's page nor a page without values has the secret.
func TestPageTells(t *testing.T) {
	tracedPython(t)
	const secret = "ghp_Ab9+DEF/123=xyzw789"
	t.Setenv("API_TOKEN", secret)
	t.Setenv("CI", "")
	dir := t.TempDir()
	for name, text := range map[string]string{"told.py": toldProgram, "told.yaml": toldSpec, "got.stack": "# got  thread MainThread\nPy  other  told.py:99  nothing\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	page := func(args ...string) *pageDocument {
		file := filepath.Join(dir, "page.html")
		if status, _, errs := capturePyrr(append([]string{"report", "-o", file}, args...)...); status != 0 {
			t.Fatalf("report %q: %s", args, errs)
		}
		return readPage(t, file)
	}
	rec := filepath.Join(dir, "told.pyrr.zip")
	var d *pageDocument
	// On a busy machine one process may come so late that the other need not wait.
	for range 3 {
		cmd := exec.Command(os.Args[0], "record", "-o", rec, testPython(), "-I", "told.py")
		cmd.Args[0], cmd.Dir = "pyrr", dir
		if out, err := cmd.CombinedOutput(); err == nil {
			t.Fatalf("it does not fail\n%s", out)
		}
		if d = page("--variables", "always", "--specs", filepath.Join(dir, "told.yaml"), rec); d.woke(1, "write(", 0, "read(") && d.woke(0, "futex(", 1, "futex(") {
			break
		}
	}
	if !d.woke(1, "write(", 0, "read(") {
		t.Error("no arrow leads from the write into a pipe to the read that waits for it")
	}
	if !d.woke(0, "futex(", 1, "futex(") {
		t.Error("no arrow leads from the release of a lock to the process that waits for it")
	}
	caught := false
	for _, r := range d.Raises {
		for _, f := range r.Frames {
			for _, v := range f.V {
				caught = caught || strings.HasPrefix(r.Text, "ValueError") && f.F == "parse" && v.N == "wanted" && v.V == "'twelve!'"
			}
		}
	}
	if !caught {
		t.Errorf("the exception that is caught, with its variables, is not among %+v", d.Raises)
	}
	if c := d.Checks; len(c) != 4 || c[0].Verdict != "pass" || len(c[0].At) == 0 || c[1].Verdict != "pass" || len(c[1].At) == 0 || c[2].Verdict != "fail" || c[3].Verdict != "fail" || len(c[3].Stacks) == 0 {
		t.Errorf("the checks are %+v", c)
	} else if rows := c[3].Stacks[0].Rows; rows[0].Class != "gone" || rows[0].Func != "other" || rows[1].Class != "added" {
		t.Errorf("the rows that differ from the golden are %+v", rows)
	}
	for i, e := range d.Why.Evidence {
		if e.Event == 0 {
			t.Errorf("evidence %d leads nowhere", i+1)
		}
	}
	if !bytes.Contains(d.all, []byte(secret)) {
		t.Error("the secret is on no page: the rest of this test says nothing")
	}
	packed := filepath.Join(dir, "packed.pyrr.zip")
	if status, _, errs := capturePyrr("pack", "-o", packed, rec); status != 0 {
		t.Fatalf("pack: %s", errs)
	}
	if d := page("--variables", "always", packed); bytes.Contains(d.all, []byte(secret)) || len(d.Moments) == 0 || len(d.Raises) == 0 {
		t.Errorf("the page of what was packed has the secret, or %d moments and %d exceptions", len(d.Moments), len(d.Raises))
	}
	if d := page("--variables", "never", "--specs", "none", rec); bytes.Contains(d.all, []byte(`"n":"wanted"`)) || bytes.Contains(d.all, []byte(`<th scope="row">`)) || len(d.Moments) > 1 || len(d.Raises)+len(d.Checks) > 0 {
		t.Errorf("a page without values has %d moments, %d exceptions, %d checks", len(d.Moments), len(d.Raises), len(d.Checks))
	}
}
