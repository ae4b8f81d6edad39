package hang

import (
	"regexp"

	"pyrr/internal/lazyregexp"
)

// longest is what two lines of a terminal hold.
const longest = 160

// placed matches a place in a sentence: " (FILE:LINE" or " at FILE:LINE".
var placed = lazyregexp.New(`(\(| at | since )([^\s():;,]+):(\d+)`)

// threaded matches a thread that has a number and its function's name for a name.
var threaded = lazyregexp.New(`thread (Thread-\d+) \((\w+)\)`)

// What is left out by more than an expression: names of files, and of threads.
const (
	files   = "files"
	threads = "threads"
)

// shorter are ways to say a thing in fewer words, in the order in which they are tried, as
// long as a sentence is too long: first what costs nothing, then what follows from the rest,
// then what the evidence says as well.
var shorter = []struct {
	long func() *regexp.Regexp
	with string
}{
	{lazyregexp.New(`; no other thread or task has it at hand`), ""},
	{lazyregexp.New(`(child "[^"]*") \(pid \d+\)`), "$1"},
	{nil, files}, // that were named before
	{lazyregexp.New(`, called at [^\s():]+:\d+\)`), ")"}, // the stacks have it
	{lazyregexp.New(`waits for data from the `), "reads from the "},
	{lazyregexp.New(`waits for the end of child`), "waits for child"},
	{lazyregexp.New(`, whose other end a program has open that is not recorded: one that`), " with a program that is not recorded: one that"},
	{lazyregexp.New(`, whose other end ([^,;]+?) has\b`), " with $1"},
	{lazyregexp.New(`, which has sent nothing|: what happens to that does not reach it|; that thread does not exist in the child|: those of the parent do not exist in this child`), ""},
	{lazyregexp.New(`(connection) to [\d.]+:\d+( \([^()]*\))? with `), "$1$2 with "},
	{lazyregexp.New(`waits for the result of a job`), "waits for a job"},
	{lazyregexp.New(`(program) that is not recorded \((?:pid )?(\d+ )?([^()]*)\)`), "$1 $3"},
	{lazyregexp.New(`(, which [^()]*\((?:line \d+|[^\s():]+:\d+)) in [\w.<>]+\)`), "$1)"},
	{lazyregexp.New(`, which ([^,;]+?) has at hand, which`), " that $1 has, which"},
	{lazyregexp.New(` that task \S+ has, which waits for (?:event|condition|a future)(?: [^\s(),]+)?(?: \([^()]*\))? that (task \S+) has, which`), " that $1 has over another task, which"},
	{lazyregexp.New(`(\([^\s():]+:\d+) in [\w.<>]+(\) that task \S+ has over another task)`), "$1$2"},
	{nil, files}, // what stood between may be gone
	{lazyregexp.New(`, which sent \d+ bytes? and is silent for [\d.]+ m?s`), ""},
	{lazyregexp.New(`(thread|child|callback|process) ("[^"]*"|\S+(?: \(\w+\))?) (died of|raised) (\w+): [^;]*? (\(line \d+\))`), "$1 $2 $3 $4 $5"},
	{lazyregexp.New(`(it died of|which died of) (\w+): [^;]*? (\(line \d+\))`), "$1 $2 $3"},
	{lazyregexp.New(` \((?:line \d+)\)(, which [^,;]+ took at line)`), "$1"},
	{lazyregexp.New(`(each time \w+)\([^()]*\)`), "$1"},
	{lazyregexp.New(`, which nobody sets`), ""},
	{lazyregexp.New(`, as all workers of its pool wait`), ""},
	{lazyregexp.New(`( of a job) that lies in queue \S+, from which nobody takes it`), "$1 that nobody takes"},
	{lazyregexp.New(`, which (\S+) took at (line \d+) and never released`), ", which $1 took at $2"},
	{lazyregexp.New(`(connection|socket|datagram)(?: to| from)? [\d.]+:\d+`), "$1"},
	{lazyregexp.New(` of its standard input|, which takes no more|, which is (?:empty|full)(?: with \d+)?|, which nobody notifies|, which is not recorded| of the parent`), ""},
	{lazyregexp.New(`, whose writing end it has open itself, and so has `), ", which it has open itself, as has "},
	{lazyregexp.New(`, which is used up: last taken`), ", last taken"},
	{lazyregexp.New(`(ended with \w+)\(.*?\)( in |; |, |\.$)`), "$1$2"},
	{lazyregexp.New(`, and none has come`), ""},
	{lazyregexp.New(`, and is not released|,? and was not given back`), ""},
	{lazyregexp.New(` at [\d.]+:\d+ \(`), " ("},
	{lazyregexp.New(`; it is a copy, made by the fork, of its parent's`), "; it is a copy of its parent's"},
	{lazyregexp.New(` until the other end takes more: (\S+) is used up(; \d+ bytes? lies? unread in )\w+\.`), ", as $1 is used up$2"},
	{lazyregexp.New(`, which runs the event loop for ([^,;]+), which sleeps`), ", whose $1 sleeps"},
	{lazyregexp.New(`; \d+ jobs? (?:is|are) queued behind it|, which has it at hand,?`), ""},
	{lazyregexp.New(`asks again and again whether (child \S+) has ended`), "polls for the end of $1"},
	{lazyregexp.New(`\b[Tt]ask (Task-\d+)`), "$1"},
	{lazyregexp.New(`(held by child "[^"]+") since line \d+`), "$1"},
	{lazyregexp.New(`(unflushed in) the buffer of `), "$1 "},
	{lazyregexp.New(`(, which polls): \d+ times in [\d.]+ s, every [\d.]+ m?s(?:, at growing intervals)?(; meanwhile)`), "$1$2"},
	{lazyregexp.New(`its event loop sleeps although a callback is ready`), "its loop sleeps with a callback ready"},
	{lazyregexp.New(`, which ([^,]+) runs, which`), " of $1, which"},
	{lazyregexp.New(`has asked \d+ times in [\d.]+ s for`), "asks again and again for"},
	{lazyregexp.New(`(awaits a future)(?: \(line \d+\))? that nobody completes`), "$1"},
	{lazyregexp.New(`(blocks) its event loop`), "$1 its loop"},
	{lazyregexp.New(`(the connection(?: \([^()]*\))? with [^,;]+, which reads from) the connection((?: \([^()]*\))?) with [^,;.]+`), "$1 it too$2"},
	{lazyregexp.New(`waits for an item of queue`), "waits for queue"},
	{lazyregexp.New(`(waits for a datagram) at its socket`), "$1"},
	{lazyregexp.New(`(can't go on while \S+) \(task [^)]*\)`), "$1"},
	{lazyregexp.New(`asks again and again for the lock`), "polls for the lock"},
	{lazyregexp.New(`, which is set(; its loop sleeps)`), "$1"},
	{lazyregexp.New(`, which it has open itself, as has `), " that it has open, as has "},
	{lazyregexp.New(`with a program that is not recorded: one that (child \S+(?: \([^()]*\))?), which has ended, had started`), "with a program that $1, which has ended, had started"},
	{lazyregexp.New(`; it is a copy of its parent's`), ", a copy of its parent's"},
	{lazyregexp.New(`(\bsets it| puts into it) at line (\d+), which it can't reach`), "$1 later, at line $2"},
	{lazyregexp.New(`, at growing intervals`), ""},
	{lazyregexp.New(`(failed with \w+): [^()]*\)`), "$1)"},
	{lazyregexp.New(`, which did not wake it; (\S+) waits for it, too`), ", in vain; $1 waits too"},
	{lazyregexp.New(` of child "[^"]*"( \(|,)`), "$1"},
	{lazyregexp.New(`(, which \S+) took at line \d+\.$`), "$1 holds."},
	{lazyregexp.New(`reads from the connection((?: \([^()]*\))?) with ((?:child |thread |task )?[\w-]+(?: \(\w+\))?)`), "reads from $2$1"},
	{lazyregexp.New(`(\((?:line \d+|[^\s():]+:\d+)) in [\w.<>]+([,)])`), "$1$2"},
	{lazyregexp.New(`, which polls(; meanwhile)`), "$1"},
	{lazyregexp.New(`, the same \d+ instructions each time(: what it looks for does not come)`), "$1"},
	{lazyregexp.New(`(: \d+ (?:times|turns) in [\d.]+ m?s), every [\d.]+ m?s`), "$1"},
	{lazyregexp.New(`: what it looks for does not come(; no other thread)`), "$1"},
	{lazyregexp.New(`the connection(?: \([^()]*\))?, (a connection that nobody)`), "$1"},
	{lazyregexp.New(`(for \d+ jobs?) that nobody reports done(; (?:child|thread|callback))`), "$1$2"},
	{lazyregexp.New(`(the next request) on the connection(?: to [\d.]+:\d+)? with `), "$1 of "},
	{lazyregexp.New(` \(its own process listens there\)`), ""},
	{nil, threads}, // by one of their two names
	{lazyregexp.New("; it was asked `[^`]*`"), ""},
	{lazyregexp.New(`(; its input comes from a pipe [^;]+); its output goes to a pipe that nobody reads[^;.]*`), "$1"},
	{lazyregexp.New(unreached), ", never reached"},
}

