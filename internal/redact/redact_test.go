package redact

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"html"
	"mime/quotedprintable"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var values = []string{
	"ghp_abc+DEF/123=xyzw789",
	"hunter2hunter2",
	"0123456789abcdef0123456789abcdef",
	"JBSWY3DPEHPK3PXP",
	"pä$$wörd-mit-ümlaut",
	"秘密の鍵123456",
	`quo"te\back/slash&<amp>`,
	"123456",
	"aaaaaaaaaaaaaaaa",
}

func setOf(values ...string) *Set {
	var all []Secret
	for i, v := range values {
		all = append(all, Secret{Name: string(rune('A' + i)), Value: v})
	}
	return NewSet(all)
}

func replaced(s *Set, text string) string { return s.Replace(text, func(int) {}) }

// TestPlaceholders holds that a placeholder passes for its secret: length,
// kinds of characters, how many different ones; and tells nothing else.
func TestPlaceholders(t *testing.T) {
	set := setOf(values...)
	if len(set.Secrets) != len(values) {
		t.Fatalf("%d of %d values are replaced: %v", len(set.Secrets), len(values), set.Left)
	}
	seen := map[string]bool{}
	for _, s := range set.Secrets {
		t.Run(s.Value, func(t *testing.T) {
			if seen[s.stand] {
				t.Errorf("%q stands for two secrets", s.stand)
			}
			seen[s.stand] = true
			if s.stand == s.Value || len(s.stand) != len(s.Value) || utf8.RuneCountInString(s.stand) != utf8.RuneCountInString(s.Value) {
				t.Fatalf("%q stands for %q", s.stand, s.Value)
			}
			v, p := []rune(s.Value), []rune(s.stand)
			for i := range v {
				if unicode.IsLower(v[i]) != unicode.IsLower(p[i]) && v[i] < 0x80 || unicode.IsUpper(v[i]) != unicode.IsUpper(p[i]) ||
					unicode.IsDigit(v[i]) != unicode.IsDigit(p[i]) || utf8.RuneLen(v[i]) != utf8.RuneLen(p[i]) {
					t.Errorf("%q stands for %q: character %d is of another kind", s.stand, s.Value, i)
				}
			}
			if _, err := hex.DecodeString(s.Value); err == nil {
				if _, err := hex.DecodeString(s.stand); err != nil {
					t.Errorf("%q stands for a hexadecimal number", s.stand)
				}
			}
			ascii := func(s string) int {
				set := map[rune]bool{}
				for _, r := range s {
					if r < 0x80 {
						set[r] = true
					}
				}
				return len(set)
			}
			alone := setOf(s.Value).Secrets[0].stand // without another secret inside
			if ascii(s.Value) != ascii(alone) {
				t.Errorf("%q has %d different characters, %q %d", s.Value, ascii(s.Value), alone, ascii(alone))
			}
		})
	}
}

// TestShape holds that the placeholder depends on nothing but the shape.
func TestShape(t *testing.T) {
	if a, b := placeholder("Tr0ub4dor&3", nil, 0), placeholder("Kq7zn5wbq&8", nil, 0); a != b {
		t.Errorf("two values of one shape stand as %q and %q", a, b)
	}
}

