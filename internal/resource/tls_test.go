package resource

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
	"github.com/sallyport/sallyport/tlspolicy"
)

// createAPI and createDomain make one with a policy and mode at an endpoint type.
func createAPI(at types.EndpointType, policy types.SecurityPolicy, mode types.EndpointAccessMode) (types.RestApi, error) {
	in := &apigateway.CreateRestApiInput{Name: aws.String("pets"), SecurityPolicy: policy, EndpointAccessMode: mode}
	if at != "" {
		in.EndpointConfiguration = &types.EndpointConfiguration{Types: []types.EndpointType{at}}
	}
	api, _, err := NewRestAPI(in, "api", "root", testTime)
	return api, err
}

func createDomain(at types.EndpointType, policy types.SecurityPolicy, mode types.EndpointAccessMode) (types.DomainName, error) {
	in := &apigateway.CreateDomainNameInput{DomainName: aws.String("api.example.com"), SecurityPolicy: policy, EndpointAccessMode: mode}
	in.EndpointConfiguration = &types.EndpointConfiguration{Types: []types.EndpointType{at}}
	if at == types.EndpointTypeRegional {
		in.RegionalCertificateArn = aws.String(certA)
	} else {
		in.CertificateArn = aws.String(certA)
	}
	return NewDomainName(in, testPlace, testTime)
}

func modeFor(policy types.SecurityPolicy) types.EndpointAccessMode {
	if enhanced(policy) {
		return types.EndpointAccessModeBasic
	}
	return ""
}

