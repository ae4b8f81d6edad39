package keeping

import (
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/spf13/pflag"

	"pyrr/internal/hiding"
	"pyrr/internal/naming"
	"pyrr/internal/printable"
	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/internal/screen"
)

// SecretFlags say which secrets to replace.
type SecretFlags struct {
	names []string
	masks string // a file, - for standard input
}

// Declare adds the flags to a command.
func (s *SecretFlags) Declare(fs *pflag.FlagSet) {
	fs.StringArrayVar(&s.names, "secret", nil, "the value of the environment variable `NAME` is a secret too;\nmay be given several times")
	fs.StringVar(&s.masks, "masks", "", "a `FILE` with secrets, one a line, or lines ::add-mask::VALUE;\n- for standard input")
}

// The values of --redact.
const (
	RedactAuto   = "auto"
	RedactAlways = "always"
	RedactNever  = "never"
)

// wanted says whether record replaces secrets: where continuous integration
// would publish them, and where some were named.
func (s *SecretFlags) wanted(when string) bool {
	ci := os.Getenv("CI")
	return when == RedactAlways || when == RedactAuto && (len(s.names) > 0 || s.masks != "" || ci != "" && ci != "false" && ci != "0")
}

// SayRedacted tells what was replaced and what was not.
func SayRedacted(u *screen.UI, m *recording.Redaction) {
	for i, l := range m.Left {
		same := func(x recording.LeftSecret) bool { return x.Why == l.Why }
		if slices.IndexFunc(m.Left, same) < i {
			continue // in the line of the first
		}
		names, verb := l.Name, "was"
		for _, x := range m.Left[i+1:] {
			if same(x) {
				names, verb = names+", "+x.Name, "were"
			}
		}
		u.Warn(fmt.Sprintf("%s %s not replaced: %s", names, verb, l.Why))
	}
	if len(m.Secrets) == 0 {
		return
	}
	places := 0
	for _, s := range m.Secrets {
		for _, n := range s.Counts {
			places += n
		}
	}
	defer sayRules(u, m)
	u.Note("replaced %s in %s: %s", printable.Plural(uint64(len(m.Secrets)), "known secret", "known secrets"),
		printable.Plural(uint64(places), "place", "places"), m.Names())
}

// sayRules tells what each rule of shapes replaced.
func sayRules(u *screen.UI, m *recording.Redaction) {
	values, places := map[string]uint64{}, map[string]uint64{}
	for _, s := range m.Secrets {
		if s.Rule == "" {
			continue
		}
		values[s.Rule]++
		for _, n := range s.Counts {
			places[s.Rule] += uint64(n)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(values)) {
		u.Note("rule %s: replaced %s in %s", rule, printable.Plural(values[rule], "value", "values"), printable.Plural(places[rule], "place", "places"))
	}
}

// Find collects what is known to be secret.
func (s *SecretFlags) Find(u *screen.UI, rec *recording.Recording) (*redact.Finder, error) {
	return hiding.Find(u, rec, s.names, s.masks)
}

// hide writes the recording of t without its secrets, if that is wanted, see
// hiding.Secrets.
func (s *SecretFlags) hide(u *screen.UI, t *naming.Target, when string) (h *hiding.Hidden, set *redact.Set, failed, err error) {
	if !s.wanted(when) {
		return nil, nil, nil, nil
	}
	cut := t.Uncut != ""
	return hiding.Secrets(u, t.Part, s.names, s.masks, cut, when == RedactAlways)
}
