package compare

import (
	"strconv"
	"strings"

	"pyrr/assert"
	"pyrr/internal/lazyregexp"
)

// key is what has to be the same of two events: what was done to what, and
// whether it worked or never returned. It leaves out what differs between any
// two runs.
func key(e *assert.Event) string {
	parts := []string{e.Kind, e.Name, address(e.Addr), path(e.Path)}
	if e.Kind == assert.KindExit {
		parts = append(parts, strconv.FormatInt(e.Ret, 10))
	}
	if e.Kind == assert.KindSyscall {
		parts = append(parts, e.Errno, strconv.FormatBool(e.Unfinished))
	}
	return strings.Join(parts, "\x00")
}

// asksStandard tells a call by which Python, as it begins, looks what its standard
// streams are: a terminal, a pipe or a file. That is how it was started, and no reason.
func asksStandard(e *assert.Event) bool {
	return (e.Name == "lseek" || e.Name == "ioctl") && e.FD >= 0 && e.FD <= 2
}

// address leaves out a port that the kernel chose: by default from 32768 on
// (ip(7), ip_local_port_range).
func address(s string) string {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return path(s)
	}
	if n, err := strconv.Atoi(s[i+1:]); err == nil && n >= 32768 {
		return s[:i+1] + "*"
	}
	return s
}

var (
	// What tempfile appends, 8 of a-z, 0-9 and _, and what mktemp(1) does.
	tempName = lazyregexp.New(`^(tmp|tmp\.)[a-zA-Z0-9_]{8,10}`)
	// What tempfile tries a folder with.
	tryName = lazyregexp.New(`^[a-z0-9_]{8}$`)
	digits  = lazyregexp.New(`0x[0-9a-f]+|[0-9]+`)
)

// path leaves out of a path the names of temporary files and all numbers:
// process ids, counters, times.
func path(s string) string {
	if s == "" {
		return ""
	}
	parts := strings.Split(s, "/")
	for i, p := range parts {
		p = tempName().ReplaceAllString(p, "tmp*")
		if i > 0 && parts[i-1] == "tmp" && tryName().MatchString(p) {
			p = "tmp*"
		}
		parts[i] = digits().ReplaceAllString(p, "#")
	}
	return strings.Join(parts, "/")
}

// tells are the calls whose result says something about the world: how much
// came, how many are ready.
var tells = map[string]bool{
	"read": true, "readv": true, "pread64": true, "recvfrom": true, "recvmsg": true, "write": true, "writev": true, "pwrite64": true,
	"sendto": true, "sendmsg": true, "poll": true, "ppoll": true, "select": true, "pselect6": true, "epoll_wait": true,
	"epoll_pwait": true, "getdents64": true, "sendfile": true, "splice": true,
}

// otherResult reports whether two calls that are the same returned something
// else: another number, or other data as far as the events show it.
func (r *Result) otherResult(i, j int) bool {
	a, b := r.A.Event(i), r.B.Event(j)
	if a.Kind != assert.KindSyscall || !tells[a.Name] || a.Unfinished || b.Unfinished {
		return false
	}
	if writes[a.Name] {
		// What it was given is the program's own making.
		return a.Ret != b.Ret && data(a, true) == data(b, true) && length(a) == length(b)
	}
	exact := contents(r.A.files[i]) && contents(r.B.files[j])
	return a.Ret != b.Ret || data(a, exact) != data(b, exact)
}

// writes are those of tells that are given what they move.
var writes = map[string]bool{"write": true, "writev": true, "pwrite64": true, "sendto": true, "sendmsg": true, "sendfile": true, "splice": true}

// contents says whether a path is of a file that somebody made: numbers in it are what
// it says. Those of the kernel's own files and of temporary ones are others each time.
func contents(name string) bool {
	for _, other := range []string{"/proc/", "/sys/", "/dev/", "/run/"} {
		if strings.HasPrefix(name, other) {
			return false
		}
	}
	return name != "" && !strings.HasSuffix(name, ".pyc") && path(name) == digits().ReplaceAllString(name, "#")
}

// filesRead finds, for each read of a file, the path with which that was opened.
func filesRead(events []assert.Event) map[int]string {
	type descriptor struct{ proc, fd int }
	open, out := map[descriptor]string{}, map[int]string{}
	for i := range events {
		e := &events[i]
		if e.Kind != assert.KindSyscall || e.Errno != "" || e.Unfinished {
			continue
		}
		d := descriptor{e.Proc, e.FD}
		switch e.Name {
		case "open", "openat", "openat2", "creat":
			open[d] = e.Path
		case "close", "dup2", "dup3", "close_range": // what they close, or put in its place, is not looked after
			delete(open, d)
			delete(open, descriptor{e.Proc, int(e.Ret)})
		case "read", "readv", "pread64", "preadv", "preadv2":
			if name := open[d]; name != "" {
				out[i] = name
			}
		}
	}
	return out
}

// length is how many bytes a call of writes was to move, as its arguments have it.
func length(e *assert.Event) string {
	for i, a := range e.Args {
		if strings.HasPrefix(a.Text, `"`) && i+1 < len(e.Args) {
			return e.Args[i+1].Text
		}
	}
	return ""
}

// data is what a call moved, without its numbers unless they count.
func data(e *assert.Event, numbers bool) string {
	var b strings.Builder
	for _, a := range e.Args {
		switch {
		case !strings.HasPrefix(a.Text, `"`):
		case numbers:
			b.WriteString(a.Text)
		default:
			b.WriteString(digits().ReplaceAllString(a.Text, "#"))
		}
	}
	return b.String()
}
