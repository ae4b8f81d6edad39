package recording

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"
)

// Header says what was recorded where; it is written first (pyrr.json).
type Header struct {
	Format  int               `json:"format"`
	Tool    string            `json:"tool"`
	Command []string          `json:"command"`
	Cwd     string            `json:"cwd"`
	Started time.Time         `json:"started"`
	Host    Host              `json:"host"`
	Options map[string]string `json:"options,omitempty"`
	// Test is the id of the test that the recording is of, as its runner
	// gives it; "" for a recording of the whole command.
	Test string `json:"test,omitempty"`
	// Form is "" for a recording that replays, FormIndex for one without
	// memory: events, stacks and output to read.
	Form string `json:"form,omitempty"`
}

// FormIndex is the form of a recording that holds no memory.
const FormIndex = "index"

// Host describes the machine as the program could see it.
type Host struct {
	// Arch is whose registers and system calls events hold: linux.Arch; "" in
	// recordings from before it was noted, which are of x86-64.
	Arch     string   `json:"arch,omitempty"`
	Kernel   string   `json:"kernel"`
	CPU      string   `json:"cpu"`
	Features []string `json:"features,omitempty"` // of cpuid, that the program could see
	XCR0     uint64   `json:"xcr0"`
	// XSaveSize is the size of the extended state that events hold.
	XSaveSize int `json:"xsaveSize"`
	// XSave says where in that the state components lie: of each its number,
	// offset and size (CPUID leaf 13). Nil: the recording is from before it
	// was noted.
	XSave [][3]int `json:"xsave,omitempty"`
	Cores int      `json:"cores"`
}

// Summary says how the recording ended (summary.json). A recording without
// one was cut: its recorder was killed.
type Summary struct {
	// Status is the exit status of the command as a shell gives it: 128+n for
	// signal n.
	Status int       `json:"status"`
	Ended  time.Time `json:"ended"`
	// Truncated is set where the recording does not reach the end of every
	// process, Why says the reason.
	Truncated bool   `json:"truncated"`
	Why       string `json:"why,omitempty"`
	// Outcome is how the test ended that the recording is of: "timeout",
	// "failed", "crashed" where its process ended in the middle, or
	// "cancelled" where the recorder was told to end.
	Outcome string `json:"outcome,omitempty"`
	// Verified is "" for not yet, "exact", or "diverged: …".
	Verified string `json:"verified,omitempty"`
	// Approx are the files with instructions that ran while the recording was verified and
	// whose last bits the processor's maker decides on; nil where that was not looked for.
	Approx []Approx `json:"approx,omitempty"`
	// Events and Instructions are sums over all processes.
	Events       uint64 `json:"events"`
	Instructions uint64 `json:"instructions"`
	// Memory is how many bytes the largest of the processes had in memory at
	// most; 0 where that is not known.
	Memory int64 `json:"memory,omitempty"`
	// Streams holds the number of events of each process. Writer.Close
	// fills it in, so that a reader notices events that went missing.
	Streams map[int]uint64 `json:"streams,omitempty"`
}

// Approx names the approximate instructions of a file that ran, in order.
type Approx struct {
	File         string   `json:"file"`
	Instructions []string `json:"instructions"`
}

// envelope wraps a JSON document with its checksum.
type envelope struct {
	CRC32C string          `json:"crc32c"`
	Data   json.RawMessage `json:"data"`
}

func marshalJSON(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "{\"crc32c\":\"%08x\",\n\"data\":%s}\n", crc32.Checksum(data, castagnoli), data)
	return out.Bytes(), nil
}

var errJSONSum = errors.New("bad checksum")

func unmarshalJSON(b []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	var e envelope
	if err := dec.Decode(&e); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something follows the document")
	}
	if fmt.Sprintf("%08x", crc32.Checksum(e.Data, castagnoli)) != e.CRC32C {
		return errJSONSum
	}
	return json.Unmarshal(e.Data, v)
}
