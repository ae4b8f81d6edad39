package page

// raise is an exception as the script gets it.
type raise struct {
	Proc   int           `json:"proc"` // index
	Lane   int           `json:"lane"`
	Event  uint64        `json:"event"` // the last before it
	Instr  uint64        `json:"instr"`
	Text   string        `json:"text"`
	Node   uint32        `json:"node"`
	Frames []momentFrame `json:"frames"`
}

// addRaises adds the exceptions that were raised, caught ones too.
func (d *document) addRaises(w *walk, t *tree) {
	for i := range w.raises {
		r := &w.raises[i]
		lane := w.laneOf(r.Proc, r.TID)
		if lane < 0 || r.Event == 0 {
			continue
		}
		d.Raises = append(d.Raises, raise{w.lanes[lane].Proc, lane, r.Event - 1, r.Instr, clean(shorten(r.Text, 300)), t.add(r.Stack), momentFrames(r.Vars)})
	}
}
