package redact

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"pyrr/internal/lazyregexp"
)

// shapeRule is a row of the table of what secrets look like in traffic, files and
// memory: by their own characters, or by what stands before them.
type shapeRule struct {
	name string // what a manifest calls it
	what string // for the reader of the documents
	// anchors are what it begins with, in lower case, of three bytes at least. Of a rule
	// with key, they are parts of the key, and match is held against what follows it.
	anchors []string
	key     func(name string) bool
	// before has the bytes that may stand before it; "" for all but letters, digits and
	// the underscore, "\n" is the beginning of a text too.
	before  string
	pattern string // a regular expression that begins where it is held; its first group that is not empty is the value, else all
	// parts are the values in what was matched, nil for that itself.
	parts func(value string) []string
	// close is a text that must stand within 256 bytes, if not "".
	close string
	// source is set where the rule holds in Python's sources too.
	source bool

	yes map[string]string // texts and the first value in each
	no  []string
}

var (
	keyAnchors   = []string{"pass", "pwd\"", "pwd'", "pwd=", "pwd:", "secr", "toke", "apik", "api_", "api-", "acce", "priv", "cred", "jwt\"", "jwt'", "jwt=", "jwt:", "sign", "encr", "accou", "ssh_", "ssh-", "depl", "shared"}
	connectionBy = `(?i)\b(host|server|dbname|database|data source|initial catalog|user id|uid|user|accountname|endpoint)\s?=`
)

