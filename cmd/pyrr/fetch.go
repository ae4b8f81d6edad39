package main

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

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"pyrr/internal/cli"
	"pyrr/internal/console"
	"pyrr/internal/contents"
	"pyrr/internal/digest"
	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/naming"
	"pyrr/internal/outfile"
	"pyrr/internal/page"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/registry"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/replay"
)

// openFlags are those of pyrr open.
type openFlags struct {
	page, console bool
	dir           string
	maxSize       flagvalue.Size
}

func openCommand() *cli.Command {
	return &cli.Command{
		Name:     "open",
		Synopsis: "[--page|--console] [-o DIR] [--max-size SIZE] RECORDING|FOLDER|ZIP|URL|oci://NAME [TEST]",
		Short:    "say why, of whatever a CI left, and look around in it",
		Long: `Takes a recording, a folder that holds some, a zip of artifacts, or the URL of
one: finds the recordings, and says why the test hung or failed. Of several, all
are told in short, and TEST, a part of a test's name, chooses one.

On a terminal the console of pyrr replay follows, where this machine can replay.

What is downloaded or unpacked goes to the folder that -o names, by default the
working directory. A URL is fetched without credentials, neither those in it nor any of
this machine, and no more of it than --max-size. A name oci://REGISTRY/REPO:TAG is
fetched from the registry, with Docker's credentials for it.`,
		Examples: []cli.Example{
			{"pyrr open pyrr-recordings-test-0-1.zip", "what gh run download, or a browser, brought"},
			{"pyrr open artifacts test_pool", "the one of test_pool, in a folder"},
			{"pyrr open --page test_pool-k3x9fa.pyrr.zip", "an HTML page about it"},
		},
		Exits: []cli.Exit{
			{"0", "it was opened"},
			{"2", "usage error"},
			{"3", "there is nothing, or it is damaged, or larger than --max-size"},
			{"4", "this machine can't replay it, and it has no index"},
			{"5", "there is no recording in it"},
		},
		Operand: "recording",
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			f := openFlags{maxSize: 1 << 30}
			fs.BoolVar(&f.page, "page", false, "write an HTML page about it, and name that")
			fs.BoolVar(&f.console, "console", false, "go on in the console of pyrr replay (the default on a terminal)")
			fs.StringVarP(&f.dir, "output", "o", ".", "the `DIR` for what is downloaded and unpacked")
			fs.Var(&f.maxSize, "max-size", "download or unpack no more than this `size` (default 1 GiB)")
			return func(ctx context.Context, u *screen.UI, args []string) error {
				switch len(args) {
				case 1:
					args = append(args, "")
				case 2:
				default:
					return hint.With(hint.Usagef("open: name a recording, a folder, a zip of artifacts, a URL or a name in a registry"), "pyrr open recordings")
				}
				return open(ctx, u, &f, args[0], args[1])
			}
		},
	}
}

func open(ctx context.Context, u *screen.UI, f *openFlags, what, test string) error {
	where := what
	var found []string
	var err error
	switch {
	case registry.IsName(what):
		found, err = find.FetchOwn(ctx, u, "open", what)
	case strings.Contains(what, "://"):
		if where, err = download(ctx, u, f, what); err == nil {
			found, err = findRecordings(u, f, where)
		}
	default:
		found, err = findRecordings(u, f, where)
	}
	if err != nil {
		return err
	}
	if test != "" {
		found = slices.DeleteFunc(found, func(path string) bool {
			l, err := contents.LineOf(path)
			return err != nil || !strings.Contains(l.Test, test) && !strings.Contains(filepath.Base(path), test)
		})
	}
	switch {
	case len(found) == 0 && test != "":
		u.Note("no recording of %s in %s", test, where)
		u.Hint("pyrr open " + printable.ShellQuote(where))
		return cli.Status(cli.ExitNothing)
	case len(found) == 0:
		u.Note("there is no recording in %s", where)
		return cli.Status(cli.ExitNothing)
	case len(found) > 1:
		if err := summary(u, &digest.Flags{Specs: defaultSpecs}, found); err != nil {
			return err
		}
		u.Hint("pyrr open " + printable.ShellQuote(found[0]))
		return nil
	}
	return openOne(u, f, found[0])
}

