// Package flagvalue has the types of values that flags take: choices, spans of time,
// sizes, seeds.
//
// It knows no command. Begin with ChoiceVar.
package flagvalue

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// ChoicesKey annotates a flag with its values, for shell completion.
const ChoicesKey = "pyrr_choices"

// Choice is a flag that takes one of a few words.
type Choice struct {
	value   *string
	choices []string
}

func (c Choice) String() string { return *c.value }
func (c Choice) Type() string   { return "choice" }

func (c Choice) Set(s string) error {
	if !slices.Contains(c.choices, s) {
		return fmt.Errorf("must be one of %s", strings.Join(c.choices, ", "))
	}
	*c.value = s
	return nil
}

// ChoiceVar declares a flag with the given choices, of which the first is
// the default.
func ChoiceVar(fs *pflag.FlagSet, p *string, name, usage string, choices ...string) {
	*p = choices[0]
	fs.Var(Choice{p, choices}, name, usage)
	if err := fs.SetAnnotation(name, ChoicesKey, choices); err != nil {
		panic(err) // the flag was declared one line above
	}
}

// duration is a flag that takes a Go duration or plain seconds.
type duration struct{ d *time.Duration }

// NewDuration makes one that sets d.
func NewDuration(d *time.Duration) duration { return duration{d} }

func (d duration) Type() string { return "duration" }

func (d duration) String() string {
	if *d.d == 0 {
		return ""
	}
	return d.d.String()
}

func (d duration) Set(s string) error {
	v, err := ParseDuration(s)
	if err != nil {
		return err
	}
	*d.d = v
	return nil
}

// ParseDuration reads "90", "2.5" (seconds), "1m30s". It must be above 0.
func ParseDuration(s string) (time.Duration, error) {
	v, err := time.ParseDuration(s)
	if err != nil {
		f, ferr := strconv.ParseFloat(s, 64)
		if ferr != nil || f != f || f*float64(time.Second) >= 1<<63 {
			return 0, fmt.Errorf("%q is not a duration such as 30, 2.5s or 5m", s)
		}
		v = time.Duration(f * float64(time.Second))
	}
	if v <= 0 {
		return 0, fmt.Errorf("a duration must be above 0")
	}
	return v, nil
}

// chaos is the flag --chaos[=SEED].
type chaos struct {
	on   *bool
	seed *uint64
}

// NewChaos makes one that sets on and seed.
func NewChaos(on *bool, seed *uint64) chaos { return chaos{on, seed} }

// ChaosRandom is what --chaos without a seed stands for.
const ChaosRandom = "random"

func (c chaos) Type() string { return "seed" }

func (c chaos) String() string {
	if c.on == nil || !*c.on {
		return ""
	}
	return strconv.FormatUint(*c.seed, 10)
}

func (c chaos) Set(s string) error {
	if s == ChaosRandom {
		*c.on, *c.seed = true, RandomSeed()
		return nil
	}
	v, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		return fmt.Errorf("a seed is a number from 0 on")
	}
	*c.on, *c.seed = true, v
	return nil
}
