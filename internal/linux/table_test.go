package linux

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Every number that x/sys/unix knows has a row of the same name, and the
// other way round.
func TestTableIsComplete(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Skip("x/sys can't be found: ", err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(strings.TrimSpace(string(out)), "unix", "zsysnum_linux_amd64.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, ok := strings.CutPrefix(v.Names[0].Name, "SYS_")
		if !ok {
			return true
		}
		nr, err := strconv.Atoi(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		seen[nr] = true
		s, ok := Lookup(nr)
		if !ok {
			t.Errorf("no row for %d, %s", nr, name)
			return true
		}
		if want := strings.ToLower(name); s.Name != want {
			t.Errorf("%d is called %q, want %q", nr, s.Name, want)
		}
		if got, ok := Number(s.Name); !ok || got != nr {
			t.Errorf("Number(%q) = %d, want %d", s.Name, got, nr)
		}
		return true
	})
	if len(seen) < 380 {
		t.Errorf("only %d numbers were found in x/sys", len(seen))
	}
	for nr, s := range table {
		if s != nil && !seen[nr] {
			t.Errorf("row %d, %s, is not in x/sys", nr, s.Name)
		}
		if s == nil && seen[nr] {
			t.Errorf("%d has no row", nr)
		}
	}
}

func TestRowsAreSound(t *testing.T) {
	rows := 0
	for _, list := range [][]Syscall{fileRows, pathRows, ioRows, netRows, memoryRows, processRows, signalRows, timeRows, identityRows, systemRows} {
		rows += len(list)
	}
	filled := 0
	for _, s := range table {
		if s == nil {
			continue
		}
		filled++
		if len(s.Args) > 6 {
			t.Errorf("%s has %d arguments", s.Name, len(s.Args))
		}
		if (s.Class == Hidden) != (s.Errno != 0) {
			t.Errorf("%s: class %v with error %d", s.Name, s.Class, s.Errno)
		}
		if s.Class == Hidden && len(s.Outs) > 0 {
			t.Errorf("%s is never executed and has outputs", s.Name)
		}
		if (s.Class == Refuse || s.Class == Hidden) && s.Note == "" {
			t.Errorf("%s is %v without a reason", s.Name, s.Class)
		}
		for _, o := range s.Outs {
			if int(o.Arg) >= len(s.Args) || int(o.By) >= len(s.Args) {
				t.Errorf("%s: an output names argument %d or %d of %d", s.Name, o.Arg, o.By, len(s.Args))
			}
			if o.Size == Special && o.What == "" {
				t.Errorf("%s: a special output says nothing", s.Name)
			}
			if (o.Size == Fixed || o.Size == ByArg || o.Size == ByRet || o.Size == ByLen) && o.N == 0 {
				t.Errorf("%s: an output of no bytes", s.Name)
			}
		}
		for i, a := range s.Args {
			if a.Name == "" || (a.Kind == Flags || a.Kind == Enum) && a.Set == nil {
				t.Errorf("%s: argument %d is incomplete", s.Name, i)
			}
			switch a.Kind {
			case InBytes, InSockAddr, OutSockAddr, PollFDs, OutString:
				if i+1 >= len(s.Args) {
					t.Errorf("%s: argument %s needs a length after it", s.Name, a.Name)
				}
			}
		}
	}
	if rows != filled {
		t.Errorf("%d rows fill %d numbers: some number has two", rows, filled)
	}
}

func TestAliases(t *testing.T) {
	for name, calls := range aliases {
		for _, c := range calls {
			if _, ok := Number(c); !ok {
				t.Errorf("%s stands for %s, which is not a system call", name, c)
			}
		}
		if _, ok := Number(name); ok {
			found := false
			for _, c := range calls {
				found = found || c == name
			}
			// nanosleep and getdents are among theirs; so are all others.
			if !found {
				t.Errorf("%s does not stand for itself", name)
			}
		}
	}
	for _, tt := range []struct {
		name string
		want string
	}{
		{"recv", "recvfrom"}, {"send", "sendto"}, {"open", "openat open openat2 creat"}, {"connect", "connect"},
		{"Poll", "poll ppoll"}, {"nosuchcall", ""}, {"waitpid", "wait4"}, {"getdents", "getdents64 getdents"},
	} {
		if got := strings.Join(Aliases(tt.name), " "); got != tt.want {
			t.Errorf("Aliases(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestErrnoAndSignalNames(t *testing.T) {
	for _, tt := range []struct {
		n    int
		name string
	}{{1, "EPERM"}, {11, "EAGAIN"}, {110, "ETIMEDOUT"}, {115, "EINPROGRESS"}, {133, "EHWPOISON"}, {512, "ERESTARTSYS"}, {516, "ERESTART_RESTARTBLOCK"}} {
		if got := Errno(tt.n); got != tt.name {
			t.Errorf("Errno(%d) = %s, want %s", tt.n, got, tt.name)
		}
		if got, ok := ErrnoNumber(tt.name); !ok || got != tt.n {
			t.Errorf("ErrnoNumber(%s) = %d, want %d", tt.name, got, tt.n)
		}
	}
	if n, ok := ErrnoNumber("ewouldblock"); !ok || n != 11 {
		t.Errorf("EWOULDBLOCK is %d", n)
	}
	for _, n := range []int{-1, 0, 41, 200, 5000} {
		if got := Errno(n); got != strconv.Itoa(n) {
			t.Errorf("Errno(%d) = %s", n, got)
		}
	}
	for _, bad := range []string{"", "E", "EFOO", "0"} {
		if n, ok := ErrnoNumber(bad); ok {
			t.Errorf("ErrnoNumber(%q) = %d", bad, n)
		}
	}
	for n := 1; n <= MaxSignal; n++ {
		name := Signal(n)
		if got, ok := SignalNumber(name); n != 32 && n != 33 && (!ok || got != n) {
			t.Errorf("SignalNumber(%s) = %d, want %d", name, got, n)
		}
	}
	for _, tt := range []struct {
		name string
		n    int
	}{{"SIGINT", 2}, {"int", 2}, {"SIGRTMIN", 34}, {"SIGRTMIN+2", 36}, {"SIGRTMAX", 64}, {"SIGRTMAX-1", 63}, {"SIGPOLL", 29}, {"SIGIOT", 6}} {
		if got, ok := SignalNumber(tt.name); !ok || got != tt.n {
			t.Errorf("SignalNumber(%s) = %d, want %d", tt.name, got, tt.n)
		}
	}
	for _, bad := range []string{"", "SIG", "SIGFOO", "SIGRTMIN+31", "SIGRTMIN+-1", "SIGRTMIN2", "SIGRTMAX-99", "9"} {
		if n, ok := SignalNumber(bad); ok {
			t.Errorf("SignalNumber(%q) = %d", bad, n)
		}
	}
}

func TestSockAddr(t *testing.T) {
	for _, tt := range []struct {
		name    string
		b       []byte
		network string
		host    string
		port    int
		ok      bool
	}{
		{"empty", nil, "", "", 0, false},
		{"inet", le(uint16(2), []byte{1, 187, 1, 2, 3, 4}), "inet", "1.2.3.4", 443, true},
		{"inet cut", le(uint16(2), []byte{1, 187, 1}), "inet", "", 0, false},
		{"inet6", le(uint16(10), []byte{0, 80}, uint32(0), []byte{0xfe, 0x80}, make([]byte, 13), []byte{1}, uint32(2)), "inet6", "fe80::1%2", 80, true},
		{"inet6 cut", le(uint16(10), []byte{0, 80}, make([]byte, 10)), "inet6", "", 0, false},
		{"unix", le(uint16(1), "/a/b\x00junk"), "unix", "/a/b", 0, true},
		{"unix unnamed", le(uint16(1)), "unix", "", 0, true},
		{"unix abstract", le(uint16(1), "\x00a\x00b"), "unix", "@a\x00b", 0, true},
		{"netlink", le(uint16(16), uint16(0), uint32(7), uint32(0)), "netlink", "pid 7", 0, true},
		{"vsock", le(uint16(40), uint16(0), uint32(1024), uint32(3)), "vsock", "3", 1024, true},
		{"other", le(uint16(99), "x"), "family 99", "", 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			network, host, port, ok := SockAddr(tt.b)
			if network != tt.network || host != tt.host || port != tt.port || ok != tt.ok {
				t.Errorf("got %q %q %d %v", network, host, port, ok)
			}
		})
	}
}
