package resource

import (
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// kind of a thing that has a security policy.
type kind uint8

const (
	anAPI kind = iota
	aDomain
)

func (k kind) String() string {
	if k == anAPI {
		return "REST API"
	}
	return "domain name"
}

// where is a set of endpoint types.
type where uint8

const (
	regional where = 1 << iota
	private
	edge
)

var endpointBits = map[types.EndpointType]where{
	types.EndpointTypeRegional: regional,
	types.EndpointTypePrivate:  private,
	types.EndpointTypeEdge:     edge,
}

// legality says at which endpoint types an API, or a domain name, may have a
// policy.
//
// Sources: developer guide, Supported security policies. Where pages disagree:
// a private API may have TLS_1_0, as that page's table says (text of 2023 said
// no); a private custom domain name has TLS_1_2 and nothing else, as the page
// "Custom domain names for private APIs" says (the table's title reads as if
// it had every policy). SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09 has no row
// there; the API reference lists it, so it is taken to be like its siblings.
var legality = []struct {
	policy      types.SecurityPolicy
	api, domain where
}{
	{"TLS_1_0", regional | private | edge, regional | edge},
	{"TLS_1_2", regional | private, regional | private | edge},
	{"SecurityPolicy_TLS13_1_2_2021_06", regional | private, regional},
	{"SecurityPolicy_TLS13_1_2_PQ_2025_09", regional | private, regional},
	{"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09", regional | private, regional},
	{"SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09", regional | private, regional},
	{"SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09", regional | private, regional},
	{"SecurityPolicy_TLS13_1_3_2025_09", regional | private, regional},
	{"SecurityPolicy_TLS13_1_3_FIPS_2025_09", regional | private, regional},
	{"SecurityPolicy_TLS13_2025_EDGE", edge, edge},
	{"SecurityPolicy_TLS12_PFS_2025_EDGE", edge, edge},
	{"SecurityPolicy_TLS12_2018_EDGE", edge, edge},
}

// defaultPolicy is what a create call without a policy gets.
// Source: developer guide, Security policies for REST APIs; Choose a security
// policy for your custom domain.
func defaultPolicy(k kind, t types.EndpointType) types.SecurityPolicy {
	if k == anAPI && t != types.EndpointTypePrivate {
		return types.SecurityPolicyTls10
	}
	return types.SecurityPolicyTls12
}

// legalPolicies lists the policies that k may have at all of the endpoint types.
func legalPolicies(k kind, ends []types.EndpointType) []types.SecurityPolicy {
	var want where
	for _, t := range ends {
		want |= endpointBits[t]
	}
	var list []types.SecurityPolicy
	for _, l := range legality {
		at := l.api
		if k == aDomain {
			at = l.domain
		}
		if want != 0 && at&want == want {
			list = append(list, l.policy)
		}
	}
	return list
}

// enhanced policies need an access mode; legacy ones have none.
func enhanced(p types.SecurityPolicy) bool { return strings.HasPrefix(string(p), "SecurityPolicy_") }

// The texts that AWS was seen to send; tests of clients compare them.
const (
	textModeRequired = "Endpoint access mode is required for the specified security policy"
	textTypeUpdate   = "Unable to update EndpointType. SecurityPolicy is required for EndpointType update."
	textModeMutual   = "/endpointAccessMode Invalid request input"
)

// firstGate is what the rules about TLS look at, of an API or a domain name.
type firstGate struct {
	types  []types.EndpointType
	policy types.SecurityPolicy
	mode   types.EndpointAccessMode
	mutual bool
}

// checkTLS judges a state by itself.
// Source: developer guide, Security policies for REST APIs; Choose a security
// policy for your custom domain.
func (p *problems) checkTLS(k kind, s firstGate) {
	legal := legalPolicies(k, s.types)
	switch {
	case !slices.Contains(s.policy.Values(), s.policy):
		p.addf("Invalid securityPolicy specified: '%s'. Must be one of: [%s]", s.policy, join(legal))
		return
	case !slices.Contains(legal, s.policy):
		p.addf("securityPolicy %s is not supported for a %s with endpoint type %s. Must be one of: [%s]",
			s.policy, k, join(s.types), join(legal))
	}
	if s.mode != "" && !slices.Contains(s.mode.Values(), s.mode) {
		p.addf("Invalid endpointAccessMode specified: '%s'. Must be one of: [%s]", s.mode, join(s.mode.Values()))
		return
	}
	switch {
	case enhanced(s.policy) && s.mutual:
		p.addf("Mutual TLS is not supported with securityPolicy %s. Use TLS_1_2, or leave mutualTlsAuthentication out", s.policy)
	case enhanced(s.policy) && s.mode == "":
		p.addf(textModeRequired)
	case !enhanced(s.policy) && s.mode != "" && k == aDomain && slices.Contains(s.types, types.EndpointTypePrivate):
		p.addf("endpointAccessMode is only supported for public custom domain names; leave it out")
	case !enhanced(s.policy) && s.mode != "":
		p.addf("endpointAccessMode is not supported with securityPolicy %s: leave it out, or, in an update, "+
			"replace /endpointAccessMode with the value \"\". It goes with a policy that begins with SecurityPolicy_", s.policy)
	case s.mutual && s.policy != types.SecurityPolicyTls12:
		p.addf("Mutual TLS needs securityPolicy TLS_1_2, not %s", s.policy)
	}
}

// checkTLSChange judges the step from one state to the next; ops say what the
// client asked for.
// Source: developer guide, How to change a security policy; API reference,
// Patch Operations.
func (p *problems) checkTLSChange(k kind, from, to firstGate, ops []types.PatchOperation) {
	policyAsked, modeAsked := touched(ops, "/securityPolicy"), touched(ops, "/endpointAccessMode")
	typesChanged := !slices.Equal(from.types, to.types)
	switch {
	case typesChanged && from.mode == types.EndpointAccessModeStrict:
		p.addf("The endpoint type cannot change while endpointAccessMode is STRICT. " +
			"Set /endpointAccessMode to BASIC first, and change the endpoint type in a later request")
		return
	case k == anAPI && from.policy == types.SecurityPolicyTls10 && to.policy == types.SecurityPolicyTls12:
		p.addf("The securityPolicy of a REST API cannot change from TLS_1_0 to TLS_1_2. " +
			"Choose a policy that begins with SecurityPolicy_, together with endpointAccessMode BASIC")
		return
	case k == aDomain && len(from.types) > 1 && from.policy != to.policy:
		p.addf("The securityPolicy of a domain name with two endpoint types cannot change. "+
			"Remove one first: op remove, path /endpointConfiguration/types, value %s", join(from.types[:1]))
		return
	case from.mutual && to.mutual && enhanced(to.policy) && (policyAsked || modeAsked),
		from.mutual && to.mutual && to.mode != "" && modeAsked:
		p.addf(textModeMutual)
		return
	case typesChanged && !policyAsked && !slices.Contains(legalPolicies(k, to.types), to.policy):
		p.addf(textTypeUpdate)
		return
	}
	p.checkTLS(k, to)
}

func gateOf(api types.RestApi) firstGate {
	g := firstGate{policy: api.SecurityPolicy, mode: api.EndpointAccessMode}
	if api.EndpointConfiguration != nil {
		g.types = api.EndpointConfiguration.Types
	}
	return g
}

func gateOfDomain(d types.DomainName) firstGate {
	g := firstGate{policy: d.SecurityPolicy, mode: d.EndpointAccessMode, mutual: d.MutualTlsAuthentication != nil}
	if d.EndpointConfiguration != nil {
		g.types = d.EndpointConfiguration.Types
	}
	return g
}

func (g firstGate) state() TLSState {
	s := TLSState{SecurityPolicy: string(g.policy), EndpointAccessMode: string(g.mode)}
	for _, t := range g.types {
		s.EndpointTypes = append(s.EndpointTypes, string(t))
	}
	return s
}

// TLSStateOf is what the first gate enforces for an API's default endpoint.
func TLSStateOf(api types.RestApi) TLSState { return gateOf(api).state() }

// TLSStateOfDomain is what the first gate enforces for a custom domain name.
func TLSStateOfDomain(d types.DomainName) TLSState { return gateOfDomain(d).state() }

// The endpoint configuration. Its texts are AWS's, as far as they were seen.

var (
	endpointTypes = []types.EndpointType{types.EndpointTypeRegional, types.EndpointTypeEdge, types.EndpointTypePrivate}
	ipTypes       = types.IpAddressType("").Values()
)

// defaultIPType: private endpoints are dualstack only.
func defaultIPType(t types.EndpointType) types.IpAddressType {
	if t == types.EndpointTypePrivate {
		return types.IpAddressTypeDualstack
	}
	return types.IpAddressTypeIpv4
}

// checkEndpoint judges an endpoint configuration and says whether its types
// make sense, so that rules about policies may go on.
func (p *problems) checkEndpoint(k kind, c *types.EndpointConfiguration) bool {
	for _, t := range c.Types {
		if !slices.Contains(endpointTypes, t) {
			p.addf("Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE")
			return false
		}
	}
	isPrivate := slices.Contains(c.Types, types.EndpointTypePrivate)
	switch {
	case len(c.Types) == 0:
		p.addf("REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.")
		return false
	case k == anAPI && len(c.Types) > 1:
		p.addf("Cannot create an api with multiple Endpoint Types.")
		return false
	case isPrivate && len(c.Types) > 1, len(c.Types) > 2, len(c.Types) == 2 && c.Types[0] == c.Types[1]:
		p.addf("Invalid EndpointTypes specified. A domain name has one endpoint type, or REGIONAL and EDGE while it moves between the two")
		return false
	}
	switch {
	case !slices.Contains(ipTypes, c.IpAddressType):
		p.addf("ipAddressType must be either ipv4 or dualstack.")
	case isPrivate && c.IpAddressType != types.IpAddressTypeDualstack && k == anAPI:
		p.addf("Only dualstack ipAddressType is supported for Private APIs.")
	case isPrivate && c.IpAddressType != types.IpAddressTypeDualstack:
		p.addf("Only dualstack ipAddressType is supported for private custom domain names.")
	}
	if len(c.VpcEndpointIds) > 0 && (k == aDomain || !isPrivate) {
		p.addf("vpcEndpointIds can only be set on a REST API with endpoint type PRIVATE")
	}
	for _, id := range c.VpcEndpointIds {
		if !isVPCEndpointID(id) {
			p.addf("Invalid vpcEndpointIds specified: '%s' is not the id of a VPC endpoint, vpce-…", id)
		}
	}
	return true
}

func isVPCEndpointID(id string) bool {
	hex, ok := strings.CutPrefix(id, "vpce-")
	return ok && hex != "" && len(hex) <= 32 && strings.Trim(hex, "0123456789abcdefghijklmnopqrstuvwxyz") == ""
}

// endpointOf completes what a create call sent.
func endpointOf(in *types.EndpointConfiguration, byDefault types.EndpointType) *types.EndpointConfiguration {
	c := &types.EndpointConfiguration{}
	if in != nil {
		*c = clone(*in)
	}
	if len(c.Types) == 0 {
		c.Types = []types.EndpointType{byDefault}
	}
	if c.IpAddressType == "" {
		c.IpAddressType = defaultIPType(c.Types[0])
	}
	var ids []string
	for _, id := range c.VpcEndpointIds {
		include(&ids, id)
	}
	c.VpcEndpointIds = ids
	return c
}

// moveEndpointType replaces the type that the path's last segment names, by
// itself or by its index, as Terraform does.
func moveEndpointType(c *types.EndpointConfiguration, e edit) error {
	v, err := e.text()
	if err != nil {
		return err
	}
	at := slices.Index(c.Types, types.EndpointType(e.args[0]))
	if at < 0 && e.args[0] == "0" && len(c.Types) > 0 {
		at = 0
	}
	if at < 0 {
		return e.absent()
	}
	if !slices.Contains(endpointTypes, types.EndpointType(v)) {
		return Errorf(BadRequest, "Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE")
	}
	c.Types[at] = types.EndpointType(v)
	return nil
}

// settleEndpoint gives an endpoint that moved the address type that its new
// type needs, unless the client chose one, and drops what only its old type had.
func settleEndpoint(from, to *types.EndpointConfiguration, ops []types.PatchOperation) {
	if slices.Equal(from.Types, to.Types) {
		return
	}
	isPrivate := slices.Contains(to.Types, types.EndpointTypePrivate)
	if isPrivate && !touched(ops, "/endpointConfiguration/ipAddressType") {
		to.IpAddressType = types.IpAddressTypeDualstack
	}
	if !isPrivate && slices.Equal(from.VpcEndpointIds, to.VpcEndpointIds) {
		to.VpcEndpointIds = nil
	}
}
