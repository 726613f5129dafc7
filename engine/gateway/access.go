package gateway

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/keys"
)

// revokedText goes with the GOODBYE to a session whose key was revoked.
const revokedText = "the key was revoked"

// nonce returns the nonce of a connection. It is computed again at each LOGIN, so that no connection has to keep it.
// Nobody else can know it beforehand, and no other connection of this process has the same.
func (g *Gateway) nonce(uid uint64) []byte {
	mac := hmac.New(sha256.New, g.nonceKey[:])
	_, _ = mac.Write(binary.BigEndian.AppendUint64(nil, uid)) // never fails
	return mac.Sum(nil)
}

// askForProof sets what WELCOME says where keys are needed.
func (g *Gateway) askForProof(w *papertapev1.Welcome) *papertapev1.Welcome {
	if g.cfg.Keys != nil {
		w.Nonce, w.ProofVersion = g.nonce(w.GetUid()), keys.ProofVersion
	}
	return w
}

// authorize checks the key of a LOGIN. It returns nil if the session may log in to the account. Whether
// there is such an account is not known here, and so cannot be told from the answer. The answer to a key
// that does not exist is that to a wrong proof.
func (l *loop) authorize(s *Session, in *codec.Login) *codec.Error {
	g := l.gw
	if g.cfg.Keys == nil {
		return nil
	}
	given := in.KeyID != "" || len(in.ClientNonce) > 0 || len(in.Proof) > 0
	if bad := checkLoginForm(in); bad != nil && given {
		return bad
	}
	from := addressOf(s.RemoteAddr())
	if !g.attempts.mayTry(from, time.Since(g.start)) {
		g.stats.AuthLimited.Add(1)
		return &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_BUSY,
			Text: "too many logins from your address were refused: try again"}
	}
	if !given {
		g.noteFailure(from, "", keys.Unproved)
		return &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_UNAUTHORIZED,
			Text: "this server asks for a key: LOGIN needs key_id, client_nonce and proof"}
	}
	key, refusal := g.cfg.Keys.Login(&keys.Login{
		KeyID: in.KeyID, Nonce: g.nonce(s.uid), ClientNonce: in.ClientNonce, Proof: in.Proof, Account: in.Account,
		From: from, Now: time.Now(),
	})
	if refusal != keys.Granted {
		g.noteFailure(from, in.KeyID, refusal)
		return &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_UNAUTHORIZED, Text: refusal.String()}
	}
	s.key = key
	return nil
}

// readOnly reports whether a session may make no orders. Without keys, every session may.
func (s *Session) readOnly() bool { return s.key != nil && s.key.Role != keys.Trade }

// checkLoginForm returns what is wrong with the form of what a LOGIN says of its key.
func checkLoginForm(in *codec.Login) *codec.Error {
	malformed := func(format string, args ...any) *codec.Error {
		return &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_MALFORMED, Text: fmt.Sprintf(format, args...)}
	}
	switch {
	case in.KeyID == "" || len(in.KeyID) > keys.IDBytesMax || !isPrintable(in.KeyID):
		return malformed("the key_id has %d bytes; it must be 1 to %d of printable ASCII", len(in.KeyID),
			keys.IDBytesMax)
	case len(in.ClientNonce) != keys.NonceBytes:
		return malformed("the client_nonce has %d bytes; it must be %d", len(in.ClientNonce), keys.NonceBytes)
	case len(in.Proof) != keys.ProofBytes:
		return malformed("the proof has %d bytes; it must be %d", len(in.Proof), keys.ProofBytes)
	}
	return nil
}

func isPrintable(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// addressOf returns the IP address of a connection, or the zero value if it has none.
func addressOf(a net.Addr) netip.Addr {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	ip, _ := netip.AddrFromSlice(tcp.IP)
	return ip.Unmap()
}

// refuseReadOnly answers a request that makes an order, and whose session may only read.
func (l *loop) refuseReadOnly(s *Session, f codec.Frame) {
	l.reject(s, f.ID, papertapev1.RejectCode_REJECT_CODE_UNAUTHORIZED, readOnlyText)
}

const readOnlyText = "the key of this session is for reading, and sends no orders"

// unlessReadOnly replaces an answer with an order by a refusal, if the session may only read.
func (a Answer) unlessReadOnly(readOnly bool) Answer {
	if a.Order == nil || !readOnly {
		return a
	}
	return Answer{Reject: &codec.Error{Code: papertapev1.RejectCode_REJECT_CODE_UNAUTHORIZED, Text: readOnlyText}}
}

// KeysChanged ends the sessions whose keys are gone, have expired or grant less than before, and returns how many these
// are. Call it after keys.Store.Reload. Sessions whose keys stand follow them: what such a key grants more, they may.
func (g *Gateway) KeysChanged() int {
	if g.cfg.Keys == nil {
		return 0
	}
	before := g.stats.AuthRevoked.Load()
	now := time.Now()
	g.onEachLoop(func(l *loop) {
		l.now = g.millis()
		l.eachKeyed(func(s *Session) { l.judgeKey(s, now) })
	})
	return int(g.stats.AuthRevoked.Load() - before) //nolint:gosec // sessions
}

// eachKeyed calls f for the sessions that came in with a key. They are collected before, as f moves them in the wheel.
func (l *loop) eachKeyed(f func(*Session)) {
	var keyed []*Session
	l.wheel.each(func(s *Session) {
		if s.key != nil {
			keyed = append(keyed, s)
		}
	})
	for _, s := range keyed {
		if s.phase.Load() != phaseClosed {
			f(s)
		}
	}
}

func (l *loop) judgeKey(s *Session, now time.Time) {
	current, fate := l.gw.cfg.Keys.Still(s.key, now)
	switch fate {
	case keys.Stands:
		l.follow(s, current)
	case keys.RanOut:
		l.revoke(s, revokedText+": it has expired")
	case keys.GrantsLess:
		l.revoke(s, revokedText+": it grants less than before")
	default:
		l.revoke(s, revokedText)
	}
}

// follow has a session follow its key, which grants at least what it granted before.
func (l *loop) follow(s *Session, key *keys.Key) {
	watched := s.presenceSeat != 0 && key.Accounts.All() != s.key.Accounts.All()
	if watched {
		l.watch(s, false)
	}
	s.key = key
	if watched {
		l.watch(s, true)
	}
	l.schedule(s)
}

// revoke ends a session because of its key.
func (l *loop) revoke(s *Session, text string) {
	if s.endedByServer() {
		return
	}
	l.gw.stats.AuthRevoked.Add(1)
	s.decide(causeRevoked)
	l.closeAfterAnswers(s, papertapev1.GoodbyeReason_GOODBYE_REASON_KICKED, text, l.answersBy())
}

// keyDeadline returns when a session ends because its key expires, or d if that is earlier.
func (l *loop) keyDeadline(s *Session, d millis) millis {
	if s.key == nil || s.key.Expires.IsZero() {
		return d
	}
	return min(d, l.now+max(0, toMillis(time.Until(s.key.Expires))+1))
}

// keyExpired reports whether a session has to end because its key has expired.
func (s *Session) keyExpired() bool { return s.key != nil && s.key.Expired(time.Now()) }

// seesAll reports whether a session is told of the presence of all accounts.
func (g *Gateway) seesAll(s *Session) bool {
	return g.presence.all && (s.key == nil || s.key.Accounts.All())
}
