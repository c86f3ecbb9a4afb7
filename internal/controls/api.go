package controls

import (
	apigatewayv2 "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"

	"github.com/sallyport/sallyport/internal/posture"
)

// protocolOf tells HTTP APIs from WebSocket APIs by a resource's parent; "" is
// not known.
func protocolOf(r *posture.Resource) apigatewayv2.ProtocolType {
	if api, ok := r.Parent.(*apigatewayv2.Api); ok && api != nil {
		return api.ProtocolType
	}
	return ""
}
