package telemetry

import "strings"

// Variable is a $context variable of REST APIs.
type Variable uint8

// The variables, named as on the wire. Unknown is what no table row has; it
// renders as "-".
const (
	Unknown Variable = iota

	AccountID
	APIID
	DeploymentID
	EndpointType
	StageName
	IsCanaryRequest

	RequestID
	ExtendedRequestID
	RequestTime
	RequestTimeEpoch
	HTTPMethod
	Path
	Protocol
	ResourceID
	ResourcePath
	DomainName
	DomainPrefix
	TLSVersion
	CipherSuite
	XRayTraceID

	BasePathMatched
	RoutingRuleIDMatched

	Status
	ResponseLatency
	ResponseLength

	RequestOverrideHeader      // with a name
	RequestOverridePath        // with a name
	RequestOverrideQuerystring // with a name
	ResponseOverrideHeader     // with a name
	ResponseOverrideStatus

	ErrorMessage
	ErrorMessageString
	ErrorResponseType
	ErrorValidationString

	WAFError
	WAFLatency
	WAFStatus
	WAFResponseCode
	WebACLARN

	AuthenticateError
	AuthenticateLatency
	AuthenticateStatus

	AuthorizerError
	AuthorizerIntegrationLatency
	AuthorizerIntegrationStatus
	AuthorizerLatency
	AuthorizerRequestID
	AuthorizerStatus
	AuthorizerPrincipalID
	AuthorizerClaim    // with a name
	AuthorizerProperty // with a name

	AuthorizeError
	AuthorizeLatency
	AuthorizeStatus

	IntegrationError
	IntegrationServiceStatus // integration.integrationStatus, integrationStatus
	IntegrationLatency       // integration.latency, integrationLatency
	IntegrationRequestID     // integration.requestId, awsEndpointRequestId
	IntegrationStatus        // integration.status: the status in the answer itself
	IntegrationTransferMode
	IntegrationTimeToAllHeaders
	IntegrationTimeToFirstContent

	IdentityAccountID
	IdentityAPIKey
	IdentityAPIKeyID
	IdentityCaller
	IdentityCognitoAuthenticationProvider
	IdentityCognitoAuthenticationType
	IdentityCognitoIdentityID
	IdentityCognitoIdentityPoolID
	IdentityPrincipalOrgID
	IdentitySourceIP
	IdentityUser
	IdentityUserAgent
	IdentityUserARN
	IdentityVPCID
	IdentityVPCEID
	ClientCertPEM
	ClientCertSubjectDN
	ClientCertIssuerDN
	ClientCertSerialNumber
	ClientCertNotBefore
	ClientCertNotAfter

	variableCount
)

