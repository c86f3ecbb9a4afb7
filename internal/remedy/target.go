package remedy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	resttypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"
	"github.com/aws/aws-sdk-go-v2/service/wafv2"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/posture"
)

// Target is where findings are closed: an account, or a gateway by its admin
// port. Config is required. A Target is not for concurrent use: one resource
// is changed at a time.
type Target struct {
	// Config has the credentials and, for what is not AWS, the base endpoint.
	// The Region is that of each finding.
	Config aws.Config
	// Context is what steps are made with. LogRole is read from the account.
	Context Context
	// NotInEffect are the members of a resource type that this gateway stores
	// and does not act on; nil for an account.
	NotInEffect func(typ string) map[string]bool
	// Dial says where the wire that a finding expects can be asked, and makes
	// one connection to it; nil, or a nil function, proves by documents alone.
	Dial func(w *posture.Wire) (target string, dial func(context.Context) (net.Conn, error))
	// Backends says how the backends of a REST stage stand with its client
	// certificate: by URL, why requests do not get through, "" when they do.
	// nil: they are not asked.
	Backends func(ctx context.Context, api, stage string) (map[string]string, error)
	// Strict also takes the second step, to STRICT.
	Strict bool
	// Wait bounds how long a change may take to be AVAILABLE; zero means 30 min.
	Wait time.Duration
	// Now is the clock of judgements; nil: time.Now.
	Now func() time.Time
}

func (t *Target) rest(region string) *apigateway.Client {
	return apigateway.NewFromConfig(t.Config, func(o *apigateway.Options) { o.Region = region })
}

func (t *Target) v2(region string) *apigatewayv2.Client {
	return apigatewayv2.NewFromConfig(t.Config, func(o *apigatewayv2.Options) { o.Region = region })
}

func (t *Target) search(region string) *opensearch.Client {
	return opensearch.NewFromConfig(t.Config, func(o *opensearch.Options) { o.Region = region })
}

func (t *Target) waf(region string) *wafv2.Client {
	return wafv2.NewFromConfig(t.Config, func(o *wafv2.Options) { o.Region = region })
}

// Read reads the resource of a finding as it is now.
func (t *Target) Read(ctx context.Context, s posture.Subject) (*posture.Resource, error) {
	r := &posture.Resource{Type: s.Type, ID: s.ID, Region: s.Region, Account: s.Account, Source: s.Source, Tags: s.Tags}
	if s.Source == posture.File {
		return nil, errors.New("it is of a file, which is never edited: use the snippet")
	}
	if t.NotInEffect != nil {
		r.NotInEffect = t.NotInEffect(s.Type)
	}
	p := &patient{r: r}
	outer, inner := p.path()
	var err error
	switch s.Type {
	case posture.TypeStage:
		var out *apigateway.GetStageOutput
		if out, err = t.rest(s.Region).GetStage(ctx, &apigateway.GetStageInput{RestApiId: &outer, StageName: &inner}); err == nil {
			doc := new(resttypes.Stage)
			awsapi.Convert(doc, out)
			r.Doc = doc
			var api *apigateway.GetRestApiOutput
			if api, err = t.rest(s.Region).GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &outer}); err == nil {
				parent := new(resttypes.RestApi)
				awsapi.Convert(parent, api)
				r.Parent = parent
			}
		}
	case posture.TypeDomainName:
		var out *apigateway.GetDomainNameOutput
		if out, err = t.rest(s.Region).GetDomainName(ctx, &apigateway.GetDomainNameInput{DomainName: &outer}); err == nil {
			doc := new(resttypes.DomainName)
			awsapi.Convert(doc, out)
			r.Doc = doc
			t.mappings(ctx, r, outer)
		}
	case posture.TypeStageV2:
		var out *apigatewayv2.GetStageOutput
		if out, err = t.v2(s.Region).GetStage(ctx, &apigatewayv2.GetStageInput{ApiId: &outer, StageName: &inner}); err == nil {
			doc := new(v2types.Stage)
			awsapi.Convert(doc, out)
			r.Doc, err = doc, t.parent(ctx, r, outer)
		}
	case posture.TypeRoute:
		var out *apigatewayv2.GetRouteOutput
		if out, err = t.v2(s.Region).GetRoute(ctx, &apigatewayv2.GetRouteInput{ApiId: &outer, RouteId: &inner}); err == nil {
			doc := new(v2types.Route)
			awsapi.Convert(doc, out)
			r.Doc, err = doc, t.parent(ctx, r, outer)
		}
	case posture.TypeIntegration:
		var out *apigatewayv2.GetIntegrationOutput
		if out, err = t.v2(s.Region).GetIntegration(ctx, &apigatewayv2.GetIntegrationInput{ApiId: &outer, IntegrationId: &inner}); err == nil {
			doc := new(v2types.Integration)
			awsapi.Convert(doc, out)
			r.Doc, err = doc, t.parent(ctx, r, outer)
		}
	case posture.TypeSearchDomain:
		name := s.ID[strings.LastIndexByte(s.ID, '/')+1:]
		var out *opensearch.DescribeDomainOutput
		if out, err = t.search(s.Region).DescribeDomain(ctx, &opensearch.DescribeDomainInput{DomainName: &name}); err == nil {
			r.Doc = out.DomainStatus
		}
	case posture.TypeCertificate:
		var out *acm.DescribeCertificateOutput
		client := acm.NewFromConfig(t.Config, func(o *acm.Options) { o.Region = s.Region })
		if out, err = client.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &s.ID}); err == nil {
			r.Doc = out.Certificate
		}
	default:
		return nil, fmt.Errorf("resources of type %s cannot be read", s.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", s.ID, err)
	}
	return r, nil
}

