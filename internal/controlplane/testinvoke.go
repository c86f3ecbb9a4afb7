package controlplane

import (
	"encoding/json"

	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// TestInvoke is what TestInvokeMethod asks the data plane for: one of the three
// doors between the planes.
type TestInvoke struct {
	// Resource is the method's, as it is now.
	Resource types.Resource
	// Input is the call. Its client certificate, if any, is known to be there.
	Input *apigateway.TestInvokeMethodInput
}

// TestInvoked is what came of it.
type TestInvoked struct {
	Output *apigateway.TestInvokeMethodOutput
	// Diagnosis, unless nil, is why the backend was refused, JSON of a
	// backgate.Diagnosis.
	Diagnosis json.RawMessage
}
