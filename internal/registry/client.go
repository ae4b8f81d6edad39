package registry

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// Options say how a registry is reached.
type Options struct {
	// PlainHTTP speaks HTTP without TLS to a registry that is not on this machine.
	PlainHTTP bool
	// MaxSize bounds a recording that is fetched, in bytes; 0 for DefaultMaxSize.
	MaxSize int64
}

// PlainHTTPVariable names, in the environment, the registries that every command speaks
// to in HTTP without TLS: HOST:PORT, and more of them after commas.
const PlainHTTPVariable = "PYRR_PLAIN_HTTP"

func saidPlain(host string) bool {
	return slices.Contains(strings.Split(os.Getenv(PlainHTTPVariable), ","), host)
}

// DefaultMaxSize bounds a recording that is fetched, in bytes.
const DefaultMaxSize = 4 << 30

// Client is a repository in a registry. Its methods may be called from several
// goroutines.
type Client struct {
	name  Name
	opts  Options
	repo  *remote.Repository
	stats Stats

	mu    sync.Mutex
	known map[digest.Digest]*blobState // of those pushed
}

// Stats counts what went over the wire.
type Stats struct{ Requests, Sent, Received atomic.Int64 }

// Stats returns the client's counters.
func (c *Client) Stats() *Stats { return &c.stats }

// Name is the name that the client was opened for.
func (c *Client) Name() Name { return c.name }

const (
	// stallAfter ends a transfer of which nothing has come for so long.
	stallAfter   = time.Minute
	maxRedirects = 5
	maxRetry     = 3
)

// Open prepares a client with the credentials that Docker keeps for the registry
// (config.json, its helpers). Nothing is sent yet.
func Open(name Name, o Options) (*Client, error) {
	if o.MaxSize <= 0 {
		o.MaxSize = DefaultMaxSize
	}
	c := &Client{name: name, opts: o, known: map[digest.Digest]*blobState{}}
	repo, err := remote.NewRepository(name.ref.Registry + "/" + name.ref.Repository)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	store, err := credentials.NewStoreFromDocker(credentials.StoreOptions{})
	if err != nil {
		return nil, fmt.Errorf("read Docker's credentials: %w", err)
	}
	repo.PlainHTTP = o.PlainHTTP || isLoopback(name.ref.Registry) || saidPlain(name.ref.Registry)
	repo.MaxMetadataBytes = maxManifest
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = stallAfter
	policy := *retry.DefaultPolicy.(*retry.GenericPolicy)
	policy.MaxRetry = maxRetry
	client := &auth.Client{
		Client: &http.Client{
			Transport:     &retry.Transport{Base: &counting{base, &c.stats}, Policy: func() retry.Policy { return &policy }},
			CheckRedirect: checkRedirect,
		},
		Cache:      auth.NewCache(),
		Credential: credentials.Credential(store),
	}
	client.SetUserAgent("pyrr")
	if isLoopback(name.ref.Registry) {
		client.BlockedRealmPrefixes = auth.DefaultBlockedRealmPrefixes()[:0:0] // its tokens may come from this machine, too
		client.BlockedRealmPrefixes = append(client.BlockedRealmPrefixes, auth.DefaultBlockedRealmPrefixes()[2:]...)
	}
	repo.Client = client
	c.repo = repo
	return c, nil
}

// checkRedirect lets a registry send to where it keeps its blobs, but neither from
// TLS to plain text nor into this machine. The client of the library drops the
// credentials at another origin.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	req.Header.Del("Referer") // addresses of blobs are often signed
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case first.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("the registry redirects from TLS to plain text")
	case isLoopback(req.URL.Host) && !isLoopback(first.Host):
		return errors.New("the registry redirects to an address of this machine")
	}
	return nil
}

// counting counts requests and bytes.
type counting struct {
	base  http.RoundTripper
	stats *Stats
}

