package redact

import (
	"regexp"
	"strings"
	"sync"
	"unicode"

	"pyrr/internal/lazyregexp"
)

// nameRule is a row of the table of names whose values are secret: of environment
// variables, options, settings, JSON's keys, headers and parameters of URLs.
type nameRule struct {
	name string
	// word matches a whole part of a name (DB_PASSWORD), with a suffix that says what
	// it is of (TOKEN_CI), end the end of one (clientSecret).
	word, end string
	// text is set where the name is a secret's in running text too: others (key, auth)
	// are names of too much there.
	text bool
	yes  []string
	no   []string
}

var nameRules = []nameRule{
	{"password", `password|passwd|passphrase|pass|pwd|pw`, `password|passwd|passphrase`, true,
		[]string{"DB_PASSWORD", "PGPASSWORD", "DB_PASS", "MYSQL_PWD", "userPassword", "password2"}, []string{"PWD", "OLDPWD", "COMPASS", "PASSENGER"}},
	{"token", `tokens?|jwt|bearer|pat`, `token`, true,
		[]string{"GITHUB_TOKEN", "CI_JOB_JWT", "NPM_AUTH_TOKEN", "refreshToken", "X-Auth-Token"}, []string{"TOKENIZERS_PARALLELISM", "PATH", "nextPageToken"}},
	{"secret", `secrets?|credentials?|creds?`, `secret`, true,
		[]string{"client_secret", "SECRET", "clientSecret", "GOOGLE_CREDENTIALS", "SECRET_KEY_BASE64"}, []string{"SECRETARY"}},
	{"named key", `apikey|api_?key|access_?key|private_?key|secret_?key|signing_?key|encryption_?key|account_?key|ssh_?key|deploy_?key|shared_?access_?key`,
		`apikey|api[_-]key|privatekey|secretkey|accesskey|accesskeyid|accountkey`, true,
		[]string{"API_KEY", "apikey", "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "privateKey", "X-Api-Key", "accessKeyId"}, []string{"PUBLIC_KEY", "KEYBOARD"}},
	{"key", `license_?key`, `[_.-]key|^key`, false,
		[]string{"STRIPE_KEY", "KEY"}, []string{"MONKEY", "CACHE_KEY", "PRIMARY_KEY"}},
	{"authorization", `auth|authorization`, `authorization`, false,
		[]string{"PROXY_AUTH", "Authorization"}, []string{"SSH_AUTH_SOCK", "GIT_AUTHOR_NAME"}},
	{"session", `cookie|session_?id|session_?key|sess_?id`, `sessionid`, false,
		[]string{"SESSION_COOKIE", "sessionId", "SESSION_ID"}, []string{"XDG_SESSION_COOKIE", "SESSION"}},
	{"connection", `dsn|connection_?string|conn_?str|webhook_?url`, `connectionstring`, false,
		[]string{"SENTRY_DSN", "CONNECTION_STRING", "SLACK_WEBHOOK_URL"}, []string{"CONNECTION"}},
}

// nameSuffix is what may follow the word: PASSWORD2, TOKEN_CI, SECRET_BASE64.
const nameSuffix = `([0-9]*$|[_.-](id|value|base64|b64|json|pem|prod|production|staging|test|dev|ci|key|[0-9]+)$)`

// secretName matches the names of all rows, textName of those that count in running text.
var (
	secretName = sync.OnceValue(func() *regexp.Regexp { return namePattern(false) })
	textName   = sync.OnceValue(func() *regexp.Regexp { return namePattern(true) })
)

func namePattern(inText bool) *regexp.Regexp {
	var parts []string
	for _, r := range nameRules {
		if r.text || !inText {
			parts = append(parts, `(^|[_.-])(`+r.word+`)`+nameSuffix+`|(`+r.end+`)$`)
		}
	}
	return regexp.MustCompile(`(?i)` + strings.Join(parts, "|"))
}

// notSecret are names that the pattern takes in and that hold no secret.
var notSecret = wordSet(`PWD OLDPWD XDG_SESSION_COOKIE GPG_KEY PYTHON_GPG_KEY CACHE_KEY PRIMARY_KEY PUBLIC_KEY FOREIGN_KEY
	SORT_KEY PARTITION_KEY NEXTTOKEN NEXT_TOKEN PAGETOKEN PAGE_TOKEN NEXTPAGETOKEN NEXT_PAGE_TOKEN CONTINUATIONTOKEN
	CONTINUATION_TOKEN CONTINUE_TOKEN SYNCTOKEN SYNC_TOKEN`)

// commonWords are values that are no secrets, whatever they are the value of:
// replacing them would replace parts of programs.
var commonWords = wordSet(`
	password passwd secret secrets change_me changeme change-me placeholder example dummy
	default public private anonymous anonymous@ guest-user administrator postgres
	postgresql mysql mariadb mongodb rabbitmq redis-server elasticsearch minioadmin
	username testing testuser test-user testpass testpassword test-token disabled enabled
	required optional optional-token always never basic bearer digest netrc oauth2
	keyring store cache osxkeychain unknown undefined redacted REDACTED localhost`)

func wordSet(words string) func() map[string]bool {
	return sync.OnceValue(func() map[string]bool {
		set := map[string]bool{}
		for w := range strings.FieldsSeq(words) {
			set[w] = true
		}
		return set
	})
}

// SecretName says whether a variable of that name holds a secret.
func SecretName(name string) bool {
	return !notSecret()[strings.ToUpper(name)] && secretName().MatchString(name)
}

// secretInText says it of a name in running text.
func secretInText(name string) bool {
	return !notSecret()[strings.ToUpper(name)] && textName().MatchString(name)
}

// minShape is the shortest value that is taken for a secret for where it stands.
const minShape = 8

var (
	aDate     = lazyregexp.New(`^\d{4}-\d\d-\d\d`)
	aTemplate = lazyregexp.New(`^[<{\[(*]|\$[{(]|\{\{|%[(sd]|\.\.\.|[()]`)
)

// looksSecret says whether a value may be a secret by its characters: words,
// names of variables, templates, dates and numbers are what programs have there
// otherwise.
func looksSecret(v string) bool {
	if len(v) < minShape || commonWords()[strings.ToLower(v)] || strings.HasSuffix(v, "EXAMPLE") || strings.Contains(v, "://") || aDate().MatchString(v) || aTemplate().MatchString(v) {
		return false
	}
	if strings.HasPrefix(v, "/") && !strings.ContainsAny(v, "+=") {
		return false // a path
	}
	var letters, digits, marks, turns int
	distinct := map[rune]bool{}
	upper := false
	for _, r := range v {
		distinct[r] = true
		switch {
		case r <= ' ' || r == 0x7f || r == unicode.ReplacementChar:
			return false
		case r >= '0' && r <= '9':
			digits++
		case unicode.IsLetter(r):
			letters++
			if unicode.IsUpper(r) != upper {
				upper = !upper
				turns++
			}
		case !strings.ContainsRune("_.-", r):
			marks++
		}
	}
	const fewest, mixed = 5, 6
	switch {
	case len(distinct) < fewest:
		return false
	case letters == 0:
		return false
	case digits > 0, marks > 0:
		return true
	default:
		return turns >= mixed // of bare letters only what changes its case like chance does
	}
}
