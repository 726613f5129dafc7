package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
)

// binary is what is known of a program that Go built.
type binary struct {
	path    string // of its main module
	sha256  string
	modules []module // that are linked into it, by path; the last one is Go's own library
}

// module is one that is linked into a binary.
type module struct {
	path, version, sum string
	license            string // its name at SPDX
	texts              []licenseText
}

// licenseText is one file of a module that says under which conditions it may be passed on.
type licenseText struct{ name, text string }

// inspect reads a binary, and what its modules say of themselves.
func inspect(source, file string) (binary, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return binary{}, fmt.Errorf("%s is no program that Go built: %w", file, err)
	}
	b := binary{path: info.Main.Path}
	if b.sha256, err = digestOf(file); err != nil {
		return binary{}, err
	}
	dirs, err := directories(source, info.Deps)
	if err != nil {
		return binary{}, err
	}
	for _, dep := range info.Deps {
		m := module{path: dep.Path, version: dep.Version, sum: dep.Sum}
		if dep.Replace != nil {
			m.path, m.version, m.sum = dep.Replace.Path, dep.Replace.Version, dep.Replace.Sum
		}
		if err := m.read(dirs[dep.Path]); err != nil {
			return binary{}, err
		}
		b.modules = append(b.modules, m)
	}
	slices.SortFunc(b.modules, func(a, b module) int { return strings.Compare(a.path, b.path) })
	std := module{path: "std", version: strings.TrimPrefix(info.GoVersion, "go")}
	root, err := goCommand(source, "env", "GOROOT")
	if err != nil {
		return binary{}, err
	}
	if err := std.read(strings.TrimSpace(string(root))); err != nil {
		return binary{}, err
	}
	b.modules = append(b.modules, std)
	return b, nil
}

func digestOf(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// directories returns where Go keeps the source of each module, by its path.
func directories(source string, deps []*debug.Module) (map[string]string, error) {
	args := []string{"list", "-m", "-json"}
	for _, dep := range deps {
		args = append(args, dep.Path)
	}
	said, err := goCommand(source, args...)
	if err != nil {
		return nil, err
	}
	dirs := make(map[string]string)
	for d := json.NewDecoder(bytes.NewReader(said)); d.More(); {
		var m struct{ Path, Dir string }
		if err := d.Decode(&m); err != nil {
			return nil, fmt.Errorf("go list: %w", err)
		}
		dirs[m.Path] = m.Dir
	}
	return dirs, nil
}

func goCommand(dir string, args ...string) ([]byte, error) {
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), args...)
	cmd.Dir = dir
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	said, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go %s: %w: %s", args[0], err, complaint.String())
	}
	return said, nil
}

// read looks for the license in the directory of a module.
func (m *module) read(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("the source of %s: %w", m.path, err)
	}
	for _, entry := range entries {
		if entry.IsDir() || !isLicense(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		m.texts = append(m.texts, licenseText{entry.Name(), strings.TrimSpace(string(text))})
		if m.license == "" {
			m.license = licenseOf(string(text))
		}
	}
	if m.license == "" {
		return fmt.Errorf("the license of %s %s, in %s, is none that tools/release knows: may it be passed on? If so, "+
			"teach licenseOf its words", m.path, m.version, dir)
	}
	return nil
}
