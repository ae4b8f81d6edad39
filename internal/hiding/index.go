package hiding

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"pyrr/internal/stackwalk"

	"pyrr/internal/recording"
	"pyrr/internal/redact"
	"pyrr/replay"
)

// outputMember is where the form without memory keeps what the program wrote
// to its standard output and error.
const outputMember = "output.txt"

// maxOutput is how much of it is kept.
const maxOutput = 4 << 20

// IndexForm writes the form of a recording that holds no memory into the
// new folder dir: events, stacks, sources and output, with the secrets
// replaced. The stacks come from a replay of the recording as it is.
func IndexForm(u teller, rec *recording.Recording, dir string, set *redact.Set) (*recording.Redaction, error) {
	from := rec
	index := false
	if !rec.HasStacks() {
		// An index is written into a folder.
		whole := dir + ".whole"
		defer os.RemoveAll(whole)
		if err := rec.Rewrite(whole, recording.Changes{}); err != nil {
			return nil, err
		}
		copied, err := recording.Open(whole)
		if err != nil {
			return nil, err
		}
		defer copied.Close()
		from, index = copied, true
	}
	u.Status("replaying the recording for its stacks and output")
	output := &capped{data: []byte{}, left: maxOutput}
	o := replay.Options{Stdout: output, Stderr: output}
	var indexErr, err error
	if index {
		indexErr, err = stackwalk.Replay(from, stackwalk.FromRecording, o)
	} else {
		_, err = replay.Batch(from, o)
	}
	err = errors.Join(err, indexErr)
	if err != nil {
		return nil, fmt.Errorf("replay the recording as it is: %w", err)
	}
	return indexForm(from, dir, set, output.data, "exact")
}

// Unreplayed is IndexForm where nothing can be replayed: of a recording that has an index
// of stacks already, and without what the program wrote.
func Unreplayed(u teller, rec *recording.Recording, dir string, set *redact.Set) (*recording.Redaction, error) {
	u.Status("writing events and stacks")
	sum, _ := rec.Summary()
	return indexForm(rec, dir, set, nil, sum.Verified)
}

// KeepVerdict says of the copy in the folder dir what a replay said of the recording.
func KeepVerdict(rec *recording.Recording, dir string) error {
	sum, ok := rec.Summary()
	if !ok || sum.Verified == "" {
		return nil
	}
	out, err := recording.Open(dir)
	if err != nil {
		return err
	}
	defer out.Close()
	return out.SetVerified(sum.Verified)
}

// indexForm writes events, stacks and sources of a recording, and output, into the new
// folder dir, with the secrets replaced. verdict is what a replay said of it.
func indexForm(from *recording.Recording, dir string, set *redact.Set, output []byte, verdict string) (*recording.Redaction, error) {
	plan, err := redact.NewPlan(from, set)
	if err != nil {
		return nil, err
	}
	manifest := plan.Manifest()
	changes := plan.Changes()
	changes.Redaction, changes.Small, changes.NoMemory = &manifest, true, true
	if err := from.Rewrite(dir, changes); err != nil {
		return nil, err
	}
	if output != nil {
		text := set.Replace(string(output), func(int) {})
		if err := os.WriteFile(filepath.Join(dir, outputMember), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	if err := holdsNone(dir, set); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	out, err := recording.Open(dir)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if verdict == "" {
		return &manifest, nil
	}
	return &manifest, out.SetVerified(verdict)
}

// capped keeps the first bytes that are written to it.
type capped struct {
	data []byte
	left int
}

func (c *capped) Write(b []byte) (int, error) {
	n := min(len(b), c.left)
	c.data = append(c.data, b[:n]...)
	c.left -= n
	return len(b), nil
}
