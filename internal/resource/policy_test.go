package resource

import (
	"encoding/json"
	"errors"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

const (
	apiARN    = "arn:aws:execute-api:us-east-1:000000000000:a1b2c3"
	everybody = `"Principal":"*","Action":"execute-api:Invoke","Resource":"execute-api:/*"`
)

func doc(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// Requests: from the internet, and through a VPC endpoint.
var (
	public  = PolicyRequest{SourceIP: netip.MustParseAddr("203.0.113.7"), ResourceARN: apiARN + "/prod/GET/pets"}
	through = PolicyRequest{SourceIP: netip.MustParseAddr("10.0.0.7"), VPC: "vpc-1", VPCEndpoint: "vpce-1", ResourceARN: apiARN + "/prod/GET/pets"}
)

func TestPolicyEvaluate(t *testing.T) {
	allow := func(rest string) string { return `{"Effect":"Allow",` + rest + `}` }
	deny := func(rest string) string { return `{"Effect":"Deny",` + rest + `}` }
	when := func(condition string) string { return everybody + `,"Condition":` + condition }
	for _, tt := range []struct {
		name, document  string
		public, through Decision
	}{
		{"allow all", doc(allow(everybody)), Allow, Allow},
		{"a single statement without a list", `{"Statement":` + allow(everybody) + `}`, Allow, Allow},
		{"deny all", doc(deny(everybody)), ExplicitDeny, ExplicitDeny},
		{"deny wins, whatever the order", doc(deny(everybody), allow(everybody)), ExplicitDeny, ExplicitDeny},
		{"deny wins, the other way round", doc(allow(everybody), deny(everybody)), ExplicitDeny, ExplicitDeny},

		// Principals.
		{"AWS *", doc(allow(`"Principal":{"AWS":"*"},"Action":"*","Resource":"*"`)), Allow, Allow},
		{"AWS list with *", doc(allow(`"Principal":{"AWS":["123456789012","*"]},"Action":"*","Resource":"*"`)), Allow, Allow},
		{"an account is nobody without identity", doc(allow(`"Principal":{"AWS":"123456789012"},"Action":"*","Resource":"*"`)), ImplicitDeny, ImplicitDeny},
		{"nor is a role", doc(deny(`"Principal":{"AWS":"arn:aws:iam::123456789012:role/x"},"Action":"*","Resource":"*"`), allow(everybody)), Allow, Allow},
		{"nor a service", doc(allow(`"Principal":{"Service":"apigateway.amazonaws.com"},"Action":"*","Resource":"*"`)), ImplicitDeny, ImplicitDeny},

		// Actions: case does not matter.
		{"execute-api:*", doc(allow(`"Principal":"*","Action":"execute-api:*","Resource":"*"`)), Allow, Allow},
		{"list", doc(allow(`"Principal":"*","Action":["s3:GetObject","EXECUTE-API:invoke"],"Resource":"*"`)), Allow, Allow},
		{"other action", doc(allow(`"Principal":"*","Action":"execute-api:ManageConnections","Resource":"*"`)), ImplicitDeny, ImplicitDeny},
		{"NotAction of another", doc(allow(`"Principal":"*","NotAction":"execute-api:ManageConnections","Resource":"*"`)), Allow, Allow},
		{"NotAction of this", doc(allow(`"Principal":"*","NotAction":"execute-api:I*","Resource":"*"`)), ImplicitDeny, ImplicitDeny},

		// Resources: case matters.
		{"stage", doc(allow(`"Principal":"*","Action":"*","Resource":"execute-api:/prod/*"`)), Allow, Allow},
		{"other stage", doc(allow(`"Principal":"*","Action":"*","Resource":"execute-api:/test/*"`)), ImplicitDeny, ImplicitDeny},
		{"method and path", doc(allow(`"Principal":"*","Action":"*","Resource":"execute-api:/prod/GET/pets"`)), Allow, Allow},
		{"other method", doc(allow(`"Principal":"*","Action":"*","Resource":"execute-api:/prod/POST/pets"`)), ImplicitDeny, ImplicitDeny},
		{"any method", doc(allow(`"Principal":"*","Action":"*","Resource":"execute-api:/*/*/pe?s"`)), Allow, Allow},
		{"path is not a prefix", doc(allow(`"Principal":"*","Action":"*","Resource":"execute-api:/prod/GET/pet"`)), ImplicitDeny, ImplicitDeny},
		{"case matters", doc(allow(`"Principal":"*","Action":"*","Resource":"execute-api:/PROD/*"`)), ImplicitDeny, ImplicitDeny},
		{"full ARN", doc(allow(`"Principal":"*","Action":"*","Resource":"` + apiARN + `/*/GET/*"`)), Allow, Allow},
		{"ARN with wildcards", doc(allow(`"Principal":"*","Action":"*","Resource":"arn:aws:execute-api:*:*:*"`)), Allow, Allow},
		{"ARN of another API", doc(allow(`"Principal":"*","Action":"*","Resource":"arn:aws:execute-api:us-east-1:000000000000:other/*"`)), ImplicitDeny, ImplicitDeny},
		{"NotResource", doc(deny(`"Principal":"*","Action":"*","NotResource":"execute-api:/prod/GET/*"`), allow(everybody)), Allow, Allow},

		// Conditions.
		{"from a network", doc(allow(when(`{"IpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`))), Allow, ImplicitDeny},
		{"any of the values", doc(allow(when(`{"IpAddress":{"aws:SourceIp":["198.51.100.0/24","203.0.113.7"]}}`))), Allow, ImplicitDeny},
		{"bits below the mask", doc(allow(when(`{"IpAddress":{"aws:SourceIp":"203.0.113.99/24"}}`))), Allow, ImplicitDeny},
		{"an address mapped to IPv6", doc(allow(when(`{"IpAddress":{"aws:SourceIp":"::ffff:203.0.113.0/120"}}`))), Allow, ImplicitDeny},
		{"not from a network; a missing key is not in it", doc(deny(when(`{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}`)), allow(everybody)), Allow, ExplicitDeny},
		{"none of the values", doc(deny(when(`{"NotIpAddress":{"aws:SourceIp":["198.51.100.0/24","192.0.2.0/24"]}}`)), allow(everybody)), ExplicitDeny, ExplicitDeny},
		{"inside the VPC", doc(allow(when(`{"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"}}`))), ImplicitDeny, Allow},
		{"the endpoint", doc(allow(when(`{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`))), ImplicitDeny, Allow},
		{"keys in any case", doc(allow(when(`{"StringEquals":{"AWS:sourcevpce":"vpce-1"}}`))), ImplicitDeny, Allow},
		{"values in their case", doc(allow(when(`{"StringEquals":{"aws:SourceVpce":"VPCE-1"}}`))), ImplicitDeny, ImplicitDeny},
		{"unless ignored", doc(allow(when(`{"StringEqualsIgnoreCase":{"aws:SourceVpce":"VPCE-1"}}`))), ImplicitDeny, Allow},
		{"AWS's own example", doc(deny(when(`{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}`)), allow(everybody)), ExplicitDeny, Allow},
		{"its VPC sister", doc(deny(when(`{"StringNotEquals":{"aws:SourceVpc":"vpc-2"}}`)), allow(everybody)), ExplicitDeny, ExplicitDeny},
		{"like", doc(allow(when(`{"StringLike":{"aws:SourceVpc":"vpc-?"}}`))), ImplicitDeny, Allow},
		{"equals knows no wildcards", doc(allow(when(`{"StringEquals":{"aws:SourceVpc":"vpc-*"}}`))), ImplicitDeny, ImplicitDeny},
		{"not like", doc(allow(when(`{"StringNotLike":{"aws:SourceVpc":"vpc-*"}}`))), Allow, ImplicitDeny},
		{"if exists", doc(allow(when(`{"StringEqualsIfExists":{"aws:SourceVpce":"vpce-1"}}`))), Allow, Allow},
		{"if exists, and differs", doc(allow(when(`{"StringEqualsIfExists":{"aws:SourceVpce":"vpce-2"}}`))), Allow, ImplicitDeny},
		{"for any value", doc(allow(when(`{"ForAnyValue:StringNotEquals":{"aws:SourceVpce":"vpce-2"}}`))), ImplicitDeny, Allow},
		{"for all values", doc(allow(when(`{"ForAllValues:StringEquals":{"aws:SourceVpce":"vpce-2"}}`))), Allow, ImplicitDeny},
		{"null", doc(allow(when(`{"Null":{"aws:SourceVpce":"true"}}`))), Allow, ImplicitDeny},
		{"not null", doc(allow(when(`{"Null":{"aws:SourceVpce":false}}`))), ImplicitDeny, Allow},
		{"over TLS", doc(deny(when(`{"Bool":{"aws:SecureTransport":false}}`)), allow(everybody)), Allow, Allow},
		{"all keys must hold", doc(allow(when(`{"StringEquals":{"aws:SourceVpce":"vpce-1","aws:SourceVpc":"vpc-2"}}`))), ImplicitDeny, ImplicitDeny},
		{"all operators must hold", doc(allow(when(`{"StringEquals":{"aws:SourceVpce":"vpce-1"},"IpAddress":{"aws:VpcSourceIp":"10.0.0.0/8"}}`))), ImplicitDeny, Allow},
		{"an empty condition", doc(allow(when(`{}`))), Allow, Allow},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := ParsePolicy(tt.document, apiARN)
			if err != nil {
				t.Fatal(err)
			}
			if got := p.Evaluate(public); got != tt.public {
				t.Errorf("from the internet: %v, want %v", got, tt.public)
			}
			if got := p.Evaluate(through); got != tt.through {
				t.Errorf("through the VPC endpoint: %v, want %v", got, tt.through)
			}
		})
	}
	plain := public
	plain.Plaintext = true
	p := must(ParsePolicy(doc(deny(when(`{"Bool":{"aws:SecureTransport":"false"}}`)), allow(everybody)), apiARN))
	if got := p.Evaluate(plain); got != ExplicitDeny {
		t.Errorf("not over TLS: %v, want %v", got, ExplicitDeny)
	}
}

