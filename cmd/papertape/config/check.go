package config

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/cmd/papertape/userfile"
)

// check enforces the rules that involve several settings, and reads the admin token.
func (c *Config) check() error {
	if err := c.loadTLS(); err != nil {
		return err
	}
	if !IsLoopback(c.Listen) && !c.AllowPlaintext && c.TLSConfig == nil {
		return c.Wrong("listen", "other machines reach %s, and nothing is encrypted; use 127.0.0.1, or name a "+
			"certificate in tls.cert and tls.key, or set allow_plaintext: true if the network is trusted", c.Listen)
	}
	if !IsLoopback(c.Listen) && c.AuthKeysFile == "" {
		return c.Wrong("listen",
			"other machines reach %s, and without keys whoever reaches it trades for any account; "+
				"use 127.0.0.1, or name a file of keys in auth.keys_file (papertape keys add makes one)", c.Listen)
	}
	if !IsLoopback(c.Admin) && c.AdminTokenFile == "" && c.AuthKeysFile == "" {
		return c.Wrong("admin", "other machines reach %s, and whoever reaches the console runs the server; "+
			"use 127.0.0.1, or name a file with a token in admin_token_file", c.Admin)
	}
	if c.AdminTokenFile != "" {
		var err error
		if c.AdminToken, err = ReadToken(c.AdminTokenFile); err != nil {
			return c.Wrong("admin_token_file", "%w", err)
		}
	}
	if shards := c.ShardCount(); c.Workers != 0 && c.Workers < shards {
		return c.Wrong("workers", "%d workers cannot drain %d shards; write at least %d, or auto", c.Workers, shards,
			shards)
	}
	if c.OutboxTotalBytesMax < c.OutboxBytesMax {
		return c.Wrong("outbox_total_bytes_max", "%s for all outboxes is less than outbox_bytes_max, %s for one",
			printSize(c.OutboxTotalBytesMax), printSize(c.OutboxBytesMax))
	}
	return c.checkPrices()
}

// The length of a token is bounded. A short one could be guessed.
const (
	tokenMin = 16
	tokenMax = 4096
)

// ReadToken reads the console's token from a file that only its owner may read. White space around
// the token is ignored.
func ReadToken(path string) (string, error) {
	text, err := userfile.ReadSecret(path, tokenMax)
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(text))
	if len(token) < tokenMin {
		return "", fmt.Errorf("the token in %s has %d characters; at least %d are needed", path, len(token), tokenMin)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", fmt.Errorf("the token in %s has to be one word of printable ASCII characters", path)
	}
	return token, nil
}
