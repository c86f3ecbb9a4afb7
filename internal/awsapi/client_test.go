package awsapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	"github.com/aws/aws-sdk-go-v2/service/configservice"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"
)

// server answers as one service through Route, Decode and Encode.
type server struct {
	signingName string
	answer      func(*Request) (any, error)
	got         *Request
	err         error
}

// ServeHTTP sends nothing before got and err are set: the test reads them as
// soon as the client has the answer.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	sent := httptest.NewRecorder()
	s.err = s.serve(sent, r)
	var refusal *Error
	if errors.As(s.err, &refusal) {
		WriteError(sent, ProtocolOf(s.signingName), "request-1", refusal)
	} else if s.err != nil {
		WriteError(sent, ProtocolOf(s.signingName), "request-1", &Error{Code: "InternalFailure", Message: s.err.Error(), Status: 400})
	}
	maps.Copy(w.Header(), sent.Header())
	w.WriteHeader(sent.Code)
	_, _ = w.Write(sent.Body.Bytes()) // the client says what is missing
}

func (s *server) serve(w http.ResponseWriter, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	op, err := Route(s.signingName, r, body)
	if err != nil {
		return err
	}
	if s.got, err = op.Decode(r, body); err != nil {
		return err
	}
	out, err := s.answer(s.got)
	if err != nil {
		return err
	}
	return op.Encode(w, "request-1", out)
}

// clients returns the SDK's client of every service, pointed at url.
func clients(url string) map[string]any {
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "secret"}, nil
	})
	config := aws.Config{Region: "us-east-1", Credentials: credentials, BaseEndpoint: &url, Retryer: func() aws.Retryer { return aws.NopRetryer{} }}
	return map[string]any{
		"acm":           acm.NewFromConfig(config),
		"apigateway":    apigateway.NewFromConfig(config),
		"apigatewayv2":  apigatewayv2.NewFromConfig(config),
		"configservice": configservice.NewFromConfig(config),
		"opensearch":    opensearch.NewFromConfig(config),
		"securityhub":   securityhub.NewFromConfig(config),
		"sts":           sts.NewFromConfig(config),
	}
}

// sameDocument compares SDK values: nil and empty differ, metadata and the
// SDK's private markers do not count.
var sameDocument = cmp.Options{
	cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".ResultMetadata" }, cmp.Ignore()),
	cmp.FilterPath(func(p cmp.Path) bool {
		field, ok := p.Last().(cmp.StructField)
		return ok && field.Name() == "noSmithyDocumentSerde"
	}, cmp.Ignore()),
}

// Every operation of every service, with all members set, as the SDK's own
// client sends and reads it.
func TestSDKClientsRoundTrip(t *testing.T) {
	for _, service := range Services() {
		t.Run(service.Name, func(t *testing.T) {
			handler := &server{signingName: service.SigningName}
			web := httptest.NewServer(handler)
			defer web.Close()
			client := reflect.ValueOf(clients(web.URL)[service.Name])
			for _, op := range service.Operations {
				t.Run(op.Name, func(t *testing.T) {
					in, out := filled(op.input, len(op.Name)), filled(op.output, 2*len(op.Name))
					plain(in)
					plain(out)
					handler.answer = func(*Request) (any, error) { return out, nil }
					handler.got = nil
					var result []reflect.Value
					for try := 1; ; try++ {
						result = client.MethodByName(op.Name).Call([]reflect.Value{
							reflect.ValueOf(context.Background()), reflect.ValueOf(in)})
						if handler.err != nil {
							t.Fatalf("server: %v", handler.err)
						}
						err, _ := result[1].Interface().(error)
						if err == nil {
							break
						}
						// The SDK closes a request's body once it has an answer, and net/http,
						// if it still looks for that body's end, then closes the connection
						// under the answer: now and then, on a busy machine.
						if try == 3 || !strings.Contains(err.Error(), "use of closed network connection") {
							t.Fatalf("client: %v", err)
						}
					}
					if handler.got.Operation != op {
						t.Fatalf("routed to %s", handler.got.Operation.Name)
					}
					if export, ok := in.(*apigateway.GetExportInput); ok {
						export.Accepts = aws.String("application/json") // what the client makes of it
					}
					if diff := cmp.Diff(in, handler.got.Input, sameDocument); diff != "" {
						t.Errorf("input (-sent +decoded):\n%s", diff)
					}
					if diff := cmp.Diff(out, result[0].Interface(), sameDocument); diff != "" {
						t.Errorf("output (-encoded +read):\n%s", diff)
					}
					if len(handler.got.Unknown) > 0 {
						t.Errorf("unknown: %q", handler.got.Unknown)
					}
				})
			}
		})
	}
}

