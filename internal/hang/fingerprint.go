package hang

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"pyrr/internal/lazyregexp"
)

// made matches what differs from run to run in a name: numbers, addresses, the
// names of temporary folders.
var made = lazyregexp.New(`0x[0-9a-f]+|[0-9]+|/tmp/[^ :]*/`)

// Fingerprint is the same for the same fault in other runs, on other machines and
// versions of Python, and with the lines moved; "" for no verdict. It is made of
// the sort of the verdict, and of each that takes part the function of the
// program's code and what it waits for.
func (v *Verdict) Fingerprint() string {
	if v.Degree == None && v.Kind == "" || len(v.key) == 0 {
		return ""
	}
	key := v.key
	if v.Kind == "deadlock" && len(key) > 1 {
		key = turned(key) // a circle begins anywhere
	}
	text := v.Kind + "\n" + made().ReplaceAllString(strings.Join(key, "\n"), "#")
	sum := sha256.Sum256([]byte(text))
	return "pyrr1:" + hex.EncodeToString(sum[:8])
}

// turned is a circle from its least member on.
func turned(key []string) []string {
	least := 0
	for k := range key {
		if key[k] < key[least] {
			least = k
		}
	}
	return append(append([]string{}, key[least:]...), key[:least]...)
}