func TestPolicyMalformed(t *testing.T) {
	ok := `"Effect":"Allow",` + everybody
	for name, document := range map[string]string{
		"empty":                        ``,
		"not JSON":                     `Allow`,
		"not an object":                `[]`,
		"null":                         `null`,
		"something after it":           doc(`{`+ok+`}`) + `{}`,
		"no statement":                 `{"Version":"2012-10-17"}`,
		"no statements":                doc(),
		"statement is text":            doc(`"x"`),
		"unknown version":              `{"Version":"2025-01-01","Statement":[{` + ok + `}]}`,
		"unknown element":              `{"Version":"2012-10-17","Statements":[],"Statement":[{` + ok + `}]}`,
		"element in another case":      doc(`{"effect":"Allow",` + everybody + `}`),
		"unknown effect":               doc(`{"Effect":"allow",` + everybody + `}`),
		"no effect":                    doc(`{` + everybody + `}`),
		"a member twice":               doc(`{` + ok + `,"Effect":"Deny"}`),
		"no principal":                 doc(`{"Effect":"Allow","Action":"*","Resource":"*"}`),
		"principal is a name":          doc(`{"Effect":"Allow","Principal":"me","Action":"*","Resource":"*"}`),
		"principal is not an ARN":      doc(`{"Effect":"Allow","Principal":{"AWS":"me"},"Action":"*","Resource":"*"}`),
		"principal of unknown kind":    doc(`{"Effect":"Allow","Principal":{"Aws":"*"},"Action":"*","Resource":"*"}`),
		"principal and NotPrincipal":   doc(`{` + ok + `,"NotPrincipal":"*"}`),
		"no action":                    doc(`{"Effect":"Allow","Principal":"*","Resource":"*"}`),
		"action without service":       doc(`{"Effect":"Allow","Principal":"*","Action":"Invoke","Resource":"*"}`),
		"action and NotAction":         doc(`{` + ok + `,"NotAction":"*"}`),
		"action is an empty list":      doc(`{"Effect":"Allow","Principal":"*","Action":[],"Resource":"*"}`),
		"no resource":                  doc(`{"Effect":"Allow","Principal":"*","Action":"*"}`),
		"resource is no ARN":           doc(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"/prod/*"}`),
		"resource is a number":         doc(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":1}`),
		"condition is text":            doc(`{` + ok + `,"Condition":"x"}`),
		"unknown operator":             doc(`{` + ok + `,"Condition":{"StringIs":{"aws:SourceVpc":"vpc-1"}}}`),
		"operator without keys":        doc(`{` + ok + `,"Condition":{"StringEquals":{}}}`),
		"key without values":           doc(`{` + ok + `,"Condition":{"StringEquals":{"aws:SourceVpc":[]}}}`),
		"key without a service":        doc(`{` + ok + `,"Condition":{"StringEquals":{"SourceVpc":"vpc-1"}}}`),
		"address that is none":         doc(`{` + ok + `,"Condition":{"IpAddress":{"aws:SourceIp":"10.0.0.256"}}}`),
		"address with a zone":          doc(`{` + ok + `,"Condition":{"IpAddress":{"aws:SourceIp":"fe80::1%eth0"}}}`),
		"null of neither":              doc(`{` + ok + `,"Condition":{"Null":{"aws:SourceVpc":"maybe"}}}`),
		"deep":                         strings.Repeat(`[`, 1000) + strings.Repeat(`]`, 1000),
		"a value of a condition is {}": doc(`{` + ok + `,"Condition":{"StringEquals":{"aws:SourceVpc":{}}}}`),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParsePolicy(document, apiARN)
			checkErr(t, err, "BadRequest: Invalid policy document. Please check the policy syntax and ensure that Principals are valid.")
		})
	}
	_, err := ParsePolicy(doc(`{`+ok+`}`)+strings.Repeat(" ", maxPolicy), apiARN)
	checkErr(t, err, "BadRequest: Invalid policy document. It is…")
}