// plain makes members that travel as headers what headers can carry.
func plain(doc any) {
	v := reflect.ValueOf(doc).Elem()
	for _, m := range known().shapes[v.Type()].Members {
		if m.In == inHeader {
			v.FieldByName(m.Field).Set(reflect.ValueOf(aws.String(fmt.Sprintf("application/%s", m.Field))))
		}
	}
}

// The smallest request there is: nothing set but what is required.
func TestSDKClientsSendLittle(t *testing.T) {
	for _, service := range Services() {
		handler := &server{signingName: service.SigningName}
		web := httptest.NewServer(handler)
		defer web.Close()
		client := reflect.ValueOf(clients(web.URL)[service.Name])
		for _, op := range service.Operations {
			in := reflect.New(op.input)
			for _, m := range known().shapes[op.input].Members {
				if m.Required {
					(&filler{n: 1}).fill(in.Elem().FieldByName(m.Field))
				}
			}
			handler.answer = func(*Request) (any, error) { return op.NewOutput(), nil }
			handler.got = nil
			result := client.MethodByName(op.Name).Call([]reflect.Value{reflect.ValueOf(context.Background()), in})
			if err, _ := result[1].Interface().(error); err != nil || handler.err != nil {
				t.Errorf("%s.%s: client %v, server %v", service.Name, op.Name, err, handler.err)
				continue
			}
			if export, ok := in.Interface().(*apigateway.GetExportInput); ok {
				export.Accepts = aws.String("application/json") // the client adds it
			}
			if diff := cmp.Diff(in.Interface(), handler.got.Input, sameDocument); diff != "" {
				t.Errorf("%s.%s: input (-sent +decoded):\n%s", service.Name, op.Name, diff)
			}
		}
	}
}

func TestSDKClientsTypeErrors(t *testing.T) {
	refuse := func(e *Error) func(*Request) (any, error) {
		return func(*Request) (any, error) { return nil, e }
	}
	ctx := context.Background()

	handler := &server{signingName: "apigateway"}
	web := httptest.NewServer(handler)
	defer web.Close()
	v1 := clients(web.URL)["apigateway"].(*apigateway.Client)
	call := func(e *Error) error {
		handler.answer = refuse(e)
		_, err := v1.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: aws.String("abc")})
		return err
	}
	var notFound *types.NotFoundException
	if err := call(&Error{Code: "NotFoundException", Message: "Invalid API identifier specified 000000000000:abc", Status: 404}); !errors.As(err, &notFound) ||
		notFound.ErrorMessage() != "Invalid API identifier specified 000000000000:abc" {
		t.Errorf("not found: %v", err)
	}
	var tooMany *types.TooManyRequestsException
	if err := call(&Error{Code: "TooManyRequestsException", Message: `slow "down"`, Status: 429, RetryAfter: 7}); !errors.As(err, &tooMany) ||
		aws.ToString(tooMany.RetryAfterSeconds) != "7" || tooMany.ErrorMessage() != `slow "down"` {
		t.Errorf("too many: %v", err)
	}
	var generic smithy.APIError
	if err := call(&Error{Code: "ValidationException", Message: "1 validation error detected", Status: 400}); !errors.As(err, &generic) ||
		generic.ErrorCode() != "ValidationException" {
		t.Errorf("validation: %v", err)
	}

	json11 := &server{signingName: "acm", answer: refuse(&Error{Code: "ResourceNotFoundException", Message: "gone", Status: 400})}
	web11 := httptest.NewServer(json11)
	defer web11.Close()
	_, err := clients(web11.URL)["acm"].(*acm.Client).GetCertificate(ctx, &acm.GetCertificateInput{CertificateArn: aws.String("arn")})
	var gone *acmtypes.ResourceNotFoundException
	if !errors.As(err, &gone) || gone.ErrorMessage() != "gone" {
		t.Errorf("acm: %v", err)
	}

	query := &server{signingName: "sts", answer: refuse(&Error{Code: "InvalidClientTokenId", Message: "a < b", Status: 403})}
	webQuery := httptest.NewServer(query)
	defer webQuery.Close()
	_, err = clients(webQuery.URL)["sts"].(*sts.Client).GetCallerIdentity(ctx, nil)
	if !errors.As(err, &generic) || generic.ErrorCode() != "InvalidClientTokenId" || generic.ErrorMessage() != "a < b" {
		t.Errorf("sts: %v", err)
	}
}

// Every service's errors carry nothing that WriteError does not send.
func TestErrorMembers(t *testing.T) {
	for goType, shape := range known().shapes {
		if _, isError := reflect.New(goType).Interface().(smithy.APIError); !isError {
			continue
		}
		for _, m := range shape.Members {
			if m.In == inHeader && m.Wire != "Retry-After" {
				t.Errorf("%s: header %s", goType, m.Wire)
			}
		}
	}
}
