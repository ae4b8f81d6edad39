package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/replay"
)

// secretFlags say which secrets to replace.
type secretFlags struct {
	names []string
	masks string // a file, - for standard input
}

// findSecrets collects what is known to be secret: from the recording, from
// the environment and the configuration of who packs, and from the masks.
func (s *secretFlags) find(u *ui, rec *recording.Recording) (*redact.Set, error) {
	f := redact.NewFinder(s.names)
	if s.masks != "" {
		var text []byte
		var err error
		if s.masks == "-" {
			text, err = io.ReadAll(os.Stdin)
		} else {
			text, err = os.ReadFile(s.masks)
		}
		if err != nil {
			return nil, fmt.Errorf("read the values to replace: %w", err)
		}
		f.Masks(string(text))
	}
	if masks := os.Getenv("PYRR_MASKS"); masks != "" {
		f.Masks(masks)
	}
	if err := f.Recording(rec); err != nil {
		return nil, err
	}
	f.Environment(os.Environ())
	home, _ := os.UserHomeDir()
	for _, name := range []string{
		os.Getenv("NETRC"), filepath.Join(home, ".netrc"), filepath.Join(home, "_netrc"),
		os.Getenv("PIP_CONFIG_FILE"), filepath.Join(home, ".config/pip/pip.conf"), filepath.Join(home, ".pip/pip.conf"), "/etc/pip.conf",
		filepath.Join(home, ".pypirc"), filepath.Join(home, ".git-credentials"), filepath.Join(home, ".aws/credentials"),
	} {
		if text, err := os.ReadFile(name); err == nil {
			switch name {
			case os.Getenv("NETRC"):
				f.Netrc(string(text))
			case os.Getenv("PIP_CONFIG_FILE"):
				f.Config("pip.conf", string(text))
			default:
				f.File(name, string(text))
			}
		}
	}
	for _, name := range f.Missing() {
		if _, set := os.LookupEnv(name); !set && !inEnvironment(rec, name) {
			u.warn(fmt.Sprintf("--secret %s: neither the recording nor this environment has that variable, so nothing was replaced for it", name))
		}
	}
	set := redact.NewSet(f.Secrets)
	set.Left = append(set.Left, f.Left...)
	return set, nil
}

func inEnvironment(rec *recording.Recording, name string) bool {
	procs, err := rec.Procs()
	return err == nil && slices.ContainsFunc(procs, func(p recording.Proc) bool {
		return slices.ContainsFunc(p.Env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	})
}

// survivorError says that a secret is still there.
type survivorError struct{ name, where string }

func (e *survivorError) Error() string {
	return fmt.Sprintf("the known secret %s is still in %s", e.name, e.where)
}

// searched replays a recording and looks for the secrets in what the program
// makes of it: in all of its memory where a process ends and a few times
// before, and in what it writes. A value that reached the program compressed,
// encrypted or in pieces shows up here.
func searched(rec *recording.Recording, set *redact.Set, events uint64) error {
	const looks = 6
	every := max(events/looks, 2000)
	var total uint64
	_, err := replay.Batch(rec, replay.Options{OnEvent: func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		total++
		switch {
		case ev.Kind == recording.KindEnd || total%every == 0:
			return searchMemory(p, set)
		case t != nil && (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter) && (ev.Nr == unix.SYS_WRITE || ev.Nr == unix.SYS_SENDTO):
			return searchRange(p, set, replay.Range{Start: ev.Args[1], End: ev.Args[1] + min(ev.Args[2], 1<<20)}, "what the program wrote")
		}
		return nil
	}})
	return err
}

func searchMemory(p *replay.Process, set *redact.Set) error {
	ranges, err := p.Writable()
	if err != nil {
		return err
	}
	for _, r := range ranges {
		if err := searchRange(p, set, r, "the memory of the program"); err != nil {
			return err
		}
	}
	return nil
}

func searchRange(p *replay.Process, set *redact.Set, r replay.Range, where string) error {
	const step, overlap = 1 << 20, 64 << 10
	buf := make([]byte, step+overlap)
	for at := r.Start; at < r.End; at += step {
		b := buf[:min(uint64(len(buf)), r.End-at)]
		if err := p.Mem().ReadAt(b, at); err != nil {
			return nil // not all of a mapping is readable; the replay itself says what is wrong
		}
		var err error
		set.Find(b, func(m redact.Match) {
			if err == nil {
				err = &survivorError{set.Secrets[m.Secret].Name, fmt.Sprintf("%s, at event %d of process %d, as %s", where, p.Number, p.Info.ID, m.Form)}
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// redacted writes rec into the new folder dir with its secrets replaced, and
// replays the result. A divergence and a survivor are errors, and dir is then
// gone.
func redacted(u *ui, rec *recording.Recording, dir string, set *redact.Set, small bool) (*recording.Redaction, error) {
	u.status("looking for secrets")
	plan, err := redact.NewPlan(rec, set)
	if err != nil {
		return nil, err
	}
	manifest := plan.Manifest()
	changes := recording.Changes{Small: small, Redaction: &manifest}
	if !plan.Empty() {
		changes = plan.Changes()
		changes.Small, changes.Redaction = small, &manifest
	}
	u.status("writing the recording")
	if err := rec.Rewrite(dir, changes); err != nil {
		return nil, err
	}
	if err := proven(u, dir, set); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &manifest, nil
}

// proven holds a rewritten recording against its secrets, replays it, and
// marks it as verified.
func proven(u *ui, dir string, set *redact.Set) error {
	out, err := recording.Open(dir)
	if err != nil {
		return err
	}
	defer out.Close()
	again, err := redact.NewPlan(out, set)
	if err != nil {
		return err
	}
	if !again.Empty() {
		for _, s := range again.Manifest().Secrets {
			return &survivorError{s.Name, "the packed recording, in its " + strings.Join(slices.Sorted(maps.Keys(s.Counts)), ", ")}
		}
	}
	if err := canReplay(out); err != nil {
		return err
	}
	u.status("replaying the packed recording")
	sum, _ := out.Summary()
	if len(set.Secrets) == 0 {
		_, err = replay.Batch(out, replay.Options{})
	} else {
		err = searched(out, set, sum.Events)
	}
	if err != nil {
		return err
	}
	return out.SetVerified("exact")
}

// isDivergence says whether a replay went another way.
func isDivergence(err error) bool {
	_, ok := errors.AsType[*replay.Divergence](err)
	return ok
}

// sayRedacted tells what was replaced and what was not.
func sayRedacted(u *ui, m *recording.Redaction) {
	for _, l := range m.Left {
		u.warn(fmt.Sprintf("%s was not replaced: %s", l.Name, l.Why))
	}
	if len(m.Secrets) == 0 {
		return
	}
	var names []string
	places := 0
	for _, s := range m.Secrets {
		names = append(names, s.Name)
		for _, n := range s.Counts {
			places += n
		}
	}
	sort.Strings(names)
	u.note("replaced %s in %s: %s", plural(uint64(len(names)), "known secret", "known secrets"),
		plural(uint64(places), "place", "places"), strings.Join(names, ", "))
}
