package linux

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pyrr/internal/goldentest"
)

//go:generate go test -run TestSyscallsDocument -update .

const documentHead = `# System calls

How pyrr records and replays each system call of x86-64 Linux. Written by
` + "`go generate ./internal/linux`" + ` from the table in that folder; do not edit it here.

- **class**: *plain* calls are never executed on replay: their result and the
  memory that they wrote come from the recording. *space* calls change the address
  space and are executed, at the recorded addresses. *process* calls make, replace
  or end threads and processes. *sigreturn* restores registers from a signal frame.
  *hidden* calls are not executed while recording either: the program gets the error
  shown, as from a kernel without them. *faked* calls are answered by pyrr.
  *refuse* ends the recording; the program runs on.
- **writes**: what the kernel writes into the program's memory. Arguments are named
  as in the manual pages; *result* is what the call returned. "always" is also
  written when the call fails; after EFAULT all of it may have been.
- **waits**: the call may wait for another thread or process or for the outside, so
  other threads run meanwhile. For some it depends on the arguments.

Calls with many operations (ioctl, fcntl, prctl, futex, getsockopt, ...) are judged
by the operation; one that is not known and succeeded ends the recording.

| nr | name | class | writes | waits | note |
|---:|---|---|---|---|---|
`

// words says what an output is, for the document.
func (o *Out) words(s *Syscall) string {
	arg := func(i uint8) string { return s.Args[i].Name }
	times := func(n uint32, what string) string {
		if n == 1 {
			return what
		}
		return fmt.Sprintf("%d × %s", n, what)
	}
	var t string
	switch o.Size {
	case Fixed:
		t = fmt.Sprint(o.N)
	case ByArg:
		t = times(o.N, arg(o.By))
	case ByRet:
		t = times(o.N, "result")
	case ByLen:
		t = fmt.Sprintf("*%s, at most %d; %s: 4", arg(o.By), o.N, arg(o.By))
	case Vector:
		t = "the buffers, result bytes in all"
	case Special:
		t = o.What
	}
	switch o.When {
	case Always:
		t += ", always"
	case Interrupted:
		t += ", when interrupted"
	}
	return arg(o.Arg) + ": " + t
}

func document() string {
	var b strings.Builder
	b.WriteString(documentHead)
	for _, s := range table {
		if s == nil {
			continue
		}
		class := s.Class.String()
		if s.Class == Hidden {
			class += " " + Errno(s.Errno)
		}
		var outs []string
		for i := range s.Outs {
			outs = append(outs, s.Outs[i].words(s))
		}
		waits := ""
		if s.Blocks {
			waits = "yes"
		}
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", s.Nr, s.Name, class,
			strings.ReplaceAll(strings.Join(outs, "; "), "*", "\\*"), waits, s.Note)
	}
	return b.String()
}

// The document is generated from the table and committed.
func TestSyscallsDocument(t *testing.T) {
	name := filepath.Join("..", "..", "docs", "syscalls.md")
	if goldentest.Updating(t) {
		if err := os.WriteFile(name, []byte(document()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(got), document()); d != "" {
		t.Errorf("%s is out of date, run go generate ./internal/linux:\n%s", name, d)
	}
}
