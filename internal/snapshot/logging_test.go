package snapshot

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/resource"
)

func logs(level string, data bool) types.MethodSetting {
	s := types.MethodSetting{DataTraceEnabled: data}
	if level != "" {
		s.LoggingLevel = aws.String(level)
	}
	return s
}

// One key of the method settings governs each request.
func TestMethodLogs(t *testing.T) {
	type settings = map[string]types.MethodSetting
	api := restAPI("abc", policy13, "BASIC")
	stage := func(s settings) func(*types.Stage) { return func(d *types.Stage) { d.MethodSettings = s } }
	w := newWorld(t, nil,
		doc(resource.RestAPIKey("abc"), api),
		frozenDoc("d1", api, resourceAt("/", method("GET")), resourceAt("/pets", method("GET"), method("POST")),
			resourceAt("/pets/{id}", method("ANY")), resourceAt("/x/{rest+}", method("ANY"))),
		stageDoc("abc", "prod", "d1"), stageDoc("abc", "beta", "d1"))
	for _, test := range []struct {
		name     string
		settings settings
		want     map[string]LogLevel // by verb and path; what is not here is off
		data     string              // the one request with data trace
	}{
		{"none", nil, nil, ""},
		{"all", settings{"*/*": logs("INFO", false)},
			map[string]LogLevel{"GET /": LogInfo, "GET /pets": LogInfo, "POST /pets": LogInfo, "PUT /pets/7": LogInfo, "GET /pets/7": LogInfo, "GET /x/a/b": LogInfo}, ""},
		{"all but one", settings{"*/*": logs("ERROR", false), "pets/GET": logs("OFF", false)},
			map[string]LogLevel{"GET /": LogError, "POST /pets": LogError, "PUT /pets/7": LogError, "GET /pets/7": LogError, "GET /x/a/b": LogError}, ""},
		{"one method", settings{"~1pets/POST": logs("INFO", true)}, map[string]LogLevel{"POST /pets": LogInfo}, "POST /pets"},
		{"the root", settings{"~1/GET": logs("INFO", true)}, map[string]LogLevel{"GET /": LogInfo}, "GET /"},
		{"both spellings: the escaped one counts", settings{"~1pets/GET": logs("INFO", false), "pets/GET": logs("ERROR", false)}, map[string]LogLevel{"GET /pets": LogInfo}, ""},
		{"one verb of ANY", settings{"~1pets~1{id}/PUT": logs("INFO", true)}, map[string]LogLevel{"PUT /pets/7": LogInfo}, "PUT /pets/7"},
		{"ANY by its own name", settings{"pets~1{id}/ANY": logs("ERROR", false)}, map[string]LogLevel{"PUT /pets/7": LogError, "GET /pets/7": LogError}, ""},
		{"all verbs of a path, one of its own", settings{"~1pets/*": logs("INFO", false), "~1pets/GET": logs("ERROR", false), "*/*": logs("OFF", false)},
			map[string]LogLevel{"GET /pets": LogError, "POST /pets": LogInfo}, ""},
		{"a verb of all paths", settings{"*/GET": logs("ERROR", false)}, map[string]LogLevel{"GET /": LogError, "GET /pets": LogError, "GET /pets/7": LogError, "GET /x/a/b": LogError}, ""},
		{"greedy", settings{"~1x~1{rest+}/GET": logs("INFO", false)}, map[string]LogLevel{"GET /x/a/b": LogInfo}, ""},
		{"other settings only", settings{"*/*": logs("", true)}, nil, ""},
		{"a path that is not there", settings{"~1other/GET": logs("INFO", true)}, nil, ""},
	} {
		w.put(stageDoc("abc", "prod", "d1", stage(test.settings))) // no deployment
		for _, request := range []struct{ verb, path string }{{"GET", "/"}, {"GET", "/pets"}, {"POST", "/pets"}, {"PUT", "/pets/7"}, {"GET", "/pets/7"}, {"GET", "/x/a/b"}} {
			var p Params
			m, r := w.Current().API("abc").Stages["prod"].Route(request.verb, request.path, &p)
			if r != Routed {
				t.Fatal(r)
			}
			at := request.verb + " " + request.path
			if m.Log != test.want[at] || (m.DataTrace && m.Log != LogOff) != (at == test.data) {
				t.Errorf("%s: %s: level %d, data trace %t", test.name, at, m.Log, m.DataTrace)
			}
			// The other stage of the deployment is not touched.
			if other, _ := w.Current().API("abc").Stages["beta"].Route(request.verb, request.path, &p); other.Log != LogOff {
				t.Errorf("%s: %s: the stage beta logs", test.name, at)
			}
		}
		w.wantNoFaults()
	}
	w.put(stageDoc("abc", "prod", "d1", stage(settings{"*/*": logs("DEBUG", false)})))
	w.wantFault(resource.StageKey("abc", "prod"), "logging level", true)
}

