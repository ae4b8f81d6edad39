package hang

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

func nobodyButFate(fate string) string {
	if fate == "" {
		return ""
	}
	return "; " + fate
}

func first(list []int) int {
	if len(list) == 0 {
		return -1
	}
	return list[0]
}

// tookBefore says who took a thing last, and where; "" where that is not known.
func (j *judge) tookBefore(n node, t *Thing) string {
	if len(t.Taken) == 0 {
		return ""
	}
	k := &t.Taken[0]
	who := k.Name
	for i := range t.Taken {
		by := t.Taken[i].Name
		what := j.thingName(t)
		if t.Pool != "" {
			what = "what the " + t.Pool + " gives out"
		}
		j.cite(Evidence{Text: fmt.Sprintf("%s was taken at %s by %s", what, j.takenAt(&t.Taken[i]), by), Proc: n.proc,
			Event: t.Taken[i].Event, File: t.Taken[i].Where.File, Line: t.Taken[i].Where.Line})
	}
	switch {
	case k.Unit == n.unit && t.Kind != Lock && t.Kind != RLock:
		return "last taken by itself at " + j.takenAt(k)
	case k.Unit >= 0:
		who = j.name(node{n.proc, k.Unit})
	case !strings.HasPrefix(who, "task "):
		who = "thread " + who
	}
	if t.Kind == Lock || t.Kind == RLock {
		if k.Unit == n.unit {
			return "which it took itself at " + j.at(k.Where)
		}
		return "which " + who + " took at " + j.at(k.Where)
	}
	return "last taken at " + j.takenAt(k) + " by " + who
}

// takenAt is where something was taken, and from where that was called.
func (j *judge) takenAt(k *Taken) string {
	at := j.at(k.Where)
	if k.From != nil && k.From.own() && k.From.Line > 0 && k.From.Func != k.Where.Func {
		from := j.at(*k.From)
		if k.From.File == k.Where.File {
			from = fmt.Sprintf("line %d", k.From.Line)
		}
		at += " (called at " + from + ")"
	}
	return at
}

// endOf says how a thread or task ended that took a thing last.
func (j *judge) endOf(n node, t *Thing) string {
	k := &t.Taken[0]
	if k.Unit >= 0 {
		return ""
	}
	for _, f := range t.Fate {
		switch {
		case f.Kind+" "+f.Name != k.Name:
		case f.How == "cancelled":
			return "; it was cancelled"
		case f.How == "failed":
			return "; it ended with " + cmp.Or(j.value(f.Text), f.Type)
		}
	}
	if d := j.died(n.proc, k.Name); d != "" {
		return "; it " + strings.TrimPrefix(d, "thread "+k.Name+" ")
	}
	return "; it has ended"
}

// takers says of those who take from a queue that they wait for the next item.
func (j *judge) takers(n node, thing int) string {
	p := j.procs[n.proc]
	for k := range p.Facts.Units {
		u := &p.Facts.Units[k]
		if u.Wait != nil && u.Wait.How == "get" && slices.Contains(u.Wait.On, thing) {
			return j.name(node{n.proc, k}) + ", which takes from it, waits for the next item" + j.waitAt(u)
		}
	}
	return ""
}

// lostOwner says which thread it is that held a lock and is not there.
func (j *judge) lostOwner(n node, t *Thing) string {
	p := j.procs[n.proc]
	for q := p; q != nil; q = j.procs[q.Parent] {
		if q.Facts == nil {
			continue
		}
		for i := len(q.Facts.Dead) - 1; i >= 0; i-- {
			d := &q.Facts.Dead[i]
			if d.Ident != t.Owner {
				continue
			}
			if q != p {
				return fmt.Sprintf("which thread %s held at the fork; that thread does not exist in the child", d.Name)
			}
			return fmt.Sprintf("whose owner, thread %s, has ended without releasing it", d.Name)
		}
		for k := range q.Facts.Units {
			if u := &q.Facts.Units[k]; q != p && u.Ident == t.Owner {
				return fmt.Sprintf("which thread %s held at the fork; that thread does not exist in the child", u.Name)
			}
		}
	}
	return "whose owner is a thread that does not exist any more"
}

