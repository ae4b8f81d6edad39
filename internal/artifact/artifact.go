// Package artifact finds the recordings in what a CI keeps: a file, a folder, a zip of
// artifacts, a download.
//
// It replays and judges nothing. Begin with Flags.FindRecordings.
package artifact

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/naming"
	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// Flags are those of pyrr open.
type Flags struct {
	Page, Console bool
	Dir           string
	MaxSize       flagvalue.Size
}

// FindRecordings returns the recordings at a path: itself, those in a folder and in
// folders of that (gh run download makes one for each artifact), or those in a zip
// file, which is unpacked.
func FindRecordings(u *screen.UI, f *Flags, where string) ([]string, error) {
	st, err := os.Stat(where)
	if err != nil {
		return nil, find.NotRecording("open", where)
	}
	if !st.IsDir() {
		members, err := zipOfRecordings(where)
		if err != nil {
			return nil, err
		}
		if len(members) == 0 {
			if err := find.NotRecording("open", where); err != nil {
				return nil, err
			}
			return []string{where}, nil
		}
		where, err = unpack(u, f, where, members)
		if err != nil {
			return nil, err
		}
	} else if _, err := os.Stat(filepath.Join(where, "pyrr.json")); err == nil {
		return []string{where}, nil
	}
	var out []string
	err = filepath.WalkDir(where, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(where, path)
		switch name := d.Name(); {
		case len(out) == mostFound:
			return fs.SkipAll
		case strings.HasSuffix(name, recording.PackedSuffix) && d.Type().IsRegular():
			out = append(out, path)
		case d.IsDir() && strings.HasSuffix(name, recording.PartSuffix):
			out = append(out, path)
			return fs.SkipDir
		case d.IsDir() && (strings.Count(rel, string(filepath.Separator)) >= 3 || strings.HasPrefix(name, ".") && rel != "."):
			return fs.SkipDir
		}
		return nil
	})
	return out, err
}

// zipOfRecordings lists the recordings in a zip file that is none itself.
func zipOfRecordings(file string) ([]string, error) {
	if !strings.HasSuffix(file, ".zip") {
		return nil, nil
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		return nil, nil // whoever opens it says what it is
	}
	defer z.Close()
	var out []string
	for _, m := range z.File {
		if m.Name == "pyrr.json" {
			return nil, nil
		}
		if strings.HasSuffix(m.Name, recording.PackedSuffix) {
			out = append(out, m.Name)
		}
	}
	if len(out) > mostFound {
		return nil, fmt.Errorf("%s holds %d recordings, more than %d", file, len(out), mostFound)
	}
	return out, nil
}

// unpack writes the recordings in a zip file to a folder beside nothing else, and
// returns that. Names are taken from the file, but no paths.
func unpack(u *screen.UI, f *Flags, file string, members []string) (string, error) {
	folder := strings.TrimSuffix(filepath.Base(file), ".zip")
	if strings.Trim(folder, ".") == "" { // this folder, or the one above
		folder = "artifact"
	}
	dir := filepath.Join(f.Dir, folder)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("unpack %s: %w", file, err)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		return "", err
	}
	defer z.Close()
	left := int64(f.MaxSize)
	taken := map[string]bool{}
	for _, m := range z.File {
		name := ""
		switch base := path.Base(m.Name); {
		case slices.Contains(members, m.Name):
			name = ownName(naming.SafeName(strings.TrimSuffix(base, recording.PackedSuffix)), taken) + recording.PackedSuffix
		case path.Base(path.Dir(m.Name)) == recording.SharedDir && recording.IsSharedName(base):
			name = filepath.Join(recording.SharedDir, base)
			if err := os.MkdirAll(filepath.Join(dir, recording.SharedDir), 0o777); err != nil {
				return "", fmt.Errorf("unpack %s: %w", file, err)
			}
		default:
			continue
		}
		in, err := m.Open()
		if err != nil {
			return "", fmt.Errorf("unpack %s: %w", file, err)
		}
		u.Status("unpacking %s", m.Name)
		err = outfile.Write(filepath.Join(dir, name), 0o666, func(w io.Writer) error {
			n, err := io.Copy(w, io.LimitReader(in, left+1))
			if left -= n; left < 0 && err == nil {
				err = hint.With(fmt.Errorf("it holds more than --max-size %s", printable.ByteSize(int64(f.MaxSize))), "pyrr open --max-size 10GB "+printable.ShellQuote(file))
			}
			return err
		})
		in.Close()
		if err != nil {
			return "", fmt.Errorf("unpack %s: %w", file, err)
		}
	}
	u.ClearStatus()
	u.Note("unpacked %s in %s", printable.Plural(uint64(len(members)), "recording", "recordings"), dir)
	return dir, nil
}

