package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ListenSocket listens on the socket of the console at an address. It has no file: an abstract name is
// gone with the process, and every process in the same network namespace can reach it.
func ListenSocket(address string) (net.Listener, error) {
	name, ok := socketName(address)
	if !ok {
		return nil, fmt.Errorf("console: there is no socket for %s", address)
	}
	return net.Listen("unix", "@"+name)
}

func dialSocket(ctx context.Context, name string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "unix", "@"+name)
}

// peerUID returns the user of the process at the other end of a socket: of the one that connected, or
// that listens.
func peerUID(conn net.Conn) (uid int, err error) {
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return 0, errors.New("it is no unix socket")
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var peer *unix.Ucred
	var failed error
	err = raw.Control(func(fd uintptr) {
		peer, failed = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, err
	}
	return int(peer.Uid), nil
}

// isServer reports whether the other end of a socket is the console at an address. Anybody may take an
// abstract name. For root, whose server may run as another user, it must be the user whose the address
// itself is.
func isServer(conn net.Conn, address string) bool {
	uid, err := peerUID(conn)
	if err != nil {
		return false
	}
	mine := os.Geteuid()
	return isOurs(uid, mine) || mine == 0 && listensOn(uid, address)
}

// listensOn reports whether nobody but a user, and root, listens on the port of an address.
func listensOn(uid int, address string) bool {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return false
	}
	found := false
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		text, err := os.ReadFile(table)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(strings.NewReader(string(text)))
		for lines.Scan() {
			const listening = "0A"
			field := strings.Fields(lines.Text()) // number, local, remote, state, queues, timer, retransmits, uid …
			if len(field) < 8 || field[3] != listening ||
				!strings.HasSuffix(field[1], fmt.Sprintf(":%04X", number)) {
				continue
			}
			if field[7] != strconv.Itoa(uid) {
				return false
			}
			found = true
		}
	}
	return found
}