// token is a rule for values with a prefix of their own. (The examples are in two
// pieces, so that who looks for secrets in this repository finds none.)
func token(name, what string, pattern string, anchors []string, yes ...string) shapeRule {
	r := shapeRule{name: name, what: what, anchors: anchors, pattern: pattern, source: true, yes: map[string]string{}}
	for _, y := range yes {
		r.yes["at "+y+" here"] = y
	}
	r.no = []string{"x" + yes[0], anchors[0] + "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}
	return r
}

// compiled has the expressions of the rows, and of what must stand close to them.
// Most commands never need them.
var compiled = sync.OnceValue(func() (list []struct{ match, close *regexp.Regexp }) {
	for _, r := range shapeRules {
		var c struct{ match, close *regexp.Regexp }
		c.match = regexp.MustCompile(`\A(?:` + r.pattern + `)`)
		if r.close != "" {
			c.close = regexp.MustCompile(r.close)
		}
		list = append(list, c)
	}
	return list
})

// shapeRules is the table. A text is held against each row; what one of them takes,
// the others may take too.
var shapeRules = []shapeRule{
	token("github-token", "tokens of GitHub: `ghp_…`, `gho_…`, `github_pat_…`", `gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,}`,
		[]string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"}, "ghp_"+"a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8", "github_pat_"+"11ABCDEFG0aBcDeFgHiJkL_m1n2o3p4"),
	token("gitlab-token", "tokens of GitLab: `glpat-…` and its kind", `gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[A-Za-z0-9_-]{20,}`,
		[]string{"glpa", "gldt", "glrt", "glcb", "glpt", "glft", "glso", "glag", "glim"}, "glpat-"+"a1B2c3D4e5F6g7H8i9J0"),
	token("slack-token", "tokens and webhooks of Slack: `xoxb-…`, `xapp-…`", `xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-[0-9]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/(T[A-Za-z0-9]{6,}/B[A-Za-z0-9]{6,}/[A-Za-z0-9]{16,})`,
		[]string{"xoxa", "xoxb", "xoxe", "xoxo", "xoxp", "xoxr", "xoxs", "xapp-", "hooks.slack.com"}, "xoxb-"+"123456789012-abcDEF123ghi", "xapp-1-"+"A0B1C2D3E4-5f6a7b"),
	token("stripe-key", "keys of Stripe: `sk_live_…`, `rk_test_…`, `whsec_…`", `[sr]k_(?:live|test)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/]{24,}`,
		[]string{"sk_l", "sk_t", "rk_l", "rk_t", "whsec_"}, "sk_live_"+"4eC39HqLyjWDarjtT1zdp7dc", "whsec_"+"a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6"),
	token("aws-key-id", "access key ids of AWS: `AKIA…`, `ASIA…`", `(?:AKIA|ASIA|AGPA|AROA)[A-Z0-9]{16}\b`, []string{"akia", "asia", "agpa", "aroa"}, "AKIA"+"Q3EGRIZ5XK7JT2WD"),
	token("google-key", "keys and tokens of Google: `AIza…`, `ya29.…`, `GOCSPX-…`", `AIza[0-9A-Za-z_-]{35}\b|ya29\.[0-9A-Za-z_-]{20,}|GOCSPX-[A-Za-z0-9_-]{20,}`,
		[]string{"aiza", "ya29.", "gocspx-"}, "AIza"+"SyD4iE2xVSpkLLOXoyqT-RuPwURN3ddScAI"),
	token("ai-key", "keys of model providers: `sk-proj-…`, `sk-ant-…`, `hf_…`", `sk-(?:proj|ant|svcacct|or|None)-[A-Za-z0-9_-]{20,}|sk-[A-Za-z0-9]{48}\b|hf_[A-Za-z]{30,40}\b`,
		[]string{"sk-", "hf_"}, "sk-proj-"+"a1B2c3D4e5F6g7H8i9J0k1L2", "sk-ant-"+"api03-a1B2c3D4e5F6g7H8i9J0"),
	token("package-token", "tokens of PyPI, npm, Docker, crates: `pypi-…`, `npm_…`, `dckr_pat_…`", `pypi-AgE[A-Za-z0-9_-]{30,}|npm_[A-Za-z0-9]{36}\b|dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}|cio[A-Za-z0-9]{32}\b`,
		[]string{"pypi-age", "npm_", "dckr_", "cio"}, "npm_"+"a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"),
	token("service-token", "tokens of other services: SendGrid, DigitalOcean, Shopify, Square, Databricks, Vault, Atlassian, Linear, Sentry, Telegram, age",
		`SG\.[A-Za-z0-9_-]{16,32}\.[A-Za-z0-9_-]{16,64}|do[opr]_v1_[a-f0-9]{64}|shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}|sq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,}|dapi[a-f0-9]{32}\b|hv[sbr]\.[A-Za-z0-9_-]{24,}|ATATT3[A-Za-z0-9_=-]{20,}|lin_api_[A-Za-z0-9]{32,}|sntrys_[A-Za-z0-9+/=_]{20,}|bot[0-9]{8,10}:([A-Za-z0-9_-]{35})|AGE-SECRET-KEY-1[A-Z0-9]{58}`,
		[]string{"sg.", "doo_", "dop_", "dor_", "shpa", "shpc", "shps", "sq0a", "sq0c", "sq0i", "dapi", "hvs.", "hvb.", "hvr.", "atatt3", "lin_api_", "sntrys_", "bot", "age-secret-key-1"},
		"SG."+"ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr", "shpat_"+"a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6", "hvs."+"CAESIJ1a2b3c4d5e6f7g8h9i0j"),
	token("jwt", "JSON Web Tokens: `eyJ….eyJ….…` (RFC 7519)", `eyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{8,}`, []string{"eyj"},
		"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"),
	{name: keyRule, what: "blocks `-----BEGIN … PRIVATE KEY-----` (RFC 7468; OpenSSH, PGP): their lines", anchors: []string{"-----begin"}, before: "any",
		pattern: `-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----((?:[A-Za-z0-9+/=:.,\- \r\n]|\\[nr]){40,}?)-----END `, parts: keyLines, source: true,
		yes: map[string]string{
			"-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA3Tz2mr7SZiAMfQyuvBjM9Oi\nx0K1w2E3\n-----END RSA PRIVATE KEY-----": "MIIEpAIBAAKCAQEA3Tz2mr7SZiAMfQyuvBjM9Oi",
			`"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1a2b3c4d5e6f7g8h9i0jklmn\n-----END PRIVATE KEY-----\n"`:        "MC4CAQAwBQYDK2VwBCIEIJ1a2b3c4d5e6f7g8h9i0jklmn",
		},
		no: []string{"-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----", "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----"}},
	{name: "url-password", what: "passwords in URLs and connection strings: `scheme://user:PASSWORD@host`", anchors: []string{"://"}, before: "any",
		pattern: `://[^/?#\s'"<>@:\\]{0,64}:([^/?#\s'"<>@\\]{1,})@[A-Za-z0-9\[]`, parts: unescaped, source: true,
		yes: map[string]string{"postgres://app:s3cr3t-Pw9@db:5432/x": "s3cr3t-Pw9", "amqp://u:a%21b2c3d4@mq/": "a%21b2c3d4"},
		no:  []string{"http://user:password@host/", "http://host:8080/a@b", "https://{user}:{password}@{host}"}},
	{name: "bearer", what: "`Bearer TOKEN` (RFC 6750), wherever it stands", anchors: []string{"bearer "},
		pattern: `(?i:bearer) ([A-Za-z0-9._~+/-]{16,}=*)`,
		yes:     map[string]string{"x Bearer mF_9.B5f-4.1JqM-aa99": "mF_9.B5f-4.1JqM-aa99"},
		no:      []string{"the bearer authentication-scheme-name is", "Bearer realm=\"example\""}},
	{name: "authorization-header", what: "the credentials in `Authorization:` and `Proxy-Authorization:` (RFC 9110), and the password of Basic", anchors: []string{"authorization:", "proxy-authorization:"}, before: "\n",
		pattern: `(?i:proxy-)?(?i:authorization):[ \t]*([^\r\n]{6,})(?:\r?\n|\z)`, parts: credentials,
		yes: map[string]string{"GET / HTTP/1.1\r\nAuthorization: Basic dXNlcjpodW50ZXIyLXB3\r\n\r\n": "dXNlcjpodW50ZXIyLXB3", "\nauthorization: Bearer abcdef0123\r\n": "abcdef0123",
			"\r\nAuthorization: Digest username=\"u\", response=\"6629fae49393a05397450978507c4ef1\"\r\n": "6629fae49393a05397450978507c4ef1"},
		no: []string{"Authorization: required\r\n", "see Authorization: Bearer abcdef0123\r\n"}},
	{name: "cookie-header", what: "the values in `Cookie:` and `Set-Cookie:` (RFC 6265)", anchors: []string{"cookie:", "set-cookie:"}, before: "\n",
		pattern: `(?i:set-)?(?i:cookie):[ \t]*([^\r\n]{3,})(?:\r?\n|\z)`, parts: cookies,
		yes: map[string]string{"\r\nCookie: theme=dark; sid=38afes7a8-9f\r\n": "38afes7a8-9f", "\nSet-Cookie: session=8d7f6a5eQQ; HttpOnly; Expires=Wed, 09 Jun 2031 10:18:14 GMT\r\n": "8d7f6a5eQQ"},
		no:  []string{"Cookie: theme=dark\r\n", "Cookie: the header that holds them\r\n"}},
	{name: "secret-header", what: "headers whose names tell: `X-Api-Key:`, `Private-Token:`, `X-Amz-Security-Token:`", anchors: keyAnchors, key: secretInText, before: "\n",
		pattern: `:[ \t]*([^\s]{8,})\r\n`,
		yes:     map[string]string{"\r\nX-Api-Key: k9f8e7d6c5b4\r\n": "k9f8e7d6c5b4", "\nPrivate-Token: a1b2c3d4e5\r\n": "a1b2c3d4e5"},
		no:      []string{"\r\nX-Api-Key-Name: k9f8e7d6c5b4\r\n", "\r\nToken: disabled\r\n"}},
	{name: "json-key", what: "members of JSON, and of Python's dicts as printed, whose names tell: `\"access_token\": \"…\"`", anchors: append([]string{"authorization"}, keyAnchors...),
		key: func(name string) bool { return secretInText(name) || strings.EqualFold(name, "authorization") }, before: `"'`,
		pattern: `(?:"\s{0,8}:\s{0,8}"((?:[^"\\\x00-\x1f]|\\.){8,}?)"|\\"\s{0,8}:\s{0,8}\\"([^"\\\x00-\x1f]{8,})\\"|'\s{0,8}:\s{0,8}'([^'\\\x00-\x1f]{8,})')`, parts: jsonText,
		yes: map[string]string{`{"access_token": "OAUTHresp77aa", "x": 1}`: "OAUTHresp77aa", `{"clientSecret":"a\/b3c4d5e6"}`: "a/b3c4d5e6", `{'password': 'hunter2-xyz'}`: "hunter2-xyz",
			`"{\"token\": \"q1w2e3r4t5\"}"`: "q1w2e3r4t5", `{"Authorization": "Bearer zz11yy22kk"}`: "zz11yy22kk"},
		no: []string{`{"token_type": "bearer77"}`, `{"password": "the password to use 1"}`, `{"key": "a1b2c3d4"}`, `{"nextToken": "a1b2c3d4e5"}`, `{"password": "${DB_PASSWORD1}"}`, `{"token": "identifier"}`}},
	{name: "parameter", what: "parameters of URLs and forms whose names tell: `?access_token=…`, `&password=…`", anchors: append([]string{"sig="}, keyAnchors...),
		key: func(name string) bool { return secretInText(name) || name == "sig" || name == "Signature" }, before: "?&\n",
		pattern: `=([A-Za-z0-9._~%+/!*-]{8,}=*)(?:[&\s"'#<]|\z)`, parts: unescaped,
		yes: map[string]string{"GET /?token=a1%2Bb2c3d4 HTTP/1.1": "a1%2Bb2c3d4", "user=x&password=hunter2xyz": "hunter2xyz"},
		no:  []string{"?page_token=a1b2c3d4e5", "&passwords=a1b2c3d4&", "?token=identifier&"}},
	{name: "connection-string", what: "`Password=…;`, `AccountKey=…;` in a connection string (ADO, ODBC, libpq, Azure)", anchors: keyAnchors, before: "; \n\"'",
		key:     func(name string) bool { return secretInText(name) },
		pattern: `\s?=\s?([^;\s"'&(),]{8,})(?:[;\s"'&]|\z)`, close: connectionBy,
		yes: map[string]string{"Server=db;User Id=sa;Password=Str0ng!Pass;": "Str0ng!Pass", "host=db dbname=x password=hunter2xyz": "hunter2xyz",
			"AccountName=acc;AccountKey=Zm9vYmFyMTIzNDU2Nzg5MA==;EndpointSuffix=core": "Zm9vYmFyMTIzNDU2Nzg5MA=="},
		no: []string{"password=hunter2xyz", "connect(host=host, password=self.password)"}},
}

// keyRule is the rule whose values are read by their structure.
const keyRule = "private-key"

// keyLines are the lines of a key's body.
func keyLines(body string) []string {
	var out []string
	for _, line := range strings.FieldsFunc(strings.NewReplacer(`\n`, "\n", `\r`, "\n").Replace(body), func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(line); len(line) >= minShape && !strings.ContainsAny(line, ": ") {
			out = append(out, line)
		}
	}
	return out
}

// unescaped is a value of a URL, as it stands there and as it is meant.
func unescaped(v string) []string {
	if plain, err := url.QueryUnescape(v); err == nil && plain != v {
		return []string{v, plain}
	}
	return []string{v}
}

// credentials are those of an Authorization header: behind the scheme, of Basic
// the password too, of others the parameters that are a secret's response.
func credentials(v string) []string {
	scheme, rest, ok := strings.Cut(strings.TrimSpace(v), " ")
	if !ok {
		return []string{scheme}
	}
	rest = strings.TrimSpace(rest)
	if strings.Contains(rest, ",") || strings.Contains(rest, `="`) {
		var out []string
		for _, m := range quotedParam().FindAllStringSubmatch(rest, -1) {
			out = append(out, m[1])
		}
		return out
	}
	out := []string{rest}
	if strings.EqualFold(scheme, "basic") {
		if pair, err := base64.StdEncoding.DecodeString(rest); err == nil {
			if _, password, ok := strings.Cut(string(pair), ":"); ok {
				out = append(out, password)
			}
		}
	}
	return out
}

var quotedParam = lazyregexp.New(`(?i)(?:response|signature|token|oauth_token|oauth_signature)="?([^",\s]{8,})`)

// cookies are the values of cookies; attributes are not among them.
func cookies(v string) []string {
	var out []string
	for pair := range strings.SplitSeq(v, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
		switch strings.ToLower(name) {
		case "expires", "max-age", "domain", "path", "samesite":
			continue
		}
		if ok {
			out = append(out, strings.Trim(value, `"`))
		}
	}
	return out
}

// jsonText is what a string of JSON means, without a scheme of authentication.
func jsonText(v string) []string {
	if strings.Contains(v, `\`) {
		var text string
		if json.Unmarshal([]byte(`"`+v+`"`), &text) != nil {
			return nil
		}
		v = text
	}
	if scheme, rest, ok := strings.Cut(v, " "); ok && commonWords()[strings.ToLower(scheme)] {
		return credentials(scheme + " " + rest)
	}
	return []string{v}
}
