package resource

import (
	"net/url"
	"strings"
)

// Keys of the store. Values are the wire's JSON of the SDK type named on the
// right, written and read with awsapi.Marshal and awsapi.Unmarshal, unless a
// type of this package is named.
//
//	apigateway/restapis/API                        types.RestApi
//	apigateway/resources/API/RESOURCE              types.Resource, methods and integrations inline
//	apigateway/deployments/API/DEPLOYMENT          types.Deployment
//	apigateway/frozen/API/DEPLOYMENT               Frozen
//	apigateway/stages/API/STAGE                    types.Stage
//	apigateway/effects/API/STAGE                   StageEffect
//	apigateway/domainnames/NAME                    types.DomainName
//	apigateway/basepathmappings/NAME/BASEPATH      types.BasePathMapping, base path escaped, "(none)" when empty
//	apigateway/transitions/restapis/API            Transition
//	apigateway/transitions/domainnames/NAME        Transition
//	apigateway/account                             apigateway.GetAccountOutput
//	apigateway/clientcertificates/ID               types.ClientCertificate
//	apigateway/clientmaterial/ID                   Material (private key sealed)
//	apigateway/rotations/API/STAGE                 Rotation
//	apigateway/vpclinks/ID                         types.VpcLink
//	apigatewayv2/vpclinks/ID                       apigatewayv2 types.VpcLink
//	opensearch/domains/NAME                        opensearch types.DomainStatus
//	opensearch/history/NAME                        SearchHistory
//	opensearch/tags/NAME                           opensearch types.Tag, a list
//	acm/certificates/ID                            acm types.CertificateDetail
//	acm/material/ID                                Material (private key sealed)
//	acm/tags/ID                                    []acm types.Tag
const (
	PrefixRestAPIs         = "apigateway/restapis/"
	PrefixResources        = "apigateway/resources/"
	PrefixDeployments      = "apigateway/deployments/"
	PrefixFrozen           = "apigateway/frozen/"
	PrefixStages           = "apigateway/stages/"
	PrefixEffects          = "apigateway/effects/"
	PrefixDomainNames      = "apigateway/domainnames/"
	PrefixBasePathMappings = "apigateway/basepathmappings/"
	PrefixTransitions      = "apigateway/transitions/"
	PrefixCertificates     = "acm/certificates/"
	PrefixMaterial         = "acm/material/"
	PrefixCertificateTags  = "acm/tags/"

	PrefixClientCertificates = "apigateway/clientcertificates/"
	PrefixClientMaterial     = "apigateway/clientmaterial/"
	PrefixRotations          = "apigateway/rotations/"
	PrefixVPCLinks           = "apigateway/vpclinks/"
	PrefixVPCLinksV2         = "apigatewayv2/vpclinks/"

	PrefixSearchDomains = "opensearch/domains/"
	PrefixSearchHistory = "opensearch/history/"
	PrefixSearchTags    = "opensearch/tags/"

	KeyAccount = "apigateway/account"
)

// EmptyBasePath is how an empty base path is written on the wire and in keys.
const EmptyBasePath = "(none)"

func RestAPIKey(api string) string              { return PrefixRestAPIs + api }
func ResourcesPrefix(api string) string         { return PrefixResources + api + "/" }
func ResourceKey(api, id string) string         { return ResourcesPrefix(api) + id }
func DeploymentsPrefix(api string) string       { return PrefixDeployments + api + "/" }
func DeploymentKey(api, id string) string       { return DeploymentsPrefix(api) + id }
func FrozenPrefix(api string) string            { return PrefixFrozen + api + "/" }
func FrozenKey(api, deployment string) string   { return FrozenPrefix(api) + deployment }
func StagesPrefix(api string) string            { return PrefixStages + api + "/" }
func StageKey(api, stage string) string         { return StagesPrefix(api) + stage }
func EffectsPrefix(api string) string           { return PrefixEffects + api + "/" }
func EffectKey(api, stage string) string        { return EffectsPrefix(api) + stage }
func DomainNameKey(name string) string          { return PrefixDomainNames + name }
func BasePathMappingsPrefix(name string) string { return PrefixBasePathMappings + name + "/" }
func RestAPITransitionKey(api string) string    { return PrefixTransitions + "restapis/" + api }
func DomainTransitionKey(name string) string    { return PrefixTransitions + "domainnames/" + name }
func CertificateKey(id string) string           { return PrefixCertificates + id }
func MaterialKey(id string) string              { return PrefixMaterial + id }
func CertificateTagsKey(id string) string       { return PrefixCertificateTags + id }
func ClientCertificateKey(id string) string     { return PrefixClientCertificates + id }
func ClientMaterialKey(id string) string        { return PrefixClientMaterial + id }
func RotationsPrefix(api string) string         { return PrefixRotations + api + "/" }
func RotationKey(api, stage string) string      { return RotationsPrefix(api) + stage }
func VPCLinkKey(id string) string               { return PrefixVPCLinks + id }
func VPCLinkV2Key(id string) string             { return PrefixVPCLinksV2 + id }

func SearchDomainKey(name string) string  { return PrefixSearchDomains + name }
func SearchHistoryKey(name string) string { return PrefixSearchHistory + name }
func SearchTagsKey(name string) string    { return PrefixSearchTags + name }

// BasePathMappingKey takes the base path as the wire writes it: "(none)" or ""
// for the empty one, "v1/pets" for a multi-level one.
func BasePathMappingKey(name, basePath string) string {
	if basePath == "" {
		basePath = EmptyBasePath
	}
	return BasePathMappingsPrefix(name) + url.PathEscape(basePath)
}

// SplitKey returns what follows prefix in key, cut at slashes.
func SplitKey(key, prefix string) []string {
	return strings.Split(strings.TrimPrefix(key, prefix), "/")
}
