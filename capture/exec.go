package capture

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"pyrr/internal/ptrace"
	"pyrr/internal/recording"
)

// execed handles a successful exec: t's old process loses it, and a new one
// begins, recorded or watched.
func (r *recorder) execed(t *task) error {
	old := t.proc
	if former, err := ptrace.EventMsg(t.tid); err == nil && int(former) != t.tid {
		// Another thread made the call; it has the leader's id from now on,
		// and the leader's own record is the one that ended.
		if caller := r.tasks[int(former)]; caller != nil && caller != t {
			r.bury(t)
			delete(r.tasks, caller.tid)
			if caller.proc != nil {
				delete(caller.proc.tasks, caller.tid)
			}
			caller.tid = t.tid
			caller.stopped = true
			r.tasks[t.tid] = caller
			t = caller
			t.proc = old
		}
	}
	if old != nil && old.mode == modeRecord {
		r.logEnter(t) // replay has to run the thread up to here
	}
	t.sys.move(moveDrop)
	t.execing, t.vfork, t.ctid, t.robust = false, false, 0, 0
	t.dispatch, t.dispatched, t.selector = false, false, 0 // exec takes it off
	t.deferred, t.affinity, t.rseq = nil, nil, ptrace.RseqConfig{}
	if old != nil {
		delete(old.tasks, t.tid)
		if old.mode == modeRecord {
			exe, _ := os.Readlink(fmt.Sprintf("/proc/%d/exe", t.pid))
			ev := recording.Event{Kind: recording.KindDeath, TID: t.ev.TID, Instr: old.base, Why: recording.EndExec, Text: exe}
			if len(old.tasks) == 0 {
				ev.Kind = recording.KindEnd
			}
			r.log(old, &ev)
			if len(old.tasks) == 0 {
				r.close(old)
			}
			if old.cur == t {
				r.release(old)
			}
		}
	}
	t.proc = nil
	// Go on to the exit of the exec, where the new image is complete.
	t.stopped = false
	if err := ptrace.Syscall(t.tid, 0); err != nil {
		return err
	}
	if _, err := r.waitSync(t); err != nil {
		return err
	}
	err := r.begin(t, old)
	if old != nil && old.mode == modeRecord {
		r.settle(t, old, r.schedule(old))
	}
	if err != nil && t.proc != nil && t.proc.mode == modeRecord {
		r.settle(t, t.proc, err)
		return nil
	}
	return err
}

// begin decides about a program that was just executed: it is recorded, or
// only watched for what it starts.
func (r *recorder) begin(t *task, from *process) error {
	ep := r.command
	if from != nil {
		if ep = from.ep; ep != nil && ep.ended {
			ep = nil
		}
	}
	r.preparationEnds(from)
	var within *testRun
	if from != nil {
		within = from.inTest()
	}
	exe := fmt.Sprintf("/proc/%d/exe", t.pid)
	python := r.isPython(exe)
	if !python && r.tracesOthers(exe) {
		r.newProcess(t, modeWatch)
		r.letTrace(t, exe)
		r.yieldAll()
		return nil
	}
	if file, ok := r.deprived(t, exe); ok {
		r.newProcess(t, modeWatch)
		if r.letGain(t, exe, file) {
			r.yieldAll()
			return nil
		}
	}
	if !r.o.FollowAll && !python {
		p := r.newProcess(t, modeWatch)
		p.exe, p.ep, p.within = exe, ep, within // what it starts belongs there
		r.noteClient(exe)
		r.preparationBegins(p, procStrings(t.pid, "cmdline"))
		unix.SchedSetaffinity(t.tid, &r.cpus)
		r.yieldAll()
		return r.cont(t, 0)
	}
	p := r.newProcess(t, modeRecord)
	parent := 0
	var parentEvent uint64
	if from != nil && from.mode == modeRecord {
		parent, parentEvent = from.id, from.events-1
	}
	r.join(p, ep)
	p.within = within
	setAffinity(t.tid, p.cpu)
	if err := r.noteInherited(t); err != nil {
		return err
	}
	if err := r.startImage(t, parent, parentEvent); err != nil {
		return err
	}
	r.preparationBegins(p, p.argv)
	if testBegin != nil {
		if err := testBegin(); err != nil {
			return err
		}
	}
	t.state = stateReady
	return r.enqueue(t)
}

func (r *recorder) openStream(p *process) {
	if p.stream == nil && p.ep != nil {
		p.stream = p.ep.w.Stream(p.id)
	}
}

func shortName(path string) string { return filepath.Base(path) }

// containerClients are programs that have others run elsewhere, by a daemon or on
// another machine: what these run is not recorded by recording them.
var containerClients = []string{"docker", "docker-compose", "podman", "podman-remote", "nerdctl", "kubectl", "oc", "crictl", "ctr", "devcontainer", "lxc", "incus", "ssh", "vagrant"}

// noteClient remembers a program that has others run elsewhere.
func (r *recorder) noteClient(exe string) {
	path, err := os.Readlink(exe)
	if name := filepath.Base(path); err == nil && slices.Contains(containerClients, name) && !slices.Contains(r.clients, name) {
		r.clients = append(r.clients, name)
	}
}
