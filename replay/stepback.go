package replay

// reverseStepi goes back by one machine instruction: to the place before,
// then forwards again, step by step, counting.
func (l *timeline) reverseStepi() (*Stop, error) {
	to := l.here()
	if n := len(to.path); n > 0 && to.path[n-1].steps() && !to.At {
		if to.path[n-1].n--; to.path[n-1].n == 0 {
			to.path = to.path[:n-1]
		}
		if err := l.seek(to); err != nil {
			return nil, err
		}
		return l.stop(StopStep), nil
	}
	from := Point{Pos: to.Pos}
	switch n := len(to.path); {
	case to.At:
	case n > 1:
		from.path = to.path[:n-1]
	case n == 1:
	default:
		// At a dispatch, or behind an event: in the stretch before.
		prev, ok, err := l.baseBefore(to)
		if err != nil {
			return nil, err
		}
		if !ok {
			if err := l.back(0); err != nil {
				return nil, err
			}
			return l.stop(StopStart), nil
		}
		from = prev
		if prev.At { // the event itself
			if err := l.seek(prev); err != nil {
				return nil, err
			}
			return l.stop(StopStep), nil
		}
	}
	if err := l.seek(from); err != nil {
		return nil, err
	}
	// All steps but the last are taken again.
	steps, err := l.stepsTo(to, from)
	if err != nil {
		return nil, err
	}
	back := from
	if steps > 0 {
		back.path = append(append([]move(nil), from.path...), move{n: steps})
	}
	if err := l.seek(back); err != nil {
		return nil, err
	}
	return l.stop(StopStep), nil
}

// stepsTo counts the steps from a point, at which the timeline is, to one in the same
// stretch, except for the last of them.
func (l *timeline) stepsTo(to, from Point) (int, error) {
	l.quiet(true)
	defer l.quiet(false)
	var last move
	if n := len(to.path); n > 0 {
		last = to.path[n-1]
	}
	if last.watch[0].Len > 0 {
		watches := l.s.watches
		l.setWatches(last.watch.list())
		defer l.setWatches(watches)
	}
	visits := 0
	steps := 0
	for {
		h, err := l.stepi()
		if err != nil {
			return 0, err
		}
		t := l.thread()
		if h == haltEvent {
			break
		}
		if l.p.counted != from.Instr || l.p.Number != from.Event {
			break // the next dispatch
		}
		steps++
		if last.pc != 0 && t.regs.PC() == last.pc || last.watch[0].Len > 0 && h == haltWatch {
			if visits++; visits == last.n {
				steps--
				break
			}
		}
		if l.interrupt != nil && l.interrupt() {
			return 0, errInterrupted
		}
	}
	return steps, nil
}

// baseBefore returns the dispatch, or the event, before a point that is one.
func (l *timeline) baseBefore(to Point) (Point, bool, error) {
	// Go close to it and come forwards again.
	var best Point
	found := false
	for back := uint64(2); ; back *= 8 {
		begin := Point{Pos: to.Pos}
		begin.Instr -= min(begin.Instr, back)
		i := 0
		for i+1 < len(l.points) && l.points[i+1].at.compare(to) < 0 {
			i++
		}
		if err := l.back(i); err != nil {
			return best, false, err
		}
		if i == 0 && l.here().Same(to) {
			return best, false, nil
		}
		l.quiet(true)
		for l.p.counted < begin.Instr && !l.atEnd() {
			h, err := l.leg(begin.Instr, false)
			if err != nil {
				return best, false, err
			}
			if h == haltEvent {
				if err := l.pass(); err != nil {
					return best, false, err
				}
			}
		}
		for !l.here().Same(to) && !l.atEnd() && l.here().compare(to) < 0 {
			best, found = l.here(), true
			if l.p.arrived {
				if err := l.pass(); err != nil {
					return best, false, err
				}
				continue
			}
			limit := l.p.counted + 1
			if l.p.cell == 0 {
				limit = noLimit
			}
			if _, err := l.leg(limit, false); err != nil {
				return best, false, err
			}
		}
		l.quiet(false)
		if found || begin.Instr == 0 {
			return best, found, nil
		}
	}
}
