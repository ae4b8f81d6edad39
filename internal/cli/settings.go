package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/pflag"

	"pyrr/assert"
	"pyrr/internal/hint"
	"pyrr/internal/recording"
	"pyrr/internal/settings"
)

// SettingsFrom is the hidden flag that names another folder to look from.
const SettingsFrom = "settings-from"

// applySettings sets the flags that were not given from the settings of the
// project that pyrr runs in. What is wrong there is wrong for every command that
// reads settings, also where it is about another one.
func (c *Command) applySettings(fs *pflag.FlagSet) error {
	dir := "."
	if f := fs.Lookup(SettingsFrom); f != nil {
		dir = f.Value.String()
	}
	s, err := settings.Find(dir)
	if bad, ok := errors.AsType[*settings.Error](err); ok {
		bad.File = fromHere(bad.File)
		out := hint.Usagef("%v", bad)
		if bad.Unknown != "" {
			if near := assert.Nearest(bad.Unknown, settings.Keys); near != "" {
				out.Next = append(out.Next, fmt.Sprintf("did you mean %s?", near))
			} else {
				out.Next = append(out.Next, "there are "+strings.Join(settings.Keys, ", "))
			}
		}
		return out
	}
	if s == nil || err != nil {
		return err
	}
	for _, v := range s.Values {
		name := c.Settings[v.Key]
		f := fs.Lookup(name)
		if name == "" || f.Changed {
			continue
		}
		for _, word := range v.Text {
			if v.Key == "dir" || v.Key == "specs" {
				if v.Key == "dir" && strings.HasSuffix(word, recording.PackedSuffix) {
					return hint.Usagef("%s:%d: dir: %s is a name for one recording, and this is the folder for all", fromHere(s.File), v.Line, word)
				}
				if !filepath.IsAbs(word) {
					word = fromHere(filepath.Join(filepath.Dir(s.File), word))
				}
			}
			if err := f.Value.Set(word); err != nil {
				return hint.Usagef("%s:%d: %s: %v", fromHere(s.File), v.Line, v.Key, err)
			}
			f.Changed = true
		}
	}
	return nil
}

// fromHere shows a path as seen from the working directory, where that is shorter.
func fromHere(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}
