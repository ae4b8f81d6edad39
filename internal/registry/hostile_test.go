package registry

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// hostile is a registry that answers what a test wants.
type hostile struct {
	manifests map[string][]byte // by tag and digest
	types     map[string]string
	blobs     map[digest.Digest][]byte
	odd       string // part of the paths that odder answers
	odder     func(w http.ResponseWriter, r *http.Request)
}

// endless answers with bytes without end, and without a length.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
		w.Header().Set("Docker-Content-Digest", digest.FromString("short").String())
		w.Header().Set("Content-Length", "500")
		return
	}
	w.Header().Set("Content-Type", ocispec.MediaTypeImageManifest)
	for block := make([]byte, 1<<16); r.Context().Err() == nil; {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// round redirects to the same address.
func round(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
}

func (h *hostile) put(ref string, v any, mediaType string) ocispec.Descriptor {
	raw, _ := json.Marshal(v)
	d := ocispec.Descriptor{MediaType: mediaType, Digest: digest.FromBytes(raw), Size: int64(len(raw))}
	for _, name := range []string{ref, d.Digest.String()} {
		h.manifests[name], h.types[name] = raw, mediaType
	}
	return d
}

func (h *hostile) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.odder != nil && strings.Contains(r.URL.Path, h.odd) {
		h.odder(w, r)
		return
	}
	_, ref, _ := strings.Cut(r.URL.Path, "/manifests/")
	if raw, ok := h.manifests[ref]; ok {
		w.Header().Set("Content-Type", h.types[ref])
		w.Header().Set("Docker-Content-Digest", digest.FromBytes(raw).String())
		w.Header().Set("Content-Length", fmt.Sprint(len(raw)))
		if r.Method != http.MethodHead {
			_, _ = w.Write(raw)
		}
		return
	}
	_, blob, _ := strings.Cut(r.URL.Path, "/blobs/")
	if raw, ok := h.blobs[digest.Digest(blob)]; ok {
		_, _ = w.Write(raw)
		return
	}
	http.NotFound(w, r)
}

// TestHostile holds that wrong answers are refused with one line.
func TestHostile(t *testing.T) {
	own := []byte("no recording")
	good := func() ocispec.Manifest {
		return ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: RecordingType, Config: ocispec.DescriptorEmptyJSON,
			Layers:      []ocispec.Descriptor{{MediaType: ownType, Digest: digest.FromBytes(own), Size: int64(len(own))}},
			Annotations: map[string]string{ocispec.AnnotationTitle: "a.pyrr.zip", sizeKey: "100", sumKey: strings.Repeat("0", 64)}}
	}
	file := func(title string) ocispec.Descriptor {
		return ocispec.Descriptor{MediaType: fileType, Digest: digest.FromString(title), Size: 5, Annotations: map[string]string{ocispec.AnnotationTitle: title}}
	}
	manifest := func(change func(*ocispec.Manifest)) func(h *hostile) {
		return func(h *hostile) {
			m := good()
			change(&m)
			h.put("tag", m, ocispec.MediaTypeImageManifest)
		}
	}
	tests := []struct {
		name, want string
		set        func(h *hostile)
	}{
		{"other bytes", "the registry gave other bytes", func(h *hostile) {
			h.put("tag", good(), ocispec.MediaTypeImageManifest)
			h.blobs[digest.FromBytes(own)] = []byte("another one!")
		}},
		{"longer", "mismatch Content-Length", func(h *hostile) {
			h.put("tag", good(), ocispec.MediaTypeImageManifest)
			h.blobs[digest.FromBytes(own)] = append([]byte("longer"), own...)
		}},
		{"no zip", "not a recording packed by pyrr", func(h *hostile) {
			h.put("tag", good(), ocispec.MediaTypeImageManifest)
			h.blobs[digest.FromBytes(own)] = own
		}},
		{"huge", "the limit is", manifest(func(m *ocispec.Manifest) { m.Annotations[sizeKey] = "90000000000000" })},
		{"huge blob", "the limit is", manifest(func(m *ocispec.Manifest) { m.Layers[0].Size = 1 << 50 })},
		{"many blobs", "has 3001 blobs", manifest(func(m *ocispec.Manifest) {
			for i := range 3000 {
				m.Layers = append(m.Layers, file(fmt.Sprintf("files/%04d", i+1)))
			}
		})},
		{"out of the folder", "not a plain file name", manifest(func(m *ocispec.Manifest) { m.Annotations[ocispec.AnnotationTitle] = "../../a.pyrr.zip" })},
		{"hidden", "not a plain file name", manifest(func(m *ocispec.Manifest) { m.Annotations[ocispec.AnnotationTitle] = ".bashrc" })},
		{"escapes", "not a plain file name", manifest(func(m *ocispec.Manifest) { m.Annotations[ocispec.AnnotationTitle] = "\x1b[2J.pyrr.zip" })},
		{"a file elsewhere", "not a mapped file", manifest(func(m *ocispec.Manifest) { m.Layers = append(m.Layers, file("files/../../etc/passwd")) })},
		{"a file twice", "two of files/0001", manifest(func(m *ocispec.Manifest) { m.Layers = append(m.Layers, file("files/0001"), file("files/0001")) })},
		{"an image", "not a recording, but", manifest(func(m *ocispec.Manifest) { m.ArtifactType = ""; m.Config.MediaType = ocispec.MediaTypeImageConfig })},
		{"nested", "nested", func(h *hostile) {
			d := h.put("m", good(), ocispec.MediaTypeImageManifest)
			for i := range 4 {
				d = h.put(fmt.Sprint(i), ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, ArtifactType: SetType, Manifests: []ocispec.Descriptor{d}}, ocispec.MediaTypeImageIndex)
			}
			h.put("tag", ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, ArtifactType: SetType, Manifests: []ocispec.Descriptor{d}}, ocispec.MediaTypeImageIndex)
		}},
		{"one index many times", "more than", func(h *hostile) {
			d := h.put("m", ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, ArtifactType: SetType}, ocispec.MediaTypeImageIndex)
			bomb := ocispec.Index{MediaType: ocispec.MediaTypeImageIndex, ArtifactType: SetType}
			for range 600 {
				bomb.Manifests = append(bomb.Manifests, d)
			}
			h.put("tag", bomb, ocispec.MediaTypeImageIndex)
		}},
		{"none", "there is no recording of that name", func(*hostile) {}},
		{"a blob without end", "bytes or more, not", func(h *hostile) {
			h.put("tag", good(), ocispec.MediaTypeImageManifest)
			h.odd, h.odder = "/blobs/", endless
		}},
		{"a manifest without end", "bytes or more, not 500", func(h *hostile) { h.odd, h.odder = "/manifests/", endless }},
		{"a blob that is elsewhere for ever", "more than 5 redirects", func(h *hostile) {
			h.put("tag", good(), ocispec.MediaTypeImageManifest)
			h.odd, h.odder = "/blobs/", round
		}},
		{"a tag that is elsewhere for ever", "more than 5 redirects", func(h *hostile) { h.odd, h.odder = "/manifests/", round }},
		{"a digest that is a path", "is no SHA-256", manifest(func(m *ocispec.Manifest) { m.Layers[0].Digest = "sha256:../../../etc/passwd" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			refused(t, tt)
		})
	}
}

