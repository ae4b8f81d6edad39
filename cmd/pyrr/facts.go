package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"

	"pyrr/internal/hang"
	"pyrr/internal/pystate"
	"pyrr/internal/recording"
	"pyrr/replay"
)

// factsOf reads, of a process that stands where its recording ends, what its
// threads and tasks wait for and what they hold. nil means that there is no
// Python. What is wrong with pyrr's reading must cost no more than these facts.
func factsOf(p *replay.Process, isMain func(tid int32) bool) (facts *hang.Facts) {
	defer func() {
		if recover() != nil {
			facts = nil
		}
	}()
	rt, err := p.Runtime()
	if err != nil {
		return nil
	}
	var threads []pystate.Thread
	for tid, t := range p.Threads() {
		regs := t.Regs()
		in := pystate.Thread{TID: tid, FsBase: regs.FsBase, Main: isMain(tid), Next: p.NextInstr(t)}
		in.Nr, in.Args, in.Call = t.Call()
		threads = append(threads, in)
	}
	slices.SortFunc(threads, func(a, b pystate.Thread) int { return cmp.Compare(a.TID, b.TID) })
	return pystate.Read(rt, p.Mem(), p.Info.ID, threads)
}

// wantsFacts says whether somebody may ask why a process ended as it did: not
// of one that ended by itself.
func wantsFacts(ev *recording.Event) bool {
	return ev.Kind == recording.KindEnd && stopped(ev)
}

// factsText is how the index keeps facts.
func factsText(facts *hang.Facts) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if facts == nil || enc.Encode(facts) != nil {
		return nil
	}
	return b.Bytes()
}

// readFacts reads what the index keeps; nil where that is nothing.
func readFacts(index *recording.StackIndex, proc int) *hang.Facts {
	text := index.Facts(proc)
	if text == nil {
		return nil
	}
	facts := &hang.Facts{}
	if json.Unmarshal(text, facts) != nil || !facts.Sound() {
		return nil
	}
	facts.Proc = proc
	return facts
}
