package redact

import (
	"path"
	"strings"

	"pyrr/internal/linux"
	"pyrr/internal/logview"
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
	for i := range procs {
		if err := f.readFiles(rec, &procs[i]); err != nil {
			return err
		}
	}
	return nil
}

// readFiles puts together what a process read of files of passwords.
func (f *Finder) readFiles(rec *recording.Recording, info *recording.Proc) error {
	type file struct {
		name string
		text strings.Builder
	}
	open := map[int]*file{}
	done := func(fd int) {
		if x := open[fd]; x != nil {
			f.File(x.name, x.text.String())
			delete(open, fd)
		}
	}
	var effs []linux.Effect
	err := logview.Each(rec, info, func(_ *logview.Process, _ uint64, ev *recording.Event, step logview.Step) error {
		call := step.Done(ev)
		if call == nil {
			return nil
		}
		effs = linux.Effects(call, effs[:0])
		for i := range effs {
			switch e := &effs[i]; e.Do {
			case linux.DoOpen:
				done(e.FD)
				name, _, _ := strings.Cut(string(call.In), "\x00")
				if e.Object == linux.ObjFile && credentialFiles[path.Base(name)] != nil {
					open[e.FD] = &file{name: name}
				}
			case linux.DoRead:
				x := open[e.FD]
				for _, w := range ev.Mem {
					if x != nil && x.text.Len() < 1<<20 && (e.Data == 0 || w.Addr == e.Data) {
						x.text.Write(w.Data)
					}
				}
			case linux.DoClose:
				for fd := range open {
					if fd >= e.FD && fd <= e.Last {
						done(fd)
					}
				}
			}
		}
		return nil
	})
	for fd := range open {
		done(fd)
	}
	return err
}