// Well-formed, but not to be judged here: stored, never served under.
func TestPolicyNotEnforceable(t *testing.T) {
	ok := `"Effect":"Allow",` + everybody
	for _, tt := range []struct{ document, want string }{
		{doc(`{"Effect":"Deny","NotPrincipal":{"AWS":"123456789012"},"Action":"*","Resource":"*"}`), "statement 1: NotPrincipal"},
		{doc(`{` + ok + `,"Condition":{"StringEquals":{"aws:PrincipalOrgID":"o-1"}}}`), "statement 1: condition key aws:PrincipalOrgID"},
		{doc(`{`+ok+`}`, `{`+ok+`,"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}}`),
			"statement 2: condition key aws:CurrentTime, statement 2: condition operator DateGreaterThan"},
		{doc(`{` + ok + `,"Condition":{"ArnLike":{"aws:SourceArn":"arn:aws:sns:*:*:*"}}}`), "statement 1: condition key aws:SourceArn, statement 1: condition operator ArnLike"},
		{doc(`{` + ok + `,"Condition":{"IpAddress":{"aws:SourceVpc":"10.0.0.0/8"}}}`), "statement 1: condition operator IpAddress on key aws:SourceVpc"},
		{doc(`{` + ok + `,"Condition":{"Null":{"aws:PrincipalArn":"true"}}}`), "statement 1: condition key aws:PrincipalArn"},
		{doc(`{"Effect":"Allow","Principal":"*","Action":"*","Resource":"execute-api:/${aws:username}/*"}`), `statement 1: policy variable in Resource "execute-api:/${aws:username}/*"`},
	} {
		_, err := ParsePolicy(tt.document, apiARN)
		var refused *NotEnforceable
		if !errors.As(err, &refused) || strings.Join(refused.Parts, ", ") != tt.want {
			t.Errorf("%s\n got %v\nwant %s", tt.document, err, tt.want)
		}
		api := testAPI()
		api, err = UpdateRestAPI(api, patches("replace /name=x"))
		if err != nil {
			t.Fatal(err)
		}
		api.Policy = &tt.document
		if _, err := UpdateRestAPI(api, patches("replace /name=y")); err != nil {
			t.Errorf("may be stored: %v", err)
		}
		if got := GuardsNotEnforced(api); len(got) != 1 || !strings.Contains(got[0], tt.want) {
			t.Errorf("guards: %q", got)
		}
	}
}