// heldAtFork says of a lock without an owner, in a process that was forked, who
// holds it in the process that it is a copy of: it lies at the same address.
func (j *judge) heldAtFork(n node, t *Thing) string {
	p := j.procs[n.proc]
	if p == nil || !p.Forked || t.Addr == 0 || len(t.Holders) > 0 {
		return ""
	}
	if k := t.AtFork; k != nil && len(t.Taken) == 0 {
		j.cite(Evidence{Text: fmt.Sprintf("%s took %s at %s in the parent, before the fork", k.Name, j.thingName(t), j.at(k.Where)),
			Proc: p.Parent, Event: k.Event, File: k.Where.File, Line: k.Where.Line})
		if k.Unit == 0 {
			return "which it took before it was forked (" + j.at(k.Where) + "): a copy that is locked is never released"
		}
		return fmt.Sprintf("which thread %s of the parent held at the fork (taken at %s); that thread does not exist in the child", k.Name, j.at(k.Where))
	}
	q := j.procs[p.Parent]
	if q == nil || q.Facts == nil {
		return ""
	}
	for i := range q.Facts.Things {
		o := &q.Facts.Things[i]
		if o.Addr != t.Addr || o.Kind != t.Kind || len(o.Holders) == 0 {
			continue
		}
		h := &o.Holders[0]
		if u := j.unit(node{q.ID, h.Unit}); u != nil && !u.Main {
			at := ""
			if f, ok := j.heldAt(&edge{to: node{q.ID, h.Unit}, hold: h}); ok {
				at = " since " + j.at(f)
			}
			return fmt.Sprintf("which thread %s of the parent holds%s; that thread does not exist in the child", u.Name, at)
		}
	}
	return ""
}

// lostTo says of a lock of several processes that the one that held it was
// killed.
func (j *judge) lostTo(n node, t *Thing) string {
	if t.Key == "" {
		return ""
	}
	for _, p := range j.in.Procs {
		if p.Hangs || p.Facts == nil || p.ID == n.proc {
			continue
		}
		for i := range p.Facts.Things {
			o := &p.Facts.Things[i]
			if o.Key != t.Key || len(o.Holders) == 0 {
				continue
			}
			at := ""
			e := &edge{to: node{p.ID, o.Holders[0].Unit}, hold: &o.Holders[0]}
			if f, ok := j.heldAt(e); ok {
				at = " since " + j.at(f) + j.calledFrom(e)
			}
			return fmt.Sprintf("which %s held%s when %s killed it", j.procName(p), at, or(p.Killed, fmt.Sprintf("signal %d", p.Status&0x7f)))
		}
	}
	return ""
}

// fate says what became of who should have acted: of those that who waits has at
// hand, else of a thread that reported an exception.
func (j *judge) fate(n node, t *Thing) string {
	for _, f := range t.Fate {
		switch {
		case f.How == "cancelled":
			return fmt.Sprintf("%s %s was cancelled", f.Kind, f.Name)
		case f.How == "failed":
			return fmt.Sprintf("%s %s ended with %s", f.Kind, f.Name, cmp.Or(j.value(f.Text), f.Type)) + j.failedAt(n, f.Where)
		case f.Kind == Thread:
			if d := j.died(n.proc, f.Name); d != "" {
				return d
			}
		}
	}
	if d := j.died(n.proc, ""); d != "" && len(t.Known) == 0 {
		return d
	}
	if t.Shared {
		if d := j.lostChild(n.proc); d != "" {
			return d
		}
		// One of the same parent may be who should have acted.
		if p := j.procs[n.proc]; p != nil && j.procs[p.Parent] != nil {
			if d := j.lostChild(p.Parent); d != "" {
				return d
			}
		}
	}
	if p := j.procs[n.proc]; p != nil && j.servesClient(n) { // a manager's: its clients should act
		if d := j.lostChild(p.Parent); d != "" {
			return d
		}
	}
	if len(t.Fate) == 0 {
		if t.Shared && len(t.Known) == 0 {
			return j.goneChild(n.proc)
		}
		return ""
	}
	f := t.Fate[0]
	if f.Kind == QueuedJob {
		return "job " + f.Name + ", which has it at hand, is still queued"
	}
	if f.Kind == Listener {
		return j.idleListener(n.proc, f.Name)
	}
	if p := j.procs[n.proc]; f.Timer != "" && p != nil {
		if !j.in.Midst && p.Time < int64(f.After*1e9) { // before it could have run
			return fmt.Sprintf("the timer of %s, which was to run after %g s, was cancelled", f.Timer, f.After)
		}
		return fmt.Sprintf("the timer of %s has ended", f.Timer)
	}
	return fmt.Sprintf("%s %s has %s", f.Kind, f.Name, f.How)
}

