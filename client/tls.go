package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// alpn is the name of the protocol inside TLS.
const alpn = "papertape/1"

// ErrPlaintext is returned if a key is given for a connection that others could listen to, and that is not encrypted.
var ErrPlaintext = errors.New("a key would go over a connection that is not encrypted: " +
	"use TLS, or set AllowPlaintext if the network is trusted")

// encrypt begins TLS on a connection, if that is asked for. It refuses a connection that a key must not go over.
func encrypt(ctx context.Context, conn net.Conn, addr string, o *Options) (net.Conn, error) {
	if o.TLS == nil {
		if o.Key != nil && !o.AllowPlaintext && !private(conn) {
			return nil, ErrPlaintext
		}
		return conn, nil
	}
	cfg := o.TLS.Clone()
	cfg.MinVersion = tls.VersionTLS13
	cfg.NextProtos = []string{alpn}
	cfg.DynamicRecordSizingDisabled = true // what is written together is to arrive together
	if cfg.ServerName == "" {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fmt.Errorf("the name of the server: %w", err)
		}
		cfg.ServerName = host
	}
	sealed := tls.Client(conn, cfg)
	ctx, cancel := context.WithTimeout(ctx, loginPatience)
	defer cancel()
	if err := sealed.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return sealed, nil
}

// private says whether nobody but this machine sees what goes over a connection, or it is encrypted already.
func private(conn net.Conn) bool {
	if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		return true
	}
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return conn.RemoteAddr() != nil && conn.RemoteAddr().Network() != "tcp"
	}
	ip, ok := netip.AddrFromSlice(tcp.IP)
	return ok && ip.Unmap().IsLoopback()
}
