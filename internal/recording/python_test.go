package recording

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// TestMain lets the test program unpack a zstd frame for testdata/read.py,
// which Python can't everywhere.
func TestMain(m *testing.M) {
	if os.Getenv("PYRR_UNZSTD") == "" {
		os.Exit(m.Run())
	}
	packed, err := io.ReadAll(os.Stdin)
	if err == nil {
		dec, raw := must(zstd.NewReader(nil)), []byte(nil)
		if raw, err = dec.DecodeAll(packed, nil); err == nil {
			_, err = os.Stdout.Write(raw)
		}
	}
	if err != nil {
		os.Exit(1)
	}
}

func must[T any](x T, err error) T {
	if err != nil {
		panic(err)
	}
	return x
}

// asJSON gives an event the form in which testdata/read.py prints it.
func asJSON(proc int, n uint64, ev *Event) map[string]any {
	out := map[string]any{"process": proc, "event": n, "Kind": ev.Kind.String()}
	have := ev.fields()
	v := reflect.ValueOf(*ev)
	for _, row := range fieldTable {
		if have&row.bit == 0 {
			continue
		}
		switch x := v.FieldByName(row.name).Interface().(type) {
		case []byte:
			out[row.name] = hex.EncodeToString(x)
		case string:
			out[row.name] = latin1(x)
		case []Mapping:
			var list []any
			for _, m := range x {
				list = append(list, []any{m.Start, m.End, m.Prot, m.Shared, m.File, m.Offset, latin1(m.Name)})
			}
			out[row.name] = list
		case []OpenFD:
			var list []any
			for _, o := range x {
				list = append(list, []any{o.FD, o.Flags, latin1(o.Name)})
			}
			out[row.name] = list
		case []Write:
			var list []any
			for _, w := range x {
				list = append(list, []any{w.Addr, hex.EncodeToString(w.Data)})
			}
			out[row.name] = list
		case *Process:
			p := *x
			p.Exe, p.Cwd, p.Python = latin1(p.Exe), latin1(p.Cwd), latin1(p.Python)
			p.Argv, p.Env = latin1s(p.Argv), latin1s(p.Env)
			out[row.name] = p
		default:
			out[row.name] = x
		}
	}
	if ev.Regs != nil {
		regs := map[string]uint64{}
		r := reflect.ValueOf(*ev.Regs)
		for i := range r.NumField() {
			name := strings.ToLower(r.Type().Field(i).Name)
			for _, part := range []string{"rax", "base"} {
				if before, ok := strings.CutSuffix(name, part); ok && len(before) > 1 {
					name = before + "_" + part // orig_rax, fs_base, gs_base
				}
			}
			regs[name] = r.Field(i).Uint()
		}
		out["Regs"] = regs
	}
	return out
}

func latin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

func latin1s(list []string) []string {
	out := []string{}
	for _, s := range list {
		out = append(out, latin1(s))
	}
	return out
}

// readByPython reads a recording by the reader that was written from the
// document, and compares its output with this package's.
func readByPython(t *testing.T, path string) {
	t.Helper()
	rec := open(t, path)
	procs, err := rec.Procs()
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("python3", filepath.Join("testdata", "read.py"), path, self)
	cmd.Env = append(os.Environ(), "PYRR_UNZSTD=1")
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	for _, p := range procs {
		it, err := rec.Events(p.ID)
		if err != nil {
			t.Fatal(err)
		}
		var ev Event
		for {
			n := it.Number()
			if err := it.Next(&ev); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			if len(lines) == 0 {
				t.Fatalf("the reader in Python ends before event %d of process %d", n, p.ID)
			}
			want := decoded(t, must(json.Marshal(asJSON(p.ID, n, &ev))))
			if d := cmp.Diff(want, decoded(t, lines[0])); d != "" {
				t.Fatalf("event %d of process %d: -pyrr +python\n%s", n, p.ID, d)
			}
			lines = lines[1:]
		}
	}
	if len(lines) > 0 {
		t.Errorf("it says more: %s", lines[0])
	}
}

func decoded(t *testing.T, b []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var out map[string]any
	if err := d.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestReaderByTheDocument shows that docs/format.md is enough to write a
// reader: testdata/read.py shares nothing with pyrr.
func TestReaderByTheDocument(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	w, dir := create(t)
	kinds, fields := map[Kind]bool{}, fieldSet(0)
	for proc := 1; proc <= 2; proc++ {
		events := randomEvents(rand.New(rand.NewPCG(7, uint64(proc))), proc, 300)
		for i := range events {
			kinds[events[i].Kind] = true
			fields |= events[i].fields()
		}
		appendAll(t, w.Stream(proc), events)
	}
	for k := range kindTable {
		if row := Kind(k).row(); row != nil && !kinds[Kind(k)] {
			t.Errorf("no event is of the kind %v", Kind(k))
		}
	}
	for _, row := range fieldTable {
		if fields&row.bit == 0 {
			t.Errorf("no event has the field %s", row.name)
		}
	}
	// An event that goes on in further chunks.
	big := []Event{{Kind: KindStart, Proc: &Process{ID: 3}}, {Kind: KindWrite, TID: 1, Memory: Memory{Mem: []Write{{Addr: 0x1000, Data: bytes.Repeat([]byte("pyrr"), 5<<18)}}}}, {Kind: KindEnd, Why: EndExited}}
	appendAll(t, w.Stream(3), big)
	if err := w.Close(Summary{}); err != nil {
		t.Fatal(err)
	}
	readByPython(t, dir)
}
