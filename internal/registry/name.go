// Package registry keeps recordings in OCI registries: those that teams have for
// their container images. A recording is an artifact of its own part and of the
// mapped files, each a blob of its own, so that a registry stores once what many
// recordings share.
// It never gives out a byte that the digest of the name does not prove, and never
// sends credentials to another host than the one that they are for. Begin with Open.
package registry

import (
	"errors"
	"fmt"
	"net"
	"strings"

	oci "oras.land/oras-go/v2/registry"

	"pyrr/internal/lazyregexp"
)

// Scheme begins the names of recordings in registries.
const Scheme = "oci://"

// IsName says whether s is such a name, right or wrong.
func IsName(s string) bool { return strings.HasPrefix(s, Scheme) }

// Name is oci://REGISTRY/REPOSITORY:TAG, or @DIGEST, and one recording of several
// with /RECORDING behind the tag.
type Name struct {
	ref oci.Reference
	// Recording chooses one recording of several, "" for all.
	Recording string
}

// ParseName parses a name. There is no tag that is meant where none is said.
func ParseName(s string) (Name, error) {
	var n Name
	rest, ok := strings.CutPrefix(s, Scheme)
	if !ok {
		return n, fmt.Errorf("%.200q does not begin with %s", s, Scheme)
	}
	if strings.Contains(strings.SplitN(rest, "/", 2)[0], "@") {
		return n, errors.New("a name holds no credentials: docker login keeps them")
	}
	if host, path, ok := strings.Cut(rest, "/"); ok {
		if i := strings.LastIndexAny(path, ":@"); i >= 0 {
			if at := strings.IndexByte(path[i:], '/'); at >= 0 {
				n.Recording = path[i+at+1:]
				rest = host + "/" + path[:i+at]
				if !fileName().MatchString(n.Recording) && !fileName().MatchString(n.Recording+suffix) {
					return n, fmt.Errorf("%.200q is no recording's name", n.Recording)
				}
			}
		}
	}
	var err error
	if n.ref, err = oci.ParseReference(rest); err != nil {
		return n, fmt.Errorf("%s: %s has the form %sREGISTRY/OWNER/REPOSITORY:TAG", s, "a name", Scheme)
	}
	if n.ref.Reference == "" {
		return n, fmt.Errorf("%s names no tag: %s:TAG", s, s)
	}
	return n, nil
}

// String is the name as it is typed.
func (n Name) String() string {
	s := Scheme + n.ref.Registry + "/" + n.ref.Repository
	if strings.Contains(n.ref.Reference, ":") {
		s += "@" + n.ref.Reference
	} else {
		s += ":" + n.ref.Reference
	}
	if n.Recording != "" {
		s += "/" + n.Recording
	}
	return s
}

// Host is the registry, for docker login.
func (n Name) Host() string { return n.ref.Registry }

// With is the name of one recording of several.
func (n Name) With(recording string) Name {
	n.Recording = recording
	return n
}

const suffix = ".pyrr.zip"

// fileName is what a recording in a registry may be called: a plain file name.
var fileName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._+=,-]{0,190}\.pyrr\.zip$`)

// ValidFile says whether a recording can have this file name in a registry.
func ValidFile(name string) bool { return fileName().MatchString(name) }

// isLoopback says whether a registry is on this machine, where nobody reads what is
// sent in the clear.
func isLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
