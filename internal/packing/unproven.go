package packing

import (
	"errors"
	"os"

	"pyrr/internal/hiding"
	"pyrr/internal/hint"
	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/internal/screen"
	"pyrr/replay"
)

// unproven is proven where this machine can't replay the recording. One in which there
// is nothing to replace stays what it is. Else there are events and stacks alone: what
// the program would do with a placeholder, only a replay shows.
func unproven(u *screen.UI, rec *recording.Recording, path, dir string, finder *redact.Finder) (*recording.Redaction, error) {
	why := replay.Able(rec)
	manifest, set, err, failed := hiding.Replace(u, rec, dir, finder, true, false, func(*hiding.Search) error { return nil })
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	if len(manifest.Secrets) == 0 {
		return manifest, hiding.KeepVerdict(rec, dir)
	}
	if !rec.HasStacks() {
		return nil, hint.With(why, "pyrr pack, where it can be replayed: it has secrets to replace, and no index of stacks")
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if manifest, err = hiding.Unreplayed(u, rec, dir, set); err != nil {
		return nil, err
	}
	u.Warn(why.Error() + ", and only a replay shows what the program does with placeholders, so the file holds events and stacks, and neither memory nor output")
	return manifest, nil
}
