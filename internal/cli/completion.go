package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"pyrr/internal/flagvalue"
	"pyrr/internal/hint"
	"pyrr/internal/screen"

	"github.com/spf13/pflag"
)

// Completion is the command completion over a table.
func Completion(all func() Table) *Command {
	return &Command{
		Name:     "completion",
		Synopsis: "bash|zsh|fish",
		Short:    "print a completion script for a shell",
		Long: `Prints a script that makes the shell complete pyrr's commands, flags, values
and files. It is made from the same table as the commands themselves.`,
		Examples: []Example{
			{"source <(pyrr completion bash)", "bash, this session"},
			{"pyrr completion bash > ~/.local/share/bash-completion/completions/pyrr", "bash, from now on"},
			{"pyrr completion zsh > ~/.zfunc/_pyrr", "zsh, with ~/.zfunc in fpath before compinit"},
			{"pyrr completion fish > ~/.config/fish/completions/pyrr.fish", "fish"},
		},
		Exits:   []Exit{{"0", "the script was printed"}, {"2", "there is none for this shell"}},
		Operand: "shell",
		Setup: func(*pflag.FlagSet) func(context.Context, *screen.UI, []string) error {
			return func(_ context.Context, u *screen.UI, args []string) error {
				if len(args) != 1 {
					return hint.With(hint.Usagef("completion: name one shell"), "pyrr completion bash")
				}
				switch args[0] {
				case "bash":
					return all().bashCompletion(u.Out)
				case "zsh":
					return all().zshCompletion(u.Out)
				case "fish":
					return all().fishCompletion(u.Out)
				}
				return hint.With(hint.Usagef("completion: there is no script for %q, only for bash, zsh and fish", args[0]), "pyrr completion bash")
			}
		},
	}
}

// flagInfo is what a shell needs to know of a flag.
type flagInfo struct {
	Name, short, Usage string
	takesValue         bool // in the next word, if not after =
	choices            []string
	file               bool
}

func (c *Command) FlagInfos() []flagInfo {
	fs := c.FlagSet()
	c.Setup(fs)
	var out []flagInfo
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		usage, _, _ = strings.Cut(usage, "\n")
		i := flagInfo{Name: f.Name, short: f.Shorthand, Usage: usage, choices: f.Annotations[flagvalue.ChoicesKey]}
		i.takesValue = f.Value.Type() != "bool" && f.NoOptDefVal == ""
		i.file = strings.Contains(value, "FILE") || strings.Contains(value, "DIR")
		out = append(out, i)
	})
	return out
}

// operandWords are the words that a command's argument can be, where they
// are known.
func (c *Command) operandWords(t Table) []string {
	switch c.Operand {
	case "topic":
		return t.Names()
	case "shell":
		return []string{"bash", "zsh", "fish"}
	}
	return nil
}

// shellString quotes for sh, zsh and fish alike: none of the texts holds a
// single quote or a backslash, which a test checks.
func shellString(s string) string { return "'" + s + "'" }

const bashEnd = `    esac
}
# _pyrr_program N completes a command line that starts at word N.
_pyrr_program() {
    if (($1 == COMP_CWORD)); then
        COMPREPLY=($(compgen -c -- "${COMP_WORDS[COMP_CWORD]}"))
    else
        COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
    fi
}
complete -F _pyrr pyrr
`

func (t Table) bashCompletion(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`# bash completion for pyrr, printed by: pyrr completion bash
_pyrr() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev= cmd= i word
    ((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD-1]}
    # bash makes --flag=value three words.
    if [[ $cur == = ]]; then
        cur=
    elif [[ $prev == = ]]; then
        prev=${COMP_WORDS[COMP_CWORD-2]}
    fi
    COMPREPLY=()
    compopt -o bashdefault -o default 2>/dev/null
    if ((COMP_CWORD == 1)); then
`)
	fmt.Fprintf(&b, "        COMPREPLY=($(compgen -W %s -- \"$cur\"))\n", shellString(strings.Join(t.Names(), " ")))
	b.WriteString("        return\n    fi\n    cmd=${COMP_WORDS[1]}\n    case $cmd in\n")
	for _, c := range t {
		fmt.Fprintf(&b, "    %s)\n", c.Name)
		infos := c.FlagInfos()
		if c.RunsProgram {
			b.WriteString("        # What follows the program's name is the program's.\n        i=2\n        while ((i < COMP_CWORD)); do\n            word=${COMP_WORDS[i]}\n            case $word in\n            --) _pyrr_program $((i+1)); return ;;\n")
			var valued []string
			for _, f := range infos {
				if f.takesValue {
					valued = append(valued, "--"+f.Name)
					if f.short != "" {
						valued = append(valued, "-"+f.short)
					}
				}
			}
			fmt.Fprintf(&b, "            %s) [[ ${COMP_WORDS[i+1]-} == = ]] && ((i++)); ((i+=2)) ;;\n", strings.Join(valued, "|"))
			b.WriteString("            =) ((i+=2)) ;;\n            -*) ((i++)) ;;\n            *) _pyrr_program \"$i\"; return ;;\n            esac\n        done\n")
		}
		b.WriteString("        case $prev in\n")
		for _, f := range infos {
			names := "--" + f.Name
			if f.short != "" {
				names += "|-" + f.short
			}
			switch {
			case f.choices != nil:
				fmt.Fprintf(&b, "        %s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", names, shellString(strings.Join(f.choices, " ")))
			case f.file:
				fmt.Fprintf(&b, "        %s) COMPREPLY=($(compgen -f -- \"$cur\")); return ;;\n", names)
			case f.takesValue:
				fmt.Fprintf(&b, "        %s) compopt +o default 2>/dev/null; return ;;\n", names)
			}
		}
		b.WriteString("        esac\n        if [[ $cur == -* ]]; then\n")
		var flags []string
		for _, f := range infos {
			flags = append(flags, "--"+f.Name)
		}
		fmt.Fprintf(&b, "            COMPREPLY=($(compgen -W %s -- \"$cur\"))\n", shellString(strings.Join(flags, " ")))
		switch {
		case c.operandWords(t) != nil:
			fmt.Fprintf(&b, "        else\n            COMPREPLY=($(compgen -W %s -- \"$cur\"))\n", shellString(strings.Join(c.operandWords(t), " ")))
		case c.Operand == "command" || c.Operand == "python":
			b.WriteString("        else\n            COMPREPLY=($(compgen -c -- \"$cur\"))\n")
		case c.Operand != "":
			b.WriteString("        else\n            COMPREPLY=($(compgen -f -- \"$cur\"))\n")
		}
		b.WriteString("        fi ;;\n")
	}
	b.WriteString(bashEnd)
	_, err := io.WriteString(w, b.String())
	return err
}