// What a test of a method runs, and what it cannot.
func TestCompileMethod(t *testing.T) {
	w := newWorld(t, nil, linkDoc("one", nlb), linkV2Doc("two"))
	guarded := func(m *types.Method) { m.AuthorizationType, m.ApiKeyRequired = aws.String("AWS_IAM"), aws.Bool(true) }
	for _, test := range []struct {
		name   string
		verb   string
		method types.Method
		edit   func(*Tested)
		kind   resource.Kind
		target string
	}{
		{"mock", "GET", method("GET"), nil, 0, ""},
		{"ANY", "DELETE", method("ANY"), nil, 0, ""},
		{"authorizer and API key are not asked", "GET", method("GET", guarded), nil, 0, ""},
		{"VPC link", "GET", method("GET", byLink("one", "")), nil, 0, nlb},
		{"VPC link by a stage variable", "GET", method("GET", byLink("${stageVariables.link}", listener)), func(t *Tested) { t.Variables = map[string]string{"link": "two"} }, 0, listener},
		{"VPC link that is not there", "GET", method("GET", byLink("gone", "")), nil, 0, nowhere},
		{"other verb", "POST", method("GET"), nil, resource.NotFound, ""},
		{"no verb", "get", method("ANY"), nil, resource.NotFound, ""},
		{"no integration", "GET", method("GET", func(m *types.Method) { m.MethodIntegration = nil }), nil, resource.NotFound, ""},
		{"integration that is not built", "GET", method("GET", func(m *types.Method) { m.MethodIntegration.Type = types.IntegrationTypeAwsProxy }), nil, resource.BadRequest, ""},
		{"validator", "GET", method("GET", func(m *types.Method) { m.RequestValidatorId = aws.String("v") }), nil, resource.BadRequest, ""},
		{"template", "GET", method("GET", func(m *types.Method) {
			m.MethodIntegration.RequestTemplates = map[string]string{"application/json": "$input"}
		}), nil, resource.BadRequest, ""},
		{"no such certificate", "GET", method("GET"), func(t *Tested) { t.ClientCertificate = "absent" }, resource.NotFound, ""},
	} {
		tested := Tested{API: "abc", Stage: "test", Resource: resourceAt("/pets/{id}", test.method), Verb: test.verb}
		if test.edit != nil {
			test.edit(&tested)
		}
		stage, m, err := w.CompileMethod(t.Context(), tested)
		var refused *resource.Error
		if errors.As(err, &refused); test.kind != 0 {
			if refused == nil || refused.Kind != test.kind {
				t.Errorf("%s: %v", test.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		var p Params
		routed, _ := stage.Route(test.verb, "/pets/7", &p)
		if id, _ := p.Get("id"); routed != m || id != "7" || m.Refused != "" || m.Integration.Target != test.target || (m.Integration.Broken != "") != (test.target == nowhere) {
			t.Errorf("%s: %+v %+v", test.name, m, m.Integration)
		}
	}
}
