// Package snapshot compiles stored documents to what a handshake and a request
// need. A Snapshot is immutable; Current swaps by one pointer. A commit
// recompiles only what it touched: one API's default endpoint, one stage, one
// domain name. What fails to compile is set aside and named (Faults); its last
// good version and all neighbours keep serving.
//
//	c, err := snapshot.Open(ctx, st, opts) // lists, compiles, then follows the watch
//	name := c.Current().Lookup(sni)        // frontgate
//	stage := c.Current().API(id).Stages[n] // pipeline
package snapshot

import (
	"crypto/tls"
	"regexp"
	"time"

	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// EndpointType is a set of the endpoint types at which a name or an API is
// reached; one bit each, since a domain name may move between two.
type EndpointType uint8

const (
	Regional EndpointType = 1 << iota
	Edge
	Private
)

// Mode is an endpoint access mode.
type Mode uint8

const (
	NoMode Mode = iota // legacy policies have none; behaves as BASIC
	Basic
	Strict
)

// Name is what one host name of the first gate stands for: a default endpoint
// (API set) or a custom domain name (Mappings). Fields must not be changed.
type Name struct {
	Host      string // normalized: lower case, no trailing dot; "*.example.com" for a wildcard
	Policy    *tlspolicy.Policy
	Mode      Mode
	Endpoints EndpointType
	// Certificates to choose from, in order of preference; never empty. Leaf is set.
	Certificates []*tls.Certificate
	// Revision is that of the commit that last changed Policy, Mode, Endpoints
	// or Certificates: tickets are bound to it.
	Revision store.Revision

	API      string    // default endpoint: the API's id
	Mappings []Mapping // custom domain: longest base path first
	// Refused names a guard on this name that is stored but not enforced yet
	// (mutual TLS, a domain policy): every request gets 403. Empty: none.
	Refused string
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
	// Refused names a guard on the whole stage or API that is not enforced yet:
	// every request gets 403. Empty: none.
	Refused string
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
	// Refused names a guard not enforced yet (authorization type, API key,
	// request validator): 403. Empty: none.
	Refused string
}

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
	// Timeout bounds the whole backend exchange: 50 ms to 29 s (more for
	// Regional and private APIs). Source: Integration.timeoutInMillis.
	Timeout                  time.Duration
	InsecureSkipVerification bool
	RequestParameters        []ParameterMapping
	RequestTemplates         map[string]string // content type -> text, no "$" or "#" in it
	Passthrough              string            // WHEN_NO_MATCH, WHEN_NO_TEMPLATES, NEVER
	Responses                []IntegrationResponse
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
	Kind string // static, header, multivalueheader, querystring, multivaluequerystring, path, body, stageVariable, context, integration.header
	Name string // header name, variable name; the text itself when static
}

// IntegrationResponse maps a backend's answer to a method response.
type IntegrationResponse struct {
	Status     int
	Pattern    *regexp.Regexp // nil: the default response
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
