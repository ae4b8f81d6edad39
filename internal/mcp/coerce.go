package mcp

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// shape is what a tool takes: the kinds of its arguments, and which must be given.
type shape struct {
	kinds map[string]reflect.Type
	must  []string
}

func shapeOf[In any]() shape {
	s := shape{kinds: map[string]reflect.Type{}}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[In]()) {
		name, opts, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			continue // what is embedded
		}
		s.kinds[name] = f.Type
		if opts != "omitempty" {
			s.must = append(s.must, name)
		}
	}
	return s
}

// lenient makes what a client gave for arguments what tools take: a number may come as
// a text, and a text as a number. What can't be made sense of is said in the form of
// any answer, and never at a length that the client chose.
func (s *server) lenient(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		call, ok := req.(*mcp.CallToolRequest)
		if !ok || call.Params == nil {
			return next(ctx, method, req)
		}
		takes, ok := s.shapes[call.Params.Name]
		if !ok {
			tools := strings.Join(slices.Sorted(maps.Keys(s.shapes)), ", ")
			return failed(fmt.Sprintf("there is no tool %q; the tools are %s", brief(call.Params.Name), tools)), nil
		}
		args, err := takes.arguments(call.Params.Arguments)
		if err != nil {
			return failed(err.Error()), nil
		}
		call.Params.Arguments = args
		return next(ctx, method, req)
	}
}

// brief cuts a text of the client's that is given back to it.
func brief(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return string(r[:most]) + "…"
	}
	return text
}

// maxArguments bounds what is read of a call's arguments, in bytes.
const maxArguments = 1 << 20

func (s shape) arguments(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) > maxArguments {
		return nil, fmt.Errorf("the arguments have %d bytes, and may have %d", len(raw), maxArguments)
	}
	given := map[string]any{}
	if len(bytes.TrimSpace(raw)) > 0 {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber()
		if err := dec.Decode(&given); err != nil {
			return nil, fmt.Errorf("the arguments are not an object of JSON, such as {\"recording\": \"NAME\"}")
		}
	}
	takes := func() string { return strings.Join(slices.Sorted(maps.Keys(s.kinds)), ", ") }
	out := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		kind, ok := s.kinds[name]
		if !ok {
			return nil, fmt.Errorf("there is no argument %q; they are %s", brief(name), takes())
		}
		if given[name] == nil {
			continue // as if it were not given
		}
		v, err := as(kind, given[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = v
	}
	for _, name := range s.must {
		if _, ok := out[name]; !ok {
			return nil, fmt.Errorf("%s is missing; the arguments are %s", name, takes())
		}
	}
	return json.Marshal(out)
}

// as makes a value one of a kind of arguments.
func as(kind reflect.Type, v any) (any, error) {
	switch kind.Kind() {
	case reflect.String:
		switch x := v.(type) {
		case string:
			return x, nil
		case json.Number:
			return x.String(), nil
		}
		return nil, fmt.Errorf("a text is wanted")
	case reflect.Bool:
		switch v {
		case true, "true":
			return true, nil
		case false, "false", "":
			return false, nil
		}
		return nil, fmt.Errorf("true or false is wanted")
	case reflect.Int:
		text, ok := v.(string)
		if n, isNumber := v.(json.Number); isNumber {
			text, ok = n.String(), true
		}
		f, err := strconv.ParseFloat(plain(strings.TrimSpace(text)), 64)
		if !ok || err != nil || f != math.Trunc(f) {
			return nil, fmt.Errorf("a whole number is wanted")
		}
		return int64(max(-1<<31, min(f, 1<<31))), nil // more means no more than that
	case reflect.Slice:
		list, ok := v.([]any)
		if !ok {
			list = []any{v}
		}
		var out []string
		for _, one := range list {
			text, err := as(kind.Elem(), one)
			if err != nil {
				return nil, err
			}
			out = append(out, text.(string))
		}
		return out, nil
	}
	return nil, fmt.Errorf("it is of no known kind")
}
