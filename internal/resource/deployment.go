package resource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/sallyport/sallyport/internal/awsapi"
)

// Summary is a deployment's apiSummary: by path, then by method.
func Summary(resources []types.Resource) map[string]map[string]types.MethodSnapshot {
	out := map[string]map[string]types.MethodSnapshot{}
	for _, r := range resources {
		for name, m := range r.ResourceMethods {
			path := aws.ToString(r.Path)
			if out[path] == nil {
				out[path] = map[string]types.MethodSnapshot{}
			}
			out[path][name] = types.MethodSnapshot{
				ApiKeyRequired:    aws.ToBool(m.ApiKeyRequired),
				AuthorizationType: clone(m.AuthorizationType),
			}
		}
	}
	return out
}

// NewDeployment makes the deployment's own document. What it serves is made by
// Freeze, the stage that the call may name by DeployStage.
func NewDeployment(in *apigateway.CreateDeploymentInput, id string, now time.Time, summary map[string]map[string]types.MethodSnapshot) (types.Deployment, error) {
	d := types.Deployment{
		ApiSummary:  clone(summary),
		CreatedDate: aws.Time(now),
		Description: given(in.Description),
		Id:          aws.String(id),
	}
	var p problems
	p.description(d.Description)
	if in.StageName == nil && (in.StageDescription != nil || in.CacheClusterEnabled != nil || in.CacheClusterSize != "" ||
		in.CanarySettings != nil || in.TracingEnabled != nil || len(in.Variables) > 0) {
		p.addf("stageName is required with settings of a stage")
	}
	if err := p.err(); err != nil {
		return types.Deployment{}, err
	}
	return d, nil
}

var deploymentPaths = table[types.Deployment]{rows: []row[types.Deployment]{
	{"/description", replace, text(func(d *types.Deployment) **string { return &d.Description })},
}}

// UpdateDeployment changes the description; what was deployed never changes.
func UpdateDeployment(old types.Deployment, ops []types.PatchOperation) (types.Deployment, error) {
	d, err := deploymentPaths.patch(old, ops)
	if err != nil {
		return old, err
	}
	var p problems
	p.description(d.Description)
	if err := p.err(); err != nil {
		return old, err
	}
	return d, nil
}

// Freeze copies what a deployment serves. It refuses an API without methods,
// methods without integration, and mapping templates that would run, of HTTP
// and MOCK integrations, and hold "$" or "#": their language does not exist
// here yet, and serving their text instead would be wrong. Integrations of a
// type that is not built are frozen too; such a method answers an error when it
// is called (NotBuilt), its neighbours serve.
func Freeze(api types.RestApi, resources []types.Resource) (Frozen, error) {
	var none, templates []string
	methods := 0
	resources = slices.SortedFunc(slices.Values(resources), func(a, b types.Resource) int {
		return strings.Compare(aws.ToString(a.Path), aws.ToString(b.Path))
	})
	for _, r := range resources {
		for _, name := range sortedKeys(r.ResourceMethods) {
			methods++
			at := name + " " + aws.ToString(r.Path)
			i := r.ResourceMethods[name].MethodIntegration
			if i == nil {
				none = append(none, at)
				continue
			}
			if i.Type != types.IntegrationTypeHttp && i.Type != types.IntegrationTypeMock {
				continue
			}
			for _, contentType := range sortedKeys(i.RequestTemplates) {
				if strings.ContainsAny(i.RequestTemplates[contentType], "$#") {
					templates = append(templates, fmt.Sprintf("%s request %s", at, contentType))
				}
			}
			for _, status := range sortedKeys(i.IntegrationResponses) {
				for _, contentType := range sortedKeys(i.IntegrationResponses[status].ResponseTemplates) {
					if strings.ContainsAny(i.IntegrationResponses[status].ResponseTemplates[contentType], "$#") {
						templates = append(templates, fmt.Sprintf("%s response %s %s", at, status, contentType))
					}
				}
			}
		}
	}
	var p problems
	if methods == 0 {
		p.addf("The REST API doesn't contain any methods")
	}
	if len(none) > 0 {
		p.addf("No integration defined for method: %s", strings.Join(none, ", "))
	}
	if len(templates) > 0 {
		p.addf("Mapping templates that hold '$' or '#' are not supported by this gateway yet: %s", strings.Join(templates, ", "))
	}
	if err := p.err(); err != nil {
		return Frozen{}, err
	}

	doc, err := awsapi.Marshal(api)
	if err != nil {
		return Frozen{}, fmt.Errorf("freeze %s: %w", aws.ToString(api.Id), err)
	}
	f := Frozen{RestAPI: doc, Resources: []json.RawMessage{}}
	for _, r := range resources {
		if doc, err = awsapi.Marshal(r); err != nil {
			return Frozen{}, fmt.Errorf("freeze %s%s: %w", aws.ToString(api.Id), aws.ToString(r.Path), err)
		}
		f.Resources = append(f.Resources, doc)
	}
	return f, nil
}
