package remedy

import (
	"cmp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	resttypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
	"github.com/sallyport/sallyport/tlspolicy"
)

// fixDomainName closes APIGateway.11.
func fixDomainName(p *patient, f *fix) {
	var name, present, mode string
	var types []string
	legacyAPI := false
	switch d := p.r.Doc.(type) {
	case *resttypes.DomainName:
		name, present, mode = aws.ToString(d.DomainName), string(d.SecurityPolicy), string(d.EndpointAccessMode)
		if d.EndpointConfiguration != nil {
			for _, t := range d.EndpointConfiguration.Types {
				types = append(types, string(t))
			}
		}
	case *v2types.DomainName:
		name, legacyAPI = aws.ToString(d.DomainName), true
		types = []string{"REGIONAL"}
		for _, c := range d.DomainNameConfigurations {
			present = string(c.SecurityPolicy)
			if c.EndpointType != "" {
				types[0] = string(c.EndpointType)
			}
		}
	default:
		return
	}
	if len(types) == 0 {
		types = []string{"EDGE"} // of a create call that says nothing
	}
	if len(types) > 1 {
		f.hand("Take one endpoint type of "+name+" away first ("+strings.Join(types, ", ")+"): the policy cannot be changed while there are two. Which one clients use, the DNS record of the name tells.", "")
		return
	}
	edge := types[0] == "EDGE"
	from, _ := tlspolicy.Lookup(cmp.Or(present, "TLS_1_2"), edge)
	accepted := p.f.Parameters["allowedSecurityPolicies"]
	if v := p.value(valuePolicy); v != "" && slices.Contains(accepted, v) {
		accepted = []string{v}
	}
	clients := func(policy string) []string {
		if p.c.Clients == nil {
			return nil
		}
		return p.c.Clients(name, policy)
	}
	to, seen, refused := choose(from, edge, accepted, clients)
	if to == nil {
		f.hand("Accept the finding with this reason: no policy on AWS's list keeps what "+cmp.Or(present, "the present one")+" has. "+strings.Join(refused, "; ")+".", "Closing the finding would lower security.")
		return
	}
	var breaks []string
	if from != nil {
		breaks = ends(from, to)
	}
	breaks = append(breaks, seen...)
	if _, open := p.r.Unresolved("mappings"); open {
		breaks = append(breaks, "the service refuses the change if an HTTP or WebSocket API is mapped to the name, which could not be read")
	}
	if _, open := p.r.Unresolved("mutualTlsAuthentication"); open {
		breaks = append(breaks, "the service refuses the change if the name has mutual TLS, which could not be read")
	}
	breaks = append(breaks, "from now on no HTTP API can be mapped to the name, and mutual TLS cannot be turned on")
	first := "BASIC"
	if mode == "STRICT" {
		first = mode // it is lowered by no step
	}
	why := "The policy and the access mode go in one request. AWS takes up to 15 minutes; the name is served meanwhile."
	f.do(call{input: &apigateway.UpdateDomainNameInput{DomainName: &name, PatchOperations: replace("/securityPolicy", to.Name, "/endpointAccessMode", first)}, why: why, breaks: breaks})
	if first == "BASIC" {
		f.do(call{strict: true, input: &apigateway.UpdateDomainNameInput{DomainName: &name, PatchOperations: replace("/endpointAccessMode", "STRICT")},
			why: "The second step, when the logs show that the SNI and Host of every client agree. The finding is closed without it.",
			breaks: []string{
				"clients whose SNI is not the Host they ask for, or that send none",
				"requests that come in through another endpoint type, such as a VPC endpoint",
			}})
	}
	if legacyAPI {
		f.hand("AWS::ApiGatewayV2::DomainName has TLS_1_0 and TLS_1_2 alone: declare the name as AWS::ApiGateway::DomainName (Terraform: aws_api_gateway_domain_name), as below.", "")
	}
	label, id := p.label("this"), p.logical("DomainName")
	typeTF, typeCFN := "aws_api_gateway_domain_name", posture.TypeDomainName
	f.config("# STRICT in place of BASIC is the second step.\n" + tf(typeTF, label, "security_policy      = "+hcl(to.Name)+"\nendpoint_access_mode = "+hcl(first)))
	f.stack("# STRICT in place of BASIC is the second step.\n" + cfn(cfnResource(id, typeCFN, "SecurityPolicy: "+to.Name+"\nEndpointAccessMode: "+first)))
}