// TestForms encodes values as Go's own libraries do, in the middle of other
// text, and expects of every form that it is replaced by that of the
// placeholder.
func TestForms(t *testing.T) {
	encodings := map[string]func(string) string{
		"plain":      func(s string) string { return s },
		"query":      url.QueryEscape,
		"path":       url.PathEscape,
		"userinfo":   func(s string) string { return url.UserPassword("u", s).String() },
		"lower case": func(s string) string { return strings.ToLower(url.QueryEscape("")) + lowerEscapes(url.QueryEscape(s)) },
		"json":       func(s string) string { b, _ := json.Marshal(s); return string(b) },
		"hex":        func(s string) string { return hex.EncodeToString([]byte(s)) },
		"utf-16":     func(s string) string { return string(wide16(false)(s)) },
		"utf-16be":   func(s string) string { return string(wide16(true)(s)) },
		"utf-32":     func(s string) string { return string(wide32(false)(s)) },
		"ascii":      strconv.QuoteToASCII,
		"html":       html.EscapeString,
		"xml":        func(s string) string { var b strings.Builder; xml.EscapeText(&b, []byte(s)); return b.String() },
		"csv":        func(s string) string { return strings.ReplaceAll(s, `"`, `""`) },
		"printable": func(s string) string {
			var b strings.Builder
			w := quotedprintable.NewWriter(&b)
			w.Write([]byte(s))
			w.Close()
			return b.String()
		},
		"url twice": func(s string) string { return url.PathEscape(url.PathEscape(s)) },
	}
	for lead := range 4 {
		for trail := range 3 {
			pre, post := "user:xyz"[:5+lead-1], "!?."[:trail]
			encodings["base32 "+pre+post] = func(s string) string { return base32.StdEncoding.EncodeToString([]byte(pre + s + post)) }
			encodings["base64 "+pre+post] = func(s string) string { return base64.StdEncoding.EncodeToString([]byte(pre + s + post)) }
			encodings["base64url "+pre+post] = func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(pre + s + post)) }
		}
	}
	for _, value := range values {
		set := setOf(value)
		stand := set.Secrets[0].stand
		for name, encode := range encodings {
			if strings.HasPrefix(name, "base32") && len(value) < 10 {
				continue // wherever it begins, a whole group of five bytes must be in it
			}
			before, after := "\x00some bytes ", "\x01 and more"
			got := replaced(set, before+encode(value)+after)
			if want := before + encode(stand) + after; got != want {
				t.Errorf("%s of %q (-want +got):\n%s", name, value, cmp.Diff(want, got))
			}
		}
	}
}

// TestCases holds that a value is found with its letters in another case, in
// any encoding, and that its placeholder is put there in the same case.
func TestCases(t *testing.T) {
	for _, value := range []string{"ghp_abc+DEF/123=xyzw789", "hunter2hunter2", "JBSWY3DPEHPK3PXP"} {
		set := setOf(value)
		stand := set.Secrets[0].stand
		for name, change := range map[string]func(string) string{"upper": strings.ToUpper, "lower": strings.ToLower,
			"upper, url": func(s string) string { return url.QueryEscape(strings.ToUpper(s)) },
			"lower, base64": func(s string) string {
				return base64.StdEncoding.EncodeToString([]byte("x:" + strings.ToLower(s)))
			},
			"capitalised": func(s string) string { return strings.ToUpper(s[:1]) + strings.ToLower(s[1:]) },
		} {
			if got, want := replaced(set, "a "+change(value)+" b"), "a "+change(stand)+" b"; got != want {
				t.Errorf("%s of %q (-want +got):\n%s", name, value, cmp.Diff(want, got))
			}
		}
	}
	// A short one in another case is part of too much.
	if got := replaced(setOf("Access1"), "access1"); got != "access1" {
		t.Errorf("the lower case of a short value became %q", got)
	}
}

func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], strings.ToLower(string(b[i+1:i+3])))
		}
	}
	return string(b)
}

// TestNested: a secret inside another one is replaced in the same way in both.
func TestNested(t *testing.T) {
	set := setOf("postgres://app:s3cr3t-pw@db/main", "s3cr3t-pw")
	inner := set.Secrets[1].stand
	outer := set.Secrets[0].stand
	if !strings.Contains(outer, ":"+inner+"@") {
		t.Errorf("%q holds another stand-in than %q", outer, inner)
	}
	if got := replaced(set, "x s3cr3t-pw y"); got != "x "+inner+" y" {
		t.Errorf("got %q", got)
	}
}

func TestLeft(t *testing.T) {
	set := NewSet([]Secret{{Name: "SHORT", Value: "abc"}, {Name: "MARKS", Value: "!!!???..."}, {Name: "GOOD", Value: "long-enough"}})
	var names []string
	for _, l := range set.Left {
		names = append(names, l.Name)
	}
	if diff := cmp.Diff([]string{"SHORT", "MARKS"}, names); diff != "" {
		t.Errorf("not replaced (-want +got):\n%s", diff)
	}
}

