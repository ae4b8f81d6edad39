package redact

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"pyrr/internal/lazyregexp"
)

// Finder collects secrets from where they are kept.
type Finder struct {
	Secrets []Secret
	Left    []Left
	named   map[string]bool
	shapes  map[string]int  // how many values of each rule there are
	made    map[string]bool // what only looks like a secret: the program makes it itself
}

// NewFinder makes a finder that takes the variables of the given names for
// secrets, besides those whose names say it.
func NewFinder(names []string) *Finder {
	f := &Finder{named: map[string]bool{}, shapes: map[string]int{}, made: map[string]bool{}}
	for _, n := range names {
		f.named[n] = true
	}
	return f
}

// Missing returns the names that were asked for and not found.
func (f *Finder) Missing() []string {
	var out []string
	for name := range f.named {
		if !slices.ContainsFunc(f.Secrets, func(s Secret) bool { return s.Name == name }) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// add notes a value; sure is set where the user said that it is a secret.
func (f *Finder) add(name, source, value string, sure bool) {
	if i := slices.IndexFunc(f.Secrets, func(s Secret) bool { return s.Value == value }); value == "" || i >= 0 {
		if i >= 0 && f.Secrets[i].Rule != "" {
			f.Secrets[i] = Secret{Name: name, Source: source, Value: value} // its name tells more than its looks
		}
		return
	}
	if !sure {
		why := ""
		switch {
		case commonWords()[strings.ToLower(value)]:
			why = "its value is a common word"
		case strings.HasPrefix(value, "/") && !strings.ContainsAny(value, "+="):
			why = "its value is a path"
		}
		if why != "" {
			if !slices.ContainsFunc(f.Left, func(l Left) bool { return l.Name == name }) {
				f.Left = append(f.Left, Left{name, why})
			}
			return
		}
	}
	f.Secrets = append(f.Secrets, Secret{Name: name, Source: source, Value: value})
	f.inside(name, source, value)
}

// inside adds the parts of a value that programs use by themselves: the lines
// of a key, the secret members of a JSON document, a token behind its scheme.
func (f *Finder) inside(name, source, value string) {
	const minPart = 12
	if lines := strings.Split(strings.TrimSpace(value), "\n"); len(lines) > 1 {
		for _, line := range lines {
			line = strings.TrimSpace(line)
			if len(line) >= minPart && !strings.HasPrefix(line, "-----") && !strings.ContainsAny(line, `{}"`) {
				f.add(name, source, line, true)
			}
		}
	}
	for _, scheme := range []string{"Bearer ", "Basic ", "token ", "Token "} {
		if rest, ok := strings.CutPrefix(value, scheme); ok {
			f.add(name, source, rest, true)
		}
	}
	if strings.HasPrefix(strings.TrimSpace(value), "{") {
		var doc map[string]any
		if json.Unmarshal([]byte(value), &doc) == nil {
			for key, v := range doc {
				if text, ok := v.(string); ok && SecretName(key) && len(text) >= minPart {
					f.add(name, source, text, true)
				}
			}
		}
	}
}

// mostShapes is how many values are taken for their looks. More of them are data.
const mostShapes = 300

// Shape takes a value that a rule found.
func (f *Finder) Shape(s Shape) {
	if f.made[s.Value] || f.knows(s.Value) {
		return
	}
	f.shapes[s.Rule]++
	total := 0
	for _, n := range f.shapes {
		total += n
	}
	if total > mostShapes {
		if total == mostShapes+1 {
			f.Left = append(f.Left, Left{s.Rule, fmt.Sprintf("more than %d values look like secrets", mostShapes)})
		}
		return
	}
	f.Secrets = append(f.Secrets, Secret{Name: fmt.Sprintf("%s %d", s.Rule, f.shapes[s.Rule]), Source: "its shape", Rule: s.Rule, Value: s.Value})
}

// Text takes what looks like a secret in a text.
func (f *Finder) Text(text string) { Shapes([]byte(text), false, false, f.Shape) }

// Set is what was found, for the search.
func (f *Finder) Set() *Set {
	set := NewSet(f.Secrets)
	set.Left = append(set.Left, f.Left...)
	return set
}

// Leave takes a value that was found by a rule out of the secrets, as the program
// makes it itself, of nothing secret: no recording holds it as an input.
func (f *Finder) Leave(value string) {
	f.made[value] = true
	f.Secrets = slices.DeleteFunc(f.Secrets, func(s Secret) bool {
		if s.Value != value || s.Rule == "" {
			return false
		}
		f.Left = append(f.Left, Left{s.Name, "it looks like a secret, and the program makes it itself"})
		return true
	})
}

// LeaveLooks takes out of the secrets what only looks like one, where the program
// does something else with placeholders for it: first keys, which are read by their
// structure, and only when there are none the values of all other rules. It reports
// whether there were any.
func (f *Finder) LeaveLooks() bool {
	for _, leave := range []func(Secret) bool{
		func(s Secret) bool { return s.Rule == keyRule },
		func(s Secret) bool { return s.Rule != "" },
	} {
		n := len(f.Secrets)
		f.Secrets = slices.DeleteFunc(f.Secrets, func(s Secret) bool {
			if !leave(s) {
				return false
			}
			f.made[s.Value] = true
			l := Left{s.Rule, "what was found only looks like a secret, and the program does something else without it (record --redact=always replaces it, and keeps no memory then)"}
			if !slices.Contains(f.Left, l) {
				f.Left = append(f.Left, l)
			}
			return true
		})
		if len(f.Secrets) < n {
			return true
		}
	}
	return false
}

func (f *Finder) knows(value string) bool {
	return slices.ContainsFunc(f.Secrets, func(s Secret) bool { return s.Value == value })
}

// Environment takes NAME=VALUE strings.
func (f *Finder) Environment(env []string) {
	for _, kv := range env {
		name, value, ok := strings.Cut(kv, "=")
		if !ok {
			continue
		}
		switch {
		case f.named[name]:
			f.add(name, "--secret", value, true)
		case SecretName(name):
			f.add(name, "environment", value, false)
		}
		f.URLs(name, value)
		f.Text(value)
	}
}

// userinfo matches the URL's part between scheme and host (RFC 3986, 3.2.1).
var userinfo = lazyregexp.New(`[A-Za-z][A-Za-z0-9+.-]*://([^/?#\s'"<>@]*)@`)

// URLs takes the passwords in the URLs of a text, and a user name that stands
// alone, as tokens do.
func (f *Finder) URLs(name, text string) {
	for _, m := range userinfo().FindAllStringSubmatch(text, -1) {
		user, password, ok := strings.Cut(m[1], ":")
		secret := password
		if !ok || password == "" || password == "x-oauth-basic" {
			secret = user
			if len(user) < 16 && !strings.Contains(text, "x-oauth-basic") {
				continue // git@host
			}
		}
		f.add(name, "URL", secret, false)
		if plain, err := url.PathUnescape(secret); err == nil && plain != secret {
			f.add(name, "URL", plain, false)
		}
	}
}

// Netrc takes the passwords of a netrc file (ftp(1)).
func (f *Finder) Netrc(text string) {
	words := strings.Fields(text)
	host := ""
	for i := 0; i+1 < len(words); i++ {
		switch words[i] {
		case "machine":
			host = words[i+1]
		case "default":
			host = "default"
			continue
		case "password", "account":
			f.add("netrc "+host, "netrc", strings.Trim(words[i+1], `"`), false)
		default:
			continue
		}
		i++
	}
}

// Config takes the secret settings of a file of NAME = VALUE lines, as those
// of pip, twine and the cloud clients are, and the passwords of its URLs.
func (f *Finder) Config(file, text string) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		f.URLs(file, line)
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			name, value, ok = strings.Cut(line, ":")
		}
		if name = strings.Trim(strings.TrimPrefix(strings.TrimSpace(name), "export "), ` "'`); ok && SecretName(name) {
			f.add(file+" "+name, file, strings.Trim(strings.TrimSpace(value), `"',`), false)
		}
	}
}

// Masks takes values that the user gives, one a line; a line may be GitHub's
// workflow command ::add-mask::VALUE, whose value is escaped.
func (f *Finder) Masks(text string) {
	unescape := strings.NewReplacer("%25", "%", "%0D", "\r", "%0A", "\n", "%0d", "\r", "%0a", "\n")
	n := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if value, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "::add-mask::"); ok {
			line = unescape.Replace(value)
		}
		if line == "" {
			continue
		}
		n++
		f.add(fmt.Sprint("mask ", n), "mask", line, true)
	}
}
