// Package snapshot compiles stored documents to what a handshake and a request
// need. A Snapshot is immutable; Current swaps by one pointer. A commit
// recompiles only what it touched: one API's default endpoint, one stage, one
// domain name. What fails to compile is set aside and named (Faults); its last
// good version and all neighbours keep serving. Nothing weaker stands in for
// what is missing: without a good version there is no Name and no Stage.
//
//	c, err := snapshot.Open(ctx, st, opts) // lists, compiles, then follows the watch
//	name := c.Current().Lookup(sni)        // frontgate
//	stage := c.Current().API(id).Stages[n] // pipeline
package snapshot

import (
	"cmp"
	"crypto/tls"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// Snapshot is the compiled configuration at one revision. It is immutable and
// safe for concurrent use; a request pins one at its start and keeps it.
type Snapshot struct {
	revision  store.Revision
	place     *place
	fallback  *Name
	apis      index[*API]
	names     index[*Name] // custom domain names, normalized
	wildcards index[*Name] // "*.example.com" under "example.com"
	faults    index[Fault]

	searchDomains   index[*searchDomain] // by name
	searchEndpoints index[*Name]         // by the first label of the endpoint
	searchCustoms   index[*Name]         // by custom endpoint
	refused         index[[]Refusal]
}

// Revision is that of the last commit that this snapshot knows.
func (s *Snapshot) Revision() store.Revision { return s.revision }

// Lookup returns what a server name or a host in NormalizeHost's form stands
// for, nil when it is unknown. Case and one trailing dot do not matter, an exact
// name comes before a wildcard, and a wildcard covers one label. Names of the
// form API.execute-api.REGION.SUFFIX are default endpoints and never anything else.
func (s *Snapshot) Lookup(host string) *Name {
	host = normalizeName(host)
	if host == "" {
		return nil
	}
	if id, ok := s.place.splitDefault(host); ok {
		if api := s.API(id); api != nil {
			return api.endpoint
		}
		return nil
	}
	if label, ok := s.place.splitSearch(host); ok {
		n, _ := s.searchEndpoints.get(label)
		return n
	}
	if n, ok := s.names.get(host); ok {
		return n
	}
	if n, ok := s.searchCustoms.get(host); ok {
		return n
	}
	if i := strings.IndexByte(host, '.'); i >= 0 {
		n, _ := s.wildcards.get(host[i+1:])
		return n
	}
	return nil
}

// Default is what governs a handshake without a server name or with an unknown
// one: the default certificates under policy TLS_1_2. It has no Host, API or
// Mappings, and its Revision changes only with the certificates.
func (s *Snapshot) Default() *Name { return s.fallback }

// API returns the API with that id, or nil.
func (s *Snapshot) API(id string) *API {
	api, _ := s.apis.get(id)
	return api
}

// Faults lists what does not compile, by key.
func (s *Snapshot) Faults() []Fault {
	var fs []Fault
	s.faults.all(func(_ string, f Fault) { fs = append(fs, f) })
	slices.SortFunc(fs, func(a, b Fault) int { return cmp.Compare(a.Key, b.Key) })
	return fs
}

// Refused lists the guards that are stored but not enforced yet, so that what
// they guard is refused, by key and method.
func (s *Snapshot) Refused() []Refusal {
	var rs []Refusal
	s.refused.all(func(_ string, list []Refusal) { rs = append(rs, list...) })
	slices.SortFunc(rs, func(a, b Refusal) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Method, b.Method))
	})
	return rs
}

// EndpointType is a set of the endpoint types at which a name or an API is
// reached; one bit each, since a domain name may move between two.
type EndpointType uint8

const (
	Regional EndpointType = 1 << iota
	Edge
	Private
)

// endpointTypes are the wire's spellings.
var endpointTypes = []struct {
	name string
	bit  EndpointType
}{{"REGIONAL", Regional}, {"EDGE", Edge}, {"PRIVATE", Private}}

