package redact

import (
	"errors"
	"io"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"pyrr/internal/recording"
)

// Arguments takes the values of options whose names are secret-like
// (--token=VALUE, --password VALUE), and the passwords of URLs.
func (f *Finder) Arguments(argv []string) {
	for i, a := range argv {
		f.URLs("arguments", a)
		if !strings.HasPrefix(a, "--") {
			continue
		}
		name, value, ok := strings.Cut(strings.TrimPrefix(a, "--"), "=")
		if !SecretName(name) {
			continue
		}
		if !ok && i+1 < len(argv) && !strings.HasPrefix(argv[i+1], "-") {
			value = argv[i+1]
		}
		f.add("--"+name, "arguments", value, false)
	}
}

// credentialFiles are the names of files that hold passwords, and how they
// are read.
var credentialFiles = map[string]func(f *Finder, text string){
	".netrc":           (*Finder).Netrc,
	"_netrc":           (*Finder).Netrc,
	"pip.conf":         func(f *Finder, s string) { f.Config("pip.conf", s) },
	".pypirc":          func(f *Finder, s string) { f.Config(".pypirc", s) },
	"uv.toml":          func(f *Finder, s string) { f.Config("uv.toml", s) },
	".git-credentials": func(f *Finder, s string) { f.URLs(".git-credentials", s) },
	".npmrc":           func(f *Finder, s string) { f.Config(".npmrc", s) },
	".env":             func(f *Finder, s string) { f.Config(".env", s) },
	"credentials":      func(f *Finder, s string) { f.Config("credentials", s) }, // of AWS
}

// File takes what a file of passwords holds, if its name is known for that.
func (f *Finder) File(name, text string) {
	base := path.Base(name)
	if read := credentialFiles[base]; read != nil && (base != "credentials" || strings.HasSuffix(name, ".aws/credentials")) {
		read(f, text)
	}
}

// Recording takes the secrets that a recording itself tells of: those of its
// processes' environments and arguments, and of the files of passwords that
// they read.
func (f *Finder) Recording(rec *recording.Recording) error {
	procs, err := rec.Procs()
	if err != nil {
		return err
	}
	for _, p := range procs {
		f.Environment(p.Env)
		f.Arguments(p.Argv)
	}
	f.Arguments(rec.Header().Command)
	for _, p := range procs {
		if err := f.readFiles(rec, p.ID); err != nil {
			return err
		}
	}
	return nil
}

// readFiles puts together what a process read of files of passwords.
func (f *Finder) readFiles(rec *recording.Recording, proc int) error {
	it, err := rec.Events(proc)
	if err != nil {
		return err
	}
	defer it.Close()
	type file struct {
		name string
		text strings.Builder
	}
	open := map[uint64]*file{}
	enters := map[int32][2]any{} // of calls that let others run
	done := func(x *file) {
		if x != nil {
			f.File(x.name, x.text.String())
		}
	}
	var ev recording.Event
	for {
		err := it.Next(&ev)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		nr, args, in := ev.Nr, ev.Args, ev.In
		switch ev.Kind {
		case recording.KindEnter:
			enters[ev.TID] = [2]any{args, in}
			continue
		case recording.KindExit:
			if e, ok := enters[ev.TID]; ok {
				args, in = e[0].([6]uint64), e[1].([]byte)
			}
		case recording.KindSyscall:
		default:
			continue
		}
		if ev.Ret < 0 {
			continue
		}
		switch nr {
		case unix.SYS_OPEN, unix.SYS_OPENAT, unix.SYS_OPENAT2:
			name := strings.TrimRight(string(in), "\x00")
			delete(open, uint64(ev.Ret))
			if credentialFiles[path.Base(name)] != nil {
				open[uint64(ev.Ret)] = &file{name: name}
			}
		case unix.SYS_READ, unix.SYS_PREAD64:
			if x := open[args[0]]; x != nil && x.text.Len() < 1<<20 {
				for _, w := range ev.Mem {
					if w.Addr == args[1] {
						x.text.Write(w.Data)
					}
				}
			}
		case unix.SYS_CLOSE:
			done(open[args[0]])
			delete(open, args[0])
		}
	}
	for _, x := range open {
		done(x)
	}
	return nil
}
