package assert

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func FuzzParseSentence(f *testing.F) {
	for _, s := range []string{
		"recv at urllib3/connection.py:504±3 within 5,000 instructions of connect as r",
		`no sendto with fd=$a.fd, buf="x \" y", flags=0 between thread start and end`,
		"at most 50 futex blocked at end for > 2s by \"a b\" on same fd after line a.py:3",
		"2nd call a.py::B.<locals>.f failing with EIO returning >=-1 to [::1]:*",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, m := parseSentence(s, nil)
		if m != nil {
			if m.start < 0 || m.end < m.start || m.end > len(s)+1 || m.msg == "" {
				t.Errorf("a mistake outside the sentence: %+v", m)
			}
			return
		}
		again, err := ParseSentence(e.Text)
		if err != nil {
			t.Fatalf("%q does not read as %q: %v", e.Text, s, err)
		}
		if len(again.Clauses) != len(e.Clauses) || again.ID != e.ID {
			t.Errorf("%q means something else than %q", e.Text, s)
		}
	})
}

func FuzzParseSpec(f *testing.F) {
	files, _ := filepath.Glob("testdata/bad/*.yaml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(goldenSpec))
	f.Add([]byte("version: 1\nrecording: &a x\nparams: {p: [a, b]}\nexpect:\n  - >-\n    recv\n     ${p}\n  - 'it''s'\n  - \"\\x41\\n\"\n  - *a\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		specs, err := Parse("f.yaml", text)
		if err != nil {
			var list Errors
			if !errors.As(err, &list) || len(list) == 0 {
				t.Fatalf("%T %v", err, err)
			}
			for _, e := range list {
				if e.Line < 1 || e.Col < 1 || e.Msg == "" {
					t.Errorf("a mistake without a place: %+v", e)
				}
			}
			return
		}
		for _, s := range specs {
			if len(s.Expect)+len(s.Golden) == 0 {
				t.Errorf("an empty spec passes: %q", text)
			}
		}
	})
}

// ParseSentence reads an expectation in its sentence form.
func ParseSentence(s string) (*Expectation, error) {
	e, err := parseSentence(s, nil)
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (m *mistake) Error() string {
	if m.hint == "" {
		return m.msg
	}
	return m.msg + "; " + m.hint
}
