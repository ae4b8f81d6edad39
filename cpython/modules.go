package cpython

import (
	"fmt"
	"strings"

	"pyrr/internal/mem"
)

// maxModules bounds the modules of one interpreter that are looked at.
const maxModules = 20_000

// ModuleFiles returns the files of the modules in sys.modules, of every
// interpreter: what their __file__ says where it is Python source. A module
// that can't be read is left out.
func (r *Runtime) ModuleFiles(m mem.Reader) ([]string, error) {
	v := newView(m)
	defer v.release()
	interp, err := v.u64(r.Addr + uint64(r.l.runtime.interpHead))
	if err != nil {
		return nil, fmt.Errorf("read _PyRuntime.interpreters.head: %w", err)
	}
	var out []string
	seen := map[string]bool{}
	for n := 0; interp != 0 && n < maxInterpreters; n++ {
		modules, err := v.u64(interp + uint64(r.l.interp.modules))
		if err != nil {
			return out, err
		}
		if modules != 0 {
			count := 0
			if err := r.dictItems(v, modules, func(_, module uint64) bool {
				if file := r.moduleFile(v, module); strings.HasSuffix(file, ".py") && !seen[file] {
					seen[file] = true
					out = append(out, file)
				}
				count++
				return count < maxModules
			}); err != nil {
				return out, fmt.Errorf("sys.modules: %w", err)
			}
		}
		if interp, err = v.u64(interp + uint64(r.l.interp.next)); err != nil {
			return out, err
		}
	}
	return out, nil
}

// moduleFile returns a module's __file__, "" where it has none.
func (r *Runtime) moduleFile(v *view, module uint64) string {
	if typ, err := r.typeName(v, module); err != nil || typ != "module" {
		return "" // sys.modules takes anything
	}
	dict, err := v.u64(module + uint64(r.l.object.typ) + 8) // PyModuleObject.md_dict
	if err != nil || dict == 0 {
		return ""
	}
	value, err := r.lookup(v, dict, "__file__")
	if err != nil || value == 0 {
		return ""
	}
	s, err := r.rawString(v, value, 4096)
	if err != nil {
		return ""
	}
	return s.text()
}
