package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/papertape/papertape/usertext"
)

const (
	backupTimeout   = 30 * time.Minute // a copy to another disk may take long
	pathBytesMax    = 4096
	backupPath      = "/api/v1/backup"
	nothingToBackUp = "this server keeps nothing on disk (durability: none), so there is nothing to back up"
)

// ErrNotReady is wrapped by the errors of Books and Backup while a server is starting. The
// client gets the whole sentence.
var ErrNotReady = errors.New("the server is not ready")

// Conflict is returned by Backup if the request is right but cannot be done now: the directory
// exists, or another backup is running. It is a sentence for the client.
type Conflict string

// Error returns the sentence.
func (c Conflict) Error() string { return string(c) }

// Backup is a copy of a server's ledger.
type Backup struct {
	Out   string `json:"out"`   // the directory, on the server's machine
	Bytes int64  `json:"bytes"` // size of its files
}

type backupRequest struct {
	Out string `json:"out"`
}

// backup has the journal write a copy of itself.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	var body backupRequest
	err := decodeBody(w, r, &body)
	named := body.Out
	if err == nil && s.cfg.BackupDir != "" && filepath.IsLocal(named) && filepath.Clean(named) == named {
		named = filepath.Join(s.cfg.BackupDir, named)
	}
	if err == nil {
		err = checkOut(named)
	}
	if err != nil {
		badRequest(w, err.Error())
		return
	}
	if !connOf(r).socket {
		if err := s.checkBackupDir(named); err != nil {
			fail(w, http.StatusForbidden, codeForbidden, err.Error())
			return
		}
	}
	if s.cfg.Backup == nil {
		fail(w, http.StatusConflict, codeConflict, nothingToBackUp)
		return
	}
	body.Out = named
	extendDeadline(w, backupTimeout)
	began := time.Now()
	size, err := s.cfg.Backup(body.Out)
	var conflict Conflict
	switch {
	case err == nil:
		s.cfg.Log.Info().Str("out", body.Out).Int64("bytes", size).Dur("took_ms", time.Since(began)).
			Func(signedBy(r)).Msg("backed up")
		answer(w, Backup{Out: body.Out, Bytes: size})
	case errors.As(err, &conflict):
		fail(w, http.StatusConflict, codeConflict, err.Error())
	case errors.Is(err, ErrNotReady):
		fail(w, http.StatusServiceUnavailable, codeNotReady, err.Error())
	default:
		s.cfg.Log.Error().Err(err).Str("out", body.Out).Str("by", remoteOf(r)).Msg("the backup failed")
		fail(w, http.StatusInternalServerError, codeInternal, "the backup failed: "+err.Error())
	}
}

// checkOut returns what is wrong with the path of a directory that is to be created.
func checkOut(out string) error {
	switch {
	case out == "":
		return errors.New(`the directory is missing: ` +
			`write {"out": "/var/backups/papertape-1"}, a path on the server's machine`)
	case !filepath.IsAbs(out):
		return fmt.Errorf("%q is not an absolute path; "+
			"write where the backup goes on the server's machine, beginning with /", out)
	case len(out) > pathBytesMax:
		return fmt.Errorf("the path is %d bytes long; at most %d are taken", len(out), pathBytesMax)
	case hidden(out):
		return fmt.Errorf("%q has characters that do not belong in a path", out)
	case filepath.Clean(out) != out:
		return fmt.Errorf("%q has more in it than it says; write %q", out, filepath.Clean(out))
	}
	return nil
}

// checkBackupDir returns why a backup that is asked for by HTTP may not be made at a place: it may only
// be below the directory that the operator has set aside, whatever links are in there.
func (s *Server) checkBackupDir(out string) error {
	if s.cfg.BackupDir == "" {
		return errors.New("by HTTP this server makes no backups, since none of its directories is for them: " +
			"set backup_dir, or ask on the server's machine with papertape backup")
	}
	name, err := filepath.Rel(s.cfg.BackupDir, out)
	if err != nil || name == "." || !filepath.IsLocal(name) {
		return fmt.Errorf("by HTTP backups are made below %s, and %s is not", s.cfg.BackupDir, out)
	}
	root, err := os.OpenRoot(s.cfg.BackupDir)
	if err != nil {
		return fmt.Errorf("backup_dir cannot be used: %w", err)
	}
	defer root.Close() //nolint:errcheck // nothing was written
	if _, err := root.Stat(filepath.Dir(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("by HTTP backups are made below %s: %w", s.cfg.BackupDir, err)
	}
	return nil
}

// hidden reports whether a path contains characters that make it look like another.
func hidden(path string) bool {
	_, hides := usertext.Hidden(path)
	return hides
}

// Backup has the server write a copy of its ledger into a new directory on the server's
// machine. out is an absolute path there.
func (c *Client) Backup(ctx context.Context, out string) (Backup, error) {
	body, err := json.Marshal(backupRequest{out})
	if err != nil {
		return Backup{}, fmt.Errorf("the path %q cannot be sent: %w", out, err)
	}
	patient := *c
	patient.http.Timeout = backupTimeout
	var b Backup
	err = patient.do(ctx, http.MethodPost, backupPath, body, &b)
	return b, err
}
