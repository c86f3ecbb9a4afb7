package awsapi

import (
	"reflect"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// success holds the HTTP status of every operation that does not answer 200.
// The SDK takes any 2xx, so its code does not tell.
// Source: the responseCode of each operation in Amazon's API references of
// API Gateway versions 1 and 2.
var success = map[string]map[string]int{
	"apigateway": {
		"CreateApiKey":                      201,
		"CreateAuthorizer":                  201,
		"CreateBasePathMapping":             201,
		"CreateDeployment":                  201,
		"CreateDocumentationPart":           201,
		"CreateDocumentationVersion":        201,
		"CreateDomainName":                  201,
		"CreateDomainNameAccessAssociation": 201,
		"CreateModel":                       201,
		"CreateRequestValidator":            201,
		"CreateResource":                    201,
		"CreateRestApi":                     201,
		"CreateStage":                       201,
		"CreateUsagePlan":                   201,
		"CreateUsagePlanKey":                201,
		"GenerateClientCertificate":         201,
		"ImportApiKeys":                     201,
		"ImportRestApi":                     201,
		"PutGatewayResponse":                201,
		"PutIntegration":                    201,
		"PutIntegrationResponse":            201,
		"PutMethod":                         201,
		"PutMethodResponse":                 201,
		"UpdateMethodResponse":              201,
		"CreateVpcLink":                     202,
		"DeleteApiKey":                      202,
		"DeleteAuthorizer":                  202,
		"DeleteBasePathMapping":             202,
		"DeleteClientCertificate":           202,
		"DeleteDeployment":                  202,
		"DeleteDocumentationPart":           202,
		"DeleteDocumentationVersion":        202,
		"DeleteDomainName":                  202,
		"DeleteDomainNameAccessAssociation": 202,
		"DeleteGatewayResponse":             202,
		"DeleteModel":                       202,
		"DeleteRequestValidator":            202,
		"DeleteResource":                    202,
		"DeleteRestApi":                     202,
		"DeleteStage":                       202,
		"DeleteUsagePlan":                   202,
		"DeleteUsagePlanKey":                202,
		"DeleteVpcLink":                     202,
		"FlushStageAuthorizersCache":        202,
		"FlushStageCache":                   202,
		"RejectDomainNameAccessAssociation": 202,
		"DeleteIntegration":                 204,
		"DeleteIntegrationResponse":         204,
		"DeleteMethod":                      204,
		"DeleteMethodResponse":              204,
		"TagResource":                       204,
		"UntagResource":                     204,
	},
	"apigatewayv2": {
		"CreateApi":                        201,
		"CreateApiMapping":                 201,
		"CreateAuthorizer":                 201,
		"CreateDeployment":                 201,
		"CreateDomainName":                 201,
		"CreateIntegration":                201,
		"CreateIntegrationResponse":        201,
		"CreateModel":                      201,
		"CreatePortal":                     201,
		"CreatePortalProduct":              201,
		"CreateProductPage":                201,
		"CreateProductRestEndpointPage":    201,
		"CreateRoute":                      201,
		"CreateRouteResponse":              201,
		"CreateRoutingRule":                201,
		"CreateStage":                      201,
		"CreateVpcLink":                    201,
		"ImportApi":                        201,
		"ReimportApi":                      201,
		"TagResource":                      201,
		"DeleteVpcLink":                    202,
		"PreviewPortal":                    202,
		"PublishPortal":                    202,
		"DeleteAccessLogSettings":          204,
		"DeleteApi":                        204,
		"DeleteApiMapping":                 204,
		"DeleteAuthorizer":                 204,
		"DeleteCorsConfiguration":          204,
		"DeleteDeployment":                 204,
		"DeleteDomainName":                 204,
		"DeleteIntegration":                204,
		"DeleteIntegrationResponse":        204,
		"DeleteModel":                      204,
		"DeletePortal":                     204,
		"DeletePortalProduct":              204,
		"DeletePortalProductSharingPolicy": 204,
		"DeleteProductPage":                204,
		"DeleteProductRestEndpointPage":    204,
		"DeleteRoute":                      204,
		"DeleteRouteRequestParameter":      204,
		"DeleteRouteResponse":              204,
		"DeleteRouteSettings":              204,
		"DeleteRoutingRule":                204,
		"DeleteStage":                      204,
		"DisablePortal":                    204,
		"ResetAuthorizersCache":            204,
		"UntagResource":                    204,
	},
}

// silentZero names the scalar fields that are left out of an answer when they
// are zero. All others that the SDK declares without a pointer are written:
// the service's own members are primitives there and always have a value, and
// clients compare with it (disableExecuteApiEndpoint, cacheClusterEnabled,
// tracingEnabled, enabled, the method settings).
// Source: recorded answers; an integration's timeout is never 0 (at least 50
// ms), so a zero there is a member nobody set.
var silentZero = map[reflect.Type]string{
	reflect.TypeFor[types.Integration]():                  "TimeoutInMillis",
	reflect.TypeFor[apigateway.GetIntegrationOutput]():    "TimeoutInMillis",
	reflect.TypeFor[apigateway.PutIntegrationOutput]():    "TimeoutInMillis",
	reflect.TypeFor[apigateway.UpdateIntegrationOutput](): "TimeoutInMillis",
}

// queryNamespace is the XML namespace of the one Query service, by protocol
// version. Source: AWS STS API reference, common errors and example answers.
const queryNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"
