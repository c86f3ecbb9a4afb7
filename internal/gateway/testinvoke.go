package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/pipeline"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// testStage is the name that a test's stage goes by. Source: AWS, observed in
// $context.stage.
const testStage = "test-invoke-stage"

// diagnoseTimeout bounds the second look at a backend that failed.
const diagnoseTimeout = 5 * time.Second

// maxTests is how many tests run at a time, so that those whose backends hang
// leave room for other calls.
const maxTests = 32

// testInvoke runs a method for TestInvokeMethod.
func (g *Gateway) testInvoke(p *pipeline.Pipeline) func(context.Context, controlplane.TestInvoke) (*controlplane.TestInvoked, error) {
	slots := make(chan struct{}, maxTests)
	return func(ctx context.Context, t controlplane.TestInvoke) (*controlplane.TestInvoked, error) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			return nil, resource.Errorf(resource.LimitExceeded, "%d tests of methods are running; try again later", maxTests)
		}
		request, err := testRequest(t.Input)
		if err != nil {
			return nil, err
		}
		request.Stage, request.Method, err = g.compiler.CompileMethod(ctx, snapshot.Tested{
			API: *t.Input.RestApiId, Stage: testStage, Variables: t.Input.StageVariables,
			Resource: t.Resource, Verb: request.Verb, ClientCertificate: aws.ToString(t.Input.ClientCertificateId),
		})
		if err != nil {
			return nil, err
		}
		result, err := p.Test(ctx, request)
		if errors.Is(err, pipeline.ErrTestPath) {
			return nil, resource.Errorf(resource.BadRequest, "Invalid pathWithQueryString specified: %v", err)
		}
		if err != nil {
			return nil, err
		}
		out := &apigateway.TestInvokeMethodOutput{
			Status: int32(result.Status), Latency: result.Latency.Milliseconds(), Log: aws.String(result.Log),
			Body:    aws.String(strings.ToValidUTF8(string(result.Body), "\ufffd")),
			Headers: map[string]string{}, MultiValueHeaders: map[string][]string{},
		}
		for _, f := range result.Header {
			name := f.Name
			for known := range out.Headers {
				if strings.EqualFold(known, name) {
					name = known
				}
			}
			out.Headers[name] = f.Value
			out.MultiValueHeaders[name] = append(out.MultiValueHeaders[name], f.Value)
		}
		invoked := &controlplane.TestInvoked{Output: out}
		if b := result.Backend; b != nil {
			b.Timeout = diagnoseTimeout
			g.mu.Lock()
			b.TrustFiles = g.config.TrustBundles
			g.mu.Unlock()
			if invoked.Diagnosis, err = json.Marshal(g.backends.Diagnose(ctx, *b)); err != nil {
				return nil, err
			}
		}
		return invoked, nil
	}
}

// testRequest reads what the call says of the request.
func testRequest(in *apigateway.TestInvokeMethodInput) (*pipeline.TestRequest, error) {
	r := &pipeline.TestRequest{Verb: aws.ToString(in.HttpMethod), Body: []byte(aws.ToString(in.Body))}
	if r.Verb == "ANY" {
		r.Verb = "GET" // a request has one verb
	}
	r.Path, r.Query, _ = strings.Cut(escapeTarget(aws.ToString(in.PathWithQueryString)), "?")
	r.Query, _, _ = strings.Cut(r.Query, "#")
	var err error
	if r.Header, err = httpwire.NewHeader(in.Headers, in.MultiValueHeaders); err != nil {
		return nil, resource.Errorf(resource.BadRequest, "Invalid headers specified: %v", err)
	}
	return r, nil
}

// escapeTarget escapes what a client would have: people write blanks and
// umlauts into a test.
func escapeTarget(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