// ParseEndpointType returns the endpoint type of that wire spelling, which is
// also a listener type; 0 when it is none.
func ParseEndpointType(name string) EndpointType {
	for _, t := range endpointTypes {
		if t.name == name {
			return t.bit
		}
	}
	return 0
}

// String spells the set as on the wire, joined by commas.
func (e EndpointType) String() string {
	var names []string
	for _, t := range endpointTypes {
		if e&t.bit != 0 {
			names = append(names, t.name)
		}
	}
	return strings.Join(names, ",")
}

// Mode is an endpoint access mode.
type Mode uint8

const (
	NoMode Mode = iota // legacy policies have none; behaves as BASIC
	Basic
	Strict
)

// modes are the wire's spellings, by Mode.
var modes = [...]string{NoMode: "", Basic: "BASIC", Strict: "STRICT"}

// String spells the mode as on the wire; NoMode is "".
func (m Mode) String() string { return modes[m] }

// Name is what one host name of the first gate stands for: a default endpoint
// (API set) or a custom domain name (Mappings). Fields must not be changed.
type Name struct {
	// Host is normalized: lower case, no trailing dot; "*.example.com" for a
	// wildcard, under the first domain suffix for a default endpoint, which is
	// reached under all of them.
	Host      string
	Policy    *tlspolicy.Policy
	Mode      Mode
	Endpoints EndpointType
	// Certificates to choose from, in order of preference; never empty. Leaf is set.
	Certificates []*tls.Certificate
	// Edge are those to choose from on the edge listener, of a name that has an
	// edge endpoint beside another one. Empty: Certificates.
	Edge []*tls.Certificate
	// Revision is that of the commit that last changed Policy, Mode, Endpoints,
	// Certificates or Edge: tickets are bound to it.
	Revision store.Revision

	API      string    // default endpoint: the API's id
	Mappings []Mapping // custom domain: longest base path first
	Search   *Search   // search domain; nil: none
	// Refused names a guard on this name that is stored but not enforced yet
	// (mutual TLS, a domain policy): every request gets 403. Empty: none.
	Refused string
}

// CertificatesAt are those to choose from on a listener, the edge one or
// another.
func (n *Name) CertificatesAt(edge bool) []*tls.Certificate {
	if edge && len(n.Edge) > 0 {
		return n.Edge
	}
	return n.Certificates
}

// Mapping binds a base path of a custom domain to a stage.
type Mapping struct {
	BasePath string // no slashes at the ends; "" is the empty one
	API      string
	Stage    string // "": the stage is the next path segment
}

// API is a REST API with its stages.
type API struct {
	ID       string
	Name     string
	Endpoint EndpointType
	Private  bool
	Stages   map[string]*Stage

	endpoint *Name // what the default endpoint's host names stand for
}

// Stage is one deployed stage.
type Stage struct {
	API        string
	Name       string
	Deployment string
	// DisableDefaultEndpoint: requests by the default endpoint's name get 403.
	DisableDefaultEndpoint bool
	// Policy is the resource policy in force, nil when there is none. A private
	// API without one denies all.
	Policy    *resource.Policy
	Variables map[string]string
	AccessLog *AccessLog // nil: off
	Routes    *Node
	// ClientCertificate is shown to backends that ask for one; nil: none.
	// PreviousCertificate is the one before, for backends that do not take the
	// new one yet; nil: no rotation is under way. The same certificate is the
	// same pointer in every stage and snapshot, for connections are shared by it.
	ClientCertificate, PreviousCertificate *tls.Certificate
	// ClientCertificateID and PreviousCertificateID name them: the id of a
	// generated certificate or the ARN of one in ACM; "": none.
	ClientCertificateID, PreviousCertificateID string
	// Refused names a guard on the whole stage or API that is not enforced yet:
	// every request gets 403. Empty: none.
	Refused string

	deployment *deployment
	links      map[string]struct{} // ids of the VPC links that Routes asked for
	guarded    bool                // some method is refused or a policy judges requests
}

// AccessLog is where and how a stage writes one line per request.
type AccessLog struct {
	Group  string // log group named by the destination ARN
	Format *telemetry.Format
}

