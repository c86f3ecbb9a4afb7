package resource

import (
	"encoding/json"
	"strings"
	"time"
)

// Frozen is what a deployment serves: copies made in the commit that created
// it, so that later edits do not leak into a stage. Members are wire JSON of
// the SDK's types.
type Frozen struct {
	RestAPI   json.RawMessage   `json:"restApi"`   // types.RestApi
	Resources []json.RawMessage `json:"resources"` // types.Resource, methods inline
}

// StageEffect holds API settings that bind a stage only from its next update
// or deployment on. Source: developer guide, disable the default endpoint.
type StageEffect struct {
	DisableExecuteAPIEndpoint bool `json:"disableExecuteApiEndpoint"`
}

// Transition says that a document's TLS members are not in force yet: until
// Until, Previous is what the gates enforce and the status is UPDATING. It
// exists only under --propagation-delay.
type Transition struct {
	Until    time.Time `json:"until"`
	Previous TLSState  `json:"previous"`
}

// TLSState is the part of an API or domain name that the first gate enforces.
type TLSState struct {
	SecurityPolicy     string   `json:"securityPolicy"`
	EndpointAccessMode string   `json:"endpointAccessMode,omitempty"`
	EndpointTypes      []string `json:"endpointTypes,omitempty"`
}

// Material is a certificate with its key. Sealed is the PKCS #8 private key as
// pki.Sealer sealed it with the certificate's id as context.
type Material struct {
	Certificate string `json:"certificate"` // PEM, leaf only
	Chain       string `json:"chain"`       // PEM, may be empty
	Sealed      []byte `json:"sealed"`
}

// ChainLength is how many certificates go with the leaf.
func (m Material) ChainLength() int { return strings.Count(m.Chain, "-----BEGIN CERTIFICATE-----") }

// Rotation is a stage's move from one client certificate to the next: while it
// stands, a backend that does not take the stage's own certificate is shown the
// previous one. It is written by the change that replaces the certificate, and
// goes when the previous one is deleted, or the stage names it no more.
type Rotation struct {
	Previous string    `json:"previous"` // id or ARN of the certificate before
	Since    time.Time `json:"since"`
}
