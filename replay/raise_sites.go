package replay

import "pyrr/internal/mem"

// raiseSymbol is called by the eval loop for each frame that an exception
// passes (Python/ceval.c, label error).
const raiseSymbol = "PyTraceBack_Here"

const evalSymbol = "_PyEval_EvalFrameDefault"

// maxEvalLoop bounds the code of the eval loop that is looked through: those of Clang
// take up to 300 KiB.
const maxEvalLoop = 1 << 20

// raiseSites are the addresses where exceptions get their next traceback entry: the
// function's, and those where a compiler made it part of the eval loop.
func (p *Process) raiseSites() []uint64 {
	out := p.Symbol(raiseSymbol)
	p.unsure = false
	if len(out) == 0 {
		return nil // no interpreter yet: it exports the function also where nothing enters it
	}
	types := p.Symbol("PyTraceBack_Type")
	if len(types) == 0 {
		return out
	}
	for _, loop := range p.Symbol(evalSymbol) {
		inlined, known := p.s.raises[loop]
		if !known {
			var sure bool
			if inlined, sure = p.inlinedRaises(loop, types); sure {
				if p.s.raises == nil {
					p.s.raises = map[uint64][]uint64{}
				}
				p.s.raises[loop] = inlined
			}
			p.unsure = p.unsure || !sure
		}
		out = append(out, inlined...)
	}
	return out
}

// relocated is after how many changes of the address space the dynamic linker has long
// filled in a module's global offset table.
const relocated = 16 * youth

// inlinedRaises looks through the code of an eval loop. It is sure of what it found where
// the interpreter runs: before, the addresses that code refers to may be missing.
func (p *Process) inlinedRaises(loop uint64, types []uint64) (found []uint64, sure bool) {
	rt, err := p.Runtime()
	if err != nil {
		return nil, false
	}
	m := p.Mem()
	for _, mod := range p.modules {
		file, bias, ok := p.moduleFile(mod)
		if !ok {
			continue
		}
		addr, size, err := dynamicSymbolSize(file, m, bias, evalSymbol)
		if err != nil || addr != loop || size > maxEvalLoop {
			continue
		}
		code, err := mem.Bytes(m, loop, int(size))
		if err != nil {
			return nil, false
		}
		for _, typ := range types {
			found = append(found, rt.InlinedRaises(m, loop, code, typ)...)
		}
		return found, len(found) > 0 || p.counted > 0 || mod.age >= relocated
	}
	return nil, true
}

// young says that there is a module that may still be in the making.
func (p *Process) young() bool {
	for i := range p.modules {
		if p.modules[i].age < youth {
			return true
		}
	}
	return false
}
