package console

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// DNS rebinding: a page from evil.example can later make that name resolve to 127.0.0.1. The
// browser then takes a console there for the page's own site, and lets the page read and write it.
// Only one thing gives the page away: Host is still evil.example. So a console answers only to names
// that its operator has configured, and to addresses, which nobody can make resolve elsewhere.

const localhost = "localhost"

// hosts are the names that a console answers to, besides localhost and addresses. They are in
// lower case, without ports.
type hosts map[string]bool

// newHosts takes names as ParseHost returns them.
func newHosts(names []string) hosts {
	h := hosts{localhost: true}
	for _, name := range names {
		name, _, _ = strings.Cut(name, ":")
		h[name] = true
	}
	return h
}

// has reports whether a console answers to the Host of a request. The port does not matter:
// another program may forward its own port to the console.
func (h hosts) has(host string) bool {
	if name, rest, ok := strings.Cut(strings.TrimPrefix(host, "["), "]"); ok && host[0] == '[' {
		address, err := netip.ParseAddr(name)
		return err == nil && address.Is6() && address.Zone() == "" && (rest == "" || rest[0] == ':' && isPort(rest[1:]))
	}
	name, port, _ := strings.Cut(host, ":")
	if !isPort(port) {
		return false
	}
	if address, err := netip.ParseAddr(name); err == nil {
		return address.Is4()
	}
	return h[strings.ToLower(strings.TrimSuffix(name, "."))]
}

// isPort reports whether a text is a port, or empty.
func isPort(text string) bool {
	if strings.Trim(text, "0123456789") != "" {
		return false
	}
	_, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil
}

// ParseHost parses a name that a console is to answer to, such as desk.example.com. Pages of
// that host may then make requests: with a port (desk.example.com:8443) those of that port,
// without one those of the default ports of HTTP and HTTPS.
func ParseHost(text string) (string, error) {
	name, port, hasPort := strings.Cut(strings.ToLower(text), ":")
	name = strings.TrimSuffix(name, ".")
	_, err := netip.ParseAddr(strings.Trim(text, "[]"))
	_, errName := netip.ParseAddr(name)
	wrong := func(why string) (string, error) { return "", fmt.Errorf("%q %s", clip(text), why) }
	switch {
	case strings.Contains(text, "/"):
		return wrong("has more than a name; write desk.example.com, without http:// and without a path")
	case err == nil, errName == nil, name == localhost:
		return wrong("need not be named: the console answers to every address, and to localhost")
	case !isHostName(name):
		return wrong("is not the name of a host; write one as browsers send it, as in desk.example.com")
	case hasPort && (port == "" || !isPort(port)):
		return wrong("has no port after its colon; write desk.example.com or desk.example.com:8443")
	case hasPort:
		name += ":" + port
	}
	return name, nil
}

const (
	hostBytesMax  = 253
	labelBytesMax = 63
)

// isHostName reports whether a text is a DNS name in lower case. The last label must not be a
// number, because browsers take a name like 127.1 for an address.
func isHostName(name string) bool {
	labels := strings.Split(name, ".")
	for _, label := range labels {
		odd := func(c rune) bool { return (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '_' }
		if label == "" || len(label) > labelBytesMax || strings.ContainsFunc(label, odd) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(name) <= hostBytesMax && strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}
