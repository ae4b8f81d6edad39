//go:build linux && amd64

package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/keeping"
	"pyrr/internal/naming"
	"pyrr/internal/recording"

	"github.com/spf13/pflag"
)

func TestRecordingName(t *testing.T) {
	tests := []struct {
		name    string
		command []string
		want    string
	}{
		{"script", []string{"python", "fixtures/slow_http.py", "arg"}, "slow_http"},
		{"full path and version", []string{"/opt/bin/python3.11", "-u", "app.py"}, "app"},
		{"free-threaded", []string{"python3.13t", "app.py"}, "app"},
		{"module", []string{"python3", "-m", "pytest", "tests"}, "pytest"},
		{"module after flags", []string{"python3", "-X", "dev", "-W", "error", "-m", "http.server"}, "http.server"},
		{"grouped module", []string{"python3", "-Im", "pip"}, "pip"},
		{"glued module", []string{"python3", "-mpytest"}, "pytest"},
		{"glued value", []string{"python3", "-Werror", "a.py"}, "a"},
		{"command string", []string{"python3", "-c", "print(1)"}, "python3"},
		{"grouped command string", []string{"python3", "-Ic", "print(1)"}, "python3"},
		{"standard input", []string{"python3", "-"}, "python3"},
		{"no script", []string{"python3"}, "python3"},
		{"folder with __main__", []string{"python3", "app/__main__.py"}, "app"},
		{"other program", []string{"/usr/bin/pytest", "-x"}, "pytest"},
		{"not a Python", []string{"pythonize", "x.py"}, "pythonize"},
		{"bad characters", []string{"python", "a b:c?.py"}, "a_b_c_"},
		{"hidden", []string{"./.run"}, "run"},
		{"nothing left", []string{"..."}, "recording"},
		{"non-ASCII", []string{"python", "тест.py"}, "recording"},
		{"long", []string{strings.Repeat("x", 300)}, strings.Repeat("x", 80)},
		{"empty", nil, "recording"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := naming.RecordingName(tt.command); got != tt.want {
				t.Errorf("recordingName(%q) = %q, want %q", tt.command, got, tt.want)
			}
		})
	}
}