// refused holds that one line says why a recording is not taken.
func refused(t *testing.T, tt struct {
	name string
	want string
	set  func(h *hostile)
}) {
	k := ownHome(t)
	h := &hostile{manifests: map[string][]byte{}, types: map[string]string{}, blobs: map[digest.Digest][]byte{}}
	tt.set(h)
	s := httptest.NewServer(h)
	defer s.Close()
	c := openTest(t, "oci://"+strings.TrimPrefix(s.URL, "http://")+"/a/b:tag")
	all, err := c.List(t.Context())
	if err == nil && len(all) == 1 {
		err = k.Pull(t.Context(), c, all[0], io.Discard)
	}
	if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("got %v, want one line with %q", err, tt.want)
	}
}

// TestRedirect holds that credentials do not follow a registry to another host, and
// that they are sent to the one that Docker has them for.
func TestRedirect(t *testing.T) {
	k := ownHome(t)
	got := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got <- r.Header.Get("Authorization")
		_, _ = w.Write([]byte("no recording"))
	}))
	defer elsewhere.Close()
	h := &hostile{manifests: map[string][]byte{}, types: map[string]string{}, blobs: map[digest.Digest][]byte{}}
	d := digest.FromString("no recording")
	h.put("tag", ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: RecordingType, Config: ocispec.DescriptorEmptyJSON,
		Layers:      []ocispec.Descriptor{{MediaType: ownType, Digest: d, Size: 12}},
		Annotations: map[string]string{ocispec.AnnotationTitle: "a.pyrr.zip", sizeKey: "100", sumKey: strings.Repeat("0", 64)}}, ocispec.MediaTypeImageManifest)
	authorized := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, pass, ok := r.BasicAuth(); !ok || user != "u" || pass != "secret" {
			w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		authorized++
		if strings.Contains(r.URL.Path, "/blobs/") {
			http.Redirect(w, r, elsewhere.URL+"/blob", http.StatusTemporaryRedirect)
			return
		}
		h.ServeHTTP(w, r)
	}))
	defer s.Close()
	host := strings.TrimPrefix(s.URL, "http://")
	config := fmt.Sprintf(`{"auths": {%q: {"auth": "dTpzZWNyZXQ="}}}`, host)
	if err := os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	c := openTest(t, "oci://"+host+"/a/b:tag")
	all, err := c.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Own(t.Context(), c, all[0]); err != nil {
		t.Fatal(err)
	}
	if auth := <-got; auth != "" || authorized == 0 {
		t.Errorf("another host got the credentials %q; the registry was sent them %d times", auth, authorized)
	}
}

// TestNames checks which names are allowed.
func TestNames(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"oci://h.example/a/b:t", "oci://h.example/a/b:t"},
		{"oci://127.0.0.1:5000/a/b:t/x.pyrr.zip", "oci://127.0.0.1:5000/a/b:t/x.pyrr.zip"},
		{"oci://[::1]:5000/a:t", "oci://[::1]:5000/a:t"},
		{"oci://h.example/a/b", "names no tag"},
		{"oci://u:p@h.example/a/b:t", "no credentials"},
		{"oci://h.example/a/b:t/../x", "no recording's name"},
		{"oci://h.example/A B:t", "form"},
		{"oci://", "form"},
	} {
		n, err := ParseName(tt.in)
		if err != nil && !strings.Contains(err.Error(), tt.want) || err == nil && n.String() != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.in, n, err, tt.want)
		}
	}
}
