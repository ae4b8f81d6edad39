// Package packing makes one file of a recording: cut to its test, without its secrets,
// smaller than a limit.
//
// It records nothing. Begin with Flags and Pack.
package packing

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"pyrr/internal/contents"
	"pyrr/internal/find"
	"pyrr/internal/flagvalue"
	"pyrr/internal/hiding"
	"pyrr/internal/hint"
	"pyrr/internal/keeping"
	"pyrr/internal/outfile"
	"pyrr/internal/printable"
	"pyrr/internal/reason"
	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/replay"
)

// Flags are the flags of pyrr pack.
type Flags struct {
	Out      string
	MaxSize  flagvalue.Size
	Markdown bool
	Thin     bool
	Secrets  keeping.SecretFlags
}

func Pack(u *screen.UI, f *Flags, args []string) error {
	rec, path, err := find.One("pack", args)
	if err != nil {
		return err
	}
	defer rec.Close()
	out := f.Out
	switch {
	case out == "":
		out = strings.TrimSuffix(strings.TrimSuffix(find.Beside(path), recording.PackedSuffix), recording.PartSuffix) + "-packed" + recording.PackedSuffix
	case !strings.HasSuffix(out, recording.PackedSuffix):
		return hint.With(hint.Usagef("pack: -o %s: the name must end in %s, by which the file is known", out, recording.PackedSuffix),
			"pyrr pack -o "+printable.ShellQuote(out+recording.PackedSuffix)+" "+printable.ShellQuote(path))
	}
	if same(out, path) {
		return hint.With(hint.Usagef("pack: -o %s is the recording itself", out), "pyrr pack -o "+printable.ShellQuote(strings.TrimSuffix(out, recording.PackedSuffix)+"-packed"+recording.PackedSuffix)+" "+printable.ShellQuote(path))
	}
	if err := outfile.Replaceable(out); err != nil {
		return hint.Usagef("pack: -o %v", err)
	}
	if err := replay.Able(rec); err != nil && !hint.IsMachine(err) {
		return err
	}
	finder, err := f.Secrets.Find(u, rec)
	if err != nil {
		return err
	}
	manifest, bytes, err := packTo(u, rec, path, out, finder, f)
	if err != nil {
		return err
	}
	keeping.SayRedacted(u, manifest)
	packed, err := recording.Open(out)
	if err != nil {
		return err
	}
	defer packed.Close()
	verdict := "verified"
	if sum, _ := packed.Summary(); sum.Verified != "exact" {
		verdict = "not verified"
	}
	if packed.Header().Form == recording.FormIndex {
		verdict = "without memory"
	}
	u.Note("packed %s  %s, %s", out, printable.ByteSize(bytes), verdict)
	if f.Markdown {
		all, err := reason.Of(packed, false)
		if err != nil {
			return err
		}
		return show.Markdown(u, packed, out, all)
	}
	return nil
}

// packTo writes the packed form of rec to out and returns what was replaced
// in it and its size.
func packTo(u *screen.UI, rec *recording.Recording, path, out string, finder *redact.Finder, f *Flags) (*recording.Redaction, int64, error) {
	if err := os.MkdirAll(filepath.Dir(out), 0o777); err != nil {
		return nil, 0, fmt.Errorf("make the folder for %s: %w", out, err)
	}
	work, err := os.MkdirTemp(filepath.Dir(out), ".pyrr-pack-*")
	if err != nil {
		return nil, 0, fmt.Errorf("write beside %s: %w", out, err)
	}
	remove := func() { os.RemoveAll(work) }
	defer u.Cleanups.Add(remove)()
	defer remove()
	defer u.ClearStatus()
	dir := filepath.Join(work, "recording")
	write := proven
	if hint.IsMachine(replay.Able(rec)) {
		write = unproven
	}
	manifest, err := write(u, rec, path, dir, finder)
	if err != nil {
		return nil, 0, packFailed(err, path)
	}
	u.Status("packing")
	zip := filepath.Join(work, "packed.zip")
	size, err := zipFitting(u, rec, path, dir, zip, f)
	if err != nil {
		return nil, 0, err
	}
	if err := outfile.Place(zip, out); err != nil {
		return nil, 0, err
	}
	return manifest, size, nil
}

// proven writes the packed form of rec into the new folder dir, as replays show it to be
// right.
func proven(u *screen.UI, rec *recording.Recording, path, dir string, finder *redact.Finder) (*recording.Redaction, error) {
	whole := rec
	if sum, _ := rec.Summary(); rec.Header().Test != "" && rec.Header().Form == "" && sum.Verified != "exact" {
		short, err := touchedOnly(u, rec, path, filepath.Join(filepath.Dir(dir), "short"+recording.PartSuffix))
		if err != nil {
			u.Warn("the file is larger than it need be: " + err.Error())
		} else {
			defer short.Close()
			rec = short
		}
	}
	var set *redact.Set
	var manifest *recording.Redaction
	pass := func() error {
		var err, failed error
		manifest, set, err, failed = hiding.Replace(u, rec, dir, finder, true, false, func(s *hiding.Search) error { return hiding.Prove(u, dir, s) })
		return errors.Join(err, failed)
	}
	err := pass()
	if rec != whole && (hiding.IsDivergence(err) || replay.Damaged(err)) {
		// What is exact counts more than what is small.
		rec = whole
		os.RemoveAll(dir)
		err = pass()
	}
	if why := keeping.OnlyIndex(err); why != "" {
		os.RemoveAll(dir)
		if manifest, err = hiding.IndexForm(u, rec, dir, set); err == nil {
			u.Warn(why + ", so the file holds events, stacks and output, and no memory: it can't be replayed")
		}
	}
	return manifest, err
}

