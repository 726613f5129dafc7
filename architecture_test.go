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

// anyPackage in a row allows the import of any package of this module.
const anyPackage = "*"

// imports is the architecture: it lists for each package which others of this module it may import.
// A subpackage without a row of its own follows the row of its nearest ancestor with a row, and may
// also import that ancestor.
var imports = map[string][]string{
	".":                {}, // the package comment
	"api":              {},
	"audit":            {},
	"decimal":          {},
	"pace":             {},
	"ranking":          {},
	"memtls":           {},
	"selfsigned":       {},
	"fnv1a":            {},
	"usertext":         {},
	"keys":             {"decimal", "usertext"},
	"market":           {"usertext"},
	"market/bars":      {"market"},
	"market/calendar":  {"market"},
	"market/tape":      {"decimal", "market", "usertext"},
	"market/listings":  {"market", "usertext"},
	"positions":        {"fnv1a", "market", "usertext"},
	"record":           {"fnv1a", "market", "positions"},
	"codec":            {"api", "market", "positions", "usertext"},
	"tally":            {},
	"engine":           {"fnv1a", "market", "pace", "positions", "ranking", "record", "tally"},
	"engine/journal":   {"fnv1a", "market", "positions", "record", "tally", "engine"},
	"engine/gateway":   {"codec", "api", "engine", "keys", "market", "memtls", "pace", "positions", "ranking", "tally"},
	"engine/timeline":  {"market"},
	"engine/simulator": {"decimal", "engine", "market", "positions", "tally", "usertext"},
	"metrics":          {"engine", "engine/gateway", "engine/journal", "engine/simulator", "market", "tally"},
	"client":           {"api", "codec", "keys", "market", "positions", "usertext"},
	// Each simulated user checks what it receives against a shadow, so the demo can claim that
	// everything was correct.
	"clientsim": {"client", "api", "decimal", "market", "positions", "proof/shadow"},
	"console": {"audit", "console/web", "engine", "engine/gateway", "engine/journal", "engine/simulator", "market",
		"positions", "usertext"},
	"console/web": {}, // it shows what the console's API answers, and knows nothing else of the server
	// Apart from the exception above, only cmd and bench may import packages below proof.
	"proof":        {"api", "client", "clientsim", "codec", "console", "keys", "memtls", "proof/shadow", "selfsigned"},
	"proof/shadow": {"api", "client", "market"}, // never positions, which it reimplements
	"cmd":          {anyPackage},
	"bench":        {anyPackage},
	"tools":        {},

	// The command's subpackages may import only what they need.
	"cmd/papertape/config":   {"cmd/papertape/userfile", "console", "decimal", "engine/simulator", "usertext"},
	"cmd/papertape/doctor":   {},
	"cmd/papertape/process":  {},
	"cmd/papertape/top":      {"console", "usertext"},
	"cmd/papertape/userfile": {"usertext"},
}

// reserved maps modules to the only package that may import them. bench, which measures
// other servers too, may import the first two.
var reserved = map[string]string{
	"github.com/panjf2000/gnet":     "engine/gateway",
	"github.com/panjf2000/ants":     "engine",
	"github.com/cockroachdb/pebble": "engine/journal",
	"github.com/prometheus":         "metrics",
}

// genericNames are package names that do not say what a package contains.
var genericNames = []string{"util", "utils", "common", "types", "internal", "helpers", "misc"}

// pkg is the output of go list about a package.
type pkg struct {
	ImportPath string
	Imports    []string // without those of tests
}

// breaches returns a sentence for each import and each package that breaks the architecture.
func breaches(pkgs []pkg) (found []string) {
	for _, p := range pkgs {
		from := local(p.ImportPath)
		for _, part := range strings.Split(from, "/") {
			if slices.Contains(genericNames, part) {
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

// judge returns what is wrong with an import, or "" if it is allowed.
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
	if !ok || to == row || slices.Contains(imports[row], to) || slices.Contains(imports[row], anyPackage) {
		return "" // a package without a row is reported separately
	}
	return fmt.Sprintf("%s imports %s; it may import of ours: %s", from, local(imported),
		strings.Join(imports[row], ", "))
}

// within reports whether an import path is a module, any major version of it, or a package of it.
func within(imported, mod string) bool {
	return imported == mod || strings.HasPrefix(imported, mod+"/")
}

// local returns the path of a package of ours within the module. The root's is ".".
func local(importPath string) string {
	return strings.TrimPrefix(strings.Replace(importPath, module, ".", 1), "./")
}

// rowOf returns the row that applies to a package: its own, or that of its nearest ancestor.
func rowOf(p string) (string, bool) {
	for p != "." {
		if _, ok := imports[p]; ok {
			return p, true
		}
		above := path.Dir(p)
		if above == "." {
			return "", false // the root's row applies to the root only
		}
		p = above
	}
	return ".", true
}

// touchSources stats every source file. go test caches a result until a file that the test itself
// has accessed changes, and does not notice which files go list reads.
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

// TestBreaches breaks each rule of the table in an invented import graph.
func TestBreaches(t *testing.T) {
	const gnet, ants, pebble = "github.com/panjf2000/gnet/v2", "github.com/panjf2000/ants/v2",
		"github.com/cockroachdb/pebble/v2/vfs"
	ours := func(p string) string { return path.Join(module, p) }
	for _, c := range []struct{ from, imported, want string }{
		// Allowed by the table.
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

		// Forbidden by the table.
		{".", ours("engine"), ". imports engine; it may import of ours: "},
		{"market", ours("positions"), "market imports positions; it may import of ours: usertext"},
		{"positions", ours("engine"), "positions imports engine; it may import of ours: fnv1a, market, usertext"},
		{"positions/quorum", ours("codec"),
			"positions/quorum imports codec; it may import of ours: fnv1a, market, usertext"},
		{"engine", ours("codec"),
			"engine imports codec; it may import of ours: fnv1a, market, pace, positions, ranking, record, tally"},
		{"engine", ours("engine/gateway"),
			"engine imports engine/gateway; it may import of ours: fnv1a, market, pace, positions, ranking, " +
				"record, tally"},
		{"engine/journal", ours("codec"),
			"engine/journal imports codec; it may import of ours: fnv1a, market, positions, record, tally, engine"},
		{"engine/simulator", ours("client"),
			"engine/simulator imports client; it may import of ours: decimal, engine, market, positions, " +
				"tally, usertext"},
		{"client", ours("engine"),
			"client imports engine; it may import of ours: api, codec, keys, market, positions, usertext"},
		{"clientsim", ours("codec"),
			"clientsim imports codec; it may import of ours: client, api, decimal, market, positions, proof/shadow"},
		{"clientsim", ours("proof/soak"),
			"clientsim imports proof/soak; it may import of ours: client, api, decimal, market, positions, " +
				"proof/shadow"},
		{"proof/shadow", ours("positions"),
			"proof/shadow imports positions; it may import of ours: api, client, market"},
		{"proof/torture", ours("engine"),
			"proof/torture imports engine; it may import of ours: api, client, clientsim, codec, console, " +
				"keys, memtls, proof/shadow, selfsigned"},
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
