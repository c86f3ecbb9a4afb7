package template

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/posture"
)

// whatever is read, nothing breaks, and it is read alike each time.
func whatever(t *testing.T, name string, data []byte) {
	if len(data) > 1<<20 {
		t.Skip()
	}
	var collections [2]*posture.Collection
	for i := range collections {
		r := reader{options: &Options{Region: "eu-west-1"}, found: &posture.Collection{}}
		r.file(name, slices.Clone(data), true)
		for _, p := range r.found.Problems {
			if strings.Contains(p.Text, "the reader broke on it") {
				t.Fatal(p.Text)
			}
		}
		collections[i] = r.found
	}
	if !reflect.DeepEqual(collections[0], collections[1]) {
		t.Errorf("read twice it is not the same")
	}
	report, err := posture.Evaluate(controls.All, slices.Values(collections[0].Resources), posture.Options{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range report.Findings {
		if strings.Contains(f.Reason, "the check broke") {
			t.Errorf("%s: %s", f.Resource.ID, f.Reason)
		}
	}
}

func FuzzCloudFormation(f *testing.F) {
	f.Add([]byte(fmt.Sprintf(around, "TracingEnabled: !If [On, !Ref Yes, !Ref AWS::NoValue]")))
	f.Add([]byte("Transform: AWS::Serverless-2016-10-31\nGlobals: {Api: {TracingEnabled: true}}\nResources:\n  F: {Type: AWS::Serverless::Function, Properties: {Events: {E: {Type: Api}, G: {Type: HttpApi, Properties: {Path: /, Method: any}}}}}\n"))
	for _, fact := range facts {
		if fact.want == posture.Failed {
			out, err := yaml.Marshal(cloudFormation(write(fact.r)))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(out)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) { whatever(t, "t.yaml", data) })
}

func FuzzPlan(f *testing.F) {
	for _, fact := range facts {
		if fact.want == posture.Failed {
			out, err := json.Marshal(terraformPlan(write(fact.r)))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(out)
		}
	}
	f.Add([]byte(`{"format_version":"1.2","planned_values":{"root_module":{"child_modules":[{"address":"module.m[\"a\"]","resources":[{"address":"module.m[\"a\"].aws_apigatewayv2_route.r[0]","mode":"managed","type":"aws_apigatewayv2_route","name":"r","provider_name":"registry.terraform.io/hashicorp/aws","values":{"api_id":null}}]}]}},"resource_changes":[{"address":"module.m[\"a\"].aws_apigatewayv2_route.r[0]","change":{"actions":["create"],"after_unknown":{"api_id":true,"authorization_type":true}}}],"configuration":{"root_module":{"module_calls":{"m":{"expressions":{"x":{"references":["var.y"]}},"module":{"resources":[{"address":"aws_apigatewayv2_route.r","expressions":{"api_id":{"references":["var.x"]},"target":[{"a":{}}]}}]}}}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) { whatever(t, "plan.json", data) })
}
