package apigateway

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
)

// diagnosisMember is the answer's member beside AWS's: why the second gate
// refused the backend, with the chain as presented and the way out.
const diagnosisMember = "sallyportDiagnosis"

// testInvokeMethod runs a method of the API as it is now, deployed or not. The
// answer is 200 also when the method failed. Source: API reference,
// TestInvokeMethod.
func (s *service) testInvokeMethod(ctx context.Context, call *controlplane.Call, in *apigateway.TestInvokeMethodInput) (*apigateway.TestInvokeMethodOutput, error) {
	run := s.Options().TestInvoke
	if run == nil {
		return nil, resource.Errorf(resource.BadRequest, "There is no data plane here that could run the method.")
	}
	res, err := s.resource(s.reader(ctx), in.RestApiId, in.ResourceId)
	if err != nil {
		return nil, err
	}
	if id := aws.ToString(in.ClientCertificateId); id != "" {
		if _, err := s.presentable(s.reader(ctx), id); err != nil {
			return nil, err
		}
	}
	result, err := run(ctx, controlplane.TestInvoke{Resource: res, Input: in})
	if err != nil {
		return nil, err
	}
	if result.Diagnosis != nil {
		call.Extra(diagnosisMember, result.Diagnosis)
	}
	return result.Output, nil
}
