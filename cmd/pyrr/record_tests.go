package main

import (
	"os"
	"path/filepath"
	"strings"

	"pyrr/capture"
	"pyrr/capture/pytest"
)

// testByTest sets o up to record each test by itself, where only some
// recordings are wanted and the command may run pytest. The returned function
// tidies up.
func testByTest(u *ui, o *capture.Options, t *target, f *recordFlags) func() {
	if f.keep != keepTimeout && f.keep != keepFailure || f.from > 0 {
		return func() {}
	}
	plugin, err := pytest.Install()
	if err != nil {
		u.warn(err.Error() + "; what is kept is of the whole command")
		return func() {}
	}
	o.Tests = &capture.Tests{
		Plugin: plugin, Limit: f.timeout, Failures: f.keep == keepFailure, MaxKept: f.keepMax,
		Path: func(test string) string {
			return filepath.Join(filepath.Dir(t.part), testName(test)+"-"+shortID()+partSuffix)
		},
		Final: packedName,
	}
	return func() { os.RemoveAll(plugin) }
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

// finishTests verifies and packs the recordings of tests.
func finishTests(u *ui, t *target, f *recordFlags, kept []capture.Kept) {
	for _, k := range kept {
		if k.Err != nil {
			u.warn(k.Test + ": its recording is incomplete: " + k.Err.Error())
		}
		one := &target{part: k.Dir, packed: packedName(k.Dir)}
		info := &capture.Info{Procs: k.Procs, Events: k.Events, Instructions: k.Instructions}
		u.note("%s: %s", k.Outcome, k.Test)
		finish(u, one, f, info)
	}
}
