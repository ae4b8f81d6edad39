package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pyrr/internal/stackwalk"

	"github.com/spf13/pflag"

	"pyrr/capture"
	"pyrr/capture/pytest"
	"pyrr/internal/logview"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// testByTest sets o up to record each test by itself, where only some
// recordings are wanted and the command may run pytest. The returned function
// tidies up.
func testByTest(u *ui, o *capture.Options, t *target, f *recordFlags, fs *pflag.FlagSet) (tidy func(), fin *finisher) {
	if (f.keep != keepTimeout && f.keep != keepFailure || f.from > 0) && f.region == "" {
		return func() {}, nil
	}
	plugin, err := pytest.Install()
	if err != nil {
		u.warn(err.Error() + "; what is kept is of the whole command")
		return func() {}, nil
	}
	fin = newFinisher(u, fs, plugin)
	o.Tests = &capture.Tests{
		Plugin: plugin, Limit: f.timeout, Failures: f.keep == keepFailure, MaxKept: f.keepMax, MaxSame: f.keepSame,
		Path: func(test string) string {
			return filepath.Join(filepath.Dir(t.part), testName(test)+"-"+shortID()+partSuffix)
		},
		Final:   packedName,
		Keeping: fin.keeping,
	}
	if f.region != "" {
		o.Tests.Plugin, o.Tests.Region = "", f.region
		if f.keep == keepAlways || f.keep == keepNever {
			o.Tests.Keep = f.keep
		}
	}
	return func() { os.RemoveAll(plugin) }, fin
}

func packedName(part string) string { return strings.TrimSuffix(part, partSuffix) + packedSuffix }

// testName makes a name for files of a test's id: the folders that it is in
// are left out, and what is too long is cut in front.
func testName(id string) string {
	file, rest, found := strings.Cut(id, "::")
	name := strings.TrimSuffix(filepath.Base(file), ".py")
	if found {
		name += "." + strings.ReplaceAll(rest, "::", ".")
	}
	const most = 80
	if safe := safeName(name); len(name) <= most {
		return safe
	}
	return safeName(strings.ToValidUTF8(name[len(name)-most:], "_"))
}

// finishTests verifies and packs the recordings of tests, but for those that the
// finisher has done.
func finishTests(u *ui, done map[string]finished, f *recordFlags, kept []capture.Kept) {
	v := verifying{f: f, since: time.Now(), exact: map[string]bool{}}
	for _, one := range done {
		v.learn(&one.verified)
	}
	late, alike := 0, 0
	for _, k := range kept {
		one, ok := done[k.Dir]
		if ok {
			u.clearStatus()
			fmt.Fprint(u.err, one.Text)
		} else {
			finishTest(u, v.flags(&k, false, &one.verified), &k)
			if rec, err := recording.Open(packedName(k.Dir)); err == nil {
				one.Exact = isExact(rec)
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
		u.note("%s not verified and not cut: that of another test that failed alike is exact", plural(uint64(alike), "recording is", "recordings are"))
	}
	if late > 0 {
		u.note("%s not verified and not cut: --verify-time %v was over", plural(uint64(late), "recording is", "recordings are"), f.verifyTime)
	}
}

// finishTest verifies and packs the recording of a test.
func finishTest(u *ui, f *recordFlags, k *capture.Kept) {
	if k.Err != nil {
		u.warn(k.Test + ": its recording is incomplete: " + k.Err.Error())
	}
	one := &target{part: k.Dir, packed: packedName(k.Dir)}
	info := &capture.Info{Procs: k.Procs, Events: k.Events, Instructions: k.Instructions}
	u.note("%s: %s", k.Outcome, k.Test)
	if f.verify != verifyNone && k.Err == nil {
		if err := shortenTest(u, one, k.From); err != nil && !isDivergence(err) { // which verifying tells
			u.warn("the recording is larger than it need be: " + err.Error())
		}
		recount(one, info)
	}
	finish(u, one, f, info)
}

// saySurplus says in a line which recordings there might have been.
func saySurplus(u *ui, f *recordFlags, s capture.Surplus) {
	var why []string
	if s.Same > 0 {
		why = append(why, fmt.Sprintf("%d failed as %d others did (--keep-same %d)", s.Same, f.keepSame, f.keepSame))
	}
	if s.More > 0 {
		why = append(why, fmt.Sprintf("%d came after %d that are kept (--keep-max %d)", s.More, f.keepMax, f.keepMax))
	}
	if len(why) > 0 {
		u.note("%s not kept: %s", plural(uint64(s.Same+s.More), "recording was", "recordings were"), strings.Join(why, ", "))
	}
}

// recount takes what a recording holds from itself.
func recount(t *target, info *capture.Info) {
	rec, err := recording.Open(t.part)
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
func shortenTest(u *ui, t *target, from uint64) error {
	rec, err := recording.Open(t.part)
	if err != nil {
		return err
	}
	defer rec.Close()
	rec.PreferOriginals()
	u.status("shortening the recording")
	short := strings.TrimSuffix(t.part, partSuffix) + "-short" + partSuffix
	if err := shortenInto(rec, short, from); err != nil {
		return err
	}
	uncut := strings.TrimSuffix(t.part, partSuffix) + "-uncut" + partSuffix
	if err := os.Rename(t.part, uncut); err != nil {
		return err
	}
	t.uncut = uncut
	return os.Rename(short, t.part)
}

// shortenInto writes the recording of a test, cut, to the folder dir. from is
// the event at which its test begins, 0 where nothing comes before it.
func shortenInto(rec *recording.Recording, dir string, from uint64) error {
	const first = stackwalk.TestProcess
	var err error
	if from == 0 {
		if from, err = stackwalk.AfterImage(rec, first); err != nil {
			return err
		}
	}
	o := replay.Options{}
	index, err := stackwalk.NewIndexer(rec, stackwalk.FromRecording)
	if err != nil {
		return err
	}
	defer index.Abort()
	index.Alone = true // what is read is noted
	o.OnEvent = func(p *replay.Process, t *replay.Thread, ev *recording.Event) error {
		// What was read before the cut need not be read again, but whoever
		// opens the new recording has read nothing yet.
		start := p.Info.ID == first && (p.Number == from || p.Number == from+1)
		if start {
			index.Forget(p)
		}
		if err := index.Event(p, t, ev); err != nil {
			return err
		}
		if start || ev.Kind == recording.KindTimeout || ev.Kind == recording.KindEnd {
			index.ReadAll(p)
		}
		return nil
	}
	view, err := logview.At(rec, first, from)
	if err != nil {
		return err
	}
	o.OnLast = index.Last
	return replay.Shorten(rec, dir, first, from, view.OpenFDs(first), o)
}

// testBegins finds the event at which the test of a recording begins.
func testBegins(rec *recording.Recording) (uint64, error) {
	it, err := rec.Events(stackwalk.TestProcess)
	if err != nil {
		return 0, err
	}
	defer it.Close()
	var ev recording.Event
	for {
		n := it.Number()
		if err := it.Next(&ev); errors.Is(err, io.EOF) {
			return 0, nil
		} else if err != nil {
			return 0, err
		}
		if ev.Kind == recording.KindNote && ev.Why == recording.MarkTestStart && ev.Text == rec.Header().Test {
			return n, nil
		}
	}
}
