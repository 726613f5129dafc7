package config

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/spf13/pflag"

	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/usertext"
)

// Settings is the registry of all keys. Flags, environment variables and files are read through it.
type Settings struct {
	list  []setting
	names map[string]*setting // by every spelling that files may use
}

// FileFlag is the name of the flag for the configuration file.
const FileFlag = "config"

const (
	envPrefix = "PAPERTAPE_"
	fileEnv   = envPrefix + "CONFIG"
)

// NewSettings returns the registry with all settings.
func NewSettings() *Settings {
	s := &Settings{list: allSettings(), names: make(map[string]*setting)}
	for i := range s.list {
		st := &s.list[i]
		s.names[st.key] = st
		if st.alias != "" {
			s.names[st.alias] = st
		}
	}
	return s
}

// Register adds --config and a flag for each key. Values are validated by Load, as those from other
// places are.
func (s *Settings) Register(fs *pflag.FlagSet) {
	fs.Var(&pathText{flagText{kind: KindText}}, FileFlag, "read settings from this `file`, JSON or YAML")
	defaults := Default()
	for i := range s.list {
		st := &s.list[i]
		flag := fs.VarPF(&flagText{text: st.text(defaults), kind: st.kind()}, st.flag(), "", st.usage)
		if flag.Value.Type() == KindBool {
			flag.NoOptDefVal = "true"
		}
	}
}

// flagText is the pflag.Value of every key. It keeps the text as it was written; Load validates it.
type flagText struct{ text, kind string }

func (f *flagText) Set(text string) error { f.text = text; return nil }
func (f *flagText) String() string        { return f.text }
func (f *flagText) Type() string          { return f.kind }

type pathText struct{ flagText }

func (p *pathText) Set(text string) error {
	if err := userfile.CheckPath(text); err != nil {
		return err
	}
	return p.flagText.Set(text)
}

// Load combines defaults, file, environment and flags, and checks the result. fs is the flag set
// that was passed to Register, after parsing; environ is as returned by os.Environ. Each call reads
// everything again, so Load also serves a reload. An invalid value is an error even if a place of
// higher precedence overrides it.
func (s *Settings) Load(fs *pflag.FlagSet, environ []string) (*Config, error) {
	cfg := Default()
	if err := s.loadFile(cfg, filePath(fs, environ)); err != nil {
		return nil, err
	}
	if err := s.loadEnv(cfg, environ); err != nil {
		return nil, err
	}
	for i := range s.list {
		st := &s.list[i]
		if name := st.flag(); fs.Changed(name) {
			from := source{place: "--" + name, named: true}
			if err := st.apply(cfg, fs.Lookup(name).Value.String(), from); err != nil {
				return nil, err
			}
		}
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// apply parses text as the value of this key and stores it.
func (st *setting) apply(cfg *Config, text string, from source) error {
	if err := st.set(cfg, text); err != nil {
		return Errorf("%s: %w", from.describe(st.key), err)
	}
	cfg.sources[st.key] = from
	return nil
}

// filePath returns the path of the configuration file: from the flag, or else from the environment,
// or else "".
func filePath(fs *pflag.FlagSet, environ []string) string {
	if fs.Changed(FileFlag) {
		return fs.Lookup(FileFlag).Value.String()
	}
	path := ""
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); name == fileEnv {
			path = value
		}
	}
	return path
}

func (s *Settings) loadFile(cfg *Config, path string) error {
	if path == "" {
		return nil
	}
	text, err := userfile.Read(path, fileBytesMax)
	if fault := (*usertext.Fault)(nil); errors.As(err, &fault) {
		return Errorf("%w", err) // the message begins with FILE:LINE, as those of parseFile do
	}
	if err != nil {
		return Errorf("config: %w", err)
	}
	values, err := s.parseFile(path, text)
	if err != nil {
		return err
	}
	for _, v := range values {
		if err := v.setting.apply(cfg, v.text, source{place: fmt.Sprintf("%s:%d", path, v.line)}); err != nil {
			return err
		}
	}
	return nil
}

// loadEnv reads the PAPERTAPE_ variables. An empty variable counts as not set. A variable that is
// not a setting is an error.
func (s *Settings) loadEnv(cfg *Config, environ []string) error {
	known := make(map[string]*setting, len(s.list))
	for i := range s.list {
		known[strings.TrimPrefix(s.list[i].env(), envPrefix)] = &s.list[i]
	}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		rest, ours := strings.CutPrefix(name, envPrefix)
		if !ours || value == "" {
			continue
		}
		st := known[rest]
		if st == nil {
			if isOtherEnv(rest) {
				continue
			}
			return unknown(name, nearest(rest, maps.Keys(known)), envPrefix)
		}
		if err := st.apply(cfg, value, source{place: name, named: true}); err != nil {
			return err
		}
	}
	return nil
}

// isOtherEnv reports whether a PAPERTAPE_ variable is something other than a server setting:
// variables of other commands and of tests, and those that Kubernetes sets in every container next
// to a service named papertape.
func isOtherEnv(rest string) bool {
	return rest == "CONFIG" || rest == "SERVER" || rest == "CI" || strings.HasPrefix(rest, "TEST_") ||
		rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

// unknown returns the error for a name that is not a setting. near, if not empty, is suggested
// instead.
func unknown(place, near, prefix string) error {
	if near != "" {
		return Errorf("%s is not a setting; did you mean %s%s?", place, prefix, near)
	}
	return Errorf("%s is not a setting; papertape serve --help lists them", place)
}
