package reason

import "testing"

func TestFirstWords(t *testing.T) {
	for sent, want := range map[string]string{
		"*3\r\n$5\r\nBLPOP\r\n$4\r\njobs\r\n$1\r\n0\r\n": "BLPOP jobs 0",
		"GET /a HTTP/1.1\r\nHost: b\r\n\r\n":             "GET /a HTTP/1.1",
		"EHLO me\n":                                      "EHLO me",
		"*\r\n":                                          "",
		"\x16\x03\x01\x02\x00":                           "",
		"\x80\x04text\n":                                 "",
		"caf\u00e9\r\n":                                  "",
	} {
		if got := firstWords(sent); got != want {
			t.Errorf("%q: %q, not %q", sent, got, want)
		}
	}
}