// zipFitting packs the folder dir, and leaves out what a replay makes again where it would
// be too large.
func zipFitting(u *screen.UI, rec *recording.Recording, path, dir, zip string, f *Flags) (int64, error) {
	limit := int64(f.MaxSize)
	size, left, err := zipped(rec, dir, zip, f.Thin)
	if err != nil {
		return 0, err
	}
	if limit > 0 && size > limit && rec.Header().Form == "" {
		// What a replay makes again goes first.
		os.Remove(filepath.Join(dir, recording.StacksMember))
		os.Remove(filepath.Join(dir, recording.SourcesMember))
		if size, left, err = zipped(rec, dir, zip, f.Thin); err != nil {
			return 0, err
		}
		if size <= limit {
			u.Note("cut to keep to %s: the index of stacks and the source lines; stacks come from a replay then", printable.ByteSize(limit))
		}
	}
	if limit > 0 && size > limit {
		return 0, hint.With(fmt.Errorf("the packed recording takes %s, more than --max-size %s, %s; it was not kept", printable.ByteSize(size), printable.ByteSize(limit), parts(dir)),
			"pyrr pack --max-size "+fmt.Sprint(size)+" "+printable.ShellQuote(path))
	}
	if f.Thin {
		sayLeft(u, left)
	}
	return size, nil
}

// sayLeft names what a thin recording was made without.
func sayLeft(u *screen.UI, left []recording.File) {
	if len(left) == 0 {
		u.Note("thin: none of its mapped files is found elsewhere on this machine, so all are in it")
		return
	}
	var sum uint64
	for _, f := range left {
		sum += f.Kept
	}
	u.Note("thin: without %s, %s, which are on this machine: where they are not, it can be read and not replayed",
		printable.Plural(uint64(len(left)), "mapped file", "mapped files"), printable.ByteSize(int64(sum)))
}

// touchedOnly writes the recording of a test that was not cut yet (its recorder
// was killed, or told not to verify it) to the folder dir, without the memory
// and the parts of files that the test does not touch.
func touchedOnly(u *screen.UI, rec *recording.Recording, path, dir string) (*recording.Recording, error) {
	u.Status("shortening the recording")
	from, err := keeping.TestBegins(rec)
	if err != nil {
		return nil, err
	}
	folder := rec
	if st, err := os.Stat(path); err == nil && !st.IsDir() { // only in a folder is it seen what is read
		whole := strings.TrimSuffix(dir, recording.PartSuffix) + "-whole" + recording.PartSuffix
		if err := rec.Rewrite(whole, recording.Changes{}); err != nil {
			return nil, err
		}
		defer os.RemoveAll(whole)
		if folder, err = recording.Open(whole); err != nil {
			return nil, err
		}
		defer folder.Close()
	}
	if err := keeping.ShortenInto(folder, dir, from); err != nil {
		return nil, err
	}
	short, err := recording.Open(dir)
	if err != nil {
		return nil, err
	}
	whole, err := contents.Sizes(rec, path)
	left, lerr := contents.Sizes(short, dir)
	if err == nil && lerr == nil {
		u.Note("cut: %s of memory and files that the test does not touch", printable.ByteSize(max(whole.Total-left.Total, 0)))
	}
	return short, nil
}

// zipped packs the folder dir, thin without what is found elsewhere, and returns the
// size and what was left out.
func zipped(rec *recording.Recording, dir, zip string, thin bool) (size int64, left []recording.File, err error) {
	if err := os.Remove(zip); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, nil, err
	}
	if err := recording.Pack(dir, zip); err != nil {
		return 0, nil, err
	}
	if thin {
		if left, err = thinned(rec, zip); err != nil {
			return 0, nil, err
		}
	}
	st, err := os.Stat(zip)
	if err != nil {
		return 0, nil, err
	}
	return st.Size(), left, nil
}

// leastLeft is the size from which on the content of a mapped file is left out.
const leastLeft = 4 << 10

// thinned makes a packed recording thin. What finds the files of rec finds these.
func thinned(rec *recording.Recording, zip string) (left []recording.File, err error) {
	thin := zip + ".thin"
	out, err := os.OpenFile(thin, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	left, err = recording.Thin(zip, out, func(f recording.File) bool { return f.Kept >= leastLeft && rec.Elsewhere(f) == nil })
	if err = errors.Join(err, out.Close()); err != nil {
		os.Remove(thin)
		return nil, err
	}
	return left, os.Rename(thin, zip)
}

// parts says what takes the room in the recording in the folder dir.
func parts(dir string) string {
	sizes := map[string]int64{}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil
		}
		name, _ := filepath.Rel(dir, path)
		kind, _, _ := strings.Cut(name, string(filepath.Separator))
		if st, err := d.Info(); err == nil {
			sizes[kind] += st.Size()
		}
		return nil
	})
	return fmt.Sprintf("of which %s are events with the memory at the start, and %s mapped files", printable.ByteSize(sizes["events"]), printable.ByteSize(sizes["files"]))
}

// packFailed explains why there is no packed recording.
func packFailed(err error, path string) error {
	if hiding.IsDivergence(err) {
		return hint.With(fmt.Errorf("nothing was packed: the recording is not exact: %w", show.ReplayFailed(err, path)), "pyrr replay --batch "+printable.ShellQuote(path))
	}
	return fmt.Errorf("nothing was packed: %w", err)
}

// same says whether two paths name one file.
func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
