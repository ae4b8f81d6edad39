package redact

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// secretName matches the names of environment variables, and the keys of
// configuration, whose values are taken to be secret.
var secretName = regexp.MustCompile(`(?i)(^|[_.-])(tokens?|secrets?|password|passwd|passphrase|pass|pwd|pw|credentials?|creds?|apikey|api_?key|access_?key|private_?key|secret_?key|signing_?key|encryption_?key|account_?key|license_?key|ssh_?key|deploy_?key|auth|authorization|bearer|jwt|cookie|pat|dsn)([0-9]*$|[_.-](id|value|base64|b64|json|pem|prod|production|staging|test|dev|ci|key|[0-9]+)$)|[_.-]key$|^key$|token$|secret$|password$|passwd$|apikey$`)

// notSecret are names that the pattern takes in and that hold no secret.
var notSecret = map[string]bool{
	"PWD": true, "OLDPWD": true, "XDG_SESSION_COOKIE": true, "GPG_KEY": true, "PYTHON_GPG_KEY": true,
	"CACHE_KEY": true, "PRIMARY_KEY": true, "PUBLIC_KEY": true, "FOREIGN_KEY": true, "SORT_KEY": true, "PARTITION_KEY": true,
}

// commonWords are values that are no secrets, whatever they are the value of:
// replacing them would replace parts of programs.
var commonWords = map[string]bool{}

func init() {
	for w := range strings.FieldsSeq(`
		password passwd secret secrets change_me changeme change-me placeholder example dummy
		default public private anonymous anonymous@ guest-user administrator postgres
		postgresql mysql mariadb mongodb rabbitmq redis-server elasticsearch minioadmin
		username testing testuser test-user testpass testpassword test-token disabled enabled
		required optional optional-token always never basic bearer digest netrc oauth2
		keyring store cache osxkeychain unknown undefined redacted REDACTED localhost`) {
		commonWords[w] = true
	}
}

// SecretName says whether a variable of that name holds a secret.
func SecretName(name string) bool {
	return !notSecret[strings.ToUpper(name)] && secretName.MatchString(name)
}

// Finder collects secrets from where they are kept.
type Finder struct {
	Secrets []Secret
	Left    []Left
	named   map[string]bool
}

// NewFinder makes a finder that takes the variables of the given names for
// secrets, besides those whose names say it.
func NewFinder(names []string) *Finder {
	f := &Finder{named: map[string]bool{}}
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
	if value == "" || slices.ContainsFunc(f.Secrets, func(s Secret) bool { return s.Value == value }) {
		return
	}
	if !sure {
		why := ""
		switch {
		case commonWords[strings.ToLower(value)]:
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
	}
}

// userinfo matches the URL's part between scheme and host (RFC 3986, 3.2.1).
var userinfo = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://([^/?#\s'"<>@]*)@`)

// URLs takes the passwords in the URLs of a text, and a user name that stands
// alone, as tokens do.
func (f *Finder) URLs(name, text string) {
	for _, m := range userinfo.FindAllStringSubmatch(text, -1) {
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
		if ok && SecretName(strings.TrimSpace(name)) {
			f.add(file+" "+strings.TrimSpace(name), file, strings.Trim(strings.TrimSpace(value), `"'`), false)
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
