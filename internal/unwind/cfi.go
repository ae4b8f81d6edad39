package unwind

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/go-delve/delve/pkg/dwarf/frame"
)

// cfi is a file's call frame information. It is parsed at the first need,
// and the rules for an address are worked out once.
type cfi struct {
	once sync.Once
	eh   frame.FrameDescriptionEntries // of .eh_frame
	dbg  frame.FrameDescriptionEntries // of .debug_frame
	err  error

	mu   sync.Mutex
	rows map[rowKey]rowResult
}

// rowKey is a link address, and whether it is a return address.
type rowKey struct {
	pc  uint64
	ret bool
}

type rowResult struct {
	row *row
	err error
}

// row says how to get from a frame to its caller's, at one address.
type row struct {
	cfaReg  uint8
	cfaOff  int64
	cfaExpr []byte // instead of the two, where not nil
	ra      rule
	saved   []rule // of registers but the return address and the stack pointer
	// function is the link address of the function's beginning, as the table
	// has it: parts split off have their own.
	function uint64
	// signal marks a frame that the kernel made to run a handler: the caller's
	// address is that of the instruction interrupted, not behind a call.
	signal bool
	// last is set where the return address is undefined: there is no caller.
	last bool
}

// ruleKind is how to get a register of the caller.
type ruleKind uint8

const (
	ruleSame   ruleKind = iota
	ruleAt              // in memory at the CFA plus off
	ruleValue           // the CFA plus off
	ruleReg             // in another register
	ruleAtExpr          // in memory where expr says
	ruleExpr            // what expr says
	ruleUndefined
)

type rule struct {
	kind ruleKind
	reg  uint8 // whose value it gives
	from uint8 // for ruleReg
	off  int64
	expr []byte
}

// maxProgram bounds the instructions for one function; an interpreter's
// longest have 3 KiB.
const maxProgram = 32 << 10

// maxRows bounds the rows kept of a file.
const maxRows = 1 << 16

var errNoCFI = errors.New("no call frame information")

// rowAt returns the rules for a link address.
func (im *File) rowAt(key rowKey) (*row, error) {
	c := &im.cfi
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, ok := c.rows[key]; ok {
		return r.row, r.err
	}
	var res rowResult
	if perr := guard(func() error { res.row, res.err = im.makeRow(key); return nil }); perr != nil {
		res = rowResult{nil, fmt.Errorf("call frame information of %s at %#x: %w", im.Name, key.pc, perr)}
	}
	if c.rows == nil || len(c.rows) >= maxRows {
		c.rows = map[rowKey]rowResult{}
	}
	c.rows[key] = res
	return res.row, res.err
}

// load parses the tables.
func (im *File) load() error {
	c := &im.cfi
	c.once.Do(func() {
		var errs []error
		parse := func(data []byte, addr uint64) (out frame.FrameDescriptionEntries) {
			err := guard(func() error {
				t, err := frame.Parse(data, binary.LittleEndian, 0, 8, addr)
				out = t.Append(nil) // sorts
				return err
			})
			if err != nil {
				errs = append(errs, err)
				return nil
			}
			return out
		}
		if data, addr, err := im.ehFrame(); err != nil {
			errs = append(errs, err)
		} else if len(data) > 0 {
			c.eh = parse(data, addr)
		}
		if _, data, err := im.section(".debug_frame"); err != nil {
			errs = append(errs, err)
		} else if len(data) > 0 {
			c.dbg = parse(data, 0)
		}
		if len(errs) > 0 && len(c.eh)+len(c.dbg) == 0 {
			c.err = fmt.Errorf("call frame information of %s: %w", im.Name, errors.Join(errs...))
		}
	})
	return c.err
}

// entry finds the description of the function at a link address.
func (im *File) entry(pc uint64) (*frame.FrameDescriptionEntry, error) {
	if err := im.load(); err != nil {
		return nil, err
	}
	if e, err := im.cfi.eh.FDEForPC(pc); err == nil {
		return e, nil
	}
	if e, err := im.cfi.dbg.FDEForPC(pc); err == nil {
		return e, nil
	}
	return nil, errNoCFI
}

// Function returns the range of link addresses that the table of functions
// has for the one at pc.
func (im *File) Function(pc uint64) (lo, hi uint64, ok bool) {
	c := &im.cfi
	c.mu.Lock()
	defer c.mu.Unlock()
	err := guard(func() error {
		e, err := im.entry(pc)
		if err == nil {
			lo, hi = e.Begin(), e.End()
		}
		return err
	})
	return lo, hi, err == nil
}

func (im *File) makeRow(key rowKey) (*row, error) {
	// A call may be a function's last instruction: its return address lies in
	// the next one. A signal frame is entered without a call, and its table
	// entry begins one byte early for unwinders that don't know.
	pc := key.pc
	if key.ret {
		pc--
	}
	e, err := im.entry(pc)
	if key.ret && (err != nil || !signalFrame(e)) {
		if e2, err2 := im.entry(key.pc); err2 == nil && signalFrame(e2) {
			e, err, pc = e2, nil, key.pc
		}
	} else if key.ret {
		pc = key.pc
	}
	if err != nil {
		return nil, err
	}
	if len(e.Instructions) > maxProgram {
		return nil, fmt.Errorf("a program of %d bytes", len(e.Instructions))
	}
	ctx, err := e.EstablishFrame(pc)
	if err != nil {
		return nil, err
	}
	r := &row{function: e.Begin(), signal: signalFrame(e)}
	switch ctx.CFA.Rule {
	case frame.RuleCFA:
		if ctx.CFA.Reg >= numRegs {
			return nil, fmt.Errorf("the CFA is based on register %d", ctx.CFA.Reg)
		}
		r.cfaReg, r.cfaOff = uint8(ctx.CFA.Reg), ctx.CFA.Offset
	case frame.RuleExpression:
		r.cfaExpr = ctx.CFA.Expression
	default:
		return nil, errors.New("the CFA is undefined")
	}
	r.ra.kind = ruleUndefined
	for n, d := range ctx.Regs {
		if n >= numRegs {
			continue // vector registers
		}
		ru, err := ruleFor(uint8(n), d)
		if err != nil {
			return nil, err
		}
		switch {
		case n == ctx.RetAddrReg:
			r.ra = ru
			r.ra.reg = pcReg
		case ru.kind == ruleUndefined && preserved&(1<<n) != 0:
			// delve says so where DW_CFA_restore means the caller's value.
		default:
			r.saved = append(r.saved, ru)
		}
	}
	r.last = r.ra.kind == ruleUndefined
	return r, nil
}

func signalFrame(e *frame.FrameDescriptionEntry) bool {
	return strings.Contains(e.CIE.Augmentation, "S")
}

func ruleFor(reg uint8, d frame.DWRule) (rule, error) {
	ru := rule{reg: reg, off: d.Offset, expr: d.Expression}
	switch d.Rule {
	case frame.RuleUndefined:
		ru.kind = ruleUndefined
	case frame.RuleSameVal:
		ru.kind = ruleSame
	case frame.RuleOffset:
		ru.kind = ruleAt
	case frame.RuleValOffset:
		ru.kind = ruleValue
	case frame.RuleRegister:
		if d.Reg >= numRegs {
			return ru, fmt.Errorf("register %d is in register %d", reg, d.Reg)
		}
		ru.kind, ru.from = ruleReg, uint8(d.Reg)
	case frame.RuleExpression:
		ru.kind = ruleAtExpr
	case frame.RuleValExpression:
		ru.kind = ruleExpr
	default:
		return ru, fmt.Errorf("rule %d for register %d", d.Rule, reg)
	}
	return ru, nil
}
