package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/papertape/papertape/audit"
	"github.com/papertape/papertape/cmd/papertape/config"
	"github.com/papertape/papertape/console"
	"github.com/papertape/papertape/keys"
)

const (
	tokenFile = "admin.token" // in the data directory: a token of role operate, made at the first start
	auditFile = "audit.log"   // in the data directory, unless audit_file is set

	headInterval = time.Hour // between two lines of the log with the hash of the audit's newest line
)

// access is who may ask the console by HTTP, and the record of what was changed. What is in the data
// directory is added when the directory is this server's.
type access struct {
	audit *audit.Log
	keys  *keys.Store                           // of auth.keys_file; nil: none. Set before the console serves
	given atomic.Pointer[console.Authenticator] // the token in admin_token_file
	made  atomic.Pointer[console.Authenticator] // the token in the data directory
}

func newAccess(cfg *config.Config) *access {
	a := &access{audit: audit.New(audit.Options{})}
	a.setGiven(cfg.AdminToken)
	return a
}

// setGiven sets the token of admin_token_file.
func (a *access) setGiven(token string) {
	if token == "" {
		a.given.Store(nil)
		return
	}
	known := console.Token(token)
	a.given.Store(&known)
}

// Authenticate implements console.Authenticator.
func (a *access) Authenticate(bearer string, from netip.Addr) (console.Identity, bool) {
	for _, token := range []*console.Authenticator{a.given.Load(), a.made.Load()} {
		if token != nil {
			if who, ok := (*token).Authenticate(bearer, from); ok {
				return who, true
			}
		}
	}
	return a.byKey(bearer, from)
}

// byKey returns whose key of auth.keys_file a bearer is, written as ID.SECRET.
func (a *access) byKey(bearer string, from netip.Addr) (console.Identity, bool) {
	if a.keys == nil {
		return console.Identity{}, false
	}
	k, refusal := a.keys.Bearer(bearer, from, time.Now())
	if refusal != keys.Granted {
		return console.Identity{}, false
	}
	who := console.Identity{Key: k.ID, Name: k.Name}
	switch k.Role {
	case keys.Watch:
		who.Role = console.Watch
	case keys.Operate:
		who.Role = console.Operate
	case keys.Read, keys.Trade: // they are for clients: known, and may do nothing here
	}
	return who, true
}

// anonymousRole returns what somebody may do by HTTP without a key: read, where only this machine reaches the
// console and its operator has not asked for a token.
func anonymousRole(cfg *config.Config) console.Role {
	if config.IsLoopback(cfg.Admin) && cfg.AdminToken == "" && cfg.AuthKeysFile == "" {
		return console.Watch
	}
	return console.Nobody
}

// openAccess opens the audit, and makes the token, once the data directory is locked. Without one, the audit
// is in memory.
func (s *server) openAccess() error {
	a := s.access
	if s.ledger == nil {
		if err := a.audit.OpenMemory(); err != nil {
			return err
		}
		s.noteStart()
		return nil
	}
	path := s.cfg.AuditFile
	if path == "" {
		path = filepath.Join(s.cfg.Data, auditFile)
	}
	if err := a.audit.Open(path); err != nil {
		return config.Errorf("audit_file: %w", err)
	}
	token, err := s.makeToken(filepath.Join(s.cfg.Data, tokenFile))
	if err != nil {
		return config.Errorf("data: %w", err)
	}
	known := console.Token(token)
	a.made.Store(&known)
	s.noteStart()
	return nil
}

// noteStart begins this run in the audit. A disk that is full does not keep a server from starting.
func (s *server) noteStart() {
	s.note(audit.Record{What: "start", Detail: fmt.Sprintf("papertape %s, process %d, durability %s, admin %s", version,
		os.Getpid(), s.cfg.Durability, s.cfg.Admin)})
}

// note writes what the server itself does to the audit, or to the log if that fails.
func (s *server) note(r audit.Record) {
	r.Step = audit.Noted
	if _, err := s.access.audit.Write(r); err != nil {
		s.log.Log().Err(err).Interface("line", r).Msg("the audit cannot be written, and this went on")
	}
}

// closeAccess ends the audit, while the data directory is still locked.
func (s *server) closeAccess() error {
	if c := s.console.Load(); c != nil {
		c.FlushRefusals()
		c.FlushQuotes()
	}
	if s.recovered.Load() {
		s.note(audit.Record{What: "stop"})
		if s.ledger != nil {
			s.logHead()
		}
	}
	return s.access.audit.Close()
}

// logHead logs the hash of the newest line of the audit at any level: kept elsewhere, it proves that the lines
// up to it were not changed.
func (s *server) logHead() {
	number, hash := s.access.audit.Head()
	s.log.Log().Uint64("number", number).Str("hash", hash).Msg("audit head")
}

// logHeads logs the head every hour until ctx ends.
func (s *server) logHeads(ctx context.Context, running *sync.WaitGroup) {
	if s.ledger == nil {
		return
	}
	running.Go(func() {
		every := time.NewTicker(headInterval)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
				s.logHead()
			}
		}
	})
}

// makeToken reads the token of a data directory, or makes it. A token that others could read is no secret any
// more, so another takes its place.
func (s *server) makeToken(path string) (string, error) {
	switch token, err := config.ReadToken(path); {
	case err == nil:
		return token, nil
	case !errors.Is(err, fs.ErrNotExist):
		s.log.Warn().Err(err).Msg("the token of the data directory could not be used, and another was made")
	}
	token := rand.Text()
	temporary := path + ".new" // so that it is there as a whole or not at all
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(token + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	return token, err
}
