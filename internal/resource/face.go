package resource

import (
	"net/netip"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

func NewRestAPI(in *apigateway.CreateRestApiInput, id, rootID string, now time.Time) (types.RestApi, types.Resource, error) {
	return types.RestApi{}, types.Resource{}, nil
}
func UpdateRestAPI(old types.RestApi, ops []types.PatchOperation) (types.RestApi, error) {
	return old, nil
}

func NewResource(parent types.Resource, siblings []types.Resource, in *apigateway.CreateResourceInput, id string) (types.Resource, error) {
	return types.Resource{}, nil
}

// UpdateResource: all holds every resource of the API. changed[0] is the resource itself, also when nothing changed.
func UpdateResource(id string, all []types.Resource, ops []types.PatchOperation) (changed []types.Resource, err error) {
	return nil, nil
}

// DeleteResource returns the resource and all its descendants; the root cannot go.
func DeleteResource(id string, all []types.Resource) (removed []types.Resource, err error) {
	return nil, nil
}

func GetMethod(res types.Resource, httpMethod string) (types.Method, error) {
	return types.Method{}, nil
}
func PutMethod(res types.Resource, in *apigateway.PutMethodInput) (types.Resource, types.Method, error) {
	return res, types.Method{}, nil
}
func UpdateMethod(res types.Resource, httpMethod string, ops []types.PatchOperation) (types.Resource, types.Method, error) {
	return res, types.Method{}, nil
}
func DeleteMethod(res types.Resource, httpMethod string) (types.Resource, error) { return res, nil }

func GetMethodResponse(res types.Resource, httpMethod, status string) (types.MethodResponse, error) {
	return types.MethodResponse{}, nil
}
func PutMethodResponse(res types.Resource, in *apigateway.PutMethodResponseInput) (types.Resource, types.MethodResponse, error) {
	return res, types.MethodResponse{}, nil
}
func UpdateMethodResponse(res types.Resource, httpMethod, status string, ops []types.PatchOperation) (types.Resource, types.MethodResponse, error) {
	return res, types.MethodResponse{}, nil
}
func DeleteMethodResponse(res types.Resource, httpMethod, status string) (types.Resource, error) {
	return res, nil
}

func GetIntegration(res types.Resource, httpMethod string) (types.Integration, error) {
	return types.Integration{}, nil
}
func PutIntegration(res types.Resource, in *apigateway.PutIntegrationInput) (types.Resource, types.Integration, error) {
	return res, types.Integration{}, nil
}
func UpdateIntegration(res types.Resource, httpMethod string, ops []types.PatchOperation) (types.Resource, types.Integration, error) {
	return res, types.Integration{}, nil
}
func DeleteIntegration(res types.Resource, httpMethod string) (types.Resource, error) {
	return res, nil
}

func GetIntegrationResponse(res types.Resource, httpMethod, status string) (types.IntegrationResponse, error) {
	return types.IntegrationResponse{}, nil
}
func PutIntegrationResponse(res types.Resource, in *apigateway.PutIntegrationResponseInput) (types.Resource, types.IntegrationResponse, error) {
	return res, types.IntegrationResponse{}, nil
}
func UpdateIntegrationResponse(res types.Resource, httpMethod, status string, ops []types.PatchOperation) (types.Resource, types.IntegrationResponse, error) {
	return res, types.IntegrationResponse{}, nil
}
func DeleteIntegrationResponse(res types.Resource, httpMethod, status string) (types.Resource, error) {
	return res, nil
}

// Summary is a deployment's apiSummary: path, then method.
func Summary(resources []types.Resource) map[string]map[string]types.MethodSnapshot { return nil }
func NewDeployment(in *apigateway.CreateDeploymentInput, id string, now time.Time, summary map[string]map[string]types.MethodSnapshot) (types.Deployment, error) {
	return types.Deployment{}, nil
}
func UpdateDeployment(old types.Deployment, ops []types.PatchOperation) (types.Deployment, error) {
	return old, nil
}
func Freeze(api types.RestApi, resources []types.Resource) (Frozen, error) { return Frozen{}, nil }

func NewStage(in *apigateway.CreateStageInput, now time.Time) (types.Stage, error) {
	return types.Stage{}, nil
}

// DeployStage is what CreateDeployment with a stageName does to that stage; old is nil when there is none yet.
func DeployStage(old *types.Stage, in *apigateway.CreateDeploymentInput, deploymentID string, now time.Time) (types.Stage, error) {
	return types.Stage{}, nil
}
func UpdateStage(old types.Stage, ops []types.PatchOperation, now time.Time) (types.Stage, error) {
	return old, nil
}

// Place is where this gateway says it is: parts of ARNs and generated names.
type Place struct {
	Region  string // us-east-1
	Account string // 000000000000
	Suffix  string // amazonaws.com
}

func NewDomainName(in *apigateway.CreateDomainNameInput, at Place, now time.Time) (types.DomainName, error) {
	return types.DomainName{}, nil
}
func UpdateDomainName(old types.DomainName, ops []types.PatchOperation, at Place, now time.Time) (types.DomainName, error) {
	return old, nil
}

// DomainCertificates lists the ACM ARNs that d names; the caller checks that they exist.
func DomainCertificates(d types.DomainName) []string { return nil }

func NewBasePathMapping(in *apigateway.CreateBasePathMappingInput) (types.BasePathMapping, error) {
	return types.BasePathMapping{}, nil
}
func UpdateBasePathMapping(old types.BasePathMapping, ops []types.PatchOperation) (types.BasePathMapping, error) {
	return old, nil
}

func NewAccount() *apigateway.GetAccountOutput { return &apigateway.GetAccountOutput{} }
func UpdateAccount(old *apigateway.GetAccountOutput, ops []types.PatchOperation) (*apigateway.GetAccountOutput, error) {
	return old, nil
}

func ValidTags(tags map[string]string) error { return nil }

func RestAPIARN(region, id string) string              { return "" }
func StageARN(region, api, stage string) string        { return "" }
func DomainNameARN(region, name string) string         { return "" }
func CertificateARN(region, account, id string) string { return "" }

// ExecuteAPIARN is the prefix of what a resource policy speaks of: arn:aws:execute-api:REGION:ACCOUNT:API.
func ExecuteAPIARN(at Place, api string) string { return "" }

// TagKind is what a taggable ARN names.
type TagKind int

const (
	TagRestAPI     TagKind = iota + 1 // parts: API
	TagStage                          // parts: API, stage
	TagDomainName                     // parts: name
	TagCertificate                    // parts: id (ACM)
)

func ParseTagARN(arn string) (kind TagKind, parts []string, err error) { return 0, nil, nil }

// GuardsNotEnforced takes a types.RestApi, types.DomainName, types.Stage or types.Method.
func GuardsNotEnforced(doc any) []string { return nil }

func TLSStateOf(api types.RestApi) TLSState        { return TLSState{} }
func TLSStateOfDomain(d types.DomainName) TLSState { return TLSState{} }

// WirePolicy is a policy as answers carry it: its quotes and slashes escaped once
// more, which Terraform undoes. Empty stays empty.
func WirePolicy(document string) string { return document }

// Policy is a compiled resource policy.
type Policy struct{}

// Decision is a policy's verdict.
type Decision int

const (
	ImplicitDeny Decision = iota // nothing matched
	ExplicitDeny
	Allow
)

// PolicyRequest is what conditions see.
type PolicyRequest struct {
	SourceIP         netip.Addr
	VPC, VPCEndpoint string // empty: the request did not come through a VPC endpoint
	ResourceARN      string // arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path
	Action           string // empty: execute-api:Invoke
}

// ParsePolicy: a malformed document is an *Error; one that this version cannot enforce is a *NotEnforceable.
func ParsePolicy(document, apiARN string) (*Policy, error) { return &Policy{}, nil }

// NotEnforceable names the parts of a well-formed policy that this version cannot judge.
type NotEnforceable struct{ Parts []string }

func (e *NotEnforceable) Error() string { return "" }

func (p *Policy) Evaluate(r PolicyRequest) Decision { return ImplicitDeny }
