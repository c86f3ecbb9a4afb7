package backgate

import (
	"net/netip"
	"syscall"
)

// special are the addresses that no integration may reach unless an operator
// lists them: behind them stand this machine, its neighbours on the link or a
// cloud's metadata service, which trust whoever can connect. Private ranges
// (RFC 1918, RFC 4193) are allowed: they are where a self-hosted gateway's
// backends live, unlike AWS's public integrations.
// Source: IANA special-purpose address registries; metadata services as their
// vendors document them.
var special = []struct {
	prefix netip.Prefix
	what   string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "unspecified"},
	{netip.MustParsePrefix("127.0.0.0/8"), "loopback"},
	{netip.MustParsePrefix("169.254.0.0/16"), "link-local"}, // 169.254.169.254: metadata
	{netip.MustParsePrefix("100.100.100.200/32"), "metadata"},
	{netip.MustParsePrefix("192.0.0.192/32"), "metadata"},
	{netip.MustParsePrefix("168.63.129.16/32"), "metadata"},
	{netip.MustParsePrefix("224.0.0.0/4"), "multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "reserved"}, // with the broadcast address
	{netip.MustParsePrefix("::/128"), "unspecified"},
	{netip.MustParsePrefix("::1/128"), "loopback"},
	{netip.MustParsePrefix("fe80::/10"), "link-local"},
	{netip.MustParsePrefix("fec0::/10"), "site-local"},
	{netip.MustParsePrefix("fd00:ec2::/32"), "metadata"}, // instances, tasks, pods
	{netip.MustParsePrefix("fd20:ce::254/128"), "metadata"},
	{netip.MustParsePrefix("ff00::/8"), "multicast"},
}

// embeddings are IPv6 ranges whose addresses are another spelling of an IPv4
// address: at is where its four bytes stand, inverted says that they are
// stored as their complement. One prefix may have several readings; loose says
// that nothing but zeros in it (0.0.0.0/8) is another reading's padding.
// IPv4-mapped addresses are unmapped before.
var embeddings = []struct {
	prefix          netip.Prefix
	at              [4]int
	inverted, loose bool
}{
	{prefix: netip.MustParsePrefix("::/96"), at: last},                                        // IPv4-compatible, RFC 4291
	{prefix: netip.MustParsePrefix("::ffff:0:0:0/96"), at: last},                              // IPv4-translated, RFC 2765
	{prefix: netip.MustParsePrefix("64:ff9b::/96"), at: last},                                 // NAT64, RFC 6052
	{prefix: netip.MustParsePrefix("64:ff9b:1::/48"), at: last},                               // NAT64 within a site, RFC 8215:
	{prefix: netip.MustParsePrefix("64:ff9b:1::/48"), at: [4]int{6, 7, 9, 10}, loose: true},   // of any length that RFC 6052 has
	{prefix: netip.MustParsePrefix("64:ff9b:1::/48"), at: [4]int{7, 9, 10, 11}, loose: true},  //
	{prefix: netip.MustParsePrefix("64:ff9b:1::/48"), at: [4]int{9, 10, 11, 12}, loose: true}, //
	{prefix: netip.MustParsePrefix("2002::/16"), at: [4]int{2, 3, 4, 5}},                      // 6to4, RFC 3056
	{prefix: netip.MustParsePrefix("2001::/32"), at: last, inverted: true},                    // Teredo, RFC 4380
}

// last are the last four bytes of an IPv6 address.
var last = [4]int{12, 13, 14, 15}

// refusal says what is special about addr, "" when it may be dialed.
func refusal(addr netip.Addr, allow []netip.Prefix) string {
	addr = addr.WithZone("").Unmap()
	if allowed(addr, allow) {
		return ""
	}
	for _, s := range special {
		if s.prefix.Contains(addr) {
			return s.what
		}
	}
	if !addr.Is6() {
		return ""
	}
	for _, e := range embeddings {
		if !e.prefix.Contains(addr) {
			continue
		}
		full := addr.As16()
		var inner [4]byte
		for i, at := range e.at {
			if inner[i] = full[at]; e.inverted {
				inner[i] = ^inner[i]
			}
		}
		if e.loose && inner[0] == 0 {
			continue
		}
		if what := refusal(netip.AddrFrom4(inner), allow); what != "" {
			return what + " (as an IPv6 address)"
		}
	}
	return ""
}

func allowed(addr netip.Addr, allow []netip.Prefix) bool {
	for _, p := range allow {
		if p.Contains(addr) {
			return true
		}
		// ::ffff:10.0.0.0/104 means 10.0.0.0/8.
		if p.Addr().Is4In6() && p.Bits() >= 96 && netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96).Contains(addr) {
			return true
		}
	}
	return false
}

// control is called with each address just before its socket connects.
func (t *trust) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &Error{Kind: RefusedAddress, Address: address, Cause: err}
	}
	if what := refusal(ap.Addr(), t.allow); what != "" {
		return &Error{Kind: RefusedAddress, Address: ap.Addr().String(), Detail: what}
	}
	return nil
}