func TestPlanTarget(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "d.pyrr.zip"), 0o777); err != nil {
		t.Fatal(err)
	}
	cmd := []string{"python", "app.py"}
	tests := []struct {
		name, out    string
		part, packed string // regular expressions
		bad          string
	}{
		{"default", "", `^recordings/app-[a-z2-9]{6}\.pyrr\.part$`, `^recordings/app-[a-z2-9]{6}\.pyrr\.zip$`, ""},
		{"folder", "out", `^out/app-[a-z2-9]{6}\.pyrr\.part$`, `^out/app-[a-z2-9]{6}\.pyrr\.zip$`, ""},
		{"file", "out/x.pyrr.zip", `^out/x\.pyrr\.part$`, `^out/x\.pyrr\.zip$`, ""},
		{"other suffix", "x.zip", "", "", "ends in .pyrr.zip"},
		{"nothing but the suffix", "out/.pyrr.zip", "", "", "a name must stand before"},
		{"a folder of that name", filepath.Join(dir, "d.pyrr.zip"), "", "", "is a folder"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := naming.Plan(tt.out, cmd)
			if tt.bad != "" {
				if err == nil || !strings.Contains(err.Error(), tt.bad) {
					t.Fatalf("error %v, want %q", err, tt.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !regexp.MustCompile(tt.part).MatchString(got.Part) || !regexp.MustCompile(tt.packed).MatchString(got.Packed) {
				t.Errorf("got %+v", got)
			}
			if strings.TrimSuffix(got.Part, recording.PartSuffix) != strings.TrimSuffix(got.Packed, recording.PackedSuffix) {
				t.Errorf("the names differ: %+v", got)
			}
		})
	}
}

func TestPrepare(t *testing.T) {
	dir := t.TempDir()
	fresh := naming.Target{Part: filepath.Join(dir, "new", "deep", "x.pyrr.part"), Packed: filepath.Join(dir, "new", "deep", "x.pyrr.zip")}
	if err := keeping.Prepare(&fresh); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(filepath.Dir(fresh.Part)); len(left) != 0 {
		t.Errorf("the attempt left %v", left)
	}
	if err := os.Mkdir(fresh.Part, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := keeping.Prepare(&fresh); err == nil || !strings.Contains(err.Error(), "is there already") || len(hint.Of(err)) == 0 {
		t.Errorf("an existing .part: %v", err)
	}
	if err := fresh.Discard(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(fresh.Part)); err == nil {
		t.Error("the folder that was made for it is left")
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{filepath.Join(file, "x"), "/proc/x", "/sys/kernel/x"} {
		if err := keeping.Prepare(&naming.Target{Part: bad + recording.PartSuffix, Packed: bad + recording.PackedSuffix}); err == nil {
			t.Errorf("%s counts as writable", bad)
		}
	}
}

func TestKept(t *testing.T) {
	tests := []struct {
		name     string
		keep     string
		status   int
		timedOut bool
		want     bool
	}{
		{"always", keeping.KeepAlways, 0, false, true},
		{"timeout, in time", keeping.KeepTimeout, 1, false, false},
		{"timeout", keeping.KeepTimeout, 130, true, true},
		{"failure, success", keeping.KeepFailure, 0, false, false},
		{"failure", keeping.KeepFailure, 1, false, true},
		{"failure by signal", keeping.KeepFailure, 139, false, true},
		{"failure by a time-out that ended well", keeping.KeepFailure, 0, true, true},
		{"never", keeping.KeepNever, 1, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := keeping.Kept(tt.keep, tt.status, tt.timedOut); got != tt.want {
				t.Errorf("kept = %v, want %v", got, tt.want)
			}
		})
	}
}

func TestParseDuration(t *testing.T) {
	tests := []struct {
		name, in string
		want     time.Duration
		bad      bool
	}{
		{"seconds", "30", 30 * time.Second, false},
		{"fraction", "2.5", 2500 * time.Millisecond, false},
		{"units", "1m30s", 90 * time.Second, false},
		{"exponent", "1e2", 100 * time.Second, false},
		{"zero", "0", 0, true},
		{"negative", "-3s", 0, true},
		{"word", "soon", 0, true},
		{"empty", "", 0, true},
		{"not a number", "nan", 0, true},
		{"too long", "1e30", 0, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := flagvalue.ParseDuration(tt.in)
			if got != tt.want || (err != nil) != tt.bad {
				t.Errorf("parseDuration(%q) = %v, %v", tt.in, got, err)
			}
		})
	}
}

// TestRecordFlags holds where pyrr's flags end and the command's begin.
func TestRecordFlags(t *testing.T) {
	tests := []struct {
		name string
		args []string
		cmd  []string
	}{
		{"without --", []string{"--keep", "never", "python", "--keep", "x"}, []string{"python", "--keep", "x"}},
		{"with --", []string{"--timeout", "3", "--", "python", "-c", "1"}, []string{"python", "-c", "1"}},
		{"a second --", []string{"--", "cmd", "--", "x"}, []string{"cmd", "--", "x"}},
		{"a command with a dash", []string{"--", "-x"}, []string{"-x"}},
		{"chaos takes no word", []string{"--chaos", "python"}, []string{"python"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := recordCommand()
			fs := c.FlagSet()
			c.Setup(fs)
			if err := fs.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(fs.Args(), " "); got != strings.Join(tt.cmd, " ") {
				t.Errorf("command %q, want %q", fs.Args(), tt.cmd)
			}
		})
	}
}

func TestChaosFlag(t *testing.T) {
	parse := func(arg string) (on bool, seed uint64, err error) {
		fs := pflag.NewFlagSet("", pflag.ContinueOnError)
		fs.Var(flagvalue.NewChaos(&on, &seed), "chaos", "")
		fs.Lookup("chaos").NoOptDefVal = flagvalue.ChaosRandom
		err = fs.Parse([]string{arg})
		return on, seed, err
	}
	if on, seed, err := parse("--chaos=7"); !on || seed != 7 || err != nil {
		t.Errorf("--chaos=7: %v %d %v", on, seed, err)
	}
	on, first, err := parse("--chaos")
	if !on || err != nil {
		t.Errorf("--chaos: %v %v", on, err)
	}
	if _, second, _ := parse("--chaos"); first == second {
		t.Errorf("two random seeds are both %d", first)
	}
	if _, _, err := parse("--chaos=x"); err == nil {
		t.Error("--chaos=x is taken")
	}
}
