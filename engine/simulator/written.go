package simulator

import (
	"fmt"

	"github.com/goccy/go-yaml/ast"

	"github.com/papertape/papertape/decimal"
)

// written is a value as it stands in a script, before YAML takes it for something: to YAML 0100 is 64, in a reason
// too, and 1_000 and 0x64 are numbers. Empty where there is none.
type written string

// UnmarshalYAML keeps what was written.
func (w *written) UnmarshalYAML(node ast.Node) error {
	switch n := node.(type) {
	case *ast.NullNode:
		return nil
	case *ast.AnchorNode:
		return w.UnmarshalYAML(n.Value)
	case *ast.LiteralNode:
		*w = written(n.Value.Value)
	case *ast.StringNode:
		*w = written(n.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode, *ast.BoolNode:
		*w = written(node.GetToken().Value)
	default:
		at := node.GetToken().Position
		return fmt.Errorf("[%d:%d] a single value belongs here; write it itself", at.Line, at.Column)
	}
	return nil
}

// number is what was written, in decimal digits: from 1 to most.
func (w written) number(key string, most uint64) (uint64, error) {
	n, err := decimal.ParseWhole(string(w), 1, most)
	if err != nil {
		return 0, fmt.Errorf("%s: %s; it is a number from 1 to %d in decimal digits", key, w, most)
	}
	return n, nil
}