// parent reads the API of a V2 resource.
func (t *Target) parent(ctx context.Context, r *posture.Resource, id string) error {
	out, err := t.v2(r.Region).GetApi(ctx, &apigatewayv2.GetApiInput{ApiId: &id})
	if err == nil {
		api := new(v2types.Api)
		awsapi.Convert(api, out)
		r.Parent = api
	}
	return err
}

// mappings reads which V2 APIs are mapped to a domain name.
func (t *Target) mappings(ctx context.Context, r *posture.Resource, name string) {
	if r.Source == posture.Self {
		return // it has none
	}
	if all, err := t.v2(r.Region).GetApis(ctx, &apigatewayv2.GetApisInput{MaxResults: aws.String("1")}); err == nil && len(all.Items) == 0 && all.NextToken == nil {
		return // there is none to be mapped
	}
	var token *string
	for range 100 {
		out, err := t.v2(r.Region).GetApiMappings(ctx, &apigatewayv2.GetApiMappingsInput{DomainName: &name, NextToken: token})
		if err != nil {
			r.Unknown = map[string]string{"mappings": err.Error()}
			return
		}
		for _, m := range out.Items {
			// A REST API is not found here.
			if api, err := t.v2(r.Region).GetApi(ctx, &apigatewayv2.GetApiInput{ApiId: m.ApiId}); err == nil {
				doc := new(v2types.Api)
				awsapi.Convert(doc, api)
				r.Related = append(r.Related, doc)
			} else if missing := new(v2types.NotFoundException); !errors.As(err, &missing) {
				r.Unknown = map[string]string{"mappings": err.Error()}
				return
			}
		}
		if token = out.NextToken; aws.ToString(token) == "" {
			return
		}
	}
	r.Unknown = map[string]string{"mappings": "there are too many"}
}

// LogRole is the account's role for execution logs, nil when it cannot be read.
func (t *Target) LogRole(ctx context.Context, region string) *string {
	out, err := t.rest(region).GetAccount(ctx, &apigateway.GetAccountInput{})
	if err != nil {
		return nil
	}
	role := aws.ToString(out.CloudwatchRoleArn)
	return &role
}

// send carries a call out. made is the id of what it made.
func (t *Target) send(ctx context.Context, region string, input any) (made string, err error) {
	switch in := input.(type) {
	case *apigateway.UpdateAccountInput:
		_, err = t.rest(region).UpdateAccount(ctx, in)
	case *apigateway.GenerateClientCertificateInput:
		var out *apigateway.GenerateClientCertificateOutput
		if out, err = t.rest(region).GenerateClientCertificate(ctx, in); err == nil {
			made = aws.ToString(out.ClientCertificateId)
		}
	case *apigateway.DeleteClientCertificateInput:
		_, err = t.rest(region).DeleteClientCertificate(ctx, in)
	case *apigateway.UpdateStageInput:
		_, err = t.rest(region).UpdateStage(ctx, in)
	case *apigateway.UpdateDomainNameInput:
		_, err = t.rest(region).UpdateDomainName(ctx, in)
	case *apigatewayv2.UpdateStageInput:
		_, err = t.v2(region).UpdateStage(ctx, in)
	case *apigatewayv2.DeleteAccessLogSettingsInput:
		_, err = t.v2(region).DeleteAccessLogSettings(ctx, in)
	case *apigatewayv2.UpdateRouteInput:
		_, err = t.v2(region).UpdateRoute(ctx, in)
	case *apigatewayv2.UpdateIntegrationInput:
		_, err = t.v2(region).UpdateIntegration(ctx, in)
	case *wafv2.AssociateWebACLInput:
		_, err = t.waf(region).AssociateWebACL(ctx, in)
	case *wafv2.DisassociateWebACLInput:
		_, err = t.waf(region).DisassociateWebACL(ctx, in)
	case *opensearch.UpdateDomainConfigInput:
		_, err = t.search(region).UpdateDomainConfig(ctx, in)
	default:
		err = fmt.Errorf("%T is no call of a remedy", input)
	}
	return made, err
}