// zshText escapes what _arguments takes as its own syntax.
func zshText(s string) string {
	return strings.NewReplacer(":", `\:`, "[", `\[`, "]", `\]`).Replace(s)
}

func (t Table) zshCompletion(w io.Writer) error {
	var b strings.Builder
	b.WriteString("#compdef pyrr\n# zsh completion for pyrr, printed by: pyrr completion zsh\n_pyrr() {\n    local -a commands\n    commands=(\n")
	for _, c := range t {
		fmt.Fprintf(&b, "        %s\n", shellString(c.Name+":"+zshText(c.Short)))
	}
	b.WriteString(`    )
    if ((CURRENT == 2)); then
        _describe command commands
        return
    fi
    local cmd=$words[2]
    shift words
    ((CURRENT--))
    case $cmd in
`)
	for _, c := range t {
		fmt.Fprintf(&b, "    %s)\n        _arguments -s", c.Name)
		for _, f := range c.FlagInfos() {
			spec := "--" + f.Name
			if f.takesValue {
				spec += "="
			}
			spec += "[" + zshText(f.Usage) + "]"
			switch {
			case f.choices != nil:
				spec += ":" + f.Name + ":(" + strings.Join(f.choices, " ") + ")"
			case f.file:
				spec += ":file:_files"
			case f.takesValue:
				spec += ":" + f.Name + ": "
			}
			fmt.Fprintf(&b, " \\\n            %s", shellString(spec))
		}
		operand := ""
		switch {
		case c.operandWords(t) != nil:
			operand = "1:" + c.Operand + ":(" + strings.Join(c.operandWords(t), " ") + ")"
		case c.RunsProgram:
			operand = "*:::program:_normal"
		case c.Operand == "python":
			operand = "*:program:_command_names -e"
		case c.Operand != "":
			operand = "*:" + c.Operand + ":_files"
		}
		if operand != "" {
			fmt.Fprintf(&b, " \\\n            %s", shellString(operand))
		}
		b.WriteString(" ;;\n")
	}
	b.WriteString(`    esac
}
if [[ $funcstack[1] == _pyrr ]]; then
    _pyrr "$@"
else
    compdef _pyrr pyrr
fi
`)
	_, err := io.WriteString(w, b.String())
	return err
}

func (t Table) fishCompletion(w io.Writer) error {
	var b strings.Builder
	b.WriteString("# fish completion for pyrr, printed by: pyrr completion fish\ncomplete -c pyrr -n __fish_use_subcommand -f\n")
	for _, c := range t {
		fmt.Fprintf(&b, "complete -c pyrr -n __fish_use_subcommand -a %s -d %s\n", c.Name, shellString(c.Short))
	}
	for _, c := range t {
		seen := shellString("__fish_seen_subcommand_from " + c.Name)
		for _, f := range c.FlagInfos() {
			fmt.Fprintf(&b, "complete -c pyrr -n %s -l %s", seen, f.Name)
			if f.short != "" {
				fmt.Fprintf(&b, " -s %s", f.short)
			}
			switch {
			case f.choices != nil:
				fmt.Fprintf(&b, " -x -a %s", shellString(strings.Join(f.choices, " ")))
			case f.file:
				b.WriteString(" -r -F")
			case f.takesValue:
				b.WriteString(" -x")
			}
			fmt.Fprintf(&b, " -d %s\n", shellString(f.Usage))
		}
		switch {
		case c.operandWords(t) != nil:
			fmt.Fprintf(&b, "complete -c pyrr -n %s -f -a %s\n", seen, shellString(strings.Join(c.operandWords(t), " ")))
		case c.RunsProgram:
			fmt.Fprintf(&b, "complete -c pyrr -n %s -x -a %s\n", seen, shellString("(__fish_complete_subcommand --fcs-skip=2)"))
		case c.Operand == "":
			fmt.Fprintf(&b, "complete -c pyrr -n %s -f\n", seen)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
