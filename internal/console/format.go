package console

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"pyrr/internal/printable"
)

// printf prints by a format as C's printf does: printf "%d of %s\n", n, self.name.
func (c *Console) printf(args string) error {
	text, err := c.formatted(args)
	if err == nil {
		fmt.Fprint(c.out, printable.Clean(text))
	}
	return err
}

// splitFormat takes a format in double quotes and the expressions behind it apart.
func splitFormat(args string) (format string, exprs []string, err error) {
	args = strings.TrimSpace(args)
	quoted, err := strconv.QuotedPrefix(args)
	if err != nil || args[0] != '"' {
		return "", nil, errors.New(`a format is missing: printf "FORMAT", EXPRESSION, …`)
	}
	if format, err = strconv.Unquote(quoted); err != nil {
		return "", nil, err
	}
	rest := strings.TrimSpace(args[len(quoted):])
	if rest == "" {
		return format, nil, nil
	}
	if rest[0] != ',' {
		return "", nil, fmt.Errorf("a comma is missing before %q", rest)
	}
	return format, splitCommas(rest[1:]), nil
}

// splitCommas splits at the commas outside of brackets and quotes.
func splitCommas(s string) []string {
	var out []string
	depth, from := 0, 0
	var quote byte
	for i := 0; i < len(s); i++ {
		switch ch := s[i]; {
		case quote != 0:
			if ch == '\\' {
				i++
			} else if ch == quote {
				quote = 0
			}
		case ch == '"' || ch == '\'':
			quote = ch
		case strings.IndexByte("([{", ch) >= 0:
			depth++
		case strings.IndexByte(")]}", ch) >= 0:
			depth--
		case ch == ',' && depth == 0:
			out = append(out, strings.TrimSpace(s[from:i]))
			from = i + 1
		}
	}
	return append(out, strings.TrimSpace(s[from:]))
}

// formatted evaluates the expressions and puts them into the format.
func (c *Console) formatted(args string) (string, error) {
	format, exprs, err := splitFormat(args)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for len(format) > 0 {
		i := strings.IndexByte(format, '%')
		if i < 0 || i == len(format)-1 {
			b.WriteString(format)
			break
		}
		b.WriteString(format[:i])
		format = format[i+1:]
		if format[0] == '%' {
			b.WriteByte('%')
			format = format[1:]
			continue
		}
		n := strings.IndexAny(format, "diuxXocspfgea")
		if n < 0 || strings.Trim(format[:n], "-+ #0123456789.hlzjL") != "" {
			return "", fmt.Errorf("%q is not a format: %%d, %%u, %%x, %%o, %%c, %%s, %%p, %%f and %%g are", "%"+format[:min(len(format), 8)])
		}
		flags, verb := strings.Trim(format[:n], "hlzjL"), format[n]
		format = format[n+1:]
		if len(exprs) == 0 {
			return "", errors.New("the format has more places than there are expressions")
		}
		text, err := c.verb(flags, verb, exprs[0])
		if err != nil {
			return "", fmt.Errorf("%s: %w", exprs[0], err)
		}
		b.WriteString(text)
		exprs = exprs[1:]
	}
	if len(exprs) > 0 {
		return "", errors.New("there are more expressions than the format has places")
	}
	return b.String(), nil
}

// maxWidth bounds a field of a format.
const maxWidth = 1000

// verb prints one expression in one place of a format.
func (c *Console) verb(flags string, verb byte, expr string) (string, error) {
	for _, f := range strings.FieldsFunc(flags, func(r rune) bool { return r < '0' || r > '9' }) {
		if n, err := strconv.Atoi(f); err != nil || n > maxWidth {
			return "", fmt.Errorf("a width of more than %d", maxWidth)
		}
	}
	out, err := c.evaluate(expr, 0)
	if err != nil {
		return "", err
	}
	spec := "%" + flags
	if verb == 's' {
		return fmt.Sprintf(spec+"s", plainText(out)), nil
	}
	text := out.text
	if out.c && strings.HasPrefix(text, "(") {
		_, text, _ = strings.Cut(text, ") ")
	}
	first, _, _ := strings.Cut(text, " ")
	if strings.IndexByte("fgea", verb) >= 0 {
		v, err := strconv.ParseFloat(first, 64)
		if err != nil {
			return "", fmt.Errorf("%s is not a number", out.text)
		}
		return fmt.Sprintf(spec+string(rune(verb)), v), nil
	}
	switch first {
	case "True", "true":
		first = "1"
	case "False", "false":
		first = "0"
	}
	n, err := strconv.ParseInt(first, 0, 64)
	if err != nil {
		u, uerr := strconv.ParseUint(first, 0, 64)
		if n = int64(u); uerr != nil {
			if f, ferr := strconv.ParseFloat(first, 64); ferr == nil {
				n = int64(f)
			} else if v, verr := c.number(expr); verr == nil {
				n = int64(v)
			} else {
				return "", fmt.Errorf("%s is not a number", out.text)
			}
		}
	}
	switch verb {
	case 'i', 'd':
		return fmt.Sprintf(spec+"d", n), nil
	case 'u':
		return fmt.Sprintf(spec+"d", uint64(n)), nil
	case 'p':
		return fmt.Sprintf("%#x", uint64(n)), nil
	case 'c':
		return string(rune(n)), nil
	}
	return fmt.Sprintf(spec+string(rune(verb)), uint64(n)), nil
}

// plainText is a string without its quotes; of what is none, its text.
func plainText(out result) string {
	text := out.text
	if out.c {
		// 0x… "text": a pointer shows what it points to.
		if i := strings.IndexByte(text, '"'); i >= 0 && strings.HasSuffix(text, `"`) {
			text = text[i:]
		}
	}
	if len(text) < 2 || text[0] != text[len(text)-1] || text[0] != '"' && text[0] != '\'' {
		return text
	}
	in := text[1 : len(text)-1]
	if text[0] == '\'' {
		in = strings.ReplaceAll(strings.ReplaceAll(in, `\'`, `'`), `"`, `\"`)
	}
	if plain, err := strconv.Unquote(`"` + in + `"`); err == nil {
		return plain
	}
	return text[1 : len(text)-1]
}
