package remedy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sallyport/sallyport/tlspolicy"
)

// lowers says in what respects a policy is weaker than another, by what both
// permit and not by their names.
func lowers(from, to *tlspolicy.Policy) (in []string) {
	if to.Min < from.Min {
		in = append(in, "it permits "+tlspolicy.VersionName(to.Min))
	}
	for _, weak := range []struct{ part, what string }{{"TLS_RSA_WITH_", "key exchange without forward secrecy"}, {"_CBC_", "CBC suites"}} {
		if has(to, weak.part) && !has(from, weak.part) {
			in = append(in, "it permits "+weak.what)
		}
	}
	if from.FIPS && !to.FIPS {
		in = append(in, "it permits algorithms that FIPS 140-3 does not approve")
	}
	if from.PostQuantum && !to.PostQuantum {
		in = append(in, "it has no post-quantum key exchange")
	}
	return in
}

// has reports whether a policy permits a suite of TLS 1.2 or below with that
// part in its name, by AWS's lists.
func has(p *tlspolicy.Policy, part string) bool {
	return slices.ContainsFunc(p.Suites12, func(id uint16) bool { return strings.Contains(tlspolicy.SuiteName(id), part) })
}

// ends says what a change of policy puts an end to.
func ends(from, to *tlspolicy.Policy) (all []string) {
	for _, v := range from.Versions() {
		if v < to.Min {
			all = append(all, "clients that speak "+tlspolicy.VersionName(v)+" at most")
		}
	}
	if to.Min > 0x0303 { // TLS 1.2
		return all
	}
	if has(from, "TLS_RSA_WITH_") && !has(to, "TLS_RSA_WITH_") {
		all = append(all, "clients of TLS 1.2 that offer no suite with forward secrecy (ECDHE)")
	}
	if has(from, "_CBC_") && !has(to, "_CBC_") {
		all = append(all, "clients of TLS 1.2 that offer no suite with GCM")
	}
	return all
}

// choose picks, of the policies that are accepted, the one that breaks least
// and is weaker than the present one in no respect: that which refuses the
// fewest clients seen, then that which permits most. refused names what stands
// against the others.
func choose(from *tlspolicy.Policy, edge bool, accepted []string, clients func(policy string) []string) (to *tlspolicy.Policy, seen, refused []string) {
	type candidate struct {
		policy *tlspolicy.Policy
		seen   []string
	}
	var list []candidate
	for _, name := range accepted {
		p, ok := tlspolicy.Lookup(name, edge)
		if !ok {
			continue
		}
		if from != nil {
			if in := lowers(from, p); len(in) > 0 {
				refused = append(refused, name+" is weaker than "+from.Name+": "+strings.Join(in, ", "))
				continue
			}
		}
		list = append(list, candidate{p, clients(name)})
	}
	if len(list) == 0 {
		return nil, nil, refused
	}
	best := slices.MinFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(len(a.seen), len(b.seen)), -cmp.Compare(len(a.policy.Versions()), len(b.policy.Versions())),
			-cmp.Compare(len(a.policy.Suites12)+len(a.policy.Suites13), len(b.policy.Suites12)+len(b.policy.Suites13)))
	})
	return best.policy, best.seen, refused
}
