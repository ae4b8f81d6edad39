package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"pyrr/internal/stackwalk"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/internal/linux"
	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/replay"
)

// secretFlags say which secrets to replace.
type secretFlags struct {
	names []string
	masks string // a file, - for standard input
}

// declare adds the flags to a command.
func (s *secretFlags) declare(fs *pflag.FlagSet) {
	fs.StringArrayVar(&s.names, "secret", nil, "the value of the environment variable `NAME` is a secret too;\nmay be given several times")
	fs.StringVar(&s.masks, "masks", "", "a `FILE` with secrets, one a line, or lines ::add-mask::VALUE;\n- for standard input")
}

// find collects what is known to be secret: from the recording, from
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

// replayWatch sees the events of a replay.
type replayWatch = func(*replay.Process, *replay.Thread, *recording.Event) error

// searcher looks for the secrets in what the program makes of a replay: in
// all of its memory where a process ends and a few times before, and in what
// it writes. A value that reached the program compressed, encrypted or in
// pieces shows up here.
func searcher(set *redact.Set, events uint64) replayWatch {
	const looks = 6
	every := max(events/looks, 2000)
	var total uint64
	return func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		total++
		switch {
		case ev.Kind == recording.KindEnd || total%every == 0:
			return searchMemory(p, set)
		case t != nil && (ev.Kind == recording.KindSyscall || ev.Kind == recording.KindEnter):
			for _, g := range linux.Given(int(ev.Nr), ev.Args, p.Mem(), nil) {
				if err := searchRange(p, set, replay.Range{Start: g.Addr, End: g.Addr + min(g.Len, 1<<20)}, "what the program wrote"); err != nil {
					return err
				}
			}
		}
		return nil
	}
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
// holds the result against them. A survivor is an error, and dir is then gone.
// The result is not replayed yet.
func redacted(u *ui, rec *recording.Recording, dir string, set *redact.Set, small bool) (*recording.Redaction, error) {
	u.status("looking for secrets")
	plan, err := redact.NewPlan(rec, set)
	if err != nil {
		return nil, err
	}
	manifest := plan.Manifest()
	changes := recording.Changes{}
	if !plan.Empty() {
		changes = plan.Changes()
	}
	changes.Small, changes.Redaction = small, &manifest
	u.status("writing the recording")
	if err := rec.Rewrite(dir, changes); err != nil {
		return nil, err
	}
	if err := holdsNone(dir, set); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return &manifest, nil
}

// holdsNone reads a rewritten recording through for what should be gone.
func holdsNone(dir string, set *redact.Set) error {
	out, err := recording.Open(dir)
	if err != nil {
		return err
	}
	defer out.Close()
	plan, err := redact.NewPlan(out, set)
	if err != nil || plan.Empty() {
		return err
	}
	for _, s := range plan.Manifest().Secrets {
		return &survivorError{s.Name, "the packed recording, in its " + strings.Join(slices.Sorted(maps.Keys(s.Counts)), ", ")}
	}
	return nil
}

// proven replays a rewritten recording, adapts it to its placeholders, and
// marks it as verified. It looks for the secrets in what the program does.
func proven(u *ui, dir string, set *redact.Set) error {
	changed, err := adapted(u, dir, set)
	if err != nil {
		return err
	}
	out, err := recording.Open(dir)
	if err != nil {
		return err
	}
	defer out.Close()
	if changed > 0 {
		u.status("replaying the packed recording")
		sum, _ := out.Summary()
		if _, err := replay.Batch(out, replay.Options{OnEvent: searcher(set, sum.Events)}); err != nil {
			return err
		}
	}
	if !out.HasStacks() {
		u.status("making the index of stacks")
		indexErr, err := stackwalk.Replay(out, stackwalk.FromRecording, replay.Options{})
		if err != nil {
			return err
		}
		if indexErr != nil {
			u.warn(indexErr.Error())
		}
		if err := hideInSources(dir, set); err != nil {
			return err
		}
	}
	return out.SetVerified("exact")
}

// hideInSources replaces the secrets in the texts of source files that the
// recording in the folder dir keeps.
func hideInSources(dir string, set *redact.Set) error {
	rec, err := recording.Open(dir)
	if err != nil {
		return err
	}
	defer rec.Close()
	texts, err := rec.Sources()
	if err != nil {
		return err
	}
	found := 0
	for name, text := range texts {
		texts[name] = []byte(set.Replace(string(text), func(int) { found++ }))
	}
	if found == 0 {
		return nil
	}
	w, err := rec.WriteSources()
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if err := w.Add(name, texts[name]); err != nil {
			w.Abort()
			return err
		}
	}
	return w.Close()
}

// hidden is a recording that was written again without its secrets.
type hidden struct {
	dir      string
	set      *redact.Set
	manifest *recording.Redaction
}

// The values of --redact.
const (
	redactAuto   = "auto"
	redactAlways = "always"
	redactNever  = "never"
)

// wanted says whether record replaces secrets: where continuous integration
// would publish them, and where some were named.
func (s *secretFlags) wanted(when string) bool {
	ci := os.Getenv("CI")
	return when == redactAlways || when == redactAuto && (len(s.names) > 0 || s.masks != "" || ci != "" && ci != "false" && ci != "0")
}

// hideSecrets writes the recording of t once more without its known secrets,
// if that is wanted and it holds any; else it returns nil. The set of secrets is
// nil where they are not to be replaced.
func hideSecrets(u *ui, t *target, f *recordFlags) (*hidden, *redact.Set, error) {
	if !f.secrets.wanted(f.redact) {
		return nil, nil, nil
	}
	rec, err := recording.Open(t.part)
	if err != nil {
		return nil, nil, err
	}
	defer rec.Close()
	set, err := f.secrets.find(u, rec)
	if err != nil {
		return nil, nil, err
	}
	plan, err := redact.NewPlan(rec, set)
	if err != nil {
		return nil, nil, err
	}
	if plan.Empty() {
		m := plan.Manifest()
		return nil, set, rec.SetRedaction(&m)
	}
	h := &hidden{dir: strings.TrimSuffix(t.part, partSuffix) + ".hiding" + partSuffix, set: set}
	if h.manifest, err = redacted(u, rec, h.dir, set, false); err != nil {
		return nil, nil, err
	}
	return h, set, nil
}

// indexOnly makes the form without memory of the recording in the folder part
// take the place of the one that does not replay.
func (h *hidden) indexOnly(u *ui, part string) error {
	if err := os.RemoveAll(h.dir); err != nil {
		return err
	}
	rec, err := recording.Open(part)
	if err != nil {
		return err
	}
	defer rec.Close()
	h.manifest, err = packIndexForm(u, rec, h.dir, h.set)
	return err
}

func (h *hidden) discard() {
	if h != nil {
		os.RemoveAll(h.dir)
	}
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
	places := 0
	for _, s := range m.Secrets {
		for _, n := range s.Counts {
			places += n
		}
	}
	u.note("replaced %s in %s: %s", plural(uint64(len(m.Secrets)), "known secret", "known secrets"),
		plural(uint64(places), "place", "places"), m.Names())
}
