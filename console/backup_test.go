package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// TestBackup makes backups through the client, with the token and without.
func TestBackup(t *testing.T) {
	f := newFixture(t, "0123456789abcdef")
	b, err := f.client.Backup(t.Context(), "/var/backups/papertape-1")
	if want := (Backup{Out: "/var/backups/papertape-1", Bytes: 4711}); err != nil || b != want {
		t.Errorf("backup: %+v, %v, want %+v", b, err, want)
	}
	if w := f.ask("POST", backupPath, `{"out":"/b"}`); w.Code != http.StatusUnauthorized {
		t.Errorf("without the token: %d", w.Code)
	}
	if len(f.backups) != 1 || f.backups[0] != "/var/backups/papertape-1" {
		t.Errorf("the journal was asked for %q", f.backups)
	}
	for cause, want := range map[error]Error{
		Conflict("/b exists"): {Status: 409, Code: "conflict", Text: "/b exists"},
		fmt.Errorf("%w: recovering", ErrNotReady): {
			Status: 503, Code: "not_ready", Text: "the server is not ready: recovering",
		},
		errors.New("write /b: no space left there"): {
			Status: 500, Code: "internal", Text: "the backup failed: write /b: no space left there",
		},
	} {
		f.backupErr = cause
		_, err := f.client.Backup(t.Context(), "/b")
		var answered *Error
		if !errors.As(err, &answered) || !reflect.DeepEqual(*answered, want) {
			t.Errorf("%v: %+v, want %+v", cause, err, want)
		}
	}
	f.server.cfg.Backup = nil
	if w := f.ask("POST", backupPath, `{"out":"/b"}`, "Authorization", "Bearer 0123456789abcdef"); w.Code != 409 ||
		!strings.Contains(w.Body.String(), "durability: none") {
		t.Errorf("where nothing is kept: %d %s", w.Code, w.Body)
	}
}

// TestBackupRefused: a malformed path never reaches the journal.
func TestBackupRefused(t *testing.T) {
	f := newFixture(t, "")
	for body, want := range map[string]string{
		`{}`:                            "the directory is missing",
		`{"out":"../backup"}`:           "is not an absolute path",
		`{"out":"./backup"}`:            "is not an absolute path",
		`{"out":"/a/../b"}`:             `write \"/b\"`,
		`{"out":"/a/"}`:                 `write \"/a\"`,
		`{"out":"/a\u202eb"}`:           `\"/a\\u202eb\" has characters that do not belong in a path`,
		`{"out":"/a\nb"}`:               "characters that do not belong in a path",
		`{"out":"/b","also":1}`:         `there is no \"also\" here; it takes out`,
		`{"out":7}`:                     "out must be a string, and is a number",
		`{"out":"/b"}{"out":"/c"}`:      "after top-level value",
		`{"out":"/` + long(5000) + `"`:  "not what is expected",
		`{"out":"/` + long(5000) + `"}`: "at most 4096 are taken",
	} {
		if w := f.ask("POST", backupPath, body); w.Code != 400 || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%.40s: %d %s, want 400 %s", body, w.Code, w.Body, want)
		}
	}
	if w := f.ask("POST", backupPath, `{"out":"/b"}`, "Sec-Fetch-Site", "cross-site"); w.Code != 403 {
		t.Errorf("a page of another site: %d", w.Code)
	}
	if w := f.ask("GET", backupPath, ""); w.Code != 405 {
		t.Errorf("GET: %d", w.Code)
	}
	if len(f.backups) != 0 {
		t.Errorf("the journal was asked for %q", f.backups)
	}
}

func long(n int) string { return strings.Repeat("x", n) }

// TestBackupDeadline: a backup may take longer than other answers.
func TestBackupDeadline(t *testing.T) {
	f := newFixture(t, "")
	f.server.cfg.Backup = func(string) (int64, error) {
		time.Sleep(600 * time.Millisecond)
		return 1, nil
	}
	hasty := httptest.NewUnstartedServer(f.server.http.Handler)
	hasty.Config.WriteTimeout = 200 * time.Millisecond
	hasty.Start()
	defer hasty.Close()
	if b, err := NewClient(hasty.Listener.Addr().String(), "").Backup(t.Context(), "/b"); err != nil || b.Bytes != 1 {
		t.Errorf("a backup that takes longer than the WriteTimeout: %+v, %v", b, err)
	}
}
