package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// The header of version 2 of the PROXY protocol: a signature, a byte each for version and command and for address
// family and transport, the length of the rest as 16 bits, addresses, and fields that are skipped.
const (
	proxySignature   = "\r\n\r\n\x00\r\nQUIT\n"
	proxyFixedBytes  = 16
	proxyHeaderMax   = 532 // the rest may hold 516 bytes
	proxyLocal       = 0x20
	proxyProxied     = 0x21
	proxyUnspecified = 0x00
	proxyTCP4        = 0x11
	proxyTCP6        = 0x21
)

var errProxyHeader = errors.New("a PROXY header of version 2 was expected")

// cutProxyHeader cuts the header from the beginning of what a proxy sends. n is its length, 0 if it has not come whole.
// client is not valid if the header names none: then the proxy speaks for itself.
func cutProxyHeader(in []byte) (client netip.AddrPort, n int, err error) {
	seen := min(len(in), len(proxySignature))
	if string(in[:seen]) != proxySignature[:seen] {
		return client, 0, errProxyHeader
	}
	if len(in) < proxyFixedBytes {
		return client, 0, nil
	}
	command, transport := in[12], in[13]
	size := proxyFixedBytes + int(binary.BigEndian.Uint16(in[14:]))
	switch {
	case command != proxyLocal && command != proxyProxied:
		return client, 0, fmt.Errorf("%w: its version and command are %#x", errProxyHeader, command)
	case size > proxyHeaderMax:
		return client, 0, fmt.Errorf("%w: it is %d bytes long, over %d", errProxyHeader, size, proxyHeaderMax)
	case len(in) < size:
		return client, 0, nil
	case command == proxyLocal || transport == proxyUnspecified:
		return client, size, nil
	}
	var source, port []byte
	switch rest := in[proxyFixedBytes:size]; {
	case transport == proxyTCP4 && len(rest) >= 12:
		source, port = rest[:4], rest[8:]
	case transport == proxyTCP6 && len(rest) >= 36:
		source, port = rest[:16], rest[32:]
	default:
		return client, 0, fmt.Errorf("%w: family and transport %#x with %d bytes", errProxyHeader, transport, len(rest))
	}
	ip, _ := netip.AddrFromSlice(source)
	return netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(port)), size, nil
}
