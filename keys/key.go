package keys

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/papertape/papertape/usertext"
)

// Bounds of a key's texts, in bytes.
const (
	IDBytesMax   = 64
	NameBytesMax = 64
)

// sourcesMax is how many source addresses a key may list.
const sourcesMax = 64

// Role is what a key may do.
type Role uint8

// The roles. The first two log in to accounts, the others ask the console.
const (
	Read    Role = iota + 1 // see accounts
	Trade                   // see accounts and send orders
	Watch                   // look at the server
	Operate                 // run the server
)

var roleNames = []string{Read: "read", Trade: "trade", Watch: "watch", Operate: "operate"}

// ParseRole reads the name of a role.
func ParseRole(text string) (Role, error) {
	if i := slices.Index(roleNames[1:], text); i >= 0 {
		return Role(i + 1), nil //nolint:gosec // there are four
	}
	return 0, fmt.Errorf("there is no role %s; write read, trade, watch or operate", echo(text))
}

// String returns the role's name.
func (r Role) String() string {
	if r < Read || r > Operate {
		return "none"
	}
	return roleNames[r]
}

// LogsIn reports whether the role may log in to accounts.
func (r Role) LogsIn() bool { return r == Read || r == Trade }

// Key is what a server knows of a key.
type Key struct {
	ID       string
	Verifier Verifier
	Role     Role
	Accounts Accounts
	Name     string         // for people
	Expires  time.Time      // from then on it is refused; zero: never
	From     []netip.Prefix // addresses that it may be used from; none: any
}

// NewID returns a random id.
func NewID() string { return "PK" + rand.Text()[:14] }

// CheckID returns what is wrong with an id. Colons and blanks would not survive where an id and a secret are
// written as one word.
func CheckID(id string) error {
	ok := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	if id == "" || len(id) > IDBytesMax || strings.ContainsFunc(id, func(r rune) bool { return !ok(r) }) {
		return fmt.Errorf("the id %s must be 1 to %d letters, digits, dashes, underscores or dots", echo(id),
			IDBytesMax)
	}
	return nil
}

// CheckName returns what is wrong with a name.
func CheckName(name string) error {
	if err := usertext.CheckLine(name, NameBytesMax); err != nil {
		return fmt.Errorf("the name %w", err)
	}
	if strings.ContainsAny(name, `"\`) {
		return errors.New("the name must have no quotation mark and no backslash")
	}
	return nil
}

// Check returns what is wrong with a key.
func (k *Key) Check() error {
	switch err := CheckID(k.ID); {
	case err != nil:
		return err
	case k.Role.LogsIn() && k.Accounts.None():
		return fmt.Errorf("a key of role %s needs accounts, as in 100001,100010-100019, or *", k.Role)
	case !k.Role.LogsIn() && !k.Accounts.None():
		return fmt.Errorf("a key of role %s has no accounts; write -", k.Role)
	case len(k.From) > sourcesMax:
		return fmt.Errorf("there are %d source addresses; write at most %d", len(k.From), sourcesMax)
	}
	if k.Name == "" {
		return errors.New("the key has no name; write name=")
	}
	return CheckName(k.Name)
}

// Expired reports whether the key is no longer valid.
func (k *Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Allows reports whether the key may be used from an address.
func (k *Key) Allows(from netip.Addr) bool {
	from = from.Unmap().WithZone("")
	return len(k.From) == 0 || slices.ContainsFunc(k.From, func(p netip.Prefix) bool { return p.Contains(from) })
}

// grantsLess reports whether somebody may do less with a key than with what it was before.
func (k *Key) grantsLess(before *Key) bool {
	if k.Role != before.Role && (k.Role != Trade || before.Role != Read) {
		return true
	}
	return !k.Accounts.Covers(&before.Accounts) || !coverSources(k.From, before.From)
}

// coverSources reports whether every address of b is in a too.
func coverSources(a, b []netip.Prefix) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == 0
	}
	return !slices.ContainsFunc(b, func(one netip.Prefix) bool {
		return !slices.ContainsFunc(a, func(p netip.Prefix) bool {
			return p.Bits() <= one.Bits() && p.Contains(one.Addr())
		})
	})
}

// echo quotes a text for an error message, and cuts it if it is long.
func echo(text string) string {
	const most = 64
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return fmt.Sprintf("%q", text)
}