// What Terraform does to a policy that it reads must give the document back.
func TestWirePolicy(t *testing.T) {
	document := doc(`{"Effect":"Allow",`+everybody+`}`) + "\n"
	wire := WirePolicy(document)
	if !strings.Contains(wire, `\"execute-api:\/*\"`) {
		t.Errorf("not escaped as AWS does: %s", wire)
	}
	var back string
	if err := json.Unmarshal([]byte(`"`+wire+`"`), &back); err != nil || back != document {
		t.Errorf("%v: %q", err, back)
	}
	if WirePolicy("") != "" {
		t.Error("nothing became something")
	}
}

func FuzzParsePolicy(f *testing.F) {
	f.Add(doc(`{"Effect":"Allow",` + everybody + `}`))
	f.Add(doc(`{"Effect":"Deny",` + everybody + `,"Condition":{"ForAnyValue:StringNotLikeIfExists":{"aws:SourceVpce":["a*","?"]}}}`))
	f.Add(doc(`{"Effect":"Deny","NotPrincipal":"*","NotAction":"a:*","NotResource":"arn:*"}`))
	f.Fuzz(func(t *testing.T, document string) {
		p, err := ParsePolicy(document, apiARN)
		var refused *Error
		var not *NotEnforceable
		switch {
		case err == nil:
			p.Evaluate(public)
			p.Evaluate(through)
			if !json.Valid([]byte(document)) {
				t.Fatal("accepted what is not JSON")
			}
		case errors.As(err, &refused), errors.As(err, &not):
		default:
			t.Fatalf("untyped: %v", err)
		}
	})
}

