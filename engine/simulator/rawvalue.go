package simulator

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"

	"github.com/papertape/papertape/decimal"
)

// rawValue is a value as written in a script, before YAML interprets it. To YAML 0100 is 64, even
// in a reason, and 1_000 and 0x64 are numbers. It is empty if the key is missing.
type rawValue string

// UnmarshalYAML keeps the text of the value.
func (w *rawValue) UnmarshalYAML(node ast.Node) error {
	switch n := node.(type) {
	case *ast.NullNode:
		return nil
	case *ast.AnchorNode:
		return w.UnmarshalYAML(n.Value)
	case *ast.LiteralNode:
		*w = rawValue(n.Value.Value)
	case *ast.StringNode:
		*w = rawValue(n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode, *ast.BoolNode:
		*w = rawValue(node.GetToken().Value)
	default:
		at := node.GetToken().Position
		return fmt.Errorf("[%d:%d] a single value belongs here; write it itself", at.Line, at.Column)
	}
	return nil
}

// number parses a whole number from 1 to limit in decimal digits.
func (w rawValue) number(key string, limit uint64) (uint64, error) {
	n, err := decimal.ParseWhole(string(w), 1, limit)
	if err != nil {
		return 0, fmt.Errorf("%s: %s; it is a number from 1 to %d in decimal digits", key, w, limit)
	}
	return n, nil
}