// failedAt is where a task failed, for behind its exception.
func (j *judge) failedAt(n node, at *Frame) string {
	if at == nil {
		return ""
	}
	j.cite(Evidence{Text: lastName(at.Func) + " failed here", Proc: n.proc, File: at.File, Line: at.Line})
	return " in " + lastName(at.Func) + " (" + j.at(*at) + ")"
}

// idleListener says of a QueueListener without a thread that it was stopped, where a thread
// that ran its loop has ended, and that it was not started, where no thread has ended.
func (j *judge) idleListener(proc int, class string) string {
	dead := j.procs[proc].Facts.Dead
	switch {
	case slices.ContainsFunc(dead, func(d Dead) bool { return strings.HasSuffix(d.Name, "(_monitor)") }):
		return "its " + class + " was stopped"
	case len(dead) == 0 && !j.in.Midst:
		return "its " + class + " was not started"
	}
	return "its " + class + " does not run: it was not started, or was stopped"
}

// tellsWhy tells a fate that says why, from one that says only that somebody has ended.
func tellsWhy(fate string) bool {
	return fate != "" && !strings.HasSuffix(fate, " has ended") && !strings.HasSuffix(fate, " has returned")
}

// lostChild says of a child process that a signal or an exception ended it.
func (j *judge) lostChild(proc int) string {
	said := ""
	for _, p := range j.in.Procs {
		if p.Hangs || p.Parent != proc || p.Status == 0 {
			continue
		}
		how := fmt.Sprintf("has ended with status %d", p.Status>>8)
		if p.Killed != "" {
			how = "was killed by " + p.Killed
		} else if p.Facts != nil {
			for k := range p.Facts.Died {
				if d := &p.Facts.Died[k]; d.Main {
					how = "died of " + j.headline(d)
					if f, _ := j.raisedAt(d); f != nil {
						how += " (" + j.at(f.Frame) + ")"
					}
				}
			}
		}
		j.cite(Evidence{Text: j.procName(p) + " " + how, Proc: p.ID, Event: p.Event})
		if said == "" || p.Killed != "" {
			said = j.procName(p) + " " + how
		}
	}
	return said
}

// goneChild says of the only child process of one, and of no other, that it has ended.
func (j *judge) goneChild(proc int) string {
	var only *Process
	for _, p := range j.in.Procs {
		if p.Parent != proc {
			continue
		}
		if only != nil || p.Hangs {
			return ""
		}
		only = p
	}
	if only == nil {
		return ""
	}
	j.cite(Evidence{Text: j.procName(only) + " ended", Proc: only.ID, Event: only.Event})
	return j.procName(only) + " has ended"
}

// died is how an exception that was reported begins in a sentence.
func (r *Raised) died() string {
	if r.Greenlet { // it is called as those are that run: by the outermost of the user's functions
		for k := len(r.Frames) - 1; k >= 0; k-- {
			if f := &r.Frames[k]; f.own() {
				return "greenlet " + lastName(f.Func) + " died of"
			}
		}
		return "a greenlet died of"
	}
	if !r.Callback {
		return "thread " + r.Thread + " died of"
	}
	for k := range r.Frames {
		if r.Frames[k].own() {
			return "callback " + lastName(r.Frames[k].Func) + " raised"
		}
	}
	return "a callback raised"
}

// died says of a thread, of any for no name, that it reported an exception and
// is not there any more.
func (j *judge) died(proc int, name string) string {
	p := j.procs[proc]
	if p == nil || p.Facts == nil {
		return ""
	}
	for k := len(p.Facts.Died) - 1; k >= 0; k-- {
		d := &p.Facts.Died[k]
		if d.Main || d.Thread == "" && !d.Greenlet || name != "" && (d.Thread != name || d.Callback || d.Greenlet) {
			continue
		}
		at := ""
		if f, _ := j.raisedAt(d); f != nil {
			at = fmt.Sprintf(" (%s)", j.at(f.Frame))
		}
		text := fmt.Sprintf("%s %s%s", d.died(), j.headline(d), at)
		e := Evidence{Text: text, Proc: proc, Event: d.Event}
		if f, _ := j.raisedAt(d); f != nil {
			e.File, e.Line = f.File, f.Line
		}
		j.cite(e)
		return text
	}
	return ""
}

// starts says whether a thread waits for one that it starts: that one is about to say so.
func starts(u *Unit) bool {
	return u.Wait != nil && u.Wait.Frame < len(u.Frames) && slices.ContainsFunc(u.Frames[:u.Wait.Frame], func(f Frame) bool {
		return lastName(f.Func) == "start" && strings.HasSuffix(f.File, "/threading.py")
	})
}