func TestWildcard(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "abc", true}, {"?", "", false}, {"?", "a", true}, {"??", "a", false},
		{"a*c", "abbbc", true}, {"a*c", "ac", true}, {"a*c", "acb", false}, {"aa*aa", "aaa", false}, {"aa*aa", "aaaa", true},
		{"*a?c*", "xxabcxx", true}, {"*a?c*", "xxaacc", true}, {"*a?c", "aXc-abd-aYc", true}, {"*?a*", "a", false}, {"*?a*", "ba", true},
		{"**", "x", true}, {"*?*?*", "x", false}, {"*?*?*", "xy", true}, {"a/*/c", "a/b/x/c", true},
	} {
		if got := compileWildcard(tt.pattern).match(tt.text); got != tt.want {
			t.Errorf("%q on %q: %v", tt.pattern, tt.text, got)
		}
	}
}

// The oracle is the standard library's linear-time matcher.
func FuzzWildcard(f *testing.F) {
	f.Add("*a?c*", "xxabcxx")
	f.Add("*"+strings.Repeat("?a", 40)+"*", strings.Repeat("ba", 60))
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 500 || len(text) > 500 {
			return
		}
		var re strings.Builder
		re.WriteString(`(?s)\A`)
		for _, b := range []byte(pattern) {
			switch b {
			case '*':
				re.WriteString(`.*`)
			case '?':
				re.WriteString(`.`)
			default:
				re.WriteString(regexp.QuoteMeta(string(rune(b))))
			}
		}
		re.WriteString(`\z`)
		var runes []rune // one rune for each byte, as the matcher counts
		for _, b := range []byte(text) {
			runes = append(runes, rune(b))
		}
		want := regexp.MustCompile(re.String()).MatchString(string(runes))
		if got := compileWildcard(pattern).match(text); got != want {
			t.Fatalf("%q on %q: %v, want %v", pattern, text, got, want)
		}
	})
}

func BenchmarkPolicyEvaluate(b *testing.B) {
	p := must(ParsePolicy(doc(`{"Effect":"Deny",`+everybody+`,"Condition":{"StringNotEquals":{"aws:SourceVpce":"vpce-1"}}}`, `{"Effect":"Allow",`+everybody+`}`), apiARN))
	b.ReportAllocs()
	for b.Loop() {
		p.Evaluate(through)
	}
}
