package papertape_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/papertape/papertape"

// everything, in a row, allows any import of ours.
const everything = "*"

// imports is the architecture: which packages of ours each may import. A subpackage without a row of its own follows the row
// of the nearest package above it, and may import that.
var imports = map[string][]string{
	".":                {}, // the package comment
	"api":              {},
	"decimal":          {},
	"pace":             {},
	"fnv1a":            {},
	"usertext":         {},
	"market":           {"usertext"},
	"positions":        {"fnv1a", "market", "usertext"},
	"codec":            {"api", "market", "positions", "usertext"},
	"engine":           {"fnv1a", "market", "pace", "positions"},
	"engine/journal":   {"fnv1a", "market", "positions", "engine"},
	"engine/gateway":   {"codec", "api", "engine", "market", "pace", "positions"},
	"engine/simulator": {"decimal", "engine", "market", "positions", "usertext"},
	"client":           {"api", "codec", "market", "positions", "usertext"},
	// Each simulated user checks what it sees against a shadow, which is why the demo can say that all of it was right.
	"clientsim": {"client", "api", "decimal", "market", "positions", "proof/shadow"},
	"console":   {"engine", "engine/gateway", "engine/journal", "engine/simulator", "market", "positions", "usertext"},
	// Only cmd and bench may import what is below proof, with the one exception above.
	"proof":        {"api", "client", "clientsim", "codec", "console", "proof/shadow"},
	"proof/shadow": {"api", "client", "market"}, // never the books, which it does anew
	"cmd":          {everything},
	"bench":        {everything},
	"tools":        {},

	// What the command is made of knows no more than it needs.
	"cmd/papertape/config":   {"cmd/papertape/userfile", "console", "decimal", "engine/simulator", "usertext"},
	"cmd/papertape/process":  {},
	"cmd/papertape/userfile": {"usertext"},
}

// reserved are the modules that one package alone may import. bench, which measures others too, may import the first two.
var reserved = map[string]string{
	"github.com/panjf2000/gnet":     "engine/gateway",
	"github.com/panjf2000/ants":     "engine",
	"github.com/cockroachdb/pebble": "engine/journal",
}

// drawers are names of packages that say nothing about what is in them.
var drawers = []string{"util", "utils", "common", "types", "internal", "helpers", "misc"}

// pkg is what go list says about a package.
type pkg struct {
	ImportPath string
	Imports    []string // tests excluded
}

// breaches returns a sentence for each import, and each package, that the architecture does not have.
func breaches(pkgs []pkg) (found []string) {
	for _, p := range pkgs {
		from := local(p.ImportPath)
		for _, part := range strings.Split(from, "/") {
			if slices.Contains(drawers, part) {
				found = append(found, fmt.Sprintf("%s: %q names a drawer, not a concept", from, part))
			}
		}
		row, ok := rowOf(from)
		if !ok {
			found = append(found, fmt.Sprintf("%s has no row in the table of architecture_test.go", from))
			continue
		}
		for _, imported := range p.Imports {
			if why := judge(from, row, imported); why != "" {
				found = append(found, why)
			}
		}
	}
	return found
}

// judge says what is wrong with an import, or nothing.
func judge(from, row, imported string) string {
	for mod, owner := range reserved {
		if within(imported, mod) && from != owner && (row != "bench" || owner == "engine/journal") {
			return fmt.Sprintf("%s imports %s, which is for %s", from, imported, owner)
		}
	}
	if !within(imported, module) {
		return ""
	}
	to, ok := rowOf(local(imported))
	if !ok || to == row || slices.Contains(imports[row], to) || slices.Contains(imports[row], everything) {
		return "" // a package without a row is told about by itself
	}
	return fmt.Sprintf("%s imports %s; it may import of ours: %s", from, local(imported), strings.Join(imports[row], ", "))
}

// within says whether an import path is a module, any major version of it, or a package below.
func within(imported, mod string) bool {
	return imported == mod || strings.HasPrefix(imported, mod+"/")
}

// local is the path of a package of ours within the module; "." is the root.
func local(importPath string) string {
	return strings.TrimPrefix(strings.Replace(importPath, module, ".", 1), "./")
}

// rowOf finds the row of a package: its own, or that of the nearest package above.
func rowOf(p string) (string, bool) {
	for p != "." {
		if _, ok := imports[p]; ok {
			return p, true
		}
		above := path.Dir(p)
		if above == "." {
			return "", false // the root is nobody's parent
		}
		p = above
	}
	return ".", true
}

