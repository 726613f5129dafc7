package console

import "net/http"

const keysReloadPath = "/api/v1/keys/reload"

// KeysReload is what reading the file of keys again has changed: the ids of keys.
type KeysReload struct {
	Keys          int      `json:"keys"` // that there are now
	Added         []string `json:"added"`
	Gone          []string `json:"gone"`
	Expired       []string `json:"expired"`
	Less          []string `json:"less"` // that grant less than before
	SessionsEnded int      `json:"sessions_ended"`
}

// reloadKeys reads the file of keys again. It goes on when the audit cannot be written, since it is how
// a key is revoked.
func (s *Server) reloadKeys(w http.ResponseWriter, _ *http.Request) {
	r, err := s.cfg.ReloadKeys()
	if err != nil {
		fail(w, http.StatusConflict, codeConflict, "nothing was changed: "+err.Error())
		return
	}
	answer(w, r)
}
