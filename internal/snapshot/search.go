package snapshot

import (
	"crypto/tls"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/tlspolicy"
)

// Search is the search domain that a name stands for.
type Search struct {
	Domain string // its name
	ARN    string
	// EnforceHTTPS refuses plaintext; without it a plaintext listener answers too.
	EnforceHTTPS bool
}

// searchFacts is what is remembered of a search domain's document.
type searchFacts struct {
	search      Search
	label       string // the first label of its endpoint
	policy      string
	custom      string // host of the custom endpoint; "": none
	certificate string // its certificate's id
}

// searchDomain is a compiled search domain.
type searchDomain struct {
	label    string
	endpoint *Name
	custom   *Name // nil: none
}

func decodeSearchDomain(value []byte) (any, error) {
	var d types.DomainStatus
	if err := awsapi.Unmarshal(value, &d); err != nil {
		return nil, err
	}
	label, _, _ := strings.Cut(resource.SearchEndpoint(d), ".")
	f := searchFacts{search: Search{Domain: aws.ToString(d.DomainName), ARN: aws.ToString(d.ARN)}, label: label}
	if o := d.DomainEndpointOptions; o != nil {
		f.search.EnforceHTTPS, f.policy = aws.ToBool(o.EnforceHTTPS), string(o.TLSSecurityPolicy)
	}
	var arn string
	if f.custom, arn = resource.SearchCustomEndpoint(d); f.custom != "" {
		var err error
		if f.certificate, err = resource.ParseCertificateARN(arn); err != nil {
			return nil, err
		}
	}
	return f, nil
}

func putSearchDomain(s *sources, t *touched, parts []string, src source) {
	before := s.searches[parts[0]].searchCertificates()
	if src.rev == 0 {
		delete(s.searches, parts[0])
	} else {
		s.searches[parts[0]] = src
	}
	s.use(user{search: parts[0]}, before, src.searchCertificates())
	t.searches[parts[0]] = struct{}{}
}

// searchCertificates are the keys of material that a search domain needs.
func (src source) searchCertificates() []string {
	if f, ok := src.facts.(searchFacts); ok && f.custom != "" {
		return []string{resource.MaterialKey(f.certificate)}
	}
	return nil
}

// compileSearch compiles a search domain: its endpoint, under the certificates
// of default endpoints, and its custom one.
func (c *Compiler) compileSearch(src source, old *searchDomain) (*searchDomain, error) {
	if src.err != nil {
		return nil, src.err
	}
	f := src.facts.(searchFacts)
	policy, ok := tlspolicy.LookupSearch(f.policy)
	if !ok {
		return nil, fmt.Errorf("TLS policy %q is not one of search domains", f.policy)
	}
	if err := policy.Proven(); err != nil {
		return nil, err
	}
	if normalizeName(f.label) != f.label {
		return nil, fmt.Errorf("%q is no label of a host name", f.label)
	}
	d := &searchDomain{label: f.label}
	name := func(host string, certificates []*tls.Certificate, rev store.Revision, before *Name) *Name {
		n := &Name{Host: host, Policy: policy, Endpoints: Regional, Certificates: certificates, Search: &f.search}
		n.revise(before, rev)
		if before != nil && before.same(n) {
			return before
		}
		return n
	}
	var endpoint, custom *Name
	if old != nil {
		endpoint, custom = old.endpoint, old.custom
	}
	d.endpoint = name(f.label+"."+c.place.searches[0], c.defaults, src.rev, endpoint)
	if f.custom == "" {
		return d, nil
	}
	_, api := c.place.splitDefault(f.custom)
	_, search := c.place.splitSearch(f.custom)
	if api || search || normalizeName(f.custom) != f.custom {
		return nil, fmt.Errorf("%q can be no custom endpoint", f.custom)
	}
	cert := c.certificate(resource.MaterialKey(f.certificate))
	if cert.err != nil {
		return nil, fmt.Errorf("certificate %s: %w", f.certificate, cert.err)
	}
	if custom != nil && custom.Host != f.custom {
		custom = nil
	}
	d.custom = name(f.custom, []*tls.Certificate{cert.pair}, max(src.rev, cert.rev), custom)
	return d, nil
}

// compileSearchDomain compiles what id names, and judges it.
func (c *Compiler) compileSearchDomain(old *Snapshot, id string) (*searchDomain, compiled) {
	r := compiled{id: id, now: c.o.Now()}
	key := resource.SearchDomainKey(id)
	src, ok := c.sources.searches[id]
	if !ok {
		r.judge(key, nil, false, nil)
		return nil, r
	}
	before, _ := old.searchDomains.get(id)
	d, err := c.compileSearch(src, before)
	if err != nil {
		r.judge(key, err, before != nil, nil)
		return before, r
	}
	r.judge(key, nil, false, nil)
	return d, r
}

// compileSearches compiles the touched search domains into next and reports
// whether anything came out differently.
func (c *Compiler) compileSearches(old, next *Snapshot, t *touched, faults *edit[Fault], refused *edit[[]Refusal]) bool {
	if len(t.searches) == 0 {
		return false
	}
	domains, endpoints, customs := old.searchDomains.edit(), old.searchEndpoints.edit(), old.searchCustoms.edit()
	made := make(map[string]*searchDomain, len(t.searches))
	for id := range t.searches {
		before, _ := old.searchDomains.get(id)
		var d *searchDomain
		var r compiled
		if err := safely(func() error { d, r = c.compileSearchDomain(old, id); return nil }); err != nil {
			d, r = before, compiled{id: id}
			r.judge(resource.SearchDomainKey(id), err, before != nil, nil)
		}
		c.settle(&r, wakesSearch, next.revision, faults, refused)
		if before != nil {
			endpoints.delete(before.label)
			if before.custom != nil {
				customs.delete(before.custom.Host)
			}
		}
		made[id] = d
	}
	for id, d := range made { // after all that went: a name may go from one domain to another
		if d == nil {
			domains.delete(id)
			continue
		}
		domains.set(id, d)
		endpoints.set(d.label, d.endpoint)
		if d.custom != nil {
			customs.set(d.custom.Host, d.custom)
		}
	}
	next.searchDomains, next.searchEndpoints, next.searchCustoms = domains.index(), endpoints.index(), customs.index()
	return domains.changed() || endpoints.changed() || customs.changed()
}
