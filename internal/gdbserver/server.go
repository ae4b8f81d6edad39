// Package gdbserver speaks gdb's remote protocol for a session that travels
// through a recording (GDB manual, appendix E): gdb sees a process that can
// run backwards and whose memory can't be written.
// It never writes to the process. Begin with Serve in this file.
package gdbserver

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"

	"pyrr/internal/recording"
	"pyrr/replay"
)

// Server serves one gdb.
type Server struct {
	Session   *replay.Session
	Recording *recording.Recording
	// Monitor runs a command of gdb's "monitor" and returns what it prints.
	Monitor func(command string) string

	w       *bufio.Writer
	packets chan string
	acks    bool

	general int32 // the thread whose registers are asked for
	breaks  map[uint64]*replay.Break
	watches []watchpoint
	files   map[int]*openFile
	nextFD  int
	auxv    []byte
	pass    map[int]bool // signals that don't stop, by gdb's numbers
}

type watchpoint struct {
	replay.Watch
	kind byte // of the Z packet
}

const maxPacket = 0x20000

// Serve talks to gdb until it leaves.
func (s *Server) Serve(conn net.Conn) error {
	s.w, s.acks = bufio.NewWriter(conn), true
	s.breaks, s.files, s.nextFD = map[uint64]*replay.Break{}, map[int]*openFile{}, 3
	s.packets = make(chan string)
	s.readAuxv()
	defer s.closeFiles()
	failed := make(chan error, 1)
	go func() { failed <- s.read(bufio.NewReaderSize(conn, maxPacket)) }()
	for p := range s.packets {
		reply, done, err := s.handle(p)
		if err != nil {
			s.send("E01")
			return err
		}
		if err := s.send(reply); err != nil {
			return fmt.Errorf("answer gdb: %w", err)
		}
		if done {
			return nil
		}
		if p == "QStartNoAckMode" {
			s.acks = false
		}
	}
	err := <-failed
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

// read splits what gdb sends into packets.
func (s *Server) read(r *bufio.Reader) error {
	defer close(s.packets)
	for {
		b, err := r.ReadByte()
		if err != nil {
			return err
		}
		switch b {
		case 3: // Ctrl-C
			s.Session.Interrupt()
		case '$':
			var p []byte
			for {
				if b, err = r.ReadByte(); err != nil {
					return err
				}
				if b == '#' {
					break
				}
				if b == '}' { // an escaped byte
					if b, err = r.ReadByte(); err != nil {
						return err
					}
					b ^= 0x20
				}
				if p = append(p, b); len(p) > maxPacket {
					return errors.New("gdb sent a packet that is too long")
				}
			}
			if _, err := r.Discard(2); err != nil { // checksum: the connection is reliable
				return err
			}
			s.packets <- string(p)
		}
	}
}

// send answers; with a payload of binary data it escapes.
func (s *Server) send(reply string) error {
	if s.acks {
		s.w.WriteByte('+')
	}
	var b []byte
	for _, c := range []byte(reply) {
		if strings.IndexByte("#$}*", c) >= 0 {
			b = append(b, '}')
			c ^= 0x20
		}
		b = append(b, c)
	}
	sum := byte(0)
	for _, c := range b {
		sum += c
	}
	fmt.Fprintf(s.w, "$%s#%02x", b, sum)
	return s.w.Flush()
}

// handle answers one packet; "" says that it is not supported.
func (s *Server) handle(p string) (reply string, done bool, err error) {
	if p == "" {
		return "", false, nil
	}
	name, args, _ := strings.Cut(p, ":")
	switch {
	case name == "qSupported":
		return fmt.Sprintf("PacketSize=%x;QStartNoAckMode+;ReverseStep+;ReverseContinue+;vContSupported+;swbreak+;hwbreak+;"+
			"qXfer:features:read+;qXfer:auxv:read+;qXfer:exec-file:read+;qXfer:siginfo:read+;QPassSignals+", maxPacket-16), false, nil
	case name == "QStartNoAckMode", p == "qSymbol::", strings.HasPrefix(p, "QThreadSuffix"):
		return "OK", false, nil
	case name == "QPassSignals":
		return s.passSignals(args), false, nil
	case name == "qXfer":
		return s.xfer(args), false, nil
	case name == "vFile":
		return s.file(args), false, nil
	case name == "qRcmd" || strings.HasPrefix(p, "qRcmd,"):
		return s.monitor(strings.TrimPrefix(p, "qRcmd,")), false, nil
	case p == "qAttached" || name == "qAttached":
		return "1", false, nil
	case p == "qC":
		return fmt.Sprintf("QC%x", s.current()), false, nil
	case p == "qfThreadInfo":
		ts, err := s.Session.Threads()
		if err != nil {
			return "E01", false, nil
		}
		var ids []string
		for _, t := range ts {
			ids = append(ids, fmt.Sprintf("%x", t.TID))
		}
		if len(ids) == 0 {
			return "l", false, nil
		}
		return "m" + strings.Join(ids, ","), false, nil
	case p == "qsThreadInfo":
		return "l", false, nil
	case p == "vCont?":
		return "vCont;c;C;s;S", false, nil
	case p == "vMustReplyEmpty":
		return "", false, nil
	case strings.HasPrefix(p, "vCont;"):
		return s.cont(p[6:])
	case strings.HasPrefix(p, "vKill"):
		return "OK", true, nil
	case p[0] == 'v' || p[0] == 'q' || p[0] == 'Q':
		return "", false, nil
	}
	return s.letter(p)
}

// letter answers a packet of one letter and its arguments.
func (s *Server) letter(p string) (reply string, done bool, err error) {
	switch p[0] {
	case '?':
		return s.stopReply(&replay.Stop{Kind: replay.StopStep, TID: s.current()}), false, nil
	case '!':
		return "OK", false, nil
	case 'g':
		return s.registers(), false, nil
	case 'p':
		return s.register(p[1:]), false, nil
	case 'G', 'P', 'M', 'X':
		return "E01", false, nil // what was recorded can't be changed
	case 'm':
		return s.memory(p[1:]), false, nil
	case 'H':
		if len(p) < 3 {
			return "E01", false, nil
		}
		if tid, err := strconv.ParseInt(p[2:], 16, 32); err == nil && tid > 0 && p[1] == 'g' {
			s.general = int32(tid)
		} else if p[1] == 'g' {
			s.general = 0
		}
		return "OK", false, nil
	case 'T':
		tid, err := strconv.ParseInt(p[1:], 16, 32)
		if ts, terr := s.Session.Threads(); err == nil && terr == nil &&
			slices.ContainsFunc(ts, func(t replay.ThreadState) bool { return t.TID == int32(tid) }) {
			return "OK", false, nil
		}
		return "E01", false, nil
	case 'Z', 'z':
		return s.breakpoint(p), false, nil
	case 'c', 'C':
		return s.move(func() (*replay.Stop, error) { return s.Session.Continue(s.signalStops) })
	case 's', 'S':
		return s.step()
	case 'b':
		switch p {
		case "bc":
			return s.move(func() (*replay.Stop, error) { return s.Session.ReverseContinue(s.signalStops) })
		case "bs":
			return s.move(s.Session.ReverseStepInstr)
		}
	case 'D':
		return "OK", true, nil
	case 'k':
		return "", true, nil
	}
	return "", false, nil
}

// current is the thread that runs next, or the first.
func (s *Server) current() int32 {
	ts, err := s.Session.Threads()
	if err != nil || len(ts) == 0 {
		return int32(s.Session.Proc().PID)
	}
	for _, t := range ts {
		if t.Current {
			return t.TID
		}
	}
	return ts[0].TID
}

// memory answers an m packet: as much as can be read.
func (s *Server) memory(args string) string {
	a, n, err := addressAndLength(args)
	if err != nil || n > maxPacket/2-16 {
		return "E01"
	}
	b := make([]byte, n)
	m := s.Session.Memory()
	if m.ReadAt(b, a) == nil {
		return hex.EncodeToString(b)
	}
	// Up to the page that is missing.
	const page = 4096
	got := 0
	for got < len(b) {
		part := min(page-int((a+uint64(got))%page), len(b)-got)
		if m.ReadAt(b[got:got+part], a+uint64(got)) != nil {
			break
		}
		got += part
	}
	if got == 0 {
		return "E14" // EFAULT
	}
	return hex.EncodeToString(b[:got])
}

func addressAndLength(s string) (uint64, int, error) {
	as, ns, ok := strings.Cut(s, ",")
	if !ok {
		return 0, 0, errors.New("no length")
	}
	a, err := strconv.ParseUint(as, 16, 64)
	if err != nil {
		return 0, 0, err
	}
	n, err := strconv.ParseUint(ns, 16, 31)
	return a, int(n), err
}

// breakpoint answers Z and z packets.
func (s *Server) breakpoint(p string) string {
	if len(p) < 3 || p[2] != ',' {
		return "E01"
	}
	a, n, err := addressAndLength(strings.SplitN(p[3:], ";", 2)[0])
	if err != nil {
		return "E01"
	}
	set := p[0] == 'Z'
	switch p[1] {
	case '0', '1':
		if set {
			s.breaks[a] = &replay.Break{Kind: replay.BreakAddr, Addr: a}
		} else {
			delete(s.breaks, a)
		}
		var list []*replay.Break
		for _, b := range s.breaks {
			list = append(list, b)
		}
		s.Session.SetBreaks(list)
	case '2', '3', '4':
		// The processor has no watchpoint for reads alone.
		w := watchpoint{replay.Watch{Addr: a, Len: n, Reads: p[1] != '2'}, p[1]}
		s.watches = slices.DeleteFunc(s.watches, func(o watchpoint) bool { return o == w })
		if set {
			s.watches = append(s.watches, w)
		}
		var list []replay.Watch
		for _, o := range s.watches {
			list = append(list, o.Watch)
		}
		if err := s.Session.SetWatches(list); err != nil {
			s.watches = slices.DeleteFunc(s.watches, func(o watchpoint) bool { return o == w })
			return "E01"
		}
	default:
		return ""
	}
	return "OK"
}

func (s *Server) monitor(command string) string {
	b, err := hex.DecodeString(command)
	if err != nil || s.Monitor == nil {
		return "E01"
	}
	out := s.Monitor(string(bytes.TrimSpace(b)))
	if out == "" {
		return "OK"
	}
	return hex.EncodeToString([]byte(out))
}
