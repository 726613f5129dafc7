package gateway

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	proxyproto "github.com/pires/go-proxyproto"

	papertapev1 "github.com/papertape/papertape/api/papertape/v1"
	"github.com/papertape/papertape/codec"
	"github.com/papertape/papertape/engine"
)

// headerOf is the header of a connection from client, as another implementation writes it.
func headerOf(t testing.TB, client string, local bool, more ...proxyproto.TLV) []byte {
	t.Helper()
	from := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(client))
	h := proxyproto.HeaderProxyFromAddrs(2, from, &net.TCPAddr{IP: from.IP, Port: 7300})
	if local {
		h.Command = proxyproto.LOCAL
	}
	if err := h.SetTLVs(more); err != nil {
		t.Fatal(err)
	}
	b, err := h.Format()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// proxyCases are headers, and whom they name.
func proxyCases(t testing.TB) map[string]string {
	unspecified := []byte(proxySignature + "\x21\x00\x00\x03abc")
	return map[string]string{
		string(headerOf(t, "203.0.113.7:40000", false)):          "203.0.113.7:40000",
		string(headerOf(t, "[2001:db8::7]:40000", false)):        "[2001:db8::7]:40000",
		string(headerOf(t, "[::ffff:203.0.113.7]:40000", false)): "203.0.113.7:40000",
		string(headerOf(t, "203.0.113.7:40000", true)):           "invalid AddrPort",
		string(headerOf(t, "203.0.113.7:1", false,
			proxyproto.TLV{Type: proxyproto.PP2_TYPE_AUTHORITY, Value: []byte("papertape.test")})): "203.0.113.7:1",
		string(unspecified): "invalid AddrPort",
	}
}

// TestCutProxyHeader cuts headers of another implementation, and each beginning of them.
func TestCutProxyHeader(t *testing.T) {
	t.Parallel()
	for header, want := range proxyCases(t) {
		for n := range header {
			if _, used, err := cutProxyHeader([]byte(header[:n])); used != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %d used, %v", n, len(header), used, err)
			}
		}
		client, n, err := cutProxyHeader([]byte(header + "the rest"))
		if err != nil || n != len(header) || client.String() != want {
			t.Errorf("%q: %v, %d of %d, %v; want %s", header, client, n, len(header), err, want)
		}
	}
	for name, bad := range map[string]string{
		"version 1":          "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
		"another signature":  "\r\n\r\n\x00\r\nQUIT\r",
		"version 3":          proxySignature + "\x31\x11\x00\x0c",
		"command 2":          proxySignature + "\x22\x11\x00\x0c",
		"UDP":                proxySignature + "\x21\x12\x00\x0c" + strings.Repeat("x", 12),
		"too short":          proxySignature + "\x21\x11\x00\x0b" + strings.Repeat("x", 11),
		"too short for IPv6": proxySignature + "\x21\x21\x00\x0c" + strings.Repeat("x", 12),
		"too long":           proxySignature + "\x21\x11\x02\x05",
	} {
		if _, _, err := cutProxyHeader([]byte(bad)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

// FuzzProxy compares with another implementation what both take.
func FuzzProxy(f *testing.F) {
	for header := range proxyCases(f) {
		f.Add([]byte(header))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		client, n, err := cutProxyHeader(b)
		if n < 0 || n > len(b) || n > proxyHeaderMax || err != nil && n != 0 {
			t.Fatalf("%d of %d bytes, %v", n, len(b), err)
		}
		for m := range n {
			if _, used, err := cutProxyHeader(b[:m]); used != 0 || err != nil {
				t.Fatalf("%d of %d bytes: %d used, %v", m, n, used, err)
			}
		}
		if n == 0 || !client.IsValid() {
			return
		}
		h, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return // it also reads the fields that are skipped here
		}
		tcp, ok := h.SourceAddr.(*net.TCPAddr)
		if !ok || tcp.AddrPort().Port() != client.Port() || tcp.AddrPort().Addr().Unmap() != client.Addr() {
			t.Fatalf("%v, another implementation reads %v", client, h.SourceAddr)
		}
	})
}

// TestProxiedClients has clients come through a trusted proxy, with and without TLS, and with the header in pieces.
func TestProxiedClients(t *testing.T) {
	t.Parallel()
	for _, withTLS := range []bool{false, true} {
		starts := start
		if withTLS {
			starts = startTLS
		}
		s := starts(t, func(g *Config, _ *engine.Config) {
			g.ProxyFrom, g.ConnectionsPerIPMax = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, 1
		})
		come := func(header []byte, piece int) *peer {
			p := s.peer(t)
			for b := header; len(b) > 0; b = b[min(piece, len(b)):] {
				p.write(b[:min(piece, len(b))])
			}
			if withTLS {
				p.tls = tls.Client(p.conn, clientTLS())
			}
			return p
		}
		a := come(headerOf(t, "203.0.113.7:40000", false), 1000)
		a.welcome()
		a.login(alice, quick, 0)
		a.trade(4)
		b := come(headerOf(t, "[2001:db8::7]:40001", false), 1)
		b.welcome()
		second := come(headerOf(t, "203.0.113.7:40002", false), 1000) // one too many of that address
		if withTLS {
			second.cut()
		} else {
			refusedAtTheDoor(t, second)
		}
		local, another := come(headerOf(t, "203.0.113.7:1", true), 1000), come(headerOf(t, "203.0.113.7:1", true), 1000)
		local.welcome() // the proxy asks for itself, and has no limit
		another.welcome()
		var seen []string
		for _, info := range s.gw.Sessions() {
			seen = append(seen, info.Remote)
		}
		want := []string{"203.0.113.7:40000", "[2001:db8::7]:40001"}
		for _, w := range append(want, local.conn.LocalAddr().String()) {
			if !strings.Contains(strings.Join(seen, " "), w) {
				t.Errorf("sessions from %v, want %s among them", seen, w)
			}
		}
		_ = a.conn.Close()
		eventually(t, "the first is gone", func() bool { return len(s.gw.Sessions()) == 3 })
		again := come(headerOf(t, "203.0.113.7:40003", false), 1000)
		again.welcome()
	}
}

// TestProxyHeaderRequired has a trusted proxy that sends none, a client that is none and sends one, and a check of a
// load balancer that only connects.
func TestProxyHeaderRequired(t *testing.T) {
	t.Parallel()
	s := start(t, func(g *Config, _ *engine.Config) {
		g.ProxyFrom = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
		g.LoginTimeout = time.Second
	})
	from := func(ip string) *peer {
		return s.peerWith(t, &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}})
	}
	check, silent := from("127.0.0.2"), from("127.0.0.2")
	eventually(t, "both have come", func() bool { return s.gw.Connections() == 2 })
	_ = check.conn.Close()
	liar := from("127.0.0.1")
	liar.write(headerOf(t, "203.0.113.7:40000", false))
	liar.welcome()
	liar.expect(codec.TypeReject)
	liar.goodbye(papertapev1.GoodbyeReason_GOODBYE_REASON_PROTOCOL)
	without := from("127.0.0.2")
	without.write(without.loginFrame(alice, quick, 0))
	without.cut()
	if len(without.buf) > 0 {
		t.Errorf("a proxy without a header was told %q", without.buf)
	}
	silent.cut() // after login_timeout, and without a word
	if len(silent.buf) > 0 {
		t.Errorf("a proxy that sent no header was told %q", silent.buf)
	}
	if n := s.gw.Stats().Accepted.Load(); n != 1 {
		t.Errorf("%d connections accepted, want 1: those of the proxy sent no header", n)
	}
}
