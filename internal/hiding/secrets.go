package hiding

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/internal/stackwalk"
	"pyrr/replay"
)

// Find collects what is known to be secret: from the recording, from the
// environment and the configuration of who packs, the values of the variables names,
// and the file masks, - for standard input, "" for none.
func Find(u teller, rec *recording.Recording, names []string, masks string) (*redact.Finder, error) {
	f := redact.NewFinder(names)
	if masks != "" {
		var text []byte
		var err error
		if masks == "-" {
			text, err = io.ReadAll(os.Stdin)
		} else {
			text, err = os.ReadFile(masks)
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
			u.Warn(fmt.Sprintf("--secret %s: neither the recording nor this environment has that variable, so nothing was replaced for it", name))
		}
	}
	return f, nil
}

func inEnvironment(rec *recording.Recording, name string) bool {
	procs, err := rec.Procs()
	return err == nil && slices.ContainsFunc(procs, func(p recording.Process) bool {
		return slices.ContainsFunc(p.Env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
	})
}

// redacted writes rec into the new folder dir with its secrets replaced, and
// holds the result against them. A survivor is an error, and dir is then gone.
// The result is not replayed yet.
func redacted(u teller, rec *recording.Recording, dir string, set *redact.Set, small bool) (*recording.Redaction, error) {
	u.Status("looking for secrets")
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
	u.Status("writing the recording")
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
		return &SurvivorError{set.Secrets[max(i, 0)], "the packed recording, in its " + strings.Join(slices.Sorted(maps.Keys(s.Counts)), ", ")}
	}
	return nil
}

// Prove replays a rewritten recording, adapts it to its placeholders, and
// marks it as verified. It looks for the secrets in what the program does.
func Prove(u teller, dir string, s *Search) error {
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
		u.Status("replaying the packed recording")
		sum, _ := out.Summary()
		if _, err := replay.Batch(out, replay.Options{OnEvent: s.watch(sum.Events)}); err != nil {
			return err
		}
	}
	if !out.HasStacks() {
		u.Status("making the index of stacks")
		indexErr, err := stackwalk.Replay(out, stackwalk.FromRecording, replay.Options{})
		if err != nil {
			return err
		}
		if indexErr != nil {
			u.Warn(indexErr.Error())
		}
		if err := InSources(dir, s.set); err != nil {
			return err
		}
	}
	return out.SetVerified("exact")
}

// InSources replaces the secrets in the texts of source files that the
// recording in the folder dir keeps.
func InSources(dir string, set *redact.Set) error {
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

// Hidden is a recording that was written again without its secrets.
type Hidden struct {
	Dir      string
	set      *redact.Set
	Manifest *recording.Redaction
}

// Secrets writes the recording in the folder part once more without its known
// secrets, see findSecrets, if it holds any; else it returns nil. failed is set where
// the program does something else with the placeholders: with strict, what only looks
// like a secret is kept out even then. small takes more time to make less of it.
func Secrets(u teller, part string, names []string, masks string, small, strict bool) (h *Hidden, set *redact.Set, failed, err error) {
	rec, err := recording.Open(part)
	if err != nil {
		return nil, nil, nil, err
	}
	defer rec.Close()
	finder, err := Find(u, rec, names, masks)
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
	h = &Hidden{Dir: strings.TrimSuffix(part, recording.PartSuffix) + ".hiding" + recording.PartSuffix}
	h.Manifest, h.set, err, failed = Replace(u, rec, h.Dir, finder, small, strict, func(s *Search) error {
		_, err := adapted(u, h.Dir, s)
		return err
	})
	if err != nil {
		return nil, nil, nil, err
	}
	return h, h.set, failed, nil
}

// IndexOnly makes the form without memory of the recording in the folder part
// take the place of the one that does not replay.
func (h *Hidden) IndexOnly(u teller, part string) error {
	if err := os.RemoveAll(h.Dir); err != nil {
		return err
	}
	rec, err := recording.Open(part)
	if err != nil {
		return err
	}
	defer rec.Close()
	h.Manifest, err = IndexForm(u, rec, h.Dir, h.set)
	return err
}

func (h *Hidden) Discard() {
	if h != nil {
		os.RemoveAll(h.Dir)
	}
}

// IsDivergence says whether a replay went another way.
func IsDivergence(err error) bool {
	_, ok := errors.AsType[*replay.Divergence](err)
	return ok
}
