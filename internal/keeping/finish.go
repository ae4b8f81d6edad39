//go:build linux

package keeping

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"pyrr/internal/cli"
	"pyrr/internal/doctor"
	"pyrr/internal/hiding"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/screen"
	"pyrr/internal/show"
	"pyrr/internal/stackwalk"

	"pyrr/capture"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// noRecording says why there is nothing in a recording.
func noRecording(info *capture.Info) string {
	if info.PyPy {
		return doctor.NotCPython("PyPy")
	}
	return "the command ran no Python"
}

// Finish verifies and packs a recording that is to be kept and names it. The
// program has ended, so trouble here is a warning: its status stands, and the
// .part folder stays.
func Finish(u *screen.UI, t *naming.Target, f *Flags, info *capture.Info) {
	stop := screen.OnInterrupt(func() {
		u.ClearStatus()
		u.Cleanups.Run()
		u.Warn("interrupted: the recording stays as it is, in " + t.Part)
		os.Exit(cli.ExitInterrupted)
	})
	defer stop()
	// The program has ended: no fault of pyrr's own may change its outcome.
	defer func() {
		if p := recover(); p != nil {
			u.Warn(fmt.Sprintf("the recording stays as it is, in %s: a fault of pyrr's own: %v", t.Part, p))
		}
	}()

	if nothing(u, t, f, info) {
		discard(u, t)
		return
	}
	notPacked := func(err error) {
		u.Warn(err.Error())
		u.Note("recorded %s  not packed, as its secrets are in it, %s", t.Part, about(info, "not verified"))
	}
	h, set, failed, err := f.Secrets.hide(u, t, f.Redact)
	if err != nil {
		notPacked(err)
		return
	}
	defer u.Cleanups.Add(h.Discard)()
	from := t.Part
	if h != nil {
		from = h.Dir
	}
	verdict, exact, retry := "not verified", true, false
	if failed != nil {
		exact = false
		if t.Uncut == "" && OnlyIndex(failed) == "" {
			u.Warn(failed.Error())
		}
	}
	if exact && (f.Verify != VerifyNone || h != nil) {
		u.Status("verifying the recording by a replay")
		verdict, exact, retry = verify(u, t, from, f)
	}
	if !exact && t.Uncut != "" {
		// What is exact counts more than what is small.
		h.Discard()
		if err := t.PutBack(); err != nil {
			u.Warn(err.Error())
			return
		}
		recount(t, info)
		Finish(u, t, f, info)
		return
	}
	if set != nil {
		// The source files are read where they are, with all that is in them.
		if err := hiding.InSources(from, set); err != nil {
			notPacked(err)
			return
		}
	}
	if h != nil && !exact {
		if err := h.IndexOnly(u, t.Part); err != nil {
			notPacked(err)
			return
		}
		u.Warn("with placeholders for its secrets the recording can't be replayed: events, stacks and output are kept, and no memory")
		verdict, retry = "without memory", false
	}
	packInto(u, f, t, from, h, about(info, verdict))
	sayAfter(u, t, info, retry)
}

// nothing tells why there is nothing in a recording, where that is so.
func nothing(u *screen.UI, t *naming.Target, f *Flags, info *capture.Info) bool {
	switch {
	case info.Procs == 0 && len(info.Clients) > 0: // of which record has told
	case info.Procs == 0:
		u.Warn("nothing was recorded: " + noRecording(info))
		if f.Follow != "all" {
			u.Hint("pyrr record --follow all -- …")
		}
	case info.Unwritten != nil && holdsNothing(t.Part):
		u.Warn("nothing was recorded: what was written of it is not enough for a replay")
		sayRoom(u, info.Unwritten)
	default:
		return false
	}
	return true
}

// sayAfter says what to do about a recording that is told of: of one that is not whole, or
// whose replay failed.
func sayAfter(u *screen.UI, t *naming.Target, info *capture.Info, retry bool) {
	if file := made(t.Packed, t.Part); retry && file != "" {
		u.Hint("pyrr replay --batch " + printable.ShellQuote(file))
	}
	if info.Unwritten != nil && made(t.Packed) != "" {
		sayRoom(u, info.Unwritten)
	}
}

// discard removes what was recorded.
func discard(u *screen.UI, t *naming.Target) {
	if err := t.Discard(); err != nil {
		u.Warn(err.Error())
	}
}

// packInto packs the recording in the folder from, names it and says what was replaced
// in it. what is what it holds.
func packInto(u *screen.UI, f *Flags, t *naming.Target, from string, h *hiding.Hidden, what string) {
	u.Status("packing the recording")
	if err := f.pack(from, t.Packed); err != nil {
		u.Warn(err.Error())
		if made(t.Part) != "" {
			u.Note("recorded %s  not packed, %s", t.Part, what)
			if short(err) {
				sayRoom(u, err)
				u.Hint("pyrr pack " + printable.ShellQuote(t.Part))
			}
		}
		return
	}
	discard(u, t)
	size := int64(0)
	if st, err := os.Stat(t.Packed); err == nil {
		size = st.Size()
	}
	if h != nil {
		SayRedacted(u, h.Manifest)
	}
	u.Note("recorded %s  %s, %s", t.Packed, printable.ByteSize(size), what)
}

// about says what a recording holds, for the line that names it.
func about(info *capture.Info, verdict string) string {
	return strings.Join([]string{
		printable.Plural(uint64(info.Procs), "process", "processes"),
		printable.Plural(info.Instructions, "instruction", "instructions"),
		verdict,
	}, ", ")
}

// verify replays the recording of a target in the folder dir once, notes in it
// what came out and makes its index. Where the recording is there uncut as
// well, it does not say why the replay failed. retry: a replay by hand shows more.
func verify(u *screen.UI, t *naming.Target, dir string, f *Flags) (verdict string, exact, retry bool) {
	rec, err := recording.Open(dir)
	if err != nil {
		u.Warn(err.Error())
		return "not verified", false, false
	}
	defer rec.Close()
	if t.Uncut == "" && dir == t.Part && f.Verify != VerifyFull {
		rec.PreferOriginals() // what is kept of them has their checksum
	}
	watch := newApproxWatch(rec)
	indexErr, err := stackwalk.Replay(rec, stackwalk.FromMachine, replay.Options{Breaks: watch.breaks, OnHit: watch.hit})
	if indexErr != nil {
		u.Warn(indexErr.Error())
	}
	verdict, mark := "verified", "exact"
	if err != nil {
		verdict = "not verified"
		mark = ""
		if hiding.IsDivergence(err) {
			verdict = "DIVERGED"
			mark = fmt.Sprintf("diverged: %v", err)
		}
		if _, lost := errors.AsType[*replay.LostError](err); lost {
			u.Warn("the recording can't be replayed to its end: " + err.Error())
		} else if t.Uncut == "" {
			u.Warn("the replay that verifies the recording failed: " + err.Error())
			retry = true
		}
	}
	if mark != "" {
		if err := rec.SetVerified(mark); err != nil {
			u.Warn(err.Error())
		}
	}
	if err := watch.note(rec); err != nil {
		u.Warn(err.Error())
	}
	if cut, err := show.Truncations(rec); err == nil && len(cut) > 0 {
		verdict = "incomplete, " + verdict
	}
	return verdict, mark == "exact", retry
}
