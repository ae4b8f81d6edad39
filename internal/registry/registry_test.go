package registry

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pyrr/internal/recording"
	"pyrr/internal/registry/registrytest"
)

// realRegistry starts Debian's docker-registry on a loopback port, behind a proxy
// that counts what is uploaded, and returns the host.
func realRegistry(t *testing.T) (host string, uploads func() map[string]int) {
	t.Helper()
	addr, stop, err := registrytest.Start(t.TempDir())
	if errors.Is(err, registrytest.ErrAbsent) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	var mu sync.Mutex
	counts := map[string]int{}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: addr})
		r.Out.Host = r.In.Host // where it sends uploads to
	}}
	proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	proxy.ModifyResponse = func(resp *http.Response) error {
		if d := resp.Request.URL.Query().Get("digest"); resp.Request.Method == http.MethodPut && d != "" && resp.StatusCode == http.StatusCreated {
			mu.Lock()
			counts[d]++
			mu.Unlock()
		}
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: proxy}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return l.Addr().String(), func() map[string]int {
		mu.Lock()
		defer mu.Unlock()
		out := map[string]int{}
		for k, v := range counts {
			out[k] = v
		}
		return out
	}
}

// made writes n packed recordings that share their mapped files.
func made(t *testing.T, n int) []Item {
	t.Helper()
	dir := t.TempDir()
	rnd := rand.NewChaCha8([32]byte{7})
	shared := make([][]byte, 3)
	for i := range shared {
		shared[i] = make([]byte, 200_000+i)
		_, _ = rnd.Read(shared[i])
	}
	var out []Item
	for i := range n {
		part := filepath.Join(dir, fmt.Sprintf("test_%03d.pyrr.part", i))
		w, err := recording.Create(part, recording.Header{Tool: "pyrr", Command: []string{"python3", fmt.Sprint(i)}, Started: time.Unix(1_790_000_000, 0)})
		if err != nil {
			t.Fatal(err)
		}
		s := w.Stream(1)
		for _, ev := range []recording.Event{
			{Kind: recording.KindStart, TID: 9, Proc: &recording.Process{ID: 1, PID: 9, Exe: "/usr/bin/python3"}},
			{Kind: recording.KindEnd, TID: 9, Time: int64(i), Why: recording.EndExited},
		} {
			if err := s.Append(&ev); err != nil {
				t.Fatal(err)
			}
		}
		if i%2 == 1 { // its files have other numbers
			if _, err := w.AddFileBytes("/own", fmt.Appendf(nil, "only in %d", i)); err != nil {
				t.Fatal(err)
			}
		}
		for k, data := range shared {
			if _, err := w.AddFileBytes(fmt.Sprintf("/usr/lib/x%d.so", k), data); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(recording.Summary{Events: 2, Verified: "exact"}); err != nil {
			t.Fatal(err)
		}
		path := strings.TrimSuffix(part, ".part") + ".zip"
		if err := recording.Pack(part, path); err != nil {
			t.Fatal(err)
		}
		out = append(out, Item{path, filepath.Base(path)})
	}
	return out
}

func openTest(t *testing.T, name string) *Client {
	t.Helper()
	n, err := ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(n, Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ownHome gives the test a cache and a Docker configuration of its own.
func ownHome(t *testing.T) *Cache {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	k, err := OpenCache()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// sameAsPushed pulls what a name stands for and compares it with the files.
func sameAsPushed(t *testing.T, k *Cache, name string, items []Item) {
	t.Helper()
	c := openTest(t, name)
	all, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(items) {
		t.Fatalf("%s names %d recordings, %d were pushed", name, len(all), len(items))
	}
	for i, e := range all {
		var got bytes.Buffer
		if err := k.Pull(t.Context(), c, e, &got); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(items[i].Path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), want) {
			t.Errorf("%s: pulled %d bytes, other than the %d pushed", e.Name, got.Len(), len(want))
		}
	}
}

// TestPushIsResumed holds that a push that is cut in the middle goes on, sends no blob
// twice, and that what is pulled is what was pushed.
func TestPushIsResumed(t *testing.T) {
	k := ownHome(t)
	host, uploads := realRegistry(t)
	items := made(t, 20)
	name := "oci://" + host + "/team/app:run-1"
	ctx, cancel := context.WithCancel(t.Context())
	_, err := openTest(t, name).Push(ctx, items, func(n int) {
		if n == len(items)/2 {
			cancel()
		}
	})
	if err == nil {
		t.Fatal("the push was not cut")
	}
	if _, err := openTest(t, name).List(t.Context()); err == nil {
		t.Error("half of a push has the tag")
	}
	before := len(uploads())
	out, err := openTest(t, name).Push(t.Context(), items, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.AlreadyThere < len(items)/2 || out.AlreadyThere+out.Recordings != len(items) {
		t.Errorf("%d were there and %d sent, of %d", out.AlreadyThere, out.Recordings, len(items))
	}
	// The three files, the own parts, the empty configuration; what was in flight when
	// it was cut may have come twice, or have been taken without an answer.
	twice := 0
	for _, n := range uploads() {
		twice += n - 1
	}
	if got := uploads(); len(got) > 3+len(items)+1 || len(got) < 3+len(items)+1-atOnce || twice > atOnce || before == 0 {
		t.Errorf("%d blobs, %d of them twice, %d before", len(got), twice, before)
	}
	sameAsPushed(t, k, name, items)
	// Nothing is sent a third time.
	sent := uploads()
	if out, err = openTest(t, name).Push(t.Context(), items, nil); err != nil || out.Recordings != 0 {
		t.Errorf("pushed again: %+v, %v", out, err)
	}
	for d, n := range uploads() {
		if n != sent[d] {
			t.Errorf("%s was sent again", d)
		}
	}
	one := openTest(t, name+"/"+items[3].Name)
	if all, err := one.List(t.Context()); err != nil || len(all) != 1 || all[0].Name != items[3].Name {
		t.Errorf("one of several: %v, %v", all, err)
	}
}

// TestTwoWriters: after two pushes at once the tag names everything that one of them pushed.
func TestTwoWriters(t *testing.T) {
	k := ownHome(t)
	host, _ := realRegistry(t)
	all := made(t, 10)
	name := "oci://" + host + "/team/app:both"
	var wg sync.WaitGroup
	for _, items := range [][]Item{all[:5], all[5:]} {
		wg.Go(func() {
			if _, err := openTest(t, name).Push(t.Context(), items, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	found, err := openTest(t, name).List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	half := all[:5]
	if len(found) > 0 && found[0].Name == all[5].Name {
		half = all[5:]
	}
	sameAsPushed(t, k, name, half)
}

// TestThin holds that the own part is a recording that finds its files by their
// SHA-256, and takes no other bytes for them.
func TestThin(t *testing.T) {
	k := ownHome(t)
	host, _ := realRegistry(t)
	items := made(t, 1)
	name := "oci://" + host + "/team/app:one"
	if _, err := openTest(t, name).Push(t.Context(), items, nil); err != nil {
		t.Fatal(err)
	}
	c := openTest(t, name)
	all, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	path, err := k.Own(t.Context(), c, all[0])
	if err != nil {
		t.Fatal(err)
	}
	whole, err := recording.Open(items[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	thin, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer thin.Close()
	_, _, err = thin.ReadFile(1)
	if err == nil || !strings.Contains(err.Error(), "is thin") {
		t.Errorf("without its files: %v", err)
	}
	thin.FindFiles(k.FilesOf(path))
	for _, f := range whole.Files() {
		sum := sha256.New()
		r, n, err := thin.ReadFile(f.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(sum, io.NewSectionReader(r, 0, n)); err != nil || hex.EncodeToString(sum.Sum(nil)) != f.SHA256 {
			t.Errorf("file %d: %v", f.ID, err)
		}
	}
	// A blob in the cache whose bytes have changed is not used.
	blobs, _ := filepath.Glob(filepath.Join(k.dir, "blobs", "*"))
	slices.Sort(blobs)
	if len(blobs) != 3 {
		t.Fatalf("%d blobs in the cache", len(blobs))
	}
	other, _ := os.ReadFile(blobs[1])
	os.Remove(blobs[0])
	if err := os.WriteFile(blobs[0], other, 0o400); err != nil {
		t.Fatal(err)
	}
	again, err := recording.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	again.FindFiles(k.FilesOf(path))
	bad := 0
	for _, f := range whole.Files() {
		if _, _, err := again.ReadFile(f.ID); err != nil {
			bad++
		}
	}
	if bad != 1 {
		t.Errorf("%d files of a changed cache are refused, want 1", bad)
	}
	rewritten(t, blobs, again)
}

// rewritten holds that a recording that found its files is written with them.
func rewritten(t *testing.T, blobs []string, again *recording.Recording) {
	var err error
	whole2 := filepath.Join(t.TempDir(), "again.pyrr.part")
	os.Remove(blobs[0])
	if err := again.Rewrite(whole2, recording.Changes{}); err != nil {
		t.Fatal(err)
	}
	full, err := recording.Open(whole2)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, f := range full.Files() {
		if _, _, err := full.ReadFile(f.ID); err != nil {
			t.Errorf("rewritten: %v", err)
		}
	}
}

// TestCacheIsBounded: the entries used longest ago are removed, and what was just
// fetched stays.
func TestCacheIsBounded(t *testing.T) {
	k := ownHome(t)
	k.limit, k.unseen = 1000, 1000
	old := time.Now().Add(-time.Hour)
	for i := range 8 {
		path := filepath.Join(k.dir, "blobs", fmt.Sprint(i))
		if err := k.keep(path, func(w io.Writer) error { _, err := w.Write(make([]byte, 200)); return err }); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o400 {
			t.Errorf("%v, %v: not for its owner to read alone", st.Mode(), err)
		}
		if i < 6 {
			_ = os.Chtimes(path, old, old.Add(time.Duration(i)*time.Second))
		}
	}
	k.bound(200)
	left, _ := filepath.Glob(filepath.Join(k.dir, "blobs", "*"))
	if len(left) != 2 || filepath.Base(left[0]) != "6" {
		t.Errorf("left are %v", left)
	}
}

// Plain HTTP is for registries of this machine and those that the environment names.
func TestPlainHTTP(t *testing.T) {
	t.Setenv(PlainHTTPVariable, "one.example:5000,two.example")
	for host, want := range map[string]bool{"localhost:5000": true, "127.0.0.1:1": true, "one.example:5000": true, "two.example": true,
		"one.example": false, "two.example:443": false, "registry.example": false} {
		if c := openTest(t, "oci://"+host+"/a/b:t"); c.repo.PlainHTTP != want {
			t.Errorf("%s: plain HTTP is %v", host, c.repo.PlainHTTP)
		}
	}
	t.Setenv(PlainHTTPVariable, "")
	if c := openTest(t, "oci://one.example:5000/a/b:t"); c.repo.PlainHTTP {
		t.Error("plain HTTP without being told")
	}
}
