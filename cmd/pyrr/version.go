package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"pyrr/internal/cli"
	"pyrr/internal/hint"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

// version is set by the release build: -ldflags "-X main.version=v1.2.3".
var version = ""

// versionInfo is what pyrr version prints, and what a recording says of the
// tool that made it.
type versionInfo struct {
	Version string `json:"version"`
	Go      string `json:"go"`
	OS      string `json:"os"`
	Arch    string `json:"arch"`
}

func currentVersion() versionInfo {
	v := versionInfo{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if v.Version != "" {
		return v
	}
	v.Version = "development"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	dirty, checkout := "", false
	for _, s := range info.Settings {
		checkout = checkout || s.Key == "vcs"
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			v.Version += " " + s.Value[:12]
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with changes"
		}
	}
	v.Version += dirty
	// go install PATH@VERSION builds a module, no checkout.
	if m := info.Main.Version; !checkout && strings.HasPrefix(m, "v") {
		v.Version = m
	}
	return v
}

func versionCommand() *cli.Command {
	return &cli.Command{
		Name:     "version",
		Synopsis: "[--json]",
		Short:    "print the version",
		Long:     "Prints the version of this binary and what it was built for.",
		Examples: []cli.Example{{"pyrr version", "for a bug report"}},
		Exits:    []cli.Exit{{"0", "it was printed"}},
		Setup: func(fs *pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			asJSON := fs.Bool("json", false, "print JSON")
			return func(_ context.Context, u *screen.UI, args []string) error {
				if len(args) > 0 {
					return hint.Usagef("version: takes no arguments")
				}
				v := currentVersion()
				if *asJSON {
					return u.PrintJSON(v)
				}
				_, err := fmt.Fprintf(u.Out, "pyrr %s (%s, %s/%s)\n", v.Version, v.Go, v.OS, v.Arch)
				return err
			}
		},
	}
}
