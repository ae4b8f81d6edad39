package recording

import (
	"go/ast"
	goparser "go/parser"
	"go/token"
	"math/bits"
	"reflect"
	"strings"
	"testing"
)

// The names of the constants of a type in event.go.
func constants(t *testing.T, typ string) []string {
	t.Helper()
	file, err := goparser.ParseFile(token.NewFileSet(), "event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		if id, ok := g.Specs[0].(*ast.ValueSpec).Type.(*ast.Ident); !ok || id.Name != typ {
			continue
		}
		for _, s := range g.Specs {
			names = append(names, s.(*ast.ValueSpec).Names[0].Name)
		}
	}
	return names
}

func TestEveryKindHasARow(t *testing.T) {
	names := constants(t, "Kind")
	if len(names) != len(kindTable)-1 {
		t.Errorf("%d kinds and %d rows", len(names), len(kindTable)-1)
	}
	for i, name := range names {
		row := Kind(i + 1).row() // the constants count from 1
		if row == nil {
			t.Errorf("%s has no row", name)
			continue
		}
		if want := strings.ToLower(strings.TrimPrefix(name, "Kind")); row.name != want {
			t.Errorf("%s is called %q, want %q", name, row.name, want)
		}
		if k, ok := KindByName(row.name); !ok || k != Kind(i+1) {
			t.Errorf("KindByName(%q) = %d, %v", row.name, k, ok)
		}
		if row.doc == "" || row.need&row.may != 0 || (row.need|row.may)&always != 0 {
			t.Errorf("%s: no description, or a field in two sets", name)
		}
	}
	if stops := constants(t, "Stop"); len(stops) != len(stopNames) {
		t.Errorf("%d stops and %d names", len(stops), len(stopNames))
	}
	if Kind(len(kindTable)) >= firstOptionalKind || fEnd > 1<<firstOptionalField {
		t.Error("the numbers that a reader may skip are reached")
	}
}

// The tables must know every field of Event, and each bit at its place.
func TestEveryFieldHasARow(t *testing.T) {
	typ := reflect.TypeFor[Event]()
	byName := map[string]fieldSet{}
	for i, row := range fieldTable {
		number := i
		if matter := bits.TrailingZeros64(uint64(fEnd)); i >= matter {
			number += firstOptionalField - matter
		}
		if row.bit != 1<<number {
			t.Errorf("field %s has bit %#x at place %d", row.name, uint64(row.bit), i)
		}
		byName[row.name] = row.bit
	}
	n := 0
	for _, f := range reflect.VisibleFields(typ) {
		if f.Anonymous || f.Name == "Kind" || f.Name == "LeftOut" { // a stream has only the fields of the first, and nothing of the others
			continue
		}
		n++
		bit := byName[f.Name]
		if bit == 0 {
			t.Errorf("%s has no row in fieldTable", f.Name)
			continue
		}
		// An event with just that field set has just that bit.
		var ev Event
		setNonZero(reflect.ValueOf(&ev).Elem().FieldByIndex(f.Index))
		if got := ev.fields(); got != bit {
			t.Errorf("%s: fields() = %s", f.Name, got)
		}
	}
	if len(fieldTable) != n || len(fieldTable) != bits.OnesCount64(uint64(knownFields)) {
		t.Errorf("%d rows for %d fields", len(fieldTable), n)
	}
	var text fieldSet
	for _, f := range textFields {
		if text&f.bit != 0 {
			t.Errorf("%s is twice in the text form", f.bit)
		}
		text |= f.bit
	}
	if text != knownFields {
		t.Errorf("the text form lacks %s", knownFields&^text)
	}
	if n := reflect.TypeFor[Process]().NumField(); len(procFields) != n-1 {
		t.Errorf("the text form has %d of the %d fields of a process", len(procFields)+1, n)
	}
}

func setNonZero(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Array:
		setNonZero(v.Index(v.Len() - 1))
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	default:
		v.SetUint(1)
	}
}
