package account

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/acm"
	acmtypes "github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/aws/aws-sdk-go-v2/service/apigatewayv2"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	"github.com/aws/aws-sdk-go-v2/service/opensearch"

	"github.com/sallyport/sallyport/internal/posture"
)

// region reads one Region.
type region struct {
	*scan
	name   string
	api    *apigateway.Client
	apiV2  *apigatewayv2.Client
	acm    *acm.Client
	search *opensearch.Client
	// known is closed when apis holds every V2 API, or broken says why not.
	known  chan struct{}
	apis   map[string]*v2types.Api
	broken string
}

func newRegion(s *scan, name string) *region {
	c := s.options.Config
	return &region{
		scan: s, name: name, known: make(chan struct{}), apis: map[string]*v2types.Api{},
		api:    apigateway.NewFromConfig(c, func(o *apigateway.Options) { o.Region = name }),
		apiV2:  apigatewayv2.NewFromConfig(c, func(o *apigatewayv2.Options) { o.Region = name }),
		acm:    acm.NewFromConfig(c, func(o *acm.Options) { o.Region = name }),
		search: opensearch.NewFromConfig(c, func(o *opensearch.Options) { o.Region = name }),
	}
}

// arn is that of an API Gateway resource, which names no account.
func (r *region) arn(path string) string {
	return "arn:" + r.partition + ":apigateway:" + r.name + "::" + path
}

func (r *region) resource(typ, id string, doc any) *posture.Resource {
	return &posture.Resource{Type: typ, ID: id, Region: r.name, Account: r.account, Source: posture.Account, Doc: doc}
}

// unread notes a call that failed: a problem, and for each type behind it one
// resource of which nothing is known. id has a "*" where names would be.
func (r *region) unread(operation string, err error, id string, types ...string) {
	why := reasonOf(err)
	r.problem(r.name+" "+operation, why)
	for _, typ := range types {
		u := r.resource(typ, id, nil)
		u.Unknown = map[string]string{"": operation + ": " + why}
		r.add(u)
	}
}

// left notes a resource that was deleted while it was read.
func (r *region) left(operation, what string) {
	r.problem(r.name+" "+operation, what+" was deleted during the scan")
}

func (r *region) rest(ctx context.Context) {
	var apis []types.RestApi
	err := pages(func(token *string) (next *string, err error) {
		err = r.call(ctx, "apigateway:GetRestApis", func(ctx context.Context) error {
			out, err := r.api.GetRestApis(ctx, &apigateway.GetRestApisInput{Position: token, Limit: aws.Int32(500)})
			if err == nil {
				apis, next = append(apis, out.Items...), out.Position
			}
			return err
		})
		return next, err
	})
	if err != nil {
		r.unread("apigateway:GetRestApis", err, r.arn("/restapis/*/stages/*"), posture.TypeStage)
	}
	for i := range apis {
		r.spawn(func() { r.restStages(ctx, &apis[i]) })
	}

	var names []types.DomainName
	err = pages(func(token *string) (next *string, err error) {
		err = r.call(ctx, "apigateway:GetDomainNames", func(ctx context.Context) error {
			out, err := r.api.GetDomainNames(ctx, &apigateway.GetDomainNamesInput{Position: token, Limit: aws.Int32(500)})
			if err == nil {
				names, next = append(names, out.Items...), out.Position
			}
			return err
		})
		return next, err
	})
	if err != nil {
		r.unread("apigateway:GetDomainNames", err, r.arn("/domainnames/*"), posture.TypeDomainName)
	}
	for i := range names {
		r.spawn(func() { r.domainName(ctx, &names[i]) })
	}
}

func (r *region) restStages(ctx context.Context, api *types.RestApi) {
	id := aws.ToString(api.Id)
	var out *apigateway.GetStagesOutput
	err := r.call(ctx, "apigateway:GetStages", func(ctx context.Context) (err error) {
		out, err = r.api.GetStages(ctx, &apigateway.GetStagesInput{RestApiId: api.Id})
		return err
	})
	switch {
	case gone(err):
		r.left("apigateway:GetStages", "REST API "+id)
	case err != nil:
		r.unread("apigateway:GetStages", err, r.arn("/restapis/"+id+"/stages/*"), posture.TypeStage)
	default:
		for i := range out.Item {
			stage := &out.Item[i]
			s := r.resource(posture.TypeStage, r.arn("/restapis/"+id+"/stages/"+aws.ToString(stage.StageName)), stage)
			s.Parent, s.Tags = api, stage.Tags
			r.add(s)
		}
	}
}

