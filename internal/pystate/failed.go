package pystate

import "pyrr/internal/hang"

// failedBeside is about what tasks wait for that nobody has at hand: where but one task of the
// process has failed, that one may be who should have acted.
func (r *reader) failedBeside() {
	var failed *hang.Fate
	for _, obj := range r.tracked.tasks {
		f, ok := r.fate(obj)
		if !ok || f.How != "failed" {
			continue
		}
		if failed != nil {
			return // who knows which
		}
		if s, ok := r.AsyncTask(obj); ok {
			frames := r.Traceback(s.Exception)
			for k := range frames {
				if fr := &frames[k]; !hang.Library(fr.File) && f.Where == nil {
					f.Where = &hang.Frame{Func: fr.Func, File: fr.File, Line: fr.Line}
				}
			}
		}
		failed = &f
	}
	if failed == nil {
		return
	}
	r.facts.Failed = failed
	for n := range r.facts.Units {
		w := r.facts.Units[n].Wait
		if r.facts.Units[n].Kind != hang.Task || w == nil || len(w.On) == 0 {
			continue
		}
		if t := &r.facts.Things[w.On[0]]; len(t.Known)+len(t.Fate)+len(t.Holders)+len(t.Owed) == 0 {
			t.Fate = append(t.Fate, *failed)
		}
	}
}