// between matches a place in a sentence, and behind it where that goes on.
var between = lazyregexp.New(` \((?:line \d+|[^\s():]+:\d+)(?: in [\w.]+)?\)(,| and| with| that| of|:|$|\.$)`)

// costless is how many of them leave out nothing that the rest does not say.
const costless = 3

// brief shortens a sentence that is longer than two lines; full has all that matters.
func brief(s string) (short, full string) {
	full = shorten(s, costless)
	return shorten(full, len(shorter)), full
}

// shorten applies the first n ways to shorten a sentence as far as it has to.
func shorten(s string, n int) string {
	for _, r := range shorter[:n] {
		switch {
		case len(s) <= longest:
			return s
		case r.long == nil && r.with == threads:
			s = calledOnce(s)
		case r.long == nil:
			s = namedOnce(s)
		default:
			s = r.long().ReplaceAllString(s, r.with)
		}
	}
	for len(s) > longest && n == len(shorter) { // the evidence has them; the first stays
		all := between().FindAllStringSubmatchIndex(s, 2)
		if len(all) < 2 {
			break
		}
		s = s[:all[1][0]] + s[all[1][2]:]
	}
	return s
}

// namedOnce leaves out the names of files that were named just before.
func namedOnce(s string) string {
	last := ""
	return placed().ReplaceAllStringFunc(s, func(m string) string {
		p := placed().FindStringSubmatch(m)
		if p[2] == last {
			return p[1] + "line " + p[3]
		}
		last = p[2]
		return m
	})
}

// calledOnce calls threads by their functions' names, and by their numbers where two of them
// run the same one.
func calledOnce(s string) string {
	runs := map[string]string{} // which thread, by its function
	name := "thread $2"
	for _, m := range threaded().FindAllStringSubmatch(s, -1) {
		if other, ok := runs[m[2]]; ok && other != m[1] {
			name = "$1"
		}
		runs[m[2]] = m[1]
	}
	return threaded().ReplaceAllString(s, name)
}