// touchSources looks at every source file. go test caches a result until a file that the test looked at changes, and does not
// see what go list looks at.
func touchSources(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(name, ".go") {
			_, err = os.Stat(name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestArchitecture(t *testing.T) {
	touchSources(t)
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var pkgs []pkg
	seen := make(map[string]bool)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
		seen[local(p.ImportPath)] = len(p.Imports) > 0
	}
	for _, known := range []string{"engine", "engine/gateway", "positions", "cmd/papertape"} {
		if !seen[known] {
			t.Errorf("go list did not name %s with its imports: nothing was checked", known)
		}
	}
	for _, breach := range breaches(pkgs) {
		t.Error(breach)
	}
}

// TestBreaches breaks each rule of the table on a made-up graph.
func TestBreaches(t *testing.T) {
	const gnet, ants, pebble = "github.com/panjf2000/gnet/v2", "github.com/panjf2000/ants/v2", "github.com/cockroachdb/pebble/v2/vfs"
	ours := func(p string) string { return path.Join(module, p) }
	for _, c := range []struct{ from, imported, want string }{
		// What the table allows.
		{"positions", ours("market"), ""},
		{"positions", "math/bits", ""},
		{"engine", ants, ""},
		{"engine/gateway", gnet + "/pkg/logging", ""},
		{"engine/gateway", ours("api/papertape/v1"), ""},
		{"engine/journal", pebble, ""},
		{"engine/journal", ours("engine"), ""},
		{"engine/journal/segment", ours("engine/journal"), ""},
		{"clientsim", ours("api/papertape/v1"), ""},
		{"console", ours("engine/simulator"), ""},
		{"cmd/papertape", ours("console"), ""},
		{"cmd/papertape", ours("proof/torture"), ""},
		{"clientsim", ours("proof/shadow"), ""},
		{"proof/torture/truth", ours("proof/process"), ""},
		{"tools/terminalsvg", "github.com/jedib0t/go-pretty/v6/text", ""},
		{"bench/baseline", gnet, ""},
		{"bench", ants, ""},
		{"api/papertape/v1", "google.golang.org/protobuf/proto", ""},

		// What it does not.
		{".", ours("engine"), ". imports engine; it may import of ours: "},
		{"market", ours("positions"), "market imports positions; it may import of ours: usertext"},
		{"positions", ours("engine"), "positions imports engine; it may import of ours: fnv1a, market, usertext"},
		{"positions/quorum", ours("codec"), "positions/quorum imports codec; it may import of ours: fnv1a, market, usertext"},
		{"engine", ours("codec"), "engine imports codec; it may import of ours: fnv1a, market, pace, positions"},
		{"engine", ours("engine/gateway"), "engine imports engine/gateway; it may import of ours: fnv1a, market, pace, positions"},
		{"engine/journal", ours("codec"), "engine/journal imports codec; it may import of ours: fnv1a, market, positions, engine"},
		{"engine/simulator", ours("client"), "engine/simulator imports client; it may import of ours: decimal, engine, market, positions, usertext"},
		{"client", ours("engine"), "client imports engine; it may import of ours: api, codec, market, positions, usertext"},
		{"clientsim", ours("codec"),
			"clientsim imports codec; it may import of ours: client, api, decimal, market, positions, proof/shadow"},
		{"clientsim", ours("proof/soak"),
			"clientsim imports proof/soak; it may import of ours: client, api, decimal, market, positions, proof/shadow"},
		{"proof/shadow", ours("positions"), "proof/shadow imports positions; it may import of ours: api, client, market"},
		{"proof/torture", ours("engine"),
			"proof/torture imports engine; it may import of ours: api, client, clientsim, codec, console, proof/shadow"},
		{"codec", ours("engine"), "codec imports engine; it may import of ours: api, market, positions, usertext"},
		{"engine", gnet, "engine imports " + gnet + ", which is for engine/gateway"},
		{"cmd/papertape", gnet, "cmd/papertape imports " + gnet + ", which is for engine/gateway"},
		{"engine/gateway", ants, "engine/gateway imports " + ants + ", which is for engine"},
		{"engine/pool", ants, "engine/pool imports " + ants + ", which is for engine"},
		{"engine", pebble, "engine imports " + pebble + ", which is for engine/journal"},
		{"tools/terminalsvg", ours("market"), "tools/terminalsvg imports market; it may import of ours: "},
		{"bench", pebble, "bench imports " + pebble + ", which is for engine/journal"},
		{"ledger", "fmt", "ledger has no row in the table of architecture_test.go"},
		{"engine/util", "fmt", `engine/util: "util" names a drawer, not a concept`},
		{"market/internal/csv", "fmt", `market/internal/csv: "internal" names a drawer, not a concept`},
	} {
		got := strings.Join(breaches([]pkg{{ImportPath: ours(c.from), Imports: []string{c.imported}}}), "; ")
		if got != c.want {
			t.Errorf("%s importing %s:\n got %q\nwant %q", c.from, c.imported, got, c.want)
		}
	}
}