// Where each policy may be used: y yes, - no.
func TestLegality(t *testing.T) {
	columns := []struct {
		create func(types.EndpointType, types.SecurityPolicy) error
		at     types.EndpointType
	}{
		{func(at types.EndpointType, p types.SecurityPolicy) error {
			_, err := createAPI(at, p, modeFor(p))
			return err
		}, "REGIONAL"},
		{func(at types.EndpointType, p types.SecurityPolicy) error {
			_, err := createAPI(at, p, modeFor(p))
			return err
		}, "PRIVATE"},
		{func(at types.EndpointType, p types.SecurityPolicy) error {
			_, err := createAPI(at, p, modeFor(p))
			return err
		}, "EDGE"},
		{func(at types.EndpointType, p types.SecurityPolicy) error {
			_, err := createDomain(at, p, modeFor(p))
			return err
		}, "REGIONAL"},
		{func(at types.EndpointType, p types.SecurityPolicy) error {
			_, err := createDomain(at, p, modeFor(p))
			return err
		}, "PRIVATE"},
		{func(at types.EndpointType, p types.SecurityPolicy) error {
			_, err := createDomain(at, p, modeFor(p))
			return err
		}, "EDGE"},
	}
	want := map[types.SecurityPolicy]string{
		//                                              API R P E  domain R P E
		"TLS_1_0":                                      "y y y   y - y",
		"TLS_1_2":                                      "y y -   y y y",
		"SecurityPolicy_TLS13_1_2_2021_06":             "y y -   y - -",
		"SecurityPolicy_TLS13_1_2_PQ_2025_09":          "y y -   y - -",
		"SecurityPolicy_TLS13_1_2_PFS_PQ_2025_09":      "y y -   y - -",
		"SecurityPolicy_TLS13_1_2_FIPS_PQ_2025_09":     "y y -   y - -",
		"SecurityPolicy_TLS13_1_2_FIPS_PFS_PQ_2025_09": "y y -   y - -",
		"SecurityPolicy_TLS13_1_3_2025_09":             "y y -   y - -",
		"SecurityPolicy_TLS13_1_3_FIPS_2025_09":        "y y -   y - -",
		"SecurityPolicy_TLS13_2025_EDGE":               "- - y   - - y",
		"SecurityPolicy_TLS12_PFS_2025_EDGE":           "- - y   - - y",
		"SecurityPolicy_TLS12_2018_EDGE":               "- - y   - - y",
	}
	for _, policy := range types.SecurityPolicy("").Values() {
		row := strings.Fields(want[policy])
		if len(row) != len(columns) {
			t.Fatalf("the SDK knows a policy that this table does not: %s", policy)
		}
		for i, c := range columns {
			err := c.create(c.at, policy)
			if legal := err == nil; legal != (row[i] == "y") {
				t.Errorf("%s at column %d (%s): legal = %v (%v)", policy, i, c.at, legal, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "securityPolicy "+string(policy)+" is not supported for a ") {
				t.Errorf("%s at column %d: refused for another reason: %v", policy, i, err)
			}
		}
	}
}

func TestDefaultPolicies(t *testing.T) {
	for _, tt := range []struct {
		what string
		at   types.EndpointType
		want TLSState
	}{
		{"api", "", TLSState{"TLS_1_0", "", []string{"EDGE"}}},
		{"api", "EDGE", TLSState{"TLS_1_0", "", []string{"EDGE"}}},
		{"api", "REGIONAL", TLSState{"TLS_1_0", "", []string{"REGIONAL"}}},
		{"api", "PRIVATE", TLSState{"TLS_1_2", "", []string{"PRIVATE"}}},
		{"domain", "EDGE", TLSState{"TLS_1_2", "", []string{"EDGE"}}},
		{"domain", "REGIONAL", TLSState{"TLS_1_2", "", []string{"REGIONAL"}}},
		{"domain", "PRIVATE", TLSState{"TLS_1_2", "", []string{"PRIVATE"}}},
	} {
		var got TLSState
		if tt.what == "api" {
			got = TLSStateOf(must(createAPI(tt.at, "", "")))
		} else {
			got = TLSStateOfDomain(must(createDomain(tt.at, "", "")))
		}
		if d := cmp.Diff(tt.want, got); d != "" {
			t.Errorf("%s at %q (-want +got):\n%s", tt.what, tt.at, d)
		}
	}
}

const (
	tls13     = "SecurityPolicy_TLS13_1_3_2025_09"
	tls12PQ   = "SecurityPolicy_TLS13_1_2_PQ_2025_09"
	tls13Edge = "SecurityPolicy_TLS13_2025_EDGE"
	illegal   = "BadRequest: securityPolicy "
	noMode    = "BadRequest: endpointAccessMode is not supported with securityPolicy "
)

func TestAccessModeAtCreate(t *testing.T) {
	for _, tt := range []struct {
		policy, mode, want string
	}{
		{tls13, "", "BadRequest: Endpoint access mode is required for the specified security policy"},
		{tls13, "BASIC", ""},
		{tls13, "STRICT", ""},
		{tls13, "LAX", "Validation: 1 validation error detected: Value 'LAX' at 'endpointAccessMode' failed to satisfy constraint: Member must satisfy enum value set: [BASIC, STRICT]"},
		{"TLS_1_2", "", ""},
		{"TLS_1_2", "BASIC", noMode + "TLS_1_2…"},
		{"TLS_1_0", "STRICT", noMode + "TLS_1_0…"},
		{"", "BASIC", noMode + "…"},
		{"TLS_9", "", "Validation: 1 validation error detected: Value 'TLS_9' at 'securityPolicy'…"},
	} {
		_, err := createAPI("REGIONAL", types.SecurityPolicy(tt.policy), types.EndpointAccessMode(tt.mode))
		checkErr(t, err, tt.want)
		_, err = createDomain("REGIONAL", types.SecurityPolicy(tt.policy), types.EndpointAccessMode(tt.mode))
		checkErr(t, err, tt.want)
	}
	_, err := createDomain("PRIVATE", "TLS_1_2", "BASIC")
	checkErr(t, err, "BadRequest: endpointAccessMode is only supported for public custom domain names; leave it out")
}

// Steps of an API from one first gate to the next.
func TestAPITransitions(t *testing.T) {
	for _, tt := range []struct {
		at           types.EndpointType
		policy, mode string
		ops          []string
		want         string
		after        TLSState // where it is allowed
	}{
		// The documented migration, there and back.
		{"REGIONAL", "TLS_1_0", "", []string{"replace /securityPolicy=" + tls13, "replace /endpointAccessMode=BASIC"}, "", TLSState{tls13, "BASIC", []string{"REGIONAL"}}},
		{"REGIONAL", "TLS_1_0", "", []string{"replace /endpointAccessMode=BASIC", "replace /securityPolicy=" + tls13}, "", TLSState{tls13, "BASIC", []string{"REGIONAL"}}},
		{"REGIONAL", tls13, "BASIC", []string{"replace /endpointAccessMode=STRICT"}, "", TLSState{tls13, "STRICT", []string{"REGIONAL"}}},
		{"REGIONAL", tls13, "STRICT", []string{"replace /endpointAccessMode=BASIC"}, "", TLSState{tls13, "BASIC", []string{"REGIONAL"}}},
		{"REGIONAL", tls13, "STRICT", []string{"replace /securityPolicy=" + tls12PQ}, "", TLSState{tls12PQ, "STRICT", []string{"REGIONAL"}}},
		{"REGIONAL", tls13, "STRICT", []string{"replace /securityPolicy=TLS_1_0", "replace /endpointAccessMode="}, "", TLSState{"TLS_1_0", "", []string{"REGIONAL"}}},
		{"REGIONAL", tls13, "BASIC", []string{"replace /endpointAccessMode=", "replace /securityPolicy=TLS_1_2"}, "", TLSState{"TLS_1_2", "", []string{"REGIONAL"}}},
		{"REGIONAL", "TLS_1_2", "", []string{"replace /securityPolicy=TLS_1_0"}, "", TLSState{"TLS_1_0", "", []string{"REGIONAL"}}},
		// Half of a step.
		{"REGIONAL", "TLS_1_0", "", []string{"replace /securityPolicy=" + tls13}, "BadRequest: Endpoint access mode is required for the specified security policy", TLSState{}},
		{"REGIONAL", tls13, "BASIC", []string{"replace /endpointAccessMode="}, "BadRequest: Endpoint access mode is required for the specified security policy", TLSState{}},
		{"REGIONAL", tls13, "BASIC", []string{"replace /securityPolicy=TLS_1_2"}, noMode + "TLS_1_2: leave it out, or, in an update, replace /endpointAccessMode with the value \"\". It goes with a policy that begins with SecurityPolicy_", TLSState{}},
		{"REGIONAL", "TLS_1_2", "", []string{"replace /endpointAccessMode=STRICT"}, noMode + "TLS_1_2…", TLSState{}},
		// Steps that are refused whatever comes with them.
		{"REGIONAL", "TLS_1_0", "", []string{"replace /securityPolicy=TLS_1_2"}, "BadRequest: The securityPolicy of a REST API cannot change from TLS_1_0 to TLS_1_2. Choose a policy that begins with SecurityPolicy_, together with endpointAccessMode BASIC", TLSState{}},
		{"EDGE", "TLS_1_0", "", []string{"replace /securityPolicy=TLS_1_2"}, "BadRequest: The securityPolicy of a REST API cannot change from TLS_1_0…", TLSState{}},
		{"REGIONAL", "TLS_1_2", "", []string{"replace /securityPolicy=" + tls13Edge, "replace /endpointAccessMode=BASIC"}, illegal + tls13Edge + " is not supported for a REST API with endpoint type REGIONAL. Must be one of: [TLS_1_0, TLS_1_2, …", TLSState{}},
		{"REGIONAL", "TLS_1_2", "", []string{"replace /securityPolicy=TLS_9"}, "BadRequest: Invalid securityPolicy specified: 'TLS_9'…", TLSState{}},
		{"REGIONAL", tls13, "BASIC", []string{"replace /endpointAccessMode=LAX"}, "BadRequest: Invalid endpointAccessMode specified: 'LAX'. Must be one of: [BASIC, STRICT]", TLSState{}},
		{"REGIONAL", tls13, "STRICT", []string{"replace /endpointConfiguration/types/REGIONAL=PRIVATE"}, "BadRequest: The endpoint type cannot change while endpointAccessMode is STRICT.…", TLSState{}},
		{"REGIONAL", tls13, "STRICT", []string{"replace /endpointAccessMode=BASIC", "replace /endpointConfiguration/types/REGIONAL=PRIVATE"}, "BadRequest: The endpoint type cannot change while endpointAccessMode is STRICT.…", TLSState{}},
		// Endpoint types.
		{"REGIONAL", tls13, "BASIC", []string{"replace /endpointConfiguration/types/REGIONAL=PRIVATE"}, "", TLSState{tls13, "BASIC", []string{"PRIVATE"}}},
		{"EDGE", "TLS_1_0", "", []string{"replace /endpointConfiguration/types/EDGE=REGIONAL"}, "", TLSState{"TLS_1_0", "", []string{"REGIONAL"}}},
		{"EDGE", tls13Edge, "BASIC", []string{"replace /endpointConfiguration/types/EDGE=REGIONAL"}, "BadRequest: Unable to update EndpointType. SecurityPolicy is required for EndpointType update.", TLSState{}},
		{"EDGE", tls13Edge, "BASIC", []string{"replace /endpointConfiguration/types/EDGE=REGIONAL", "replace /securityPolicy=" + tls13}, "", TLSState{tls13, "BASIC", []string{"REGIONAL"}}},
		{"EDGE", tls13Edge, "BASIC", []string{"replace /endpointConfiguration/types/EDGE=REGIONAL", "replace /securityPolicy=" + tls13Edge}, illegal + tls13Edge + "…", TLSState{}},
		{"REGIONAL", "TLS_1_2", "", []string{"replace /endpointConfiguration/types/REGIONAL=EDGE"}, "BadRequest: Unable to update EndpointType. SecurityPolicy is required for EndpointType update.", TLSState{}},
		{"PRIVATE", "TLS_1_2", "", []string{"replace /endpointConfiguration/types/0=REGIONAL"}, "", TLSState{"TLS_1_2", "", []string{"REGIONAL"}}},
		{"PRIVATE", "TLS_1_0", "", []string{"replace /endpointConfiguration/types/PRIVATE=EDGE"}, "BadRequest: A private API cannot become edge-optimized. Change its endpoint type to REGIONAL first", TLSState{}},
		// What does not touch the first gate leaves it alone.
		{"REGIONAL", tls13, "STRICT", []string{"replace /name=x"}, "", TLSState{tls13, "STRICT", []string{"REGIONAL"}}},
	} {
		t.Run(string(tt.at)+" "+tt.policy+" "+tt.mode+" "+strings.Join(tt.ops, "; "), func(t *testing.T) {
			old := must(createAPI(tt.at, types.SecurityPolicy(tt.policy), types.EndpointAccessMode(tt.mode)))
			api, err := UpdateRestAPI(old, patches(tt.ops...))
			checkErr(t, err, tt.want)
			want := tt.after
			if tt.want != "" {
				want = TLSStateOf(old)
			}
			if d := cmp.Diff(want, TLSStateOf(api)); d != "" {
				t.Errorf("after (-want +got):\n%s", d)
			}
		})
	}
}

// Steps of a custom domain name.
func TestDomainTransitions(t *testing.T) {
	twoTypes := func(policy string) types.DomainName {
		return must(UpdateDomainName(must(createDomain("REGIONAL", types.SecurityPolicy(policy), "")),
			patches("add /endpointConfiguration/types=EDGE", "add /certificateArn="+certB), testPlace, testLater))
	}
	mutual := must(UpdateDomainName(must(createDomain("REGIONAL", "TLS_1_2", "")),
		patches("replace /mutualTlsAuthentication/truststoreUri=s3://bucket/trust.pem"), testPlace, testLater))
	create := func(at types.EndpointType, policy, mode string) types.DomainName {
		return must(createDomain(at, types.SecurityPolicy(policy), types.EndpointAccessMode(mode)))
	}
	for _, tt := range []struct {
		name  string
		old   types.DomainName
		ops   []string
		want  string
		after TLSState
	}{
		{"legacy to enhanced", create("REGIONAL", "TLS_1_2", ""), []string{"replace /securityPolicy=" + tls13, "replace /endpointAccessMode=BASIC"}, "", TLSState{tls13, "BASIC", []string{"REGIONAL"}}},
		{"without a mode", create("REGIONAL", "TLS_1_2", ""), []string{"replace /securityPolicy=" + tls13}, "BadRequest: Endpoint access mode is required for the specified security policy", TLSState{}},
		{"enhanced to legacy", create("REGIONAL", tls13, "STRICT"), []string{"replace /securityPolicy=TLS_1_2", "replace /endpointAccessMode="}, "", TLSState{"TLS_1_2", "", []string{"REGIONAL"}}},
		{"a domain may go from TLS_1_0 to TLS_1_2", create("REGIONAL", "TLS_1_0", ""), []string{"replace /securityPolicy=TLS_1_2"}, "", TLSState{"TLS_1_2", "", []string{"REGIONAL"}}},
		{"private is TLS_1_2 for good", create("PRIVATE", "TLS_1_2", ""), []string{"replace /securityPolicy=" + tls13, "replace /endpointAccessMode=BASIC"}, illegal + tls13 + " is not supported for a domain name with endpoint type PRIVATE. Must be one of: [TLS_1_2]", TLSState{}},
		{"mode of a private one", create("PRIVATE", "TLS_1_2", ""), []string{"replace /endpointAccessMode=BASIC"}, "BadRequest: endpointAccessMode is only supported for public custom domain names; leave it out", TLSState{}},
		{"second type", create("REGIONAL", "TLS_1_2", ""), []string{"add /endpointConfiguration/types=EDGE", "add /certificateArn=" + certB}, "", TLSState{"TLS_1_2", "", []string{"REGIONAL", "EDGE"}}},
		{"second type needs its certificate", create("REGIONAL", "TLS_1_2", ""), []string{"add /endpointConfiguration/types=EDGE"}, "BadRequest: certificateArn is required for the endpoint type EDGE", TLSState{}},
		{"second type needs a policy of both", create("REGIONAL", tls13, "BASIC"), []string{"add /endpointConfiguration/types=EDGE", "add /certificateArn=" + certB}, "BadRequest: Unable to update EndpointType. SecurityPolicy is required for EndpointType update.", TLSState{}},
		{"second type under STRICT", create("REGIONAL", tls13, "STRICT"), []string{"add /endpointConfiguration/types=EDGE", "add /certificateArn=" + certB}, "BadRequest: The endpoint type cannot change while endpointAccessMode is STRICT.…", TLSState{}},
		{"policy of two types", twoTypes("TLS_1_2"), []string{"replace /securityPolicy=TLS_1_0"}, "BadRequest: The securityPolicy of a domain name with two endpoint types cannot change.…", TLSState{}},
		{"one type goes", twoTypes("TLS_1_2"), []string{"remove /endpointConfiguration/types=REGIONAL", "remove /regionalCertificateArn"}, "", TLSState{"TLS_1_2", "", []string{"EDGE"}}},
		{"both types cannot go", twoTypes("TLS_1_2"), []string{"remove /endpointConfiguration/types=REGIONAL", "remove /endpointConfiguration/types=EDGE"}, "BadRequest: REGIONAL Configuration and EDGE Configuration cannot be both DISABLED.", TLSState{}},
		{"add and remove together", create("REGIONAL", "TLS_1_2", ""), []string{"remove /endpointConfiguration/types=REGIONAL", "add /endpointConfiguration/types=EDGE", "add /certificateArn=" + certB}, "BadRequest: Invalid patch path /endpointConfiguration/types: add and remove cannot be used in one request", TLSState{}},
		{"certificate of the active type", create("REGIONAL", "TLS_1_2", ""), []string{"remove /regionalCertificateArn"}, "BadRequest: regionalCertificateArn is required for the endpoint type REGIONAL", TLSState{}},
		{"mode on mutual TLS", mutual, []string{"replace /endpointAccessMode=BASIC"}, "BadRequest: /endpointAccessMode Invalid request input", TLSState{}},
		{"policy on mutual TLS", mutual, []string{"replace /securityPolicy=" + tls13}, "BadRequest: /endpointAccessMode Invalid request input", TLSState{}},
		{"both on mutual TLS", mutual, []string{"replace /securityPolicy=" + tls13, "replace /endpointAccessMode=BASIC"}, "BadRequest: /endpointAccessMode Invalid request input", TLSState{}},
		{"after mutual TLS", mutual, []string{"replace /mutualTlsAuthentication/truststoreUri=", "replace /securityPolicy=" + tls13, "replace /endpointAccessMode=BASIC"}, "", TLSState{tls13, "BASIC", []string{"REGIONAL"}}},
		{"weaker policy on mutual TLS", mutual, []string{"replace /securityPolicy=TLS_1_0"}, "BadRequest: Mutual TLS needs securityPolicy TLS_1_2, not TLS_1_0", TLSState{}},
		{"mutual TLS on an enhanced policy", create("REGIONAL", tls13, "BASIC"), []string{"add /mutualTlsAuthentication/truststoreUri=s3://bucket/trust.pem"}, "BadRequest: Mutual TLS is not supported with securityPolicy " + tls13 + ". Use TLS_1_2, or leave mutualTlsAuthentication out", TLSState{}},
		{"to private", create("REGIONAL", "TLS_1_2", ""), []string{"replace /endpointConfiguration/types/0=PRIVATE"}, "BadRequest: The endpoint type of a domain name cannot change to or from PRIVATE. Create another domain name", TLSState{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := UpdateDomainName(tt.old, patches(tt.ops...), testPlace, testLater)
			checkErr(t, err, tt.want)
			want := tt.after
			if tt.want != "" {
				want = TLSStateOfDomain(tt.old)
			}
			if diff := cmp.Diff(want, TLSStateOfDomain(d)); diff != "" {
				t.Errorf("after (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEndpointConfiguration(t *testing.T) {
	e := func(ip types.IpAddressType, ids []string, at ...types.EndpointType) *types.EndpointConfiguration {
		return &types.EndpointConfiguration{Types: at, IpAddressType: ip, VpcEndpointIds: ids}
	}
	for _, tt := range []struct {
		in   *types.EndpointConfiguration
		ip   types.IpAddressType
		want string
	}{
		{nil, "ipv4", ""},
		{e("", nil), "ipv4", ""},
		{e("", nil, "REGIONAL"), "ipv4", ""},
		{e("dualstack", nil, "REGIONAL"), "dualstack", ""},
		{e("", []string{"vpce-0a", "vpce-0a"}, "PRIVATE"), "dualstack", ""},
		{e("ipv4", nil, "PRIVATE"), "", "BadRequest: Only dualstack ipAddressType is supported for Private APIs."},
		{e("ipv6", nil, "EDGE"), "", "BadRequest: ipAddressType must be either ipv4 or dualstack."},
		{e("", nil, "EDGE", "REGIONAL"), "", "BadRequest: Cannot create an api with multiple Endpoint Types."},
		{e("", nil, "MOON"), "", "BadRequest: Invalid EndpointTypes specified. Valid options are REGIONAL,EDGE,PRIVATE"},
		{e("", []string{"vpce-0a"}, "REGIONAL"), "", "BadRequest: vpcEndpointIds can only be set on a REST API with endpoint type PRIVATE"},
	} {
		api, _, err := NewRestAPI(&apigateway.CreateRestApiInput{Name: aws.String("n"), EndpointConfiguration: tt.in}, "api", "root", testTime)
		checkErr(t, err, tt.want)
		if err == nil && api.EndpointConfiguration.IpAddressType != tt.ip {
			t.Errorf("%v: ipAddressType %s, want %s", tt.in, api.EndpointConfiguration.IpAddressType, tt.ip)
		}
	}

	// An API that moves takes the address type of its new place along, and
	// leaves behind what only the old one had.
	api := testAPI()
	api = must(UpdateRestAPI(api, patches("replace /endpointConfiguration/types/PRIVATE=REGIONAL")))
	if got := api.EndpointConfiguration; len(got.VpcEndpointIds) != 0 || got.IpAddressType != "dualstack" {
		t.Errorf("private to regional: %+v", got)
	}
	api = must(UpdateRestAPI(must(createAPI("REGIONAL", "", "")), patches("replace /endpointConfiguration/types/REGIONAL=PRIVATE")))
	if got := api.EndpointConfiguration; got.IpAddressType != "dualstack" {
		t.Errorf("regional to private: %+v", got)
	}
}

func TestEveryPolicyHasALegalityRow(t *testing.T) {
	var rows []types.SecurityPolicy
	for _, l := range legality {
		rows = append(rows, l.policy)
	}
	want := types.SecurityPolicy("").Values()
	slices.Sort(rows)
	slices.Sort(want)
	if d := cmp.Diff(want, rows); d != "" {
		t.Errorf("(-SDK +rows):\n%s", d)
	}
	// Whatever is legal can be enforced where it is legal.
	for _, l := range legality {
		for bit, atEdge := range map[where]bool{regional: false, private: false, edge: true} {
			if _, ok := tlspolicy.Lookup(string(l.policy), atEdge); !ok && (l.api|l.domain)&bit != 0 {
				t.Errorf("%s is legal (edge: %v) and tlspolicy does not know it", l.policy, atEdge)
			}
		}
	}
}