func TestSecretName(t *testing.T) {
	tests := map[string]bool{
		"GITHUB_TOKEN": true, "API_KEY": true, "apikey": true, "AWS_SECRET_ACCESS_KEY": true, "AWS_ACCESS_KEY_ID": true,
		"DB_PASSWORD": true, "PGPASSWORD": true, "CI_JOB_JWT": true, "SENTRY_DSN": true, "PROXY_AUTH": true, "DB_PASS": true,
		"STRIPE_KEY": true, "NPM_AUTH_TOKEN": true, "SECRET_KEY_BASE64": true, "client_secret": true,
		"PWD": false, "OLDPWD": false, "PATH": false, "SSH_AUTH_SOCK": false, "GIT_AUTHOR_NAME": false, "COMPASS": false,
		"TOKENIZERS_PARALLELISM": false, "MONKEY": false, "HOME": false, "KEYBOARD": false, "CACHE_KEY": false, "PASSENGER": false,
	}
	for name, want := range tests {
		if got := SecretName(name); got != want {
			t.Errorf("SecretName(%q) = %v", name, got)
		}
	}
}

func TestFinder(t *testing.T) {
	f := NewFinder([]string{"LICENCE"})
	f.Environment([]string{"API_TOKEN=tok-123456", "LICENCE=lic-9999", "DB_PASSWORD=postgres", "HOME=/root", "KEY_FILE_TOKEN=/run/secrets/token",
		"DATABASE_URL=postgres://app:db-pw-77%21x@db:5432/main", "CREDENTIALS={\"private_key\": \"0123456789abcdef\", \"type\": \"service\"}",
		"GITHUB_REPOSITORY_URL=https://github.example/x.git"})
	f.Netrc("machine example.org login me password netrc-pw-1\nmacdef x\n\ndefault login anonymous password user@host")
	f.Config("pip.conf", "[global]\nindex-url = https://__token__:pypi-AgEIcHlwaS@index.example/simple\n# password = no-comment-please\n")
	f.Arguments([]string{"prog", "--token", "arg-token-5", "--password=arg-pw-66", "https://ghp_0123456789abcdefghij@git.example/x"})
	f.Masks("plain-mask-1\n::add-mask::esc%25aped%0Amask\n\n")
	got := map[string]string{}
	for _, s := range f.Secrets {
		got[s.Value] = s.Name
	}
	want := map[string]string{
		"tok-123456": "API_TOKEN", "lic-9999": "LICENCE", "db-pw-77%21x": "DATABASE_URL", "db-pw-77!x": "DATABASE_URL",
		`{"private_key": "0123456789abcdef", "type": "service"}`: "CREDENTIALS", "0123456789abcdef": "CREDENTIALS",
		"netrc-pw-1": "netrc example.org", "user@host": "netrc default", "pypi-AgEIcHlwaS": "pip.conf",
		"arg-token-5": "--token", "arg-pw-66": "--password", "ghp_0123456789abcdefghij": "arguments",
		"plain-mask-1": "mask 1", "esc%aped\nmask": "mask 2",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	var left []string
	for _, l := range f.Left {
		left = append(left, l.Name)
	}
	slices.Sort(left)
	if diff := cmp.Diff([]string{"DB_PASSWORD", "KEY_FILE_TOKEN"}, left); diff != "" {
		t.Errorf("left (-want +got):\n%s", diff)
	}
}

func FuzzReplace(f *testing.F) {
	f.Add("hunter2hunter2", "xx hunter2hunter2 yy")
	f.Add("abc123", "YWJjMTIz")
	f.Fuzz(func(t *testing.T, value, text string) {
		if len(value) > 200 {
			return
		}
		set := setOf(value)
		out := replaced(set, text+value+text)
		if len(out) != 2*len(text)+len(value) {
			t.Fatalf("%d bytes became %d", 2*len(text)+len(value), len(out))
		}
		if len(set.Secrets) == 1 && !strings.Contains(text, value[:1]) && strings.Contains(out, value) {
			t.Fatalf("%q survives in %q", value, out)
		}
	})
}
