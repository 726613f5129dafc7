//go:build !linux

package console

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Where sockets have no abstract names, they are files in a directory that only its owner may enter.
// That says who is at the other end, on both sides.

// socketDir returns the directory of this user's sockets.
func socketDir() string { return filepath.Join("/tmp", fmt.Sprintf("papertape-%d", os.Geteuid())) }

// checkSocketDir returns an error if others may have made the directory, or may enter it.
func checkSocketDir(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(owner.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
		return fmt.Errorf("console: %s is not a directory of this user alone", dir)
	}
	return nil
}

// ListenSocket listens on the socket of the console at an address. The caller holds the address, so a file
// that is there is left over.
func ListenSocket(address string) (net.Listener, error) {
	name, ok := socketName(address)
	if !ok {
		return nil, fmt.Errorf("console: there is no socket for %s", address)
	}
	dir := socketDir()
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := checkSocketDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name)
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

func dialSocket(ctx context.Context, name string) (net.Conn, error) {
	dir := socketDir()
	if err := checkSocketDir(dir); err != nil {
		return nil, err
	}
	var d net.Dialer
	return d.DialContext(ctx, "unix", filepath.Join(dir, name))
}

// peerUID returns the user of the process at the other end of a socket, which is in a directory that
// nobody else may enter.
func peerUID(net.Conn) (uid int, err error) { return os.Geteuid(), nil }

func isServer(net.Conn, string) bool { return true }
