package redact

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
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
	for _, a := range argv {
		f.Text(a)
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

// settingsFiles are the ends of the names of files of settings.
var settingsFiles = []string{".env", ".ini", ".cfg", ".conf", ".toml", ".yaml", ".yml", ".properties"}

// File takes what a file of passwords or settings holds, if its name is known for that.
func (f *Finder) File(name, text string) {
	base := path.Base(name)
	if read := credentialFiles[base]; read != nil && (base != "credentials" || strings.HasSuffix(name, ".aws/credentials")) {
		read(f, text)
	} else if isSettings(base) {
		f.settings(base, text)
	}
}

func isSettings(base string) bool {
	return strings.HasPrefix(base, ".env.") || slices.ContainsFunc(settingsFiles, func(end string) bool { return strings.HasSuffix(base, end) })
}

// settings takes the secret settings of any file: those whose values look it too.
func (f *Finder) settings(base, text string) {
	of := NewFinder(nil)
	of.Config(base, text)
	for _, s := range of.Secrets {
		if looksSecret(s.Value) && !f.made[s.Value] {
			f.add(s.Name, s.Source, s.Value, false)
		}
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
	written := map[Shape]bool{}
	for i := range procs {
		if err := f.readFiles(rec, &procs[i], written); err != nil {
			return err
		}
	}
	return f.Written(rec, slices.Collect(maps.Keys(written)))
}

// Written takes those values that the programs wrote where secrets stand, and that
// came into them as they are: out of a file that nothing else tells about, say. What is
// only in what they wrote, they made themselves.
func (f *Finder) Written(rec *recording.Recording, shapes []Shape) error {
	shapes = slices.DeleteFunc(shapes, func(s Shape) bool { return f.made[s.Value] || f.knows(s.Value) })
	if len(shapes) == 0 {
		return nil
	}
	slices.SortFunc(shapes, func(a, b Shape) int { return strings.Compare(a.Rule+a.Value, b.Rule+b.Value) })
	var all []Secret
	for i, s := range shapes[:min(len(shapes), mostShapes)] {
		all = append(all, Secret{Name: fmt.Sprint(i), Value: s.Value})
	}
	plan, err := NewPlan(rec, NewSet(all))
	if err != nil {
		return err
	}
	for i, s := range plan.set.Secrets {
		c := plan.counts[i]
		if c[InEnvironment]+c[InMemory]+c[InData]+c[InFiles]+c[InSources] > 0 {
			n, _ := strconv.Atoi(s.Name)
			f.Shape(shapes[n])
		}
	}
	return nil
}

// input is what came to a process through a descriptor.
type input struct {
	name   string
	text   *strings.Builder // of files of passwords and settings
	shapes shapeStream
}

// mostInputs is how many descriptors are followed at a time.
const mostInputs = 4096

// readFiles puts together what a process read of files of passwords, and looks for
// what looks like secrets in all that came in, and in the memory that it begins with.
func (f *Finder) readFiles(rec *recording.Recording, info *recording.Process, written map[Shape]bool) error {
	open := map[int]*input{}
	done := func(fd int) {
		if x := open[fd]; x != nil {
			x.shapes.end()
			if x.text != nil {
				f.File(x.name, x.text.String())
			}
			delete(open, fd)
		}
	}
	var effs []linux.Effect
	err := logview.EachWhole(rec, info, func(_ *logview.Follower, _ uint64, ev *recording.Event, step logview.Step) error {
		if ev.Kind == recording.KindStart {
			for _, w := range ev.Mem {
				Shapes(w.Data, false, false, f.Shape)
			}
		}
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
				if len(open) < mostInputs {
					open[e.FD] = f.newInput(name, e.Object == linux.ObjFile)
				}
			case linux.DoRead:
				x := open[e.FD]
				if x == nil && len(open) < mostInputs {
					x = f.newInput("", false)
					open[e.FD] = x
				}
				for _, w := range ev.Mem {
					if x != nil && !e.Inside && (e.Data == 0 || w.Addr == e.Data) {
						x.add(w.Data)
					}
				}
			case linux.DoWrite:
				const whole = 64 // nothing shorter is ever cut
				Shapes(call.In, len(call.In) >= whole, false, func(s Shape) {
					if len(written) < mostShapes {
						written[s] = true
					}
				})
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

func (f *Finder) newInput(name string, file bool) *input {
	x := &input{name: name, shapes: shapeStream{source: file && isSource(path.Base(name)), found: f.Shape}}
	if base := path.Base(name); file && (credentialFiles[base] != nil || isSettings(base)) {
		x.text = &strings.Builder{}
	}
	return x
}

func (x *input) add(data []byte) {
	if x.text != nil && x.text.Len() < 1<<20 {
		x.text.Write(data)
	}
	x.shapes.add(data)
}