// inverse is the request that takes input back, by what the resource and the
// account were before; made is what input made. nil: nothing takes it back.
func inverse(input any, before *posture.Resource, role *string, made string) any {
	switch in := input.(type) {
	case *apigateway.UpdateAccountInput:
		if role != nil {
			return &apigateway.UpdateAccountInput{PatchOperations: replace("/cloudwatchRoleArn", *role)}
		}
	case *apigateway.GenerateClientCertificateInput:
		return &apigateway.DeleteClientCertificateInput{ClientCertificateId: &made}
	case *apigateway.UpdateStageInput:
		if s, ok := before.Doc.(*resttypes.Stage); ok {
			return &apigateway.UpdateStageInput{RestApiId: in.RestApiId, StageName: in.StageName, PatchOperations: restored(in.PatchOperations, s)}
		}
	case *apigateway.UpdateDomainNameInput:
		if d, ok := before.Doc.(*resttypes.DomainName); ok {
			back := &apigateway.UpdateDomainNameInput{DomainName: in.DomainName}
			for _, op := range in.PatchOperations {
				value := string(d.EndpointAccessMode)
				if *op.Path == "/securityPolicy" {
					value = string(d.SecurityPolicy)
				}
				back.PatchOperations = append(back.PatchOperations, replace(*op.Path, value)...)
			}
			return back
		}
	case *apigatewayv2.UpdateStageInput:
		s, ok := before.Doc.(*v2types.Stage)
		switch {
		case !ok:
		case in.AccessLogSettings != nil && s.AccessLogSettings == nil:
			return &apigatewayv2.DeleteAccessLogSettingsInput{ApiId: in.ApiId, StageName: in.StageName}
		case in.AccessLogSettings != nil:
			return &apigatewayv2.UpdateStageInput{ApiId: in.ApiId, StageName: in.StageName, AccessLogSettings: s.AccessLogSettings}
		default:
			settings := v2types.RouteSettings{}
			if s.DefaultRouteSettings != nil {
				settings = *s.DefaultRouteSettings
			}
			if settings.LoggingLevel == "" {
				settings.LoggingLevel = v2types.LoggingLevelOff
			}
			return &apigatewayv2.UpdateStageInput{ApiId: in.ApiId, StageName: in.StageName, DefaultRouteSettings: &settings}
		}
	case *apigatewayv2.UpdateRouteInput:
		if r, ok := before.Doc.(*v2types.Route); ok {
			back := &apigatewayv2.UpdateRouteInput{ApiId: in.ApiId, RouteId: in.RouteId, AuthorizationType: r.AuthorizationType, AuthorizerId: r.AuthorizerId}
			if back.AuthorizationType == "" {
				back.AuthorizationType = v2types.AuthorizationTypeNone
			}
			return back
		}
	case *wafv2.AssociateWebACLInput:
		return &wafv2.DisassociateWebACLInput{ResourceArn: in.ResourceArn}
	case *opensearch.UpdateDomainConfigInput:
		return searchBefore(in, before)
	}
	return nil
}

// restored are the operations that put back what a stage had.
func restored(ops []resttypes.PatchOperation, s *resttypes.Stage) (back []resttypes.PatchOperation) {
	for _, op := range ops {
		path := aws.ToString(op.Path)
		switch path {
		case "/clientCertificateId":
			back = append(back, replace(path, aws.ToString(s.ClientCertificateId))...)
			continue
		case "/tracingEnabled":
			back = append(back, replace(path, fmt.Sprint(s.TracingEnabled))...)
			continue
		}
		for suffix, value := range map[string]func(resttypes.MethodSetting) string{
			"/logging/loglevel":      func(m resttypes.MethodSetting) string { return aws.ToString(m.LoggingLevel) },
			"/caching/dataEncrypted": func(m resttypes.MethodSetting) string { return fmt.Sprint(m.CacheDataEncrypted) },
		} {
			entry, ok := strings.CutSuffix(path, suffix)
			if !ok {
				continue
			}
			had, ok := s.MethodSettings[strings.TrimPrefix(entry, "/")]
			v := value(had)
			if !ok {
				back = append(back, resttypes.PatchOperation{Op: resttypes.OpRemove, Path: &entry})
				continue
			}
			if v == "" {
				v = "OFF"
			}
			back = append(back, replace(path, v)...)
		}
	}
	slices.Reverse(back)
	return back
}

// wait returns once a resource's change binds. The error is errPending when
// that takes longer than it may.
func (t *Target) wait(ctx context.Context, s posture.Subject) (*posture.Resource, error) {
	limit := t.Wait
	if limit == 0 {
		limit = 30 * time.Minute
	}
	until := time.Now().Add(limit)
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 15*time.Second) {
		r, err := t.Read(ctx, s)
		if err != nil {
			return nil, err
		}
		status, message := stateOf(r)
		switch status {
		case settled:
			return r, nil
		case broken:
			return r, fmt.Errorf("the change failed: %s", message)
		}
		if time.Now().After(until) {
			return r, errPending
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return r, ctx.Err()
		case <-timer.C:
		}
	}
}

var errPending = errors.New("the change is still being made")

type state int

const (
	settled state = iota
	moving
	broken
)

// stateOf tells whether the service is still changing a resource.
func stateOf(r *posture.Resource) (state, string) {
	switch d := r.Doc.(type) {
	case *resttypes.DomainName:
		switch d.DomainNameStatus {
		case resttypes.DomainNameStatusUpdating, resttypes.DomainNameStatusPending:
			return moving, ""
		case resttypes.DomainNameStatusFailed:
			return broken, aws.ToString(d.DomainNameStatusMessage)
		}
	}
	return searchState(r)
}
