package remedy

import (
	"encoding/json"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"
)

// call is one request that changes something. Its command line, what is sent
// and its inverse are all made from input.
type call struct {
	input  any // a pointer to the SDK's input
	why    string
	breaks []string
	strict bool // the second step, only when it is asked for
	// lasting says why the change cannot be taken back; "": it can.
	lasting string
}

// generated stands in an input for the id of the client certificate that the
// call before made, and is the name of the shell variable that holds it.
const generated = "$CLIENT_CERTIFICATE_ID"

// replace makes patch operations of pairs of path and value.
func replace(pairs ...string) (ops []types.PatchOperation) {
	for i := 0; i < len(pairs); i += 2 {
		ops = append(ops, types.PatchOperation{Op: types.OpReplace, Path: aws.String(pairs[i]), Value: aws.String(pairs[i+1])})
	}
	return ops
}

// command writes the call for a POSIX shell.
func (c *call) command(region, endpoint string) string {
	var words []string
	add := func(w ...string) { words = append(words, w...) }
	common := func() {
		if region != "" {
			add("--region", quote(region))
		}
		if endpoint != "" {
			add("--endpoint-url", quote(endpoint))
		}
	}
	switch in := c.input.(type) {
	case *apigateway.UpdateAccountInput:
		add("aws", "apigateway", "update-account")
		common()
		add(patches(in.PatchOperations)...)
	case *apigateway.GenerateClientCertificateInput:
		add("aws", "apigateway", "generate-client-certificate")
		common()
		add("--description", quote(aws.ToString(in.Description)), "--query", "clientCertificateId", "--output", "text")
		return strings.TrimPrefix(generated, "$") + "=$(" + strings.Join(words, " ") + ")"
	case *apigateway.UpdateStageInput:
		add("aws", "apigateway", "update-stage")
		common()
		add("--rest-api-id", quote(aws.ToString(in.RestApiId)), "--stage-name", quote(aws.ToString(in.StageName)))
		add(patches(in.PatchOperations)...)
	case *apigateway.UpdateDomainNameInput:
		add("aws", "apigateway", "update-domain-name")
		common()
		add("--domain-name", quote(aws.ToString(in.DomainName)))
		add(patches(in.PatchOperations)...)
	case *apigatewayv2.UpdateStageInput:
		add("aws", "apigatewayv2", "update-stage")
		common()
		add("--api-id", quote(aws.ToString(in.ApiId)), "--stage-name", quote(aws.ToString(in.StageName)))
		if s := in.DefaultRouteSettings; s != nil {
			settings := map[string]any{"LoggingLevel": s.LoggingLevel}
			set(settings, "DataTraceEnabled", s.DataTraceEnabled)
			set(settings, "DetailedMetricsEnabled", s.DetailedMetricsEnabled)
			set(settings, "ThrottlingBurstLimit", s.ThrottlingBurstLimit)
			set(settings, "ThrottlingRateLimit", s.ThrottlingRateLimit)
			add("--default-route-settings", object(settings))
		}
		if s := in.AccessLogSettings; s != nil {
			add("--access-log-settings", object(map[string]any{"DestinationArn": s.DestinationArn, "Format": s.Format}))
		}
	case *apigateway.DeleteClientCertificateInput:
		add("aws", "apigateway", "delete-client-certificate")
		common()
		add("--client-certificate-id", quote(aws.ToString(in.ClientCertificateId)))
	case *apigatewayv2.DeleteAccessLogSettingsInput:
		add("aws", "apigatewayv2", "delete-access-log-settings")
		common()
		add("--api-id", quote(aws.ToString(in.ApiId)), "--stage-name", quote(aws.ToString(in.StageName)))
	case *wafv2.DisassociateWebACLInput:
		add("aws", "wafv2", "disassociate-web-acl")
		common()
		add("--resource-arn", quote(aws.ToString(in.ResourceArn)))
	case *apigatewayv2.UpdateRouteInput:
		add("aws", "apigatewayv2", "update-route")
		common()
		add("--api-id", quote(aws.ToString(in.ApiId)), "--route-id", quote(aws.ToString(in.RouteId)), "--authorization-type", string(in.AuthorizationType))
		if in.AuthorizerId != nil {
			add("--authorizer-id", quote(*in.AuthorizerId))
		}
	case *apigatewayv2.UpdateIntegrationInput:
		add("aws", "apigatewayv2", "update-integration")
		common()
		add("--api-id", quote(aws.ToString(in.ApiId)), "--integration-id", quote(aws.ToString(in.IntegrationId)),
			"--tls-config", object(map[string]any{"ServerNameToVerify": in.TlsConfig.ServerNameToVerify}))
	case *wafv2.AssociateWebACLInput:
		add("aws", "wafv2", "associate-web-acl")
		common()
		add("--web-acl-arn", quote(aws.ToString(in.WebACLArn)), "--resource-arn", quote(aws.ToString(in.ResourceArn)))
	case *opensearch.UpdateDomainConfigInput:
		add("aws", "opensearch", "update-domain-config")
		common()
		add("--domain-name", quote(aws.ToString(in.DomainName)))
		if o := in.DomainEndpointOptions; o != nil {
			options := map[string]any{"TLSSecurityPolicy": o.TLSSecurityPolicy}
			set(options, "EnforceHTTPS", o.EnforceHTTPS)
			add("--domain-endpoint-options", object(options))
		}
		if o := in.NodeToNodeEncryptionOptions; o != nil {
			add("--node-to-node-encryption-options", object(map[string]any{"Enabled": o.Enabled}))
		}
	}
	return strings.Join(words, " ")
}

func set[T any](m map[string]any, name string, value *T) {
	if value != nil {
		m[name] = *value
	}
}

// object is a JSON argument.
func object(v any) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // of strings, numbers and booleans: it cannot fail
	return quote(strings.TrimSpace(b.String()))
}

// short are words that the AWS CLI's shorthand takes as they are.
var short = regexp.MustCompile(`^[A-Za-z0-9/_.:*~-]+$`)

// patches are the operations as the AWS CLI takes them: its shorthand, or JSON
// where a word has characters that the shorthand gives a meaning.
func patches(ops []types.PatchOperation) []string {
	words := []string{"--patch-operations"}
	simple := true
	for _, op := range ops {
		simple = simple && short.MatchString(aws.ToString(op.Path)) && op.Value != nil && (short.MatchString(*op.Value) || *op.Value == generated)
	}
	if !simple {
		type operation struct {
			Op    types.Op `json:"op"`
			Path  *string  `json:"path"`
			Value *string  `json:"value,omitempty"`
		}
		var all []operation
		for _, op := range ops {
			all = append(all, operation{op.Op, op.Path, op.Value})
		}
		return append(words, object(all))
	}
	for _, op := range ops {
		word := "op=" + string(op.Op) + ",path=" + *op.Path + ",value=" + *op.Value
		if *op.Value == generated {
			words = append(words, `"`+word+`"`)
			continue
		}
		words = append(words, quote(word))
	}
	return words
}

// plain are words that no shell changes.
var plain = regexp.MustCompile(`^[A-Za-z0-9/_.:=,@%+-]+$`)

// quote makes one word of s for a POSIX shell.
func quote(s string) string {
	if plain.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