func (t *counting) RoundTrip(req *http.Request) (*http.Response, error) {
	t.stats.Requests.Add(1)
	if req.Body != nil && req.Body != http.NoBody {
		r := *req
		r.Body = &countedBody{req.Body, &t.stats.Sent}
		req = &r
	}
	resp, err := t.base.RoundTrip(req)
	if err == nil {
		resp.Body = &countedBody{resp.Body, &t.stats.Received}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	n *atomic.Int64
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.n.Add(int64(n))
	return n, err
}

// LoginError says that the registry wants other credentials, or some.
type LoginError struct {
	Host string
	Err  error
}

func (e *LoginError) Error() string { return e.Err.Error() }
func (e *LoginError) Unwrap() error { return e.Err }

// Hints says what to do about it.
func (e *LoginError) Hints() []string { return []string{"docker login " + e.Host} }

// ErrNone says that there is nothing of that name.
var ErrNone = errors.New("there is no recording of that name")

// explain makes one short line of what went wrong.
func (c *Client) explain(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	wrap := func(err error) error { return fmt.Errorf("%s: %w", c.name, err) }
	if r, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		text := http.StatusText(r.StatusCode)
		if len(r.Errors) > 0 {
			text = r.Errors[0].Message
		}
		err = fmt.Errorf("the registry answered %d: %s", r.StatusCode, oneLine(text))
		switch r.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return &LoginError{c.name.Host(), wrap(err)}
		case http.StatusNotFound:
			return wrap(ErrNone)
		}
		return wrap(err)
	}
	if isNotFound(err) {
		return wrap(ErrNone)
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
		if strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
			return wrap(errors.New("the registry speaks no TLS, and is not on this machine (" + PlainHTTPVariable + "=" + c.name.ref.Registry + " permits it)"))
		}
	}
	return wrap(errors.New(oneLine(err.Error())))
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	const most = 300
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// fetch reads the content of a descriptor into w, and holds it against size and
// digest. What was written where it fails is worth nothing.
func (c *Client) fetch(ctx context.Context, d ocispec.Descriptor, w io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(stallAfter, func() { cancel(fmt.Errorf("nothing came for %v", stallAfter)) })
	defer stalled.Stop()
	body, err := c.repo.Fetch(ctx, d)
	if err != nil {
		return stallReason(ctx, err)
	}
	defer body.Close()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, sum), &stallReader{io.LimitReader(body, d.Size+1), stalled})
	switch {
	case err != nil:
		return stallReason(ctx, err)
	case n != d.Size:
		return fmt.Errorf("blob %s has %d bytes or more, not %d", short(d.Digest), n, d.Size)
	case digestOf(sum) != d.Digest:
		return fmt.Errorf("the registry gave other bytes than those of %s", short(d.Digest))
	}
	return nil
}

func stallReason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

type stallReader struct {
	io.Reader
	timer *time.Timer
}

func (s *stallReader) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if n > 0 {
		s.timer.Reset(stallAfter)
	}
	return n, err
}

func digestOf(h hash.Hash) digest.Digest {
	return digest.NewDigestFromEncoded(digest.SHA256, hex.EncodeToString(h.Sum(nil)))
}

func short(d digest.Digest) string {
	s := d.String()
	return s[:min(len(s), len("sha256:")+12)]
}

// fetchJSON fetches a manifest or an index.
func (c *Client) fetchJSON(ctx context.Context, d ocispec.Descriptor, v any) ([]byte, error) {
	if err := checkDescriptor(d, maxManifest); err != nil {
		return nil, err
	}
	var b strings.Builder
	if err := c.fetch(ctx, d, &b); err != nil {
		return nil, err
	}
	raw := []byte(b.String())
	if err := json.Unmarshal(raw, v); err != nil {
		return nil, fmt.Errorf("manifest %s: %w", short(d.Digest), err)
	}
	return raw, nil
}

// checkDescriptor holds a descriptor of a stranger to the forms that are used.
func checkDescriptor(d ocispec.Descriptor, most int64) error {
	if d.Digest.Validate() != nil || d.Digest.Algorithm() != digest.SHA256 {
		return fmt.Errorf("%.100q is no SHA-256", string(d.Digest))
	}
	if d.Size <= 0 || d.Size > most {
		return fmt.Errorf("blob %s has %d bytes; the limit is %d", short(d.Digest), d.Size, most)
	}
	return nil
}
