package listings

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// csv reads the rows of a CSV.
func (r *reading) csv(text []byte) (rows []row) {
	in := csv.NewReader(bytes.NewReader(text))
	in.Comment, in.FieldsPerRecord, in.TrimLeadingSpace = '#', -1, true
	header, err := in.Read()
	if err != nil {
		r.failCSV(err)
		return nil
	}
	line, _ := in.FieldPos(0)
	names := r.header(line, header)
	if names == nil {
		return nil
	}
	for {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			r.failCSV(err)
			return rows
		}
		line, _ := in.FieldPos(0)
		if len(record) != len(names) {
			r.fail(line, "it has %d fields, and the header %d; a name with a comma in it goes between quotes",
				len(record), len(names))
			continue
		}
		one := row{line, make(map[string]string, len(names))}
		for i, name := range names {
			one.fields[name] = strings.TrimSpace(record[i])
		}
		rows = append(rows, one)
	}
}

// failCSV says why a CSV cannot be read on from there.
func (r *reading) failCSV(err error) {
	var at *csv.ParseError
	switch {
	case errors.As(err, &at):
		r.fail(at.Line, "a quote stands where none can be; write a quote in a field twice, "+
			"and put the field between quotes")
	case errors.Is(err, io.EOF):
		r.fail(0, "it is empty; write a header, as in market,code,previous_close, and a line for each instrument")
	default:
		r.fail(0, "%s", err)
	}
}

// header returns the columns, or nil if there is something wrong with them.
func (r *reading) header(line int, typed []string) (names []string) {
	wrong := false
	seen := make(map[string]bool)
	for _, one := range typed {
		name, err := columnOf(one)
		switch {
		case err != nil:
			wrong = true
			r.fail(line, "%s", err)
		case seen[name]:
			wrong = true
			r.fail(line, "the column %s is there twice", name)
		}
		seen[name] = true
		names = append(names, name)
	}
	if wrong {
		return nil
	}
	return names
}

// yaml reads the rows of a YAML: a list, or a list under the key instruments.
func (r *reading) yaml(text []byte) (rows []row) {
	// goccy/go-yaml v1.19.2 panics on some malformed documents.
	defer func() {
		if p := recover(); p != nil {
			rows = nil
			r.fail(0, "%s", errYAML)
		}
	}()
	file, err := parser.ParseBytes(text, 0)
	if err != nil || len(file.Docs) != 1 {
		r.failYAML(err)
		return nil
	}
	list, ok := listOf(file.Docs[0].Body)
	if !ok {
		r.fail(0, "%s", errYAML)
		return nil
	}
	for _, node := range list.Values {
		if one, ok := r.mapping(node); ok {
			rows = append(rows, one)
		}
	}
	return rows
}

var errYAML = errors.New("this is not YAML that can be read; write a list, each instrument of it as in " +
	"- {market: SH, code: 600519, previous_close: 1480.00}")

// failYAML names the line at which a YAML cannot be read.
func (r *reading) failYAML(err error) {
	line := 0
	var at interface{ GetToken() *token.Token }
	if errors.As(err, &at) && at.GetToken() != nil {
		line = at.GetToken().Position.Line
	}
	r.fail(line, "%s", errYAML)
}

func listOf(body ast.Node) (*ast.SequenceNode, bool) {
	if values, ok := valuesOf(body); ok && len(values) == 1 && keyOf(values[0]) == "instruments" {
		body = values[0].Value
	}
	list, ok := body.(*ast.SequenceNode)
	return list, ok
}

// valuesOf returns the keys and values of a mapping.
func valuesOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	default:
		return nil, false
	}
}

func keyOf(v *ast.MappingValueNode) string { return v.Key.GetToken().Value }

// mapping reads an instrument. Values are taken as they are written, so that 000001 is a code.
func (r *reading) mapping(node ast.Node) (of row, ok bool) {
	values, ok := valuesOf(node)
	if !ok || len(values) == 0 {
		r.fail(node.GetToken().Position.Line, "it is no instrument; write its keys, as in market: SH")
		return of, false
	}
	of = row{values[0].Key.GetToken().Position.Line, make(map[string]string, len(values))}
	for _, v := range values {
		line := v.Key.GetToken().Position.Line
		name, err := columnOf(keyOf(v))
		_, twice := of.fields[name]
		switch _, scalar := v.Value.(ast.ScalarNode); {
		case err != nil:
			r.fail(line, "%s", strings.ReplaceAll(err.Error(), "column", "key"))
			ok = false
		case twice:
			r.fail(line, "the key %s is there twice", name)
			ok = false
		case !scalar:
			r.fail(line, "the value of %s is no word or number", name)
			ok = false
		case v.Value.Type() == ast.NullType:
		default:
			of.fields[name] = strings.TrimSpace(v.Value.GetToken().Value)
		}
	}
	return of, ok
}