// openOne says why, and goes on as the flags say.
func openOne(u *screen.UI, f *openFlags, path string) error {
	rec, err := find.Open("open", path)
	if err != nil {
		return err
	}
	defer rec.Close()
	u.Status("reading %s", path)
	r, err := reason.Of(rec, false)
	u.ClearStatus()
	if err != nil {
		return show.ReplayFailed(err, path)
	}
	if len(r.Ends) > 0 || r.Why.Raised != nil {
		show.Explain(u, rec, r, false)
	} else {
		u.Note("every process ended by itself, so nothing hung")
	}
	if f.page {
		return writePage(u, rec, path, &reportFlags{events: page.DefaultEvents})
	}
	terminal := term.IsTerminal(int(os.Stdin.Fd())) && term.IsTerminal(int(os.Stdout.Fd()))
	if !f.console && (!terminal || replay.Able(rec) != nil) {
		u.Hint("pyrr replay " + printable.ShellQuote(path))
		return nil
	}
	if err := replay.Able(rec); err != nil {
		return err
	}
	fmt.Fprintln(u.Out)
	return runConsole(u, rec, path, console.Options{}, nil, os.Stdin)
}

// mostFound bounds the recordings that are looked for in a folder.
const mostFound = 1000

// findRecordings returns the recordings at a path: itself, those in a folder and in
// folders of that (gh run download makes one for each artifact), or those in a zip
// file, which is unpacked.
func findRecordings(u *screen.UI, f *openFlags, where string) ([]string, error) {
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
func unpack(u *screen.UI, f *openFlags, file string, members []string) (string, error) {
	dir := filepath.Join(f.dir, strings.TrimSuffix(filepath.Base(file), ".zip"))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", fmt.Errorf("unpack %s: %w", file, err)
	}
	z, err := zip.OpenReader(file)
	if err != nil {
		return "", err
	}
	defer z.Close()
	left := int64(f.maxSize)
	for _, m := range z.File {
		if !slices.Contains(members, m.Name) {
			continue
		}
		in, err := m.Open()
		if err != nil {
			return "", fmt.Errorf("unpack %s: %w", file, err)
		}
		u.Status("unpacking %s", m.Name)
		name := filepath.Join(dir, naming.SafeName(strings.TrimSuffix(path.Base(m.Name), recording.PackedSuffix))+recording.PackedSuffix)
		err = outfile.Write(name, 0o666, func(w io.Writer) error {
			n, err := io.Copy(w, io.LimitReader(in, left+1))
			if left -= n; left < 0 && err == nil {
				err = hint.With(fmt.Errorf("it holds more than --max-size %s", printable.ByteSize(int64(f.maxSize))), "pyrr open --max-size 10GB "+printable.ShellQuote(file))
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

// download fetches a URL into the folder, without credentials of any kind.
func download(ctx context.Context, u *screen.UI, f *openFlags, from string) (string, error) {
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
	to := filepath.Join(f.dir, name+suffix)
	ctx, cancel := context.WithTimeout(ctx, time.Hour)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("User-Agent", "pyrr")
	fail := func(err error) (string, error) { return "", fmt.Errorf("fetch %s: %w", from, err) }
	// A client without cookies; a redirect gets no header but the agent's name.
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return fail(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusNotFound:
		return "", hint.With(fmt.Errorf("fetch %s: %s, and pyrr sends no credentials", from, resp.Status), "gh run download RUN --name ARTIFACT, then pyrr open FOLDER")
	case resp.StatusCode != http.StatusOK:
		return fail(errors.New(resp.Status))
	case resp.ContentLength > int64(f.maxSize):
		return fail(fmt.Errorf("it has %s, more than --max-size %s", printable.ByteSize(resp.ContentLength), printable.ByteSize(int64(f.maxSize))))
	}
	u.Status("fetching %s", from)
	defer u.ClearStatus()
	if err := outfile.Write(to, 0o666, func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(resp.Body, int64(f.maxSize)+1))
		if err == nil && n > int64(f.maxSize) {
			err = fmt.Errorf("it has more than --max-size %s", printable.ByteSize(int64(f.maxSize)))
		}
		return err
	}); err != nil {
		return fail(err)
	}
	u.ClearStatus()
	u.Note("fetched %s", to)
	return to, nil
}
