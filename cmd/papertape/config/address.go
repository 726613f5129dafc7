package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/papertape/papertape/decimal"
)

// CheckAddress returns an error that says what is wrong with a host:port. low is the lowest port
// allowed: 0 where 0 may ask for any free port.
func CheckAddress(text string, low int) error {
	host, port, err := net.SplitHostPort(text)
	odd := func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '"' || r == '/' }
	if err != nil || strings.ContainsFunc(host, odd) {
		return fmt.Errorf("%q is not an address; write host:port, as in 127.0.0.1:7300", text)
	}
	if _, err := decimal.ParseWhole(port, low, 1<<16-1); err != nil {
		free := ""
		if low == 0 {
			free = " (0: any that is free)"
		}
		return fmt.Errorf("%q is not a port; write %d to 65535, as in 127.0.0.1:7300%s", port, low, free)
	}
	return nil
}

// IsLoopback reports whether an address can be reached from this machine only. Host names other
// than localhost are not resolved.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}
