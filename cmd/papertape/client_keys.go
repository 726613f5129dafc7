package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"github.com/papertape/papertape/audit"
	"github.com/papertape/papertape/client"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/cmd/papertape/userfile"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/keys"
)

// openKeys reads the keys that clients log in with. It returns nil if they need none.
func openKeys(cfg *config.Config) (*keys.Store, error) {
	if cfg.AuthKeysFile == "" {
		return nil, nil
	}
	s, err := keys.Open(cfg.AuthKeysFile)
	if err != nil {
		return nil, cfg.Wrong("auth.keys_file", "%w", err)
	}
	return s, nil
}

// keysReload is what reading the keys again has changed.
type keysReload struct {
	*keys.Change
	SessionsEnded int
}

// reloadKeys reads the keys again, and ends the sessions of those that were revoked, have expired or
// grant less. It returns nil if clients need no keys. After an error nothing has changed. Any
// goroutine may call it.
func (s *server) reloadKeys() (*keysReload, error) {
	if s.keys == nil {
		return nil, nil
	}
	change, err := s.keys.Reload()
	if err != nil {
		return nil, s.cfg.Wrong("auth.keys_file", "%w", err)
	}
	r := &keysReload{change, s.gw.KeysChanged()}
	if c := s.console.Load(); c != nil {
		c.KeysChanged()
	}
	s.log.Info().Int("keys", r.Keys).Strs("added", idsOf(r.Added)).Strs("gone", idsOf(r.Gone)).
		Strs("expired", idsOf(r.Expired)).Strs("less", idsOf(r.Less)).Int("sessions_ended", r.SessionsEnded).
		Msg("keys reloaded")
	s.note(audit.Record{What: "keys", Detail: fmt.Sprintf("added %v, gone %v, expired %v, less %v, sessions ended: %d",
		idsOf(r.Added), idsOf(r.Gone), idsOf(r.Expired), idsOf(r.Less), r.SessionsEnded)})
	return r, nil
}

// reloadKeysFor is reloadKeys for the console.
func (s *server) reloadKeysFor() (console.KeysReload, error) {
	r, err := s.reloadKeys()
	if err != nil {
		return console.KeysReload{}, err
	}
	return console.KeysReload{
		Keys: r.Keys, Added: idsOf(r.Added), Gone: idsOf(r.Gone), Expired: idsOf(r.Expired), Less: idsOf(r.Less),
		SessionsEnded: r.SessionsEnded,
	}, nil
}

// idsOf returns the ids of keys. It is an empty list, and not nil, for a log of JSON.
func idsOf(list []*keys.Key) []string {
	ids := make([]string, len(list))
	for i, k := range list {
		ids[i] = k.ID
	}
	return ids
}

// keyFlag is a file with the id and the secret of a key. It is read when the flag is, so that a
// wrong file is told of before anything begins.
type keyFlag struct {
	path string
	key  *client.Key
}

func (f *keyFlag) register(flags *pflag.FlagSet) {
	flags.Var(f, "key", "`file` with the key to log in with, as papertape keys add --out writes it")
}

// Set reads the file.
func (f *keyFlag) Set(path string) error {
	if err := userfile.CheckPath(path); err != nil {
		return err
	}
	text, err := userfile.ReadSecret(path, keys.CredentialBytesMax)
	if err != nil {
		return err
	}
	key, err := client.ParseKey(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	f.path, f.key = path, key
	return nil
}

func (f *keyFlag) String() string { return f.path }

// Type is what the help calls it.
func (*keyFlag) Type() string { return config.KindText }
