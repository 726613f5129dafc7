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

// Settings is the registry of all keys: flags, environment and files are read through it.
type Settings struct {
	list  []setting
	names map[string]*setting // by every spelling that a file may use
}

// FileFlag is the name of the flag with the file to read.
const FileFlag = "config"

const (
	envPrefix = "PAPERTAPE_"
	fileEnv   = envPrefix + "CONFIG"
)

// NewSettings returns all settings that there are.
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

// Register adds a flag for each key, and --config. What flags say is judged by Load, like the rest.
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

// flagText is the pflag.Value of every key: it keeps what was written, for Load to judge.
type flagText struct{ text, kind string }

func (f *flagText) Set(text string) error { f.text = text; return nil }
func (f *flagText) String() string        { return f.text }
func (f *flagText) Type() string          { return f.kind }

// pathText is the pflag.Value of --config.
type pathText struct{ flagText }

func (p *pathText) Set(text string) error {
	if err := userfile.CheckPath(text); err != nil {
		return err
	}
	return p.flagText.Set(text)
}

// Load puts defaults, file, environment and flags together and checks the result. fs is the set given to Register,
// after it was parsed; environ is as os.Environ returns it. It reads afresh each time, so it serves a reload too. A
// value that is bad is an error also where a stronger place overrides it.
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

// apply sets the value of one key from a text.
func (st *setting) apply(cfg *Config, text string, from source) error {
	if err := st.set(cfg, text); err != nil {
		return Errorf("%s: %w", from.of(st.key), err)
	}
	cfg.sources[st.key] = from
	return nil
}

// filePath is the file to read: that of the flag, else that of the environment, else none.
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
		return Errorf("%w", err) // which begins with FILE:LINE, as those of parseFile do
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

// loadEnv reads the PAPERTAPE_ variables. An empty one counts as not set; one that is no setting is an error.
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

// isOtherEnv tells the PAPERTAPE_ variables that are no settings of a server: those of other commands and of tests, and
// those that Kubernetes puts into every container beside a service of the name papertape.
func isOtherEnv(rest string) bool {
	return rest == "CONFIG" || rest == "SERVER" || strings.HasPrefix(rest, "TEST_") ||
		rest == "PORT" || strings.HasPrefix(rest, "PORT_") || strings.HasPrefix(rest, "SERVICE_")
}

// unknown is the error about a name that is no setting. near, if not empty, is what may have been meant.
func unknown(place, near, prefix string) error {
	if near != "" {
		return Errorf("%s is not a setting; did you mean %s%s?", place, prefix, near)
	}
	return Errorf("%s is not a setting; papertape serve --help lists them", place)
}
