// Package contents says what a recording holds: who made it where, its processes, what
// takes its room.
//
// It replays nothing. Begin with Of.
package contents

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"pyrr/internal/inject"
	"pyrr/internal/listing"
	"pyrr/internal/printable"
	"pyrr/internal/probe"
	"pyrr/internal/recording"
	"pyrr/internal/screen"
)

// Info is what a recording holds, in the JSON form of info.
type Info struct {
	Path    string   `json:"path"`
	Command []string `json:"command"`
	Cwd     string   `json:"cwd"`
	Tool    string   `json:"tool"`
	Format  int      `json:"format"`
	// Test is the id of the test that the recording is of, and Outcome how it
	// ended; "" where it is of a command.
	Test    string `json:"test,omitempty"`
	Outcome string `json:"outcome,omitempty"`

	Started      time.Time `json:"started"`
	Seconds      float64   `json:"seconds"`
	Instructions uint64    `json:"instructions"`
	Events       uint64    `json:"events"`

	Ended

	Pythons   []string      `json:"pythons"`
	Processes []processInfo `json:"processes"`
	Machine
	Options map[string]string `json:"options,omitempty"`
	Sizes   sizeInfo          `json:"sizes"`
	// Form is "index" for a recording without memory.
	Form string `json:"form,omitempty"`
	// Redacted lists what was replaced by placeholders, nil where secrets
	// were never looked for.
	Redacted *recording.Redaction `json:"redacted,omitempty"`
}

// Ended is how a recording ended.
type Ended struct {
	// Complete is false where the recorder was killed or gave up; Why says
	// more.
	Complete bool   `json:"complete"`
	Why      string `json:"why,omitempty"`
	// Status is the command's exit status, nil where it is not known.
	Status   *int   `json:"exit_status"`
	TimedOut bool   `json:"timed_out"`
	Verified string `json:"verified"` // "exact", "no", or "diverged: …"
}

// Machine is where it was made, and what a replay needs of a processor.
type Machine struct {
	Kernel  string   `json:"kernel"`
	CPU     string   `json:"cpu"`
	Needs   []string `json:"cpu_needs"`
	Lacking []string `json:"cpu_lacking_here"`
	// Approx are the files with instructions that ran and whose results differ, in the
	// last bits, on another maker's processor.
	Approx []recording.Approx `json:"cpu_approximate,omitempty"`
}

// sizeInfo holds sizes in bytes.
type sizeInfo struct {
	// Total is what the recording takes on the disk.
	Total  int64 `json:"total"`
	Packed bool  `json:"packed"`
	// Files counts the mapped files that it carries, Kept their bytes.
	Files int    `json:"files"`
	Kept  uint64 `json:"files_bytes"`
	// Lacking are those of them that it does not hold itself, and Missing those that
	// are nowhere else either.
	Lacking int      `json:"files_lacking,omitempty"`
	Missing []string `json:"files_missing,omitempty"`
}

// processInfo is one process of a recording.
type processInfo struct {
	ID           int      `json:"id"`
	PID          int      `json:"pid"`
	Parent       int      `json:"parent"`
	Made         string   `json:"made"` // "start", "fork" or "exec"
	Exe          string   `json:"exe"`
	Args         []string `json:"args"`
	Python       string   `json:"python,omitempty"`
	Threads      int      `json:"threads"`
	Events       uint64   `json:"events"`
	Instructions uint64   `json:"instructions"`
	Begins       float64  `json:"begins"` // seconds after the recording's start
	Seconds      float64  `json:"seconds"`
	End          string   `json:"end"`
}

