package cpython

// threadNames returns the names of an interpreter's threading.Thread objects
// by ident: the dict threading._active, found through sys.modules. It is
// empty as long as threading has not been imported.
func (r *Runtime) threadNames(v *view, interp uint64) (map[uint64]string, error) {
	modules, err := v.u64(interp + uint64(r.l.interp.modules))
	if err != nil || modules == 0 {
		return nil, err
	}
	dict, err := r.moduleDict(v, modules, "threading")
	if err != nil || dict == 0 {
		return nil, err
	}
	active, err := r.find(v, dict, "_active")
	if err != nil || active == 0 {
		return nil, err
	}
	names := map[uint64]string{}
	err = r.dictItems(v, active, func(key, value uint64) bool {
		ident, err := r.integer(v, key)
		if err != nil || !ident.IsUint64() {
			return true
		}
		if name, err := r.threadName(v, value); err == nil {
			names[ident.Uint64()] = name
		}
		return len(names) < maxThreads
	})
	return names, err
}

// threadName returns the attribute _name of a threading.Thread.
func (r *Runtime) threadName(v *view, thread uint64) (string, error) {
	s, err := v.record("Thread", thread, r.l.object.typ+8)
	if err != nil {
		return "", err
	}
	t, err := r.typeInfo(v, s.u64(r.l.object.typ))
	if err != nil {
		return "", err
	}
	var value uint64
	err = r.attributes(v, thread, t, func(name string, attr uint64) bool {
		if name == "_name" {
			value = attr
		}
		return value == 0
	})
	if err != nil {
		return "", err
	}
	name, err := r.rawString(v, value, maxString)
	if err != nil {
		return "", err
	}
	return name.text(), nil
}

// find is lookup for dicts that are asked the same again and again: it first
// looks where the key was the last time.
func (r *Runtime) find(v *view, dict uint64, name string) (uint64, error) {
	s, err := v.record("dict", dict, r.l.dict.values+8)
	if err != nil {
		return 0, err
	}
	if s.u64(r.l.dict.values) != 0 {
		return r.lookup(v, dict, name)
	}
	keys, err := r.dictKeys(v, s.u64(r.l.dict.keys))
	if err != nil {
		return 0, err
	}
	r.mu.Lock()
	last, known := r.found[name]
	r.mu.Unlock()
	if known && last < keys.n {
		key, value, err := keys.entry(v, last)
		if err == nil && value != 0 && r.isString(v, key, name) {
			return value, nil
		}
	}
	for i := range keys.n {
		key, value, err := keys.entry(v, i)
		if err != nil {
			return 0, err
		}
		if value != 0 && r.isString(v, key, name) {
			r.mu.Lock()
			if r.found == nil {
				r.found = map[string]int{}
			}
			r.found[name] = i
			r.mu.Unlock()
			return value, nil
		}
	}
	return 0, nil
}
