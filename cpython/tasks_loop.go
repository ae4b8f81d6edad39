package cpython

import "strings"

// thread returns the attribute _thread_id of an event loop, which is None
// while it does not run.
func (c *taskReader) thread(loop uint64) uint64 {
	if loop == 0 {
		return 0
	}
	if id, ok := c.loops[loop]; ok {
		return id
	}
	id := uint64(0)
	if value := c.attribute(loop, "_thread_id"); value != 0 {
		if typ, err := c.r.typeName(c.v, value); err == nil && typ == "int" {
			if n, err := c.r.integer(c.v, value); err == nil && n.IsUint64() {
				id = n.Uint64()
			}
		}
	} else {
		id = c.runner(loop)
	}
	c.loops[loop] = id
	return id
}

// runner returns the thread that is inside of the run of a loop that is not
// asyncio's own and does not say it: asyncio.Runner.run has the loop in self, and
// asyncio.run, before there was a Runner, in a variable.
func (c *taskReader) runner(loop uint64) uint64 {
	i := &Inspector{r: c.r, v: c.v, m: c.m, types: map[uint64]typeInfo{}}
	threads, _ := c.r.Threads(c.m)
	for _, t := range threads {
		frames, _ := c.r.Frames(c.m, t, Options{})
		for k := range frames {
			f := &frames[k]
			if afterLastDot(f.Func) != "run" || !strings.HasSuffix(f.File, "/asyncio/runners.py") && !strings.HasSuffix(f.File, "/uvloop/__init__.py") {
				continue
			}
			vars := i.Vars(f)
			if vars["loop"] == loop || vars["self"] != 0 && i.Attr(vars["self"], "_loop") == loop {
				return t.Ident
			}
		}
	}
	return 0
}
