package compare

import (
	"regexp"
	"strconv"
	"strings"

	"pyrr/assert"
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
	tempName = regexp.MustCompile(`^(tmp|tmp\.)[a-zA-Z0-9_]{8,10}`)
	// What tempfile tries a folder with.
	tryName = regexp.MustCompile(`^[a-z0-9_]{8}$`)
	digits  = regexp.MustCompile(`0x[0-9a-f]+|[0-9]+`)
)

// path leaves out of a path the names of temporary files and all numbers:
// process ids, counters, times.
func path(s string) string {
	if s == "" {
		return ""
	}
	parts := strings.Split(s, "/")
	for i, p := range parts {
		p = tempName.ReplaceAllString(p, "tmp*")
		if i > 0 && parts[i-1] == "tmp" && tryName.MatchString(p) {
			p = "tmp*"
		}
		parts[i] = digits.ReplaceAllString(p, "#")
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
func otherResult(a, b *assert.Event) bool {
	if a.Kind != assert.KindSyscall || !tells[a.Name] || a.Unfinished || b.Unfinished {
		return false
	}
	return a.Ret != b.Ret || data(a) != data(b)
}

// data is what a call moved, without its numbers.
func data(e *assert.Event) string {
	var b strings.Builder
	for _, a := range e.Args {
		if strings.HasPrefix(a.Text, `"`) {
			b.WriteString(digits.ReplaceAllString(a.Text, "#"))
		}
	}
	return b.String()
}