// Node is a resource in the tree of path segments.
type Node struct {
	ResourceID string
	Path       string // "/pets/{id}"
	Literal    map[string]*Node
	Param      *Node  // {name}
	ParamName  string // of this node when it is a Param
	Greedy     *Node  // {name+}
	Methods    map[string]*Method
}

// Method is one method of a resource with its integration.
type Method struct {
	HTTPMethod   string // "GET", "ANY"
	ResourceID   string
	ResourcePath string
	// RequiredParameters lists method.request.* names marked required. They are
	// enforced only by request validators.
	RequiredParameters []string
	Integration        *Integration // nil: no integration, answers 500
	// Log and DataTrace are the execution log's, from the stage's method settings.
	Log       LogLevel
	DataTrace bool
	// Refused names a guard not enforced yet (authorization type, API key,
	// request validator) or an integration that cannot be reached yet (AWS): 403.
	// Empty: none.
	Refused string
}

// LogLevel is how much of a request the execution log tells.
type LogLevel uint8

const (
	LogOff   LogLevel = iota
	LogError          // failures
	LogInfo           // every step
)

// IntegrationType is what stands behind a method.
type IntegrationType uint8

const (
	Mock IntegrationType = iota + 1
	HTTP
	HTTPProxy
)

// Integration is how a method reaches its backend.
type Integration struct {
	Type       IntegrationType
	HTTPMethod string    // the backend's method; "ANY" keeps the client's
	URI        []Segment // literals and references, concatenated; empty for Mock
	// Target is what a VPC link leads to, as the operator's targets name it: the
	// ARN of a load balancer or listener. "": the URI's host is dialed.
	Target string
	// Broken says why the VPC link leads nowhere; then nothing may be dialed, and
	// Target is a name to which no address can be mapped. "": it does not.
	Broken string
	// Timeout bounds the whole backend exchange: 50 ms to 29 s (more for
	// Regional and private APIs). Source: Integration.timeoutInMillis.
	Timeout                  time.Duration
	InsecureSkipVerification bool
	RequestParameters        []ParameterMapping
	RequestTemplates         map[string]string // content type -> text, no "$" or "#" in it
	Passthrough              string            // WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER
	// Responses are tried in order: those with a pattern by ascending status,
	// then the default one.
	Responses []IntegrationResponse
	// ResponseHeaders of a method response are allowed names, by status.
	MethodResponses map[int]MethodResponse
}

// Segment is a piece of an integration URI.
type Segment struct {
	Literal string // used when the others are empty
	Path    string // {name}: filled by integration.request.path.NAME
	Stage   string // ${stageVariables.NAME}
}

// ParameterMapping sets Target from Source.
type ParameterMapping struct {
	Location string // header, querystring, path
	Name     string
	Source   Source
}

// Source is where a mapped value comes from.
type Source struct {
	// Kind of a request mapping: static, header, multivalueheader, querystring,
	// multivaluequerystring, path, body, stageVariable, context. Of a response
	// mapping: static, integration.header, integration.multivalueheader,
	// integration.body, stageVariable, context.
	Kind string
	// Name of the header, parameter or variable; the text itself when static;
	// the JSON path behind "body." or "" for the whole body.
	Name string
}

// IntegrationResponse maps a backend's answer to a method response.
type IntegrationResponse struct {
	Status     int
	Pattern    *regexp.Regexp // matches whole texts only; nil: the default response
	Parameters []ParameterMapping
	Templates  map[string]string // content type -> text
}

// MethodResponse is what a method may answer with one status.
type MethodResponse struct {
	Headers map[string]bool // lower-case names; value: required, which the gateway does not check
	Models  []string        // content types
}

// Fault names something that does not compile.
type Fault struct {
	Key    string // store key
	Reason string
	Since  store.Revision
	// Serving says that an earlier good version is still in force.
	Serving bool
}

// Refusal names a guard that is stored but not enforced yet.
type Refusal struct {
	Key    string // store key of the stage or domain name
	Method string // "GET /pets"; "" when all of it is refused
	Guard  string
}