// Of reads a recording through. With an error it returns what was
// read before.
func Of(rec *recording.Recording, path string, progress func(uint64)) (*Info, error) {
	h := rec.Header()
	info := &Info{
		Path: path, Command: h.Command, Cwd: h.Cwd, Tool: h.Tool, Format: h.Format, Form: h.Form, Started: h.Started,
		Machine: Machine{Kernel: h.Host.Kernel, CPU: h.Host.CPU, Needs: h.Host.Features, Lacking: lacking(h.Host.Features)},
		Options: h.Options, Test: h.Test, Ended: Ended{Verified: "no"}, Pythons: []string{}, Processes: []processInfo{},
	}
	if info.Lacking == nil {
		info.Lacking = []string{}
	}
	if sum, ok := rec.Summary(); ok {
		info.Complete, info.Why, info.Outcome = !sum.Truncated, sum.Why, sum.Outcome
		info.Approx = sum.Approx
		status := sum.Status // as a shell has it
		info.Status = &status
		if sum.Verified != "" {
			info.Verified = sum.Verified
		}
	} else {
		info.Why = "the recorder was killed, or is still at work"
	}
	var err error
	if info.Sizes, err = Sizes(rec, path); err != nil {
		return info, err
	}
	for _, f := range rec.Lacks() {
		info.Sizes.Lacking++
		if rec.Elsewhere(f) != nil {
			info.Sizes.Missing = append(info.Sizes.Missing, f.Path)
		}
	}
	if m, ok, rerr := rec.Redaction(); rerr != nil {
		return info, rerr
	} else if ok {
		info.Redacted = &m
	}
	procs, err := rec.Procs()
	for i := range procs {
		p, perr := info.readProcess(rec, &procs[i], progress)
		info.Processes = append(info.Processes, p)
		info.Events += p.Events
		info.Instructions += p.Instructions
		info.Seconds = max(info.Seconds, p.Begins+p.Seconds)
		if p.Python != "" && !slices.Contains(info.Pythons, p.Python) {
			info.Pythons = append(info.Pythons, p.Python)
		}
		err = errors.Join(err, perr)
	}
	return info, err
}

// readProcess reads the events of one process.
func (info *Info) readProcess(rec *recording.Recording, proc *recording.Process, progress func(uint64)) (processInfo, error) {
	p := processInfo{ID: proc.ID, PID: proc.PID, Parent: proc.Parent, Exe: proc.Exe, Args: proc.Argv, Python: proc.Python, Made: "exec"}
	switch {
	case proc.Fork:
		p.Made = "fork"
	case proc.Parent == 0:
		p.Made = "start"
	}
	it, err := rec.Events(proc.ID)
	if err != nil {
		return p, err
	}
	defer it.Close()
	it.Brief()
	threads := map[int32]bool{}
	var ev recording.Event
	var last int64
	for {
		err := it.Next(&ev)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			p.End = "damaged"
			return p, err
		}
		if p.Events == 0 {
			p.Begins = float64(ev.Time) / 1e9
		}
		p.Events++
		if p.Events%10000 == 0 {
			progress(info.Events + p.Events)
		}
		p.Instructions = max(p.Instructions, ev.Instr)
		last = max(last, ev.Time, ev.EndTime)
		if ev.TID != 0 {
			threads[ev.TID] = true
		}
		switch ev.Kind {
		case recording.KindWrite:
			// The one that installs the clock names the interpreter.
			if python, ok := ev.ClockStarts(); ok {
				p.Python = python
			}
		case recording.KindTimeout:
			info.TimedOut = true
		case recording.KindEnd:
			p.End = listing.End(&ev)
			info.TimedOut = info.TimedOut || ev.Why == recording.EndTimeout
			if ev.Why == recording.EndTruncated || ev.Why == recording.EndDetached {
				info.Complete = false
				if info.Why == "" {
					info.Why = fmt.Sprintf("process %d: %s", proc.ID, p.End)
				}
			}
		}
	}
	p.Threads = len(threads)
	p.Seconds = max(0, float64(last)/1e9-p.Begins)
	return p, nil
}

// Sizes measures a recording on the disk.
func Sizes(rec *recording.Recording, path string) (sizeInfo, error) {
	var s sizeInfo
	for _, f := range rec.Files() {
		s.Files++
		if f.Same == 0 {
			s.Kept += f.Kept
		}
	}
	st, err := os.Stat(path)
	if err != nil {
		return s, err
	}
	if !st.IsDir() {
		s.Total, s.Packed = st.Size(), true
		return s, nil
	}
	err = filepath.WalkDir(path, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if st, err := d.Info(); err == nil && d.Type().IsRegular() {
			s.Total += st.Size()
		}
		return nil
	})
	return s, err
}

