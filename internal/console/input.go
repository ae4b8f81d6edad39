package console

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"golang.org/x/term"

	"pyrr/internal/printable"
)

// input gives the lines of the user.
type input interface {
	line(prompt string) (string, error)
}

// scripted reads commands from a pipe or a file.
type scripted struct {
	s    *bufio.Scanner
	echo io.Writer
}

func (in *scripted) line(prompt string) (string, error) {
	if in.echo != nil {
		fmt.Fprint(in.echo, prompt)
	}
	if !in.s.Scan() {
		if err := in.s.Err(); err != nil {
			return "", err
		}
		return "", io.EOF
	}
	if in.echo != nil {
		fmt.Fprintln(in.echo, in.s.Text())
	}
	return in.s.Text(), nil
}

// terminal reads commands with editing, history and completion.
type terminal struct {
	t  *term.Terminal
	fd int
}

func newTerminal(in *os.File, out io.Writer, complete func(string) []string) *terminal {
	rw := struct {
		io.Reader
		io.Writer
	}{in, out}
	t := &terminal{t: term.NewTerminal(rw, ""), fd: int(in.Fd())}
	t.t.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		rest := line[pos:]
		cands := complete(line[:pos])
		if len(cands) == 0 {
			return "", 0, false
		}
		common := cands[0]
		for _, s := range cands[1:] {
			for !strings.HasPrefix(s, common) {
				common = common[:len(common)-1]
			}
		}
		if len(cands) == 1 && strings.IndexByte(".:[", common[len(common)-1]) < 0 {
			common += " "
		} else if len(cands) == 1 {
		} else if len(common) <= pos {
			// The words alone, without the command.
			from := strings.LastIndexByte(common, ' ') + 1
			words := make([]string, len(cands))
			for i, s := range cands {
				words[i] = s[from:]
			}
			fmt.Fprintln(t.t, strings.Join(words, "  "))
		}
		return common + rest, len(common), true
	}
	return t
}

func (in *terminal) line(prompt string) (string, error) {
	old, err := term.MakeRaw(in.fd)
	if err != nil {
		return "", fmt.Errorf("set the terminal up: %w", err)
	}
	defer term.Restore(in.fd, old)
	if w, h, err := term.GetSize(in.fd); err == nil && w > 0 && h > 0 {
		in.t.SetSize(w, h)
	}
	in.t.SetPrompt(prompt)
	return in.t.ReadLine()
}

// Run runs the commands given, then those of the user.
func (c *Console) Run(commands []string, in io.Reader) error {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt)
	defer signal.Stop(stop)
	go func() {
		for range stop {
			c.x.Interrupt()
		}
	}()
	do, echo := c.Do, c.out
	if c.json {
		do, echo = c.doJSON, nil
	}
	for _, cmd := range commands {
		if echo != nil {
			fmt.Fprintf(echo, "%s%s\n", c.prompt(), printable.Line(cmd))
		}
		if err := do(cmd); err != nil {
			return err
		}
		if c.quit {
			return nil
		}
	}
	var lines input = &scripted{bufio.NewScanner(in), echo}
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) && !c.json {
		t := newTerminal(f, c.out, c.Complete)
		t.t.History = openHistory()
		lines = t
	}
	for !c.quit {
		line, err := lines.line(c.prompt())
		if errors.Is(err, io.EOF) {
			if echo != nil {
				fmt.Fprintln(echo)
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(line); err != nil {
			return err
		}
	}
	return nil
}
