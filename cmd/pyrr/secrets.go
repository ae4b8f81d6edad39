package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/internal/stackwalk"

	"github.com/spf13/pflag"

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
func (s *secretFlags) find(u *ui, rec *recording.Recording) (*redact.Finder, error) {
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
	return f, nil
}

func inEnvironment(rec *recording.Recording, name string) bool {
	procs, err := rec.Procs()
	return err == nil && slices.ContainsFunc(procs, func(p recording.Proc) bool {
		return slices.ContainsFunc(p.Env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	})
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
		i := slices.IndexFunc(set.Secrets, func(x redact.Secret) bool { return x.Name == s.Name })
		return &survivorError{set.Secrets[max(i, 0)], "the packed recording, in its " + strings.Join(slices.Sorted(maps.Keys(s.Counts)), ", ")}
	}
	return nil
}

// proven replays a rewritten recording, adapts it to its placeholders, and
// marks it as verified. It looks for the secrets in what the program does.
func proven(u *ui, dir string, s *search) error {
	changed, err := adapted(u, dir, s)
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
		if _, err := replay.Batch(out, replay.Options{OnEvent: s.watch(sum.Events)}); err != nil {
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
		if err := hideInSources(dir, s.set); err != nil {
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
// nil where they are not to be replaced. failed is set where the program does
// something else with the placeholders.
func hideSecrets(u *ui, t *target, f *recordFlags) (h *hidden, set *redact.Set, failed, err error) {
	if !f.secrets.wanted(f.redact) {
		return nil, nil, nil, nil
	}
	rec, err := recording.Open(t.part)
	if err != nil {
		return nil, nil, nil, err
	}
	defer rec.Close()
	finder, err := f.secrets.find(u, rec)
	if err != nil {
		return nil, nil, nil, err
	}
	set = finder.Set()
	plan, err := redact.NewPlan(rec, set)
	if err != nil {
		return nil, nil, nil, err
	}
	if plan.Empty() {
		m := plan.Manifest()
		return nil, set, nil, rec.SetRedaction(&m)
	}
	h = &hidden{dir: strings.TrimSuffix(t.part, partSuffix) + ".hiding" + partSuffix}
	h.manifest, h.set, err, failed = replaced(u, rec, h.dir, finder, false, f.redact == redactAlways, func(s *search) error {
		_, err := adapted(u, h.dir, s)
		return err
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return h, h.set, failed, nil
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
	for i, l := range m.Left {
		same := func(x recording.LeftSecret) bool { return x.Why == l.Why }
		if slices.IndexFunc(m.Left, same) < i {
			continue // in the line of the first
		}
		names, verb := l.Name, "was"
		for _, x := range m.Left[i+1:] {
			if same(x) {
				names, verb = names+", "+x.Name, "were"
			}
		}
		u.warn(fmt.Sprintf("%s %s not replaced: %s", names, verb, l.Why))
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
	defer sayRules(u, m)
	u.note("replaced %s in %s: %s", plural(uint64(len(m.Secrets)), "known secret", "known secrets"),
		plural(uint64(places), "place", "places"), m.Names())
}

// sayRules tells what each rule of shapes replaced.
func sayRules(u *ui, m *recording.Redaction) {
	values, places := map[string]uint64{}, map[string]uint64{}
	for _, s := range m.Secrets {
		if s.Rule == "" {
			continue
		}
		values[s.Rule]++
		for _, n := range s.Counts {
			places[s.Rule] += uint64(n)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(values)) {
		u.note("rule %s: replaced %s in %s", rule, plural(values[rule], "value", "values"), plural(places[rule], "place", "places"))
	}
}
