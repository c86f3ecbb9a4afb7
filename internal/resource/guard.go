package resource

import (
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// GuardsNotEnforced lists the guards that a document names and this version
// does not enforce yet, in words for people. While there is one, nothing behind
// it may be served: 403. doc is a types.RestApi, types.Stage, types.Method or
// types.DomainName, or a pointer to one; of anything else nothing is known, so
// that is a guard too.
func GuardsNotEnforced(doc any) []string {
	var list []string
	note := func(present bool, guard string) {
		if present {
			list = append(list, guard)
		}
	}
	switch d := doc.(type) {
	case *types.RestApi:
		return GuardsNotEnforced(*d)
	case *types.Stage:
		return GuardsNotEnforced(*d)
	case *types.Method:
		return GuardsNotEnforced(*d)
	case *types.DomainName:
		return GuardsNotEnforced(*d)
	case types.RestApi:
		if d.Policy != nil {
			_, err := ParsePolicy(*d.Policy, "")
			note(err != nil, fmt.Sprintf("policy: %v", err))
		}
	case types.Stage:
		note(d.WebAclArn != nil, "webAclArn "+aws.ToString(d.WebAclArn))
	case types.Method:
		kind := aws.ToString(d.AuthorizationType)
		note(kind != "NONE", "authorizationType "+kind)
		note(aws.ToBool(d.ApiKeyRequired), "apiKeyRequired")
		note(d.RequestValidatorId != nil, "requestValidatorId "+aws.ToString(d.RequestValidatorId))
	case types.DomainName:
		note(d.MutualTlsAuthentication != nil, "mutualTlsAuthentication")
		note(d.Policy != nil, "policy")
		note(d.ManagementPolicy != nil, "managementPolicy")
		note(d.RoutingMode == types.RoutingModeRoutingRuleOnly, "routingMode "+string(d.RoutingMode))
	default:
		note(true, fmt.Sprintf("unknown document %T", doc))
	}
	return list
}

// NotBuilt names what an integration needs and this version does not have, or
// is empty. A method with such an integration may be stored and deployed; a
// call of it answers an error of the 500 class, and never something else.
func NotBuilt(i types.Integration) string {
	switch {
	case i.Type == types.IntegrationTypeAws, i.Type == types.IntegrationTypeAwsProxy:
		return "integration type " + string(i.Type)
	case i.ContentHandling != "":
		return "content handling " + string(i.ContentHandling)
	}
	for _, status := range sortedKeys(i.IntegrationResponses) {
		if h := i.IntegrationResponses[status].ContentHandling; h != "" {
			return "content handling " + string(h) + " of the integration response " + status
		}
	}
	return ""
}