// variables lists the names behind "$context.". Names are case-sensitive.
// Source: developer guide, api-gateway-variables-for-access-logging.
var variables = []struct {
	name string
	id   Variable
}{
	{"accountId", AccountID},
	{"apiId", APIID},
	{"deploymentId", DeploymentID},
	{"endpointType", EndpointType},
	{"stage", StageName},
	{"isCanaryRequest", IsCanaryRequest},

	{"requestId", RequestID},
	{"extendedRequestId", ExtendedRequestID},
	{"requestTime", RequestTime},
	{"requestTimeEpoch", RequestTimeEpoch},
	{"httpMethod", HTTPMethod},
	{"path", Path},
	{"protocol", Protocol},
	{"resourceId", ResourceID},
	{"resourcePath", ResourcePath},
	{"domainName", DomainName},
	{"domainPrefix", DomainPrefix},
	{"tlsVersion", TLSVersion},
	{"cipherSuite", CipherSuite},
	{"xrayTraceId", XRayTraceID},

	{"customDomain.basePathMatched", BasePathMatched},
	{"customDomain.routingRuleIdMatched", RoutingRuleIDMatched},

	{"status", Status},
	{"responseLatency", ResponseLatency},
	{"responseLength", ResponseLength},

	{"responseOverride.status", ResponseOverrideStatus},

	{"error.message", ErrorMessage},
	{"error.messageString", ErrorMessageString},
	{"error.responseType", ErrorResponseType},
	{"error.validationErrorString", ErrorValidationString},

	{"waf.error", WAFError},
	{"waf.latency", WAFLatency},
	{"waf.status", WAFStatus},
	{"wafResponseCode", WAFResponseCode},
	{"webaclArn", WebACLARN},

	{"authenticate.error", AuthenticateError},
	{"authenticate.latency", AuthenticateLatency},
	{"authenticate.status", AuthenticateStatus},

	{"authorizer.error", AuthorizerError},
	{"authorizer.integrationLatency", AuthorizerIntegrationLatency},
	{"authorizer.integrationStatus", AuthorizerIntegrationStatus},
	{"authorizer.latency", AuthorizerLatency},
	{"authorizer.requestId", AuthorizerRequestID},
	{"authorizer.status", AuthorizerStatus},
	{"authorizer.principalId", AuthorizerPrincipalID},

	{"authorize.error", AuthorizeError},
	{"authorize.latency", AuthorizeLatency},
	{"authorize.status", AuthorizeStatus},

	{"integration.error", IntegrationError},
	{"integration.integrationStatus", IntegrationServiceStatus},
	{"integrationStatus", IntegrationServiceStatus},
	{"integration.latency", IntegrationLatency},
	{"integrationLatency", IntegrationLatency},
	{"integration.requestId", IntegrationRequestID},
	{"awsEndpointRequestId", IntegrationRequestID},
	{"integration.status", IntegrationStatus},
	{"integration.responseTransferMode", IntegrationTransferMode},
	{"integration.timeToAllHeaders", IntegrationTimeToAllHeaders},
	{"integration.timeToFirstContent", IntegrationTimeToFirstContent},

	{"identity.accountId", IdentityAccountID},
	{"identity.apiKey", IdentityAPIKey},
	{"identity.apiKeyId", IdentityAPIKeyID},
	{"identity.caller", IdentityCaller},
	{"identity.cognitoAuthenticationProvider", IdentityCognitoAuthenticationProvider},
	{"identity.cognitoAuthenticationType", IdentityCognitoAuthenticationType},
	{"identity.cognitoIdentityId", IdentityCognitoIdentityID},
	{"identity.cognitoIdentityPoolId", IdentityCognitoIdentityPoolID},
	{"identity.principalOrgId", IdentityPrincipalOrgID},
	{"identity.sourceIp", IdentitySourceIP},
	{"identity.user", IdentityUser},
	{"identity.userAgent", IdentityUserAgent},
	{"identity.userArn", IdentityUserARN},
	{"identity.vpcId", IdentityVPCID},
	{"identity.vpceId", IdentityVPCEID},
	{"identity.clientCert.clientCertPem", ClientCertPEM},
	{"identity.clientCert.subjectDN", ClientCertSubjectDN},
	{"identity.clientCert.issuerDN", ClientCertIssuerDN},
	{"identity.clientCert.serialNumber", ClientCertSerialNumber},
	{"identity.clientCert.validity.notBefore", ClientCertNotBefore},
	{"identity.clientCert.validity.notAfter", ClientCertNotAfter},
}

// families are the variables that end in a name chosen by the API's author.
// The first that fits counts; plain variables come before all families.
var families = []struct {
	prefix string
	id     Variable
}{
	{"requestOverride.header.", RequestOverrideHeader},
	{"requestOverride.path.", RequestOverridePath},
	{"requestOverride.querystring.", RequestOverrideQuerystring},
	{"responseOverride.header.", ResponseOverrideHeader},
	{"authorizer.claims.", AuthorizerClaim},
	{"authorizer.", AuthorizerProperty},
}

var variableByName = func() map[string]Variable {
	m := make(map[string]Variable, len(variables))
	for _, v := range variables {
		m[v.name] = v.id
	}
	return m
}()

// LookupVariable returns the variable of a name without "$context.", and for a
// family the rest of the name. ok is false for names that do not exist.
func LookupVariable(name string) (id Variable, rest string, ok bool) {
	if id, ok := variableByName[name]; ok {
		return id, "", true
	}
	if name == "authorizer.claims" { // null by itself, as the guide says
		return Unknown, "", false
	}
	for _, f := range families {
		if rest, ok := strings.CutPrefix(name, f.prefix); ok && rest != "" {
			return f.id, rest, true
		}
	}
	return Unknown, "", false
}
