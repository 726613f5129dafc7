package gateway

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestAttempts: ten failures at once, then one a second; an IPv6 subscriber is one address.
func TestAttempts(t *testing.T) {
	t.Parallel()
	var a attempts
	addr, now := netip.MustParseAddr("192.0.2.1"), time.Hour
	for i := range failuresAtOnce {
		if !a.mayTry(addr, now) {
			t.Fatalf("after %d failures it may not try", i)
		}
		if n := a.failed(addr, now); n != map[int]int{0: 1}[i] {
			t.Errorf("failure %d: %d are told", i, n)
		}
	}
	for after, want := range map[time.Duration]bool{0: false, 999 * time.Millisecond: false, time.Second: true} {
		if got := a.mayTry(addr, now+after); got != want {
			t.Errorf("%v later it may try: %v", after, got)
		}
	}
	a.failed(addr, now+time.Second)
	if a.mayTry(addr, now+time.Second) || !a.mayTry(addr, now+2*time.Second) {
		t.Error("a second gives more than one try, or none")
	}
	if n := a.failed(addr, now+time.Minute); n != failuresAtOnce+1 {
		t.Errorf("a minute later %d are told", n)
	}
	for range failuresAtOnce {
		a.failed(netip.MustParseAddr("2001:db8:0:1::1"), now)
	}
	for text, want := range map[string]bool{"192.0.2.2": true, "2001:db8:0:1:ffff::2": false, "2001:db8:0:2::1": true} {
		if got := a.mayTry(netip.MustParseAddr(text), now); got != want {
			t.Errorf("%s may try: %v", text, got)
		}
	}
	if !a.mayTry(netip.Addr{}, now) {
		t.Error("without an address it may not try")
	}
}

// TestAttemptsSwept: what was not told is told after a minute, and an address that is quiet is forgotten.
func TestAttemptsSwept(t *testing.T) {
	t.Parallel()
	var a attempts
	addr := netip.MustParseAddr("192.0.2.1")
	var told []string
	sweep := func(now time.Duration) {
		a.sweep(now, func(from netip.Prefix, n int) { told = append(told, fmt.Sprint(from.Addr(), n)) })
	}
	for range 3 {
		a.failed(addr, time.Hour)
	}
	sweep(time.Hour + 30*time.Second)
	if len(told) != 0 || len(a.of) != 1 {
		t.Errorf("after half a minute %v is told", told)
	}
	sweep(time.Hour + time.Minute)
	sweep(time.Hour + 2*time.Minute)
	if strings.Join(told, ";") != "192.0.2.1 2" {
		t.Errorf("%q is told", told)
	}
	if len(a.of) != 0 {
		t.Errorf("%d addresses are kept", len(a.of))
	}
}

// TestManyFailingAddresses: their number is bounded, and those beyond share what one may.
func TestManyFailingAddresses(t *testing.T) {
	t.Parallel()
	var a attempts
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}) }
	const now = time.Hour
	for i := range failingAddressesMax + failuresAtOnce {
		a.failed(addr(i), now)
	}
	if len(a.of) != failingAddressesMax {
		t.Errorf("%d addresses are kept", len(a.of))
	}
	if a.mayTry(addr(failingAddressesMax+100), now) || !a.mayTry(addr(0), now) {
		t.Error("an address that is told apart may not try, or one of the others may")
	}
	a.sweep(now+2*time.Minute, func(netip.Prefix, int) {})
	if len(a.of) != 0 || !a.mayTry(addr(failingAddressesMax+100), now+2*time.Minute) {
		t.Errorf("after two minutes %d addresses are kept", len(a.of))
	}
}