func (info *Info) Print(u *screen.UI) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(u.Out, "%-13s %s\n", name, printable.Line(fmt.Sprintf(format, args...)))
	}
	row("recording", "%s", info.Path)
	row("command", "%s", printable.ShellJoin(info.Command))
	if info.Test != "" {
		row("test", "%s", strings.TrimSuffix(info.Test+", "+info.Outcome, ", "))
	}
	row("in", "%s", info.Cwd)
	row("started", "%s", info.Started.Local().Format("2006-01-02 15:04:05 -07:00"))
	row("length", "%s instructions, %s events, %s", printable.Grouped(info.Instructions), printable.Grouped(info.Events), printable.Seconds(time.Duration(info.Seconds*1e9)))
	switch {
	case info.TimedOut:
		row("ended", "by the time-out")
	case info.Status != nil:
		row("ended", "%s", listing.Status(*info.Status))
	default:
		row("ended", "not known")
	}
	if !info.Complete {
		row("incomplete", "%s", info.Why)
	}
	row("verified", "%s", map[string]string{"exact": "yes, a replay was exact", "no": "no"}[info.Verified]+DivergedNote(info.Verified))
	if len(info.Pythons) > 0 {
		row("python", "%s", strings.Join(info.Pythons, ", "))
	}
	if info.Form != "" {
		row("form", "events, stacks and output, without memory")
	}
	if m := info.Redacted; m != nil {
		text := "known secrets were looked for, none is in it"
		if len(m.Secrets) > 0 {
			text = printable.Plural(uint64(len(m.Secrets)), "known secret", "known secrets") + " replaced: " + m.Names()
		}
		row("secrets", "%s", text)
	}
	size := printable.ByteSize(info.Sizes.Total)
	if info.Sizes.Packed {
		size += " packed"
	} else {
		size += " in a folder"
	}
	row("size", "%s, with %s of %s", size, printable.ByteSize(int64(info.Sizes.Kept)), printable.Plural(uint64(info.Sizes.Files), "mapped file", "mapped files"))
	if n := info.Sizes.Lacking; n > 0 {
		text := "which were found"
		if m := info.Sizes.Missing; len(m) > 0 {
			text = fmt.Sprintf("of which %d were not found, so that it can't be replayed here: %s", len(m), printable.Shorten(strings.Join(m, ", "), 200))
		}
		row("thin", "without %s, %s", printable.Plural(uint64(n), "mapped file", "mapped files"), text)
	}
	info.Machine.print(row)
	for _, key := range sortedKeys(info.Options) {
		row("option", "%s %s", key, info.Options[key])
	}
	fmt.Fprintln(u.Out)
	rows := [][]string{{"process", "pid", "from", "threads", "events", "instructions", "time", "end", "program"}}
	for _, p := range info.Processes {
		from := p.Made
		if p.Parent != 0 {
			from += fmt.Sprintf(" of %d", p.Parent)
		}
		program := printable.ShellJoin(p.Args)
		if len(p.Args) == 0 {
			program = p.Exe
		}
		rows = append(rows, []string{fmt.Sprint(p.ID), fmt.Sprint(p.PID), from, fmt.Sprint(p.Threads), printable.Grouped(p.Events),
			printable.Grouped(p.Instructions), printable.Seconds(time.Duration(p.Seconds * 1e9)), printable.Line(p.End), printable.Line(printable.Shorten(program, 200))})
	}
	printable.Table(u.Out, map[int]bool{0: true, 1: true, 3: true, 4: true, 5: true, 6: true}, rows)
}

// print prints the machine by rows of a name and a text.
func (m *Machine) print(row func(name, format string, args ...any)) {
	row("machine", "Linux %s, %s", m.Kernel, m.CPU)
	row("needs", "%s", strings.Join(m.Needs, " "))
	if len(m.Lacking) > 0 {
		row("", "not here: %s", strings.Join(m.Lacking, " "))
	}
	for _, a := range m.Approx {
		row("approximate", "%s in %s: another maker's processor may give other last bits", strings.Join(a.Instructions, ", "), a.File)
	}
}

func DivergedNote(verified string) string {
	if verified == "exact" || verified == "no" {
		return ""
	}
	return verified
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// lacking are the features that this processor does not have. Of one that is no x86-64
// nothing is said: there pyrr reads, and says what replaying takes where that is asked.
func lacking(features []string) []string {
	if probe.Elsewhere {
		return []string{}
	}
	return inject.Host().Missing(features)
}