// ownName is a name that no other has, where capitals don't count either: jobs of one CI
// run give their recordings the same names.
func ownName(name string, taken map[string]bool) string {
	one := name
	for n := 2; taken[strings.ToLower(one)]; n++ {
		one = fmt.Sprintf("%s-%d", name, n)
	}
	taken[strings.ToLower(one)] = true
	return one
}

// Download fetches a URL into the folder, without credentials of any kind.
func Download(ctx context.Context, u *screen.UI, f *Flags, from string) (string, error) {
	at, err := url.Parse(from)
	if err != nil || at.Host == "" || at.Scheme != "http" && at.Scheme != "https" {
		out := hint.Usagef("open: %s: only http and https can be fetched", from)
		out.Next = []string{"fetch it by its own tool, then pyrr open FILE"}
		return "", out
	}
	if at.User != nil {
		return "", hint.With(hint.Usagef("open: the URL holds credentials, which pyrr does not send"), "curl -LO …, then pyrr open FILE")
	}
	name := naming.SafeName(strings.TrimSuffix(strings.TrimSuffix(path.Base(at.Path), ".zip"), ".pyrr"))
	suffix := ".zip"
	if strings.HasSuffix(at.Path, recording.PackedSuffix) {
		suffix = recording.PackedSuffix
	}
	to := filepath.Join(f.Dir, name+suffix)
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", "pyrr")
	fail := func(err error) (string, error) { return "", fmt.Errorf("fetch %s: %w", from, err) }
	resp, err := (&http.Client{CheckRedirect: checkRedirect}).Do(req)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusNotFound:
		return "", hint.With(fmt.Errorf("fetch %s: %s, and pyrr sends no credentials", from, resp.Status), "gh run download RUN --name ARTIFACT, then pyrr open FOLDER")
	case resp.StatusCode != http.StatusOK:
		return fail(errors.New(resp.Status))
	case resp.ContentLength > int64(f.MaxSize):
		return fail(fmt.Errorf("it has %s, more than --max-size %s", printable.ByteSize(resp.ContentLength), printable.ByteSize(int64(f.MaxSize))))
	}
	u.Status("fetching %s", from)
	defer u.ClearStatus()
	if err := outfile.Write(to, 0o666, func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(resp.Body, int64(f.MaxSize)+1))
		if err == nil && n > int64(f.MaxSize) {
			err = fmt.Errorf("it has more than --max-size %s", printable.ByteSize(int64(f.MaxSize)))
		}
		return err
	}); err != nil {
		return fail(err)
	}
	u.ClearStatus()
	u.Note("fetched %s", to)
	return to, nil
}

// checkRedirect lets a redirect have no header but the agent's name: where it came from
// would tell it the rest of that address, which is often signed. The client has no cookies.
func checkRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
	switch {
	case len(via) >= 10:
		return errors.New("more than 10 redirects")
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errors.New("it leads from TLS to plain text")
	case req.URL.User != nil:
		return errors.New("it leads to an address that holds credentials")
	}
	return nil
}

// mostFound bounds the recordings that are looked for in a folder.
const mostFound = 1000