// domainName finds out which V2 APIs are mapped to a domain name: they decide
// whether its policy can be changed.
func (r *region) domainName(ctx context.Context, d *types.DomainName) {
	name := aws.ToString(d.DomainName)
	res := r.resource(posture.TypeDomainName, r.arn("/domainnames/"+name), d)
	if arn := aws.ToString(d.DomainNameArn); arn != "" && slices.Contains(endpointTypes(d), types.EndpointTypePrivate) {
		res.ID = arn // a private one has an id beside its name
	}
	res.Tags = d.Tags
	defer r.add(res)
	<-r.known
	if r.broken != "" {
		res.Unknown = map[string]string{"mappings": r.broken}
		return
	}
	if len(r.apis) == 0 {
		return
	}
	err := pages(func(token *string) (next *string, err error) {
		err = r.call(ctx, "apigatewayv2:GetApiMappings", func(ctx context.Context) error {
			out, err := r.apiV2.GetApiMappings(ctx, &apigatewayv2.GetApiMappingsInput{DomainName: d.DomainName, NextToken: token})
			if err == nil {
				next = out.NextToken
				for _, m := range out.Items {
					if api := r.apis[aws.ToString(m.ApiId)]; api != nil && !slices.Contains(res.Related, any(api)) {
						res.Related = append(res.Related, api)
					}
				}
			}
			return err
		})
		return next, err
	})
	if err != nil {
		r.problem(r.name+" apigatewayv2:GetApiMappings", name+": "+reasonOf(err))
		res.Unknown = map[string]string{"mappings": "apigatewayv2:GetApiMappings: " + reasonOf(err)}
	}
}

func endpointTypes(d *types.DomainName) []types.EndpointType {
	if d.EndpointConfiguration == nil {
		return nil
	}
	return d.EndpointConfiguration.Types
}

func (r *region) v2(ctx context.Context) {
	err := pages(func(token *string) (next *string, err error) {
		err = r.call(ctx, "apigatewayv2:GetApis", func(ctx context.Context) error {
			out, err := r.apiV2.GetApis(ctx, &apigatewayv2.GetApisInput{NextToken: token, MaxResults: aws.String("100")})
			if err == nil {
				next = out.NextToken
				for i := range out.Items {
					r.apis[aws.ToString(out.Items[i].ApiId)] = &out.Items[i]
				}
			}
			return err
		})
		return next, err
	})
	if err != nil {
		r.broken = "apigatewayv2:GetApis: " + reasonOf(err)
		r.unread("apigatewayv2:GetApis", err, r.arn("/apis/*"), posture.TypeStageV2, posture.TypeRoute, posture.TypeIntegration)
	}
	close(r.known)
	for id, api := range r.apis {
		r.spawn(func() { r.stagesV2(ctx, id, api) })
		r.spawn(func() { r.routes(ctx, id, api) })
		r.spawn(func() { r.integrations(ctx, id, api) })
	}
}

// within reads what lies below a V2 API, page by page.
func (r *region) within(ctx context.Context, operation, id, below, typ string, page func(ctx context.Context, token *string) (next *string, err error)) {
	err := pages(func(token *string) (next *string, err error) {
		err = r.call(ctx, operation, func(ctx context.Context) (err error) {
			next, err = page(ctx, token)
			return err
		})
		return next, err
	})
	switch {
	case gone(err):
		r.left(operation, "API "+id)
	case err != nil:
		r.unread(operation, err, r.arn("/apis/"+id+below+"*"), typ)
	}
}

func (r *region) stagesV2(ctx context.Context, id string, api *v2types.Api) {
	r.within(ctx, "apigatewayv2:GetStages", id, "/stages/", posture.TypeStageV2, func(ctx context.Context, token *string) (*string, error) {
		out, err := r.apiV2.GetStages(ctx, &apigatewayv2.GetStagesInput{ApiId: &id, NextToken: token, MaxResults: aws.String("100")})
		if err != nil {
			return nil, err
		}
		for i := range out.Items {
			s := r.resource(posture.TypeStageV2, r.arn("/apis/"+id+"/stages/"+aws.ToString(out.Items[i].StageName)), &out.Items[i])
			s.Parent, s.Tags = api, out.Items[i].Tags
			r.add(s)
		}
		return out.NextToken, nil
	})
}

func (r *region) routes(ctx context.Context, id string, api *v2types.Api) {
	r.within(ctx, "apigatewayv2:GetRoutes", id, "/routes/", posture.TypeRoute, func(ctx context.Context, token *string) (*string, error) {
		out, err := r.apiV2.GetRoutes(ctx, &apigatewayv2.GetRoutesInput{ApiId: &id, NextToken: token, MaxResults: aws.String("100")})
		if err != nil {
			return nil, err
		}
		for i := range out.Items {
			s := r.resource(posture.TypeRoute, r.arn("/apis/"+id+"/routes/"+aws.ToString(out.Items[i].RouteId)), &out.Items[i])
			s.Parent = api
			r.add(s)
		}
		return out.NextToken, nil
	})
}

