//go:build linux

package keeping

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"pyrr/capture"
	"pyrr/capture/pytest"
	"pyrr/internal/hiding"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// testByTest sets o up to record each test by itself, where only some
// recordings are wanted and the command may run pytest. Where none is, and there is
// a time-out, that is each test's too. The returned function tidies up.
func testByTest(u *screen.UI, o *capture.Options, t *naming.Target, f *Flags, fs *pflag.FlagSet) (tidy func(), fin *finisher) {
	each := f.Keep == KeepTimeout || f.Keep == KeepFailure || f.Keep == KeepNever && f.Timeout > 0
	// All is one recording: the plugin tells when a test begins that has the time-out.
	whole := f.Keep == KeepAlways && f.Timeout > 0 && !f.Within && f.From == 0 && f.region == ""
	if (!each && !f.Within || f.From > 0) && f.region == "" && !whole {
		return func() {}, nil
	}
	plugin, err := pytest.Install(filepath.Dir(t.Part))
	if err != nil {
		u.Warn(err.Error() + "; what is kept is of the whole command, and a time-out is that of all of it")
		return func() {}, nil
	}
	if whole {
		o.Plugin = plugin
		return func() { os.RemoveAll(plugin) }, nil
	}
	fin = newFinisher(u, fs, plugin)
	o.Tests = &capture.Tests{
		Plugin: plugin, Limit: f.Timeout, Failures: f.Keep == KeepFailure, MaxKept: f.KeepMax, MaxSame: f.KeepSame,
		Path: func(test string) string {
			return filepath.Join(filepath.Dir(t.Part), testName(test)+"-"+naming.ShortID()+recording.PartSuffix)
		},
		Final:   packedName,
		Keeping: fin.keeping,
	}
	if f.region != "" {
		o.Tests.Plugin, o.Tests.Region = "", f.region
	}
	if f.Keep == KeepAlways || f.Keep == KeepNever {
		o.Tests.Keep = f.Keep
	}
	return func() { os.RemoveAll(plugin) }, fin
}

func packedName(part string) string {
	return strings.TrimSuffix(part, recording.PartSuffix) + recording.PackedSuffix
}

// testName makes a name for files of a test's id: the folders that it is in
// are left out, and what is too long is cut in front.
func testName(id string) string {
	file, rest, found := strings.Cut(id, "::")
	name := strings.TrimSuffix(filepath.Base(file), ".py")
	if found {
		name += "." + strings.ReplaceAll(rest, "::", ".")
	}
	const most = 80
	if safe := naming.SafeName(name); len(name) <= most {
		return safe
	}
	return naming.SafeName(strings.ToValidUTF8(name[len(name)-most:], "_"))
}

// finishTests verifies and packs the recordings of tests, except for those that the
// finisher has done.
func finishTests(u *screen.UI, done map[string]finished, f *Flags, kept []capture.Kept) {
	v := verifying{f: f, since: time.Now(), exact: map[string]bool{}}
	for _, one := range done {
		v.learn(&one.verified)
	}
	late, alike := 0, 0
	for _, k := range kept {
		one, ok := done[k.Dir]
		if ok {
			u.ClearStatus()
			fmt.Fprint(u.Err, one.Text)
			if !one.Told {
				sayWhy(u, one.Why)
			}
		} else {
			finishTest(u, v.flags(&k, false, &one.verified), &k)
			if rec, err := recording.Open(made(packedName(k.Dir), k.Dir)); err == nil {
				one.Exact = isExact(rec)
				if hasReason(&k) {
					why, _ := sentencesOf(rec)
					sayWhy(u, why)
				}
				rec.Close()
			}
			v.learn(&one.verified)
		}
		if one.Late {
			late++
		}
		if one.Alike {
			alike++
		}
	}
	if alike > 0 {
		u.Note("%s not verified and not cut: that of another test that failed alike is exact", printable.Plural(uint64(alike), "recording is", "recordings are"))
	}
	if late > 0 {
		u.Note("%s not verified and not cut: --verify-time %v was over", printable.Plural(uint64(late), "recording is", "recordings are"), f.VerifyTime)
	}
}

// finishTest verifies and packs the recording of a test.
func finishTest(u *screen.UI, f *Flags, k *capture.Kept) {
	if k.Err != nil {
		u.Warn(k.Test + ": its recording is incomplete: " + k.Err.Error())
	}
	one := &naming.Target{Part: k.Dir, Packed: packedName(k.Dir)}
	info := &capture.Info{Procs: k.Procs, Events: k.Events, Instructions: k.Instructions, Unwritten: k.Err}
	u.Note("%s: %s", k.Outcome, k.Test)
	if f.Verify != VerifyNone && k.Err == nil {
		if err := shortenTest(u, one, k.From); err != nil && !hiding.IsDivergence(err) { // which verifying tells
			u.Warn("the recording is larger than it need be: " + err.Error())
		}
		recount(one, info)
	}
	Finish(u, one, f, info)
}

// saySurplus says in a line which recordings there might have been.
func saySurplus(u *screen.UI, f *Flags, s capture.Surplus) {
	var why []string
	if s.Same > 0 {
		why = append(why, fmt.Sprintf("%d failed as %d others did (--keep-same %d)", s.Same, f.KeepSame, f.KeepSame))
	}
	if s.More > 0 {
		why = append(why, fmt.Sprintf("%d came after %d that are kept (--keep-max %d)", s.More, f.KeepMax, f.KeepMax))
	}
	if len(why) > 0 {
		u.Note("%s not kept: %s", printable.Plural(uint64(s.Same+s.More), "recording was", "recordings were"), strings.Join(why, ", "))
	}
}

// recount takes what a recording holds from itself.
func recount(t *naming.Target, info *capture.Info) {
	rec, err := recording.Open(t.Part)
	if err != nil {
		return
	}
	defer rec.Close()
	if sum, ok := rec.Summary(); ok {
		info.Events, info.Instructions = sum.Events, sum.Instructions
	}
	if procs, err := rec.Procs(); err == nil {
		info.Procs = len(procs)
	}
}

// shortenTest cuts the recording of a test to begin at its test, and to hold only
// memory that the test touched or that its stacks are read from. What it was
// stays beside it until the new one has proved exact.
func shortenTest(u *screen.UI, t *naming.Target, from uint64) error {
	rec, err := recording.Open(t.Part)
	if err != nil {
		return err
	}
	defer rec.Close()
	rec.PreferOriginals()
	u.Status("shortening the recording")
	short := strings.TrimSuffix(t.Part, recording.PartSuffix) + "-short" + recording.PartSuffix
	if err := ShortenInto(rec, short, from); err != nil {
		return err
	}
	uncut := strings.TrimSuffix(t.Part, recording.PartSuffix) + "-uncut" + recording.PartSuffix
	if err := os.Rename(t.Part, uncut); err != nil {
		return err
	}
	t.Uncut = uncut
	return os.Rename(short, t.Part)
}
