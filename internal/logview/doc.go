// Package logview is the one reader of what a recording's events mean: which
// threads there are and what calls they are in, what descriptors stand for and
// where their other ends are, who made which process. It does not replay, read
// stacks or judge, and prints nothing.
//
// It has two levels.
//
// A Follower follows the events of one process, which it is given one by one, and
// says of each which thread makes it and which call it is about (Step). Each does
// so for a whole stream:
//
//	err := logview.Each(rec, &proc, func(f *logview.Follower, n uint64, ev *recording.Event, s logview.Step) error {
//		if s.Enter != nil && ev.Kind != recording.KindEnter {
//			// a call that returned: entered by s.Enter, its results in ev
//		}
//		return nil
//	})
//
// State is what is known of all processes together at one moment. There are two
// ways to ask for it; both read the events up to there once, process by process:
//
//	s, err := logview.AtEnd(rec)           // at the end of the recording
//	s, err := logview.At(rec, proc, event) // where a replay stands at an event
//
// At the end, a thread's Open is the call that it never returned from. A process that
// exited or became another program (Ended.Exited) has no threads; they are in Gone.
//
//	for _, p := range s.Procs {
//		for _, t := range p.Threads {
//			for _, w := range p.Wants(t) { // the descriptors that its call waits for
//				// w.File.Other.Holders: who could answer; w.File.In.Last: when
//				// something came last; s.Proc(id) and p.Children: who else there is
//			}
//		}
//	}
//
// An error comes with the state of what could be read before it: a prefix of a
// recording is a recording. Memory is bounded; where there is more, Partial is set.
// Names of threads are in the index of stacks (recording.StackIndex.Name).
package logview