func (r *region) integrations(ctx context.Context, id string, api *v2types.Api) {
	r.within(ctx, "apigatewayv2:GetIntegrations", id, "/integrations/", posture.TypeIntegration, func(ctx context.Context, token *string) (*string, error) {
		out, err := r.apiV2.GetIntegrations(ctx, &apigatewayv2.GetIntegrationsInput{ApiId: &id, NextToken: token, MaxResults: aws.String("100")})
		if err != nil {
			return nil, err
		}
		for i := range out.Items {
			s := r.resource(posture.TypeIntegration, r.arn("/apis/"+id+"/integrations/"+aws.ToString(out.Items[i].IntegrationId)), &out.Items[i])
			s.Parent = api
			r.add(s)
		}
		return out.NextToken, nil
	})
}

func (r *region) certificates(ctx context.Context) {
	anywhere := "arn:" + r.partition + ":acm:" + r.name + ":" + r.account + ":certificate/*"
	var arns []string
	err := pages(func(token *string) (next *string, err error) {
		err = r.call(ctx, "acm:ListCertificates", func(ctx context.Context) error {
			out, err := r.acm.ListCertificates(ctx, &acm.ListCertificatesInput{
				NextToken: token, MaxItems: aws.Int32(1000),
				// Without it only RSA 1024 and 2048 are listed.
				Includes: &acmtypes.Filters{KeyTypes: acmtypes.KeyAlgorithm("").Values()},
			})
			if err == nil {
				next = out.NextToken
				for _, c := range out.CertificateSummaryList {
					arns = append(arns, aws.ToString(c.CertificateArn))
				}
			}
			return err
		})
		return next, err
	})
	if err != nil {
		r.unread("acm:ListCertificates", err, anywhere, posture.TypeCertificate)
	}
	for _, arn := range arns {
		r.spawn(func() {
			var out *acm.DescribeCertificateOutput
			err := r.call(ctx, "acm:DescribeCertificate", func(ctx context.Context) (err error) {
				out, err = r.acm.DescribeCertificate(ctx, &acm.DescribeCertificateInput{CertificateArn: &arn})
				return err
			})
			switch {
			case gone(err):
				r.left("acm:DescribeCertificate", "certificate "+arn)
			case err != nil:
				r.unread("acm:DescribeCertificate", err, arn, posture.TypeCertificate)
			default:
				r.add(r.resource(posture.TypeCertificate, arn, out.Certificate))
			}
		})
	}
}

// describeAtOnce is how many domains one call describes.
// Source: Amazon OpenSearch Service API reference, DescribeDomains.
const describeAtOnce = 5

func (r *region) searchDomains(ctx context.Context) {
	var out *opensearch.ListDomainNamesOutput
	err := r.call(ctx, "es:ListDomainNames", func(ctx context.Context) (err error) {
		out, err = r.search.ListDomainNames(ctx, &opensearch.ListDomainNamesInput{})
		return err
	})
	anywhere := "arn:" + r.partition + ":es:" + r.name + ":" + r.account + ":domain/"
	if err != nil {
		r.unread("es:ListDomainNames", err, anywhere+"*", posture.TypeSearchDomain)
		return
	}
	var names []string
	for _, d := range out.DomainNames {
		names = append(names, aws.ToString(d.DomainName))
	}
	for some := range slices.Chunk(names, describeAtOnce) {
		r.spawn(func() {
			var out *opensearch.DescribeDomainsOutput
			err := r.call(ctx, "es:DescribeDomains", func(ctx context.Context) (err error) {
				out, err = r.search.DescribeDomains(ctx, &opensearch.DescribeDomainsInput{DomainNames: some})
				return err
			})
			if err != nil {
				for _, name := range some {
					r.unread("es:DescribeDomains", err, anywhere+name, posture.TypeSearchDomain)
				}
				return
			}
			missing := slices.Clone(some)
			for i := range out.DomainStatusList {
				d := &out.DomainStatusList[i]
				missing = slices.DeleteFunc(missing, func(name string) bool { return name == aws.ToString(d.DomainName) })
				if !aws.ToBool(d.Deleted) {
					r.add(r.resource(posture.TypeSearchDomain, strings.TrimSpace(aws.ToString(d.ARN)), d))
				}
			}
			for _, name := range missing { // which the service leaves out without a word
				r.left("es:DescribeDomains", "search domain "+name)
			}
		})
	}
}
