package hang

import "fmt"

var _ = special{2, (*judge).inMessage}.enter()

// Partial is a message of which only a part has come.
type Partial struct {
	Got int64 `json:"got"`
	Of  int64 `json:"of"`
}

// inMessage: it reads the rest of a message that somebody has begun to write, and who has is
// not there any more. What asks whether there is something, as get_nowait, saw its beginning.
func (j *judge) inMessage(n node) (says, degree, kind, missing string) {
	u := j.unit(n)
	if u == nil || u.Partial == nil {
		return "", "", "", ""
	}
	what, at := "a message", j.via(n)
	if u.Wait != nil && len(u.Wait.On) > 0 {
		if t := j.thing(n.proc, u.Wait.On[0]); t != nil && t.Kind == Queue {
			what, at = "an item of "+j.thingName(t), j.waitAt(u)
		}
	}
	says = fmt.Sprintf("waits for the rest of %s%s, of which %d of %d bytes have come", what, at, u.Partial.Got, u.Partial.Of)
	missing = "who has begun to write it"
	if d := j.lostChild(n.proc); d != "" {
		says, missing = says+"; "+d, "that it was that one which had begun to write it"
	}
	return says, Likely, "partial message", missing
}
