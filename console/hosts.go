package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// A page that a visitor's browser has from evil.example can have that name lead to 127.0.0.1 afterwards, and then reads
// and writes a console there as its own site. The browser says so in one place: Host is still evil.example. So a
// console answers to names that nobody but its operator gave it, and to addresses, which have no owner to change where
// they lead.

const localhost = "localhost"

// hosts are the names that a console answers to, beside localhost and addresses: in lower case, without a port.
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

// has says whether a console answers to the Host of a request. Which port it names does not matter: it may be another
// program's that leads here.
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

// isPort says whether a text is a port; there may be none.
func isPort(text string) bool {
	if strings.Trim(text, "0123456789") != "" {
		return false
	}
	_, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil
}

// ParseHost reads a name that a console is to answer to: desk.example.com. With a port, desk.example.com:8443, it is
// also that of the pages that may ask; without one, those of HTTP and HTTPS are.
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

// isHostName says whether a text is labels of a name of the DNS, in lower case. The last one is no number, as browsers
// take a name like 127.1 for an address.
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

// origins checks where the page is from that had a browser ask.
type origins struct{ http.CrossOriginProtection }

// newOrigins trusts the pages of these hosts, beside those of the console itself.
func newOrigins(names []string) (*origins, error) {
	o := new(origins)
	for _, name := range names {
		for _, scheme := range []string{"http", "https"} {
			if err := o.AddTrustedOrigin((&url.URL{Scheme: scheme, Host: name}).String()); err != nil {
				return nil, err
			}
		}
	}
	return o, nil
}

var errTwoOrigins = errors.New("the request says twice where it comes from")

// check returns an error where a page of another site asks. Reading is held to it as writing is: what is read here is
// not for every page, and may cost much.
func (o *origins) check(r *http.Request) error {
	if len(r.Header["Sec-Fetch-Site"]) > 1 || len(r.Header["Origin"]) > 1 {
		return errTwoOrigins
	}
	changing := r.WithContext(r.Context())
	changing.Method = http.MethodPost // which the check leaves no way round
	return o.Check(changing)
}
