package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/papertape/papertape/usertext"
)

// CredentialBytesMax is the most that is read of a file with a credential.
const CredentialBytesMax = 16 << 10

// Credential is what the holder of a key has.
type Credential struct {
	ID     string
	Secret Secret
}

// ParseCredential reads what papertape keys add printed, or wrote to a file: the last line that is not blank is the id
// and the secret. The error contains neither.
func ParseCredential(text []byte) (c Credential, err error) {
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	words := strings.Fields(lines[len(lines)-1])
	if len(words) != 2 || CheckID(words[0]) != nil {
		return c, errors.New("the last line must be the id of a key, a blank, and its secret")
	}
	c.ID = words[0]
	c.Secret, err = ParseSecret(words[1])
	return c, err
}

// ReadCredential reads a credential from a file that nobody else may read.
func ReadCredential(path string) (c Credential, err error) {
	f, err := openSecret(path, false)
	if err != nil {
		return c, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	raw, err := io.ReadAll(io.LimitReader(f, CredentialBytesMax))
	if err != nil {
		return c, usertext.Unreadable(path, err)
	}
	text, err := usertext.ReadNamed(bytes.NewReader(raw), path, CredentialBytesMax)
	if err != nil {
		return c, err
	}
	if c, err = ParseCredential(text); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Line returns the credential as ParseCredential reads it.
func (c *Credential) Line() string { return c.ID + " " + c.Secret.Reveal() }
