package config

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// fileBytesMax bounds the size of a configuration file, and so the parser's recursion depth and
// running time.
const fileBytesMax = 32 << 10

// fileValue is the value that a file gives to one setting.
type fileValue struct {
	setting *setting
	text    string
	line    int
}

// fileReader walks the syntax tree of a file. It uses the tree because an unmarshalled struct has
// no line numbers.
type fileReader struct {
	*Settings
	name     string
	sections map[string]bool // for example simulator and prices
	groups   map[string]int  // the sections that were written as mappings, with their lines
	lines    map[*setting]int
	values   []fileValue
}

// parseFile parses a configuration file in YAML, of which JSON is a subset. text is as
// usertext.ReadFile returns it; name is for error messages.
func (s *Settings) parseFile(name string, text []byte) ([]fileValue, error) {
	r := fileReader{
		Settings: s, name: name,
		sections: make(map[string]bool), groups: make(map[string]int), lines: make(map[*setting]int),
	}
	for key := range s.names {
		if section, _, ok := strings.Cut(key, "."); ok {
			r.sections[section] = true
		}
	}
	entries, err := r.entries(text)
	if err != nil {
		return nil, err
	}
	return r.values, r.mapping("", entries)
}

func (r *fileReader) wrong(line int, format string, args ...any) error {
	return Errorf("%s:%d: %w", r.name, line, fmt.Errorf(format, args...))
}

// entries returns the entries of the outermost mapping, or none for an empty file.
func (r *fileReader) entries(text []byte) ([]*ast.MappingValueNode, error) {
	file, err := parser.ParseBytes(text, 0, parser.AllowDuplicateMapKey()) // mapping reports duplicates
	if err != nil {
		line, why := 1, err.Error()
		var syntax yaml.Error
		if errors.As(err, &syntax) && syntax.GetToken() != nil && syntax.GetToken().Position != nil {
			line, why = syntax.GetToken().Position.Line, syntax.GetMessage()
		}
		return nil, r.wrong(line, "this is neither JSON nor YAML: %s", why)
	}
	var entries []*ast.MappingValueNode
	found := false
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		line := lineOf(doc.Body)
		if found {
			return nil, r.wrong(line, "a second document begins here; a configuration is one")
		}
		found = true
		body, ok := mappingOf(doc.Body)
		if !ok {
			return nil, r.wrong(line, "a configuration is a list of settings, as in heartbeat: 15s")
		}
		entries = body
	}
	return entries, nil
}

// mapping reads the entries of a mapping whose keys have the given prefix: "" or, for example,
// "simulator.".
func (r *fileReader) mapping(prefix string, entries []*ast.MappingValueNode) error {
	for _, entry := range entries {
		line := lineOf(entry.Key)
		word, ok := entry.Key.(*ast.StringNode)
		if !ok {
			return r.wrong(line, "%q is not a key; write the name of a setting", entry.Key.GetToken().Value)
		}
		key := prefix + word.Value
		nested, isMapping := mappingOf(entry.Value)
		switch st := r.names[key]; {
		case isMapping && prefix == "" && r.sections[key]:
			if first, ok := r.groups[key]; ok {
				return r.wrong(line, "%s is set twice; the first is on line %d", key, first)
			}
			r.groups[key] = line
			if err := r.mapping(key+".", nested); err != nil {
				return err
			}
		case st != nil:
			if err := r.setting(st, key, line, entry.Value); err != nil {
				return err
			}
		case r.sections[key]:
			return r.wrong(line, "%s is a group of settings; write one of them, as in %s", key, r.example(key))
		default:
			return unknown(fmt.Sprintf("%s:%d: %s", r.name, line, key), nearest(key, maps.Keys(r.names)), "")
		}
	}
	return nil
}

// setting records the value of a key.
func (r *fileReader) setting(st *setting, key string, line int, node ast.Node) error {
	if first, ok := r.lines[st]; ok {
		return r.wrong(line, "%s is set twice; the first is on line %d", key, first)
	}
	r.lines[st] = line
	text, err := valueOf(st, node)
	if err != nil {
		return r.wrong(line, "%s: %w", key, err)
	}
	r.values = append(r.values, fileValue{st, text, line})
	return nil
}

func (r *fileReader) example(section string) string {
	for i := range r.list {
		if strings.HasPrefix(r.list[i].key, section+".") {
			return r.list[i].key
		}
	}
	return section
}

// valueOf returns the text of a single value, or of a list if the setting takes a list.
func valueOf(st *setting, node ast.Node) (string, error) {
	sequence, ok := node.(*ast.SequenceNode)
	if !ok || st.kind() != kindList {
		return scalar(node)
	}
	texts := make([]string, len(sequence.Values))
	for i, item := range sequence.Values {
		var err error
		if texts[i], err = scalar(item); err != nil {
			return "", err
		}
	}
	return strings.Join(texts, ","), nil
}

// scalar returns the text of a single value as it was written.
func scalar(node ast.Node) (string, error) {
	switch n := node.(type) {
	case *ast.StringNode:
		if strings.ContainsRune(n.Value, utf8.RuneError) { // the parser's result for half a surrogate pair, too
			return "", fmt.Errorf("%q has a character that is none", n.Value)
		}
		return n.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return node.GetToken().Value, nil
	case *ast.NullNode:
		return "", errors.New("there is no value; write one, or leave the line out")
	case *ast.MappingNode, *ast.MappingValueNode, *ast.SequenceNode:
		return "", errors.New("a single value belongs here")
	default:
		return "", errors.New("write the value itself, on the same line")
	}
}

func mappingOf(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := node.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	default:
		return nil, false
	}
}

// lineOf returns the line on which a node begins. The token of a mapping is its first colon or
// brace, which is on the mapping's first line too.
func lineOf(node ast.Node) int {
	if node == nil || node.GetToken() == nil || node.GetToken().Position == nil {
		return 1
	}
	return node.GetToken().Position.Line
}
