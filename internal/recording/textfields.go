package recording

import "fmt"

// textFields has a row for each field of an event, in the order of a line.
// It is filled in by init, as the functions refer to it.
var textFields []textField

// procFields are the keys that may follow "proc".
var procFields []textField

// textKeys finds the rows of both by their keys.
var textKeys = map[string]*textField{}

func init() {
	textFields = []textField{
		{"stop", fStop, writeStop, parseStop},
		{"tid", fTID, writeDec(func(ev *Event) int64 { return int64(ev.TID) }), parseInt(func(ev *Event, v int64) { ev.TID = int32(v) }, 32)},
		{"instr", fInstr, writeInstr, parseUint(func(ev *Event, v uint64) { ev.Instr = v }, 64)},
		{"pc", fPC, writeHex(func(ev *Event) uint64 { return ev.PC }), parseUint(func(ev *Event, v uint64) { ev.PC = v }, 64)},
		{"regsum", fRegSum, writeHex(func(ev *Event) uint64 { return uint64(ev.RegSum) }), parseUint(func(ev *Event, v uint64) { ev.RegSum = uint32(v) }, 32)},
		{"nr", fNr, writeDec(func(ev *Event) int64 { return int64(ev.Nr) }), parseInt(func(ev *Event, v int64) { ev.Nr = int32(v) }, 32)},
		{"args", fArgs, writeArgs, parseArgs},
		{"ret", fRet, writeDec(func(ev *Event) int64 { return ev.Ret }), parseInt(func(ev *Event, v int64) { ev.Ret = v }, 64)},
		{"time", fTime, writeDec(func(ev *Event) int64 { return ev.Time }), parseInt(func(ev *Event, v int64) { ev.Time = v }, 64)},
		{"endtime", fEndTime, writeDec(func(ev *Event) int64 { return ev.EndTime }), parseInt(func(ev *Event, v int64) { ev.EndTime = v }, 64)},
		{"in", fIn, writeData(func(ev *Event) []byte { return ev.In }), parseBytes(func(ev *Event, v []byte) { ev.In = v })},
		{"readings", fReadings, writeData(func(ev *Event) []byte { return ev.Readings }), parseBytes(func(ev *Event, v []byte) { ev.Readings = v })},
		{"child", fChild, writeDec(func(ev *Event) int64 { return int64(ev.Child) }), parseInt(func(ev *Event, v int64) { ev.Child = int32(v) }, 32)},
		{"regs", fRegs, writeRegs, parseRegs},
		{"xstate", fXState, writeData(func(ev *Event) []byte { return ev.XState }), parseBytes(func(ev *Event, v []byte) { ev.XState = v })},
		{"proc", fProc, writeProc, parseProcID},
		{"why", fWhy, writeData(func(ev *Event) []byte { return []byte(ev.Why) }), parseBytes(func(ev *Event, v []byte) { ev.Why = string(v) })},
		{"text", fText, writeData(func(ev *Event) []byte { return []byte(ev.Text) }), parseBytes(func(ev *Event, v []byte) { ev.Text = string(v) })},
		{"map", fMaps, writeMaps, parseMap},
		{"mem", fMem, writeMem, parseMem},
		{"open", fOpen, writeOpen, parseOpen},
		{"pauses", fPauses, writePauses, parseUint(func(ev *Event, v uint64) { ev.Pauses = v }, 64)},
		{"outsum", fOutSum, writeHex(func(ev *Event) uint64 { return uint64(ev.OutSum) }), parseUint(func(ev *Event, v uint64) { ev.OutSum = uint32(v) }, 32)},
	}
	procFields = []textField{
		{"proc.pid", 0, writeProcDec(func(p *Process) int64 { return int64(p.PID) }), parseInt(func(ev *Event, v int64) { ev.Proc.PID = int(v) }, 64)},
		{"proc.parent", 0, writeProcDec(func(p *Process) int64 { return int64(p.Parent) }), parseInt(func(ev *Event, v int64) { ev.Proc.Parent = int(v) }, 32)},
		{"proc.event", 0, writeProcHex(func(p *Process) uint64 { return p.ParentEvent }), parseUint(func(ev *Event, v uint64) { ev.Proc.ParentEvent = v }, 64)},
		{"proc.fork", 0, writeProcDec(func(p *Process) int64 {
			if p.Fork {
				return 1
			}
			return 0
		}), parseUint(func(ev *Event, v uint64) { ev.Proc.Fork = v == 1 }, 1)},
		{"proc.exe", 0, writeProcString(func(p *Process) string { return p.Exe }), parseBytes(func(ev *Event, v []byte) { ev.Proc.Exe = string(v) })},
		{"proc.argv", 0, writeProcStrings(func(p *Process) []string { return p.Argv }), parseBytes(func(ev *Event, v []byte) { ev.Proc.Argv = append(ev.Proc.Argv, string(v)) })},
		{"proc.env", 0, writeProcStrings(func(p *Process) []string { return p.Env }), parseBytes(func(ev *Event, v []byte) { ev.Proc.Env = append(ev.Proc.Env, string(v)) })},
		{"proc.cwd", 0, writeProcString(func(p *Process) string { return p.Cwd }), parseBytes(func(ev *Event, v []byte) { ev.Proc.Cwd = string(v) })},
		{"proc.python", 0, writeProcString(func(p *Process) string { return p.Python }), parseBytes(func(ev *Event, v []byte) { ev.Proc.Python = string(v) })},
		{"proc.start", 0, writeProcDec(func(p *Process) int64 { return p.Start }), parseInt(func(ev *Event, v int64) { ev.Proc.Start = v }, 64)},
		{"proc.brk", 0, writeProcHex(func(p *Process) uint64 { return p.Brk }), parseUint(func(ev *Event, v uint64) { ev.Proc.Brk = v }, 64)},
		{"proc.stacklimit", 0, writeProcHex(func(p *Process) uint64 { return p.StackLimit }), parseUint(func(ev *Event, v uint64) { ev.Proc.StackLimit = v }, 64)},
	}
	for i := range textFields {
		textKeys[textFields[i].key] = &textFields[i]
	}
	for i := range procFields {
		f := &procFields[i]
		parse := f.parse
		f.parse = func(v string, ev *Event) error {
			if ev.Proc == nil {
				return fmt.Errorf("%s without proc before it", f.key)
			}
			return parse(v, ev)
		}
		textKeys[f.key] = f
	}
}
