package main

import (
	"fmt"
	"strings"

	"github.com/papertape/papertape/cmd/papertape/process"
	"github.com/papertape/papertape/engine/gateway"
)

// check holds the rules that concern more than one setting, and reads the admin token.
func (c *Config) check() error {
	if !isLoopback(c.Listen) && !c.AllowPlaintext {
		return c.wrong("listen", "other machines reach %s, and this build neither encrypts nor authenticates; "+
			"use 127.0.0.1, or set allow_plaintext: true if the network is trusted", c.Listen)
	}
	if !isLoopback(c.Admin) && c.AdminTokenFile == "" {
		return c.wrong("admin", "other machines reach %s, and whoever reaches the console runs the server; "+
			"use 127.0.0.1, or name a file with a token in admin_token_file", c.Admin)
	}
	if c.AdminTokenFile != "" {
		var err error
		if c.AdminToken, err = readToken(c.AdminTokenFile); err != nil {
			return c.wrong("admin_token_file", "%w", err)
		}
	}
	if shards := orCores(c.Shards); c.Workers != 0 && c.Workers < shards {
		return c.wrong("workers", "%d workers cannot drain %d shards; write at least %d, or auto", c.Workers, shards, shards)
	}
	if c.OutboxTotalBytesMax < c.OutboxBytesMax {
		return c.wrong("outbox_total_bytes_max", "%s for all outboxes is less than outbox_bytes_max, %s for one",
			printSize(c.OutboxTotalBytesMax), printSize(c.OutboxBytesMax))
	}
	return nil
}

// Bounds of a token. A short one is guessed.
const (
	tokenMin = 16
	tokenMax = 4096
)

// readToken reads the token of the console from a file that its owner alone may read. White space around it does not
// count.
func readToken(path string) (string, error) {
	text, err := readText(path, tokenMax, ownersOnly)
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

const (
	filesReserved   = 1500 // of the process itself: journal, console, listeners, and room for connections being refused
	connectionsAuto = 100_000
)

// connectionsMax returns how many connections the server may have, after raising the limit of open files.
func connectionsMax(c *Config) (int, error) {
	limit, err := process.RaiseFileLimit()
	if err != nil {
		return 0, c.wrong("connections_max", "%w", err)
	}
	n, err := connectionsWithin(c.ConnectionsMax, limit)
	if err != nil {
		return 0, c.wrong("connections_max", "%w", err)
	}
	return n, nil
}

// connectionsWithin is configured (0: auto) if the hard limit of open files gives as much. Running out of files in
// the middle would end the event loops, so it is refused before the start.
func connectionsWithin(configured int, hardLimit uint64) (int, error) {
	if hardLimit <= filesReserved {
		return 0, fmt.Errorf("the hard limit of open files is %d, and the server keeps %d for itself; raise it (ulimit -Hn)",
			hardLimit, filesReserved)
	}
	available := hardLimit - filesReserved
	if configured == 0 {
		return int(min(available, connectionsAuto)), nil
	}
	if uint64(configured) > available {
		return 0, fmt.Errorf("%d connections are more than this machine gives: the hard limit of open files is %d, less %d for "+
			"the server itself leaves %d; write at most that, or auto, or raise the limit (ulimit -Hn)",
			configured, hardLimit, filesReserved, available)
	}
	return configured, nil
}

// limits are what the gateway holds connections to, of which there may be so many.
func (c *Config) limits(connections int) gateway.Limits {
	return gateway.Limits{
		ConnectionsMax: connections, ConnectionsPreloginMax: c.ConnectionsPreloginMax, ConnectionsPerIPMax: c.ConnectionsPerIPMax,
		ConnectionsPerSecondMax: c.ConnectionsPerSecondMax,
	}
}
