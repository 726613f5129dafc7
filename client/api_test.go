package client_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// foreign lists the packages whose types must not be part of the API: any change of the wire
// would otherwise be a change for the users of this package.
var foreign = []string{
	"google.golang.org/protobuf", "github.com/planetscale/vtprotobuf", "github.com/papertape/papertape/api",
	"github.com/papertape/papertape/codec",
}

// exports walks the API of a package and collects the foreign types in it.
type exports struct {
	of    *types.Package
	seen  map[types.Type]bool
	found []string
}

// foreignIn returns every use of a foreign type in the API of a package, with the path to it.
func foreignIn(p *types.Package) []string {
	w := &exports{of: p, seen: make(map[types.Type]bool)}
	for _, name := range p.Scope().Names() {
		if o := p.Scope().Lookup(name); o.Exported() {
			w.walk(o.Type(), name)
		}
	}
	return w.found
}

func (w *exports) walk(t types.Type, path string) {
	t = types.Unalias(t)
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	switch t := t.(type) {
	case *types.Named:
		w.namedType(t, path)
	case *types.Struct:
		for f := range t.Fields() {
			if f.Exported() || f.Embedded() {
				w.walk(f.Type(), path+"."+f.Name())
			}
		}
	case *types.Interface:
		for m := range t.Methods() {
			w.walk(m.Type(), path+"."+m.Name())
		}
	case *types.Signature:
		for v := range t.Params().Variables() {
			w.walk(v.Type(), path+"("+v.Name()+")")
		}
		for v := range t.Results().Variables() {
			w.walk(v.Type(), path+"()")
		}
	case *types.Map:
		w.walk(t.Key(), path+"[key]")
		w.walk(t.Elem(), path+"[]")
	case interface{ Elem() types.Type }: // a pointer, slice, array or channel
		w.walk(t.Elem(), path)
	}
}

// namedType visits a named type: it reports a foreign one, and walks the parts of one of this
// package.
func (w *exports) namedType(t *types.Named, path string) {
	for arg := range t.TypeArgs().Types() {
		w.walk(arg, path+"[...]")
	}
	from := t.Obj().Pkg()
	if from == nil {
		return // error
	}
	if slices.ContainsFunc(foreign, func(p string) bool {
		return from.Path() == p || strings.HasPrefix(from.Path(), p+"/")
	}) {
		w.found = append(w.found, fmt.Sprintf("%s is of %v", path, t))
	}
	if from != w.of {
		return
	}
	w.walk(t.Underlying(), path)
	for m := range t.Methods() {
		if m.Exported() {
			w.walk(m.Type(), path+"."+m.Name())
		}
	}
}

// compiled returns an importer of what go list has compiled: a package and its dependencies.
func compiled(t *testing.T, fset *token.FileSet, pkg string) types.Importer {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Export", pkg)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	files := make(map[string]string)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(files[path]) })
}

func checked(t *testing.T, fset *token.FileSet, path string, from types.Importer, files []*ast.File) *types.Package {
	t.Helper()
	p, err := (&types.Config{Importer: from}).Check(path, fset, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// No type of protobuf or of the wire is part of the API: not as a field, a parameter, a result
// or behind an alias.
func TestTheAPIIsOurOwn(t *testing.T) {
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	p := checked(t, fset, "github.com/papertape/papertape/client", compiled(t, fset, "."), files)
	if p.Scope().Lookup("Event") == nil {
		t.Fatal("nothing was looked at")
	}
	for _, found := range foreignIn(p) {
		t.Error(found)
	}
}

// The walk finds a foreign type in every place where one can be.
func TestForeignTypesAreFound(t *testing.T) {
	const wire = `import wire "github.com/papertape/papertape/api/papertape/v1"
`
	fset := token.NewFileSet()
	from := compiled(t, fset, ".")
	for source, want := range map[string]string{
		"type Cash = wire.Cash":                                      "Cash is of ",
		"type Held struct { Cash *wire.Cash }":                       "Held.Cash is of ",
		"type Held struct { *wire.Cash }":                            "Held.Cash is of ",
		"type Held struct { Rows map[string][]*wire.Position }":      "Held.Rows[] is of ",
		"func Ask(c wire.Side) {}":                                   "Ask(c) is of ",
		"func Ask() (int, chan *wire.Cash) { return 0, nil }":        "Ask() is of ",
		"type A struct{}; func (*A) Cash() *wire.Cash":               "A.Cash() is of ",
		"type A interface { Cash() *wire.Cash }":                     "A.Cash() is of ",
		"const Buy = wire.Side_SIDE_BUY":                             "Buy is of ",
		"var Last *wire.Cash":                                        "Last is of ",
		"type Of[T any] struct{ V T }; var Last Of[*wire.Cash]":      "Last[...] is of ",
		"type A struct{ b }; type b struct { Cash *wire.Cash }":      "A.b.Cash is of ",
		"type A struct{ cash *wire.Cash }; var _ = A{nil}":           "",
		"type a = wire.Cash; const Buy = int(wire.Side_SIDE_BUY)":    "",
		"type a struct { Cash *wire.Cash }; func ask(*wire.Cash) {}": "",
	} {
		f, err := parser.ParseFile(fset, "source.go", "package source\n"+wire+source, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := strings.Join(foreignIn(checked(t, fset, "source", from, []*ast.File{f})), "; ")
		if want == "" && got != "" || !strings.HasPrefix(got, want) {
			t.Errorf("%s: found %q, expected %q", source, got, want)
		}
	}
}
