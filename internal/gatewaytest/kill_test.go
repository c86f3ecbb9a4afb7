package gatewaytest

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/config"
	"github.com/sallyport/sallyport/internal/gateway"
	"github.com/sallyport/sallyport/internal/store/storetest"
)

// binary builds the program once per test run.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "sallyport-binary-")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "sallyport")
	out, err := exec.Command("go", "build", "-o", path, "github.com/sallyport/sallyport/cmd/sallyport").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w: %s", err, out)
	}
	return path, nil
})

// built is the folder of the program, "" when it was not needed.
var built string

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// change is one call of the script and what a reader must then find.
type change struct {
	name string
	do   func(ctx context.Context, w *World, api string) error
	seen func(s *seen) bool
}

// seen is what the control plane shows after a restart.
type seen struct {
	api   *apigateway.GetRestApiOutput
	stage *apigateway.GetStageOutput // nil: none
	items []types.Resource
}

// script is a series of changes; each depends on those before it.
var script = []change{
	{"policy", func(ctx context.Context, w *World, api string) error {
		return w.Patch(ctx, api, "/securityPolicy", "SecurityPolicy_TLS13_1_3_2025_09", "/endpointAccessMode", "BASIC")
	}, func(s *seen) bool { return s.api.SecurityPolicy == "SecurityPolicy_TLS13_1_3_2025_09" }},
	{"mode", func(ctx context.Context, w *World, api string) error {
		return w.Patch(ctx, api, "/endpointAccessMode", "STRICT")
	}, func(s *seen) bool { return s.api.EndpointAccessMode == "STRICT" }},
	{"resource", func(ctx context.Context, w *World, api string) error {
		root, err := w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api})
		if err == nil {
			_, err = w.API.CreateResource(ctx, &apigateway.CreateResourceInput{RestApiId: &api, ParentId: root.RootResourceId, PathPart: aws.String("pets")})
		}
		return err
	}, func(s *seen) bool { return len(s.items) == 2 }},
	{"method with integration", func(ctx context.Context, w *World, api string) error {
		root, err := w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api})
		if err == nil {
			_, err = w.API.PutMethod(ctx, &apigateway.PutMethodInput{RestApiId: &api, ResourceId: root.RootResourceId, HttpMethod: aws.String("GET"), AuthorizationType: aws.String("NONE")})
		}
		if err == nil {
			_, err = w.API.PutIntegration(ctx, &apigateway.PutIntegrationInput{RestApiId: &api, ResourceId: root.RootResourceId, HttpMethod: aws.String("GET"),
				Type: types.IntegrationTypeMock, RequestTemplates: map[string]string{"application/json": `{"statusCode": 200}`}})
		}
		return err
	}, func(s *seen) bool {
		for _, r := range s.items {
			if m, ok := r.ResourceMethods["GET"]; ok && m.MethodIntegration != nil {
				return true
			}
		}
		return false
	}},
	{"deployment with stage", func(ctx context.Context, w *World, api string) error {
		_, err := w.API.CreateDeployment(ctx, &apigateway.CreateDeploymentInput{RestApiId: &api, StageName: aws.String("prod")})
		return err
	}, func(s *seen) bool { return s.stage != nil }},
	{"stage variable", func(ctx context.Context, w *World, api string) error {
		_, err := w.API.UpdateStage(ctx, &apigateway.UpdateStageInput{RestApiId: &api, StageName: aws.String("prod"), PatchOperations: Replace("/variables/a", "1", "/variables/b", "2")})
		return err
	}, func(s *seen) bool { return s.stage != nil && s.stage.Variables["a"] == "1" }},
}

// generations are further changes of two members at once.
const generations = 90

func init() {
	for i := range generations {
		generation := strconv.Itoa(i + 1)
		script = append(script, change{"generation " + generation, func(ctx context.Context, w *World, api string) error {
			return w.Patch(ctx, api, "/name", generation, "/description", generation)
		}, func(s *seen) bool {
			n, _ := strconv.Atoi(aws.ToString(s.api.Description)) // none before the first
			return n > i
		}})
	}
}

// kill -9 of the whole program at each of its writes, syncs and renames: what
// was acknowledged is there after a plain start, and nothing is half there.
func TestKillGateway(t *testing.T) {
	Need(t, "strace")
	if testing.Short() {
		t.Skip("SKIPPED: -short")
	}
	program, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	// One finished start makes the keys; its folder is every trial's beginning.
	template := t.TempDir()
	c := killConfig(t, template)
	g, err := gateway.Open(t.Context(), gateway.Options{Config: c, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	storetest.Kill(t, storetest.Victim{
		Argv: []string{program, "serve", "--data-dir", "{dir}/data", "--admin", "127.0.0.1:0",
			"--listen", "REGIONAL=127.0.0.1:0", "--listen", "EDGE=127.0.0.1:0", "--listen", "PRIVATE=127.0.0.1:0"},
		// One thread runs Go code at a time, so that counts by thread mean something.
		Env: []string{"GOMAXPROCS=1"},
		Prepare: func(t *testing.T, dir string) {
			if err := os.CopyFS(filepath.Join(dir, "data"), os.DirFS(template)); err != nil {
				t.Fatal(err)
			}
			// CopyFS opens files to all; the program refuses secrets like that.
			files, err := os.ReadDir(filepath.Join(dir, "data"))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if f.Type().IsRegular() {
					if err := os.Chmod(filepath.Join(dir, "data", f.Name()), 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		},
		Drive:  driveScript,
		Check:  checkScript,
		Points: 200,
	})
}

func killConfig(t *testing.T, dir string) config.Config {
	t.Helper()
	c, err := config.Load(config.Sources{Flags: map[string][]string{"data-dir": {dir}, "admin": {"127.0.0.1:0"},
		"listen": {"REGIONAL=127.0.0.1:0", "EDGE=127.0.0.1:0", "PRIVATE=127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// driveScript runs the script against the program under strace.
func driveScript(t *testing.T, v *storetest.Trial) {
	data := filepath.Join(v.Dir, "data")
	lines := bufio.NewScanner(v.Stdout)
	if !lines.Scan() {
		return // killed before it was ready
	}
	admin, _, ok := strings.Cut(strings.TrimPrefix(lines.Text(), "ready: control plane "), ",")
	if !ok {
		t.Fatalf("the program said %q", lines.Text())
	}
	w := connect(t, killConfig(t, data), gateway.Runtime{Admin: admin, CA: filepath.Join(data, "ca.pem"), Credentials: filepath.Join(data, "credentials")})
	ctx := t.Context()
	created, err := w.API.CreateRestApi(ctx, &apigateway.CreateRestApiInput{Name: aws.String("victim"),
		EndpointConfiguration: &types.EndpointConfiguration{Types: []types.EndpointType{types.EndpointTypeRegional}}})
	if err != nil {
		return
	}
	v.Acked = append(v.Acked, *created.Id)
	for _, c := range script {
		if err := c.do(ctx, w, *created.Id); err != nil {
			return
		}
		v.Acked = append(v.Acked, c.name)
	}
	// strace hands the signal on to the program, which drains and ends.
	_ = syscall.Kill(-v.Process.Pid, syscall.SIGTERM)
}

// checkScript starts on what is left and compares it with what was acknowledged.
func checkScript(t *testing.T, v *storetest.Trial) {
	data := filepath.Join(v.Dir, "data")
	c := killConfig(t, data)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	g, err := gateway.Open(ctx, gateway.Options{Config: c, Log: quiet()})
	if err != nil {
		t.Errorf("%s: no start without repair: %v", v.Point, err)
		return
	}
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", v.Point, err)
		}
		if err := g.Close(); err != nil {
			t.Errorf("%s: %v", v.Point, err)
		}
	}()
	w := connect(t, c, g.Runtime())
	apis, err := w.API.GetRestApis(ctx, &apigateway.GetRestApisInput{})
	if err != nil {
		t.Errorf("%s: %v", v.Point, err)
		return
	}
	if len(apis.Items) == 0 {
		if len(v.Acked) > 0 {
			t.Errorf("%s: the API is gone, acknowledged were %q", v.Point, v.Acked)
		}
		return
	}
	if len(apis.Items) != 1 {
		t.Errorf("%s: %d APIs", v.Point, len(apis.Items))
	}
	api := aws.ToString(apis.Items[0].Id)
	if len(v.Acked) > 0 && v.Acked[0] != api {
		t.Errorf("%s: API %s was acknowledged, %s is there", v.Point, v.Acked[0], api)
	}
	s := &seen{}
	if s.api, err = w.API.GetRestApi(ctx, &apigateway.GetRestApiInput{RestApiId: &api}); err != nil {
		t.Errorf("%s: %v", v.Point, err)
		return
	}
	resources, err := w.API.GetResources(ctx, &apigateway.GetResourcesInput{RestApiId: &api, Embed: []string{"methods"}})
	if err != nil {
		t.Errorf("%s: %v", v.Point, err)
		return
	}
	s.items = resources.Items
	if stage, err := w.API.GetStage(ctx, &apigateway.GetStageInput{RestApiId: &api, StageName: aws.String("prod")}); err == nil {
		s.stage = stage
	}
	// No half change: what belongs together is there together.
	if (s.api.SecurityPolicy == "SecurityPolicy_TLS13_1_3_2025_09") != (s.api.EndpointAccessMode != "") {
		t.Errorf("%s: half a change: policy %s with mode %q", v.Point, s.api.SecurityPolicy, s.api.EndpointAccessMode)
	}
	if d := aws.ToString(s.api.Description); d != "" && d != aws.ToString(s.api.Name) {
		t.Errorf("%s: half a change: description %s with name %s", v.Point, d, aws.ToString(s.api.Name))
	}
	if s.stage != nil && (s.stage.Variables["a"] == "1") != (s.stage.Variables["b"] == "2") {
		t.Errorf("%s: half a change: variables %v", v.Point, s.stage.Variables)
	}
	if s.stage != nil {
		if _, err := w.API.GetDeployment(ctx, &apigateway.GetDeploymentInput{RestApiId: &api, DeploymentId: s.stage.DeploymentId}); err != nil {
			t.Errorf("%s: half a change: a stage without its deployment: %v", v.Point, err)
		}
	}
	// Every acknowledged change is there; beyond them at most the one in flight.
	there := 0
	for i, c := range script {
		if !c.seen(s) {
			break
		}
		there = i + 1
	}
	acked := max(len(v.Acked)-1, 0)
	if there < acked || there > acked+1 {
		t.Errorf("%s: %d changes there, acknowledged were %q", v.Point, there, v.Acked)
	}
	if faults := g.Faults(); len(faults) > 0 {
		t.Errorf("%s: set aside: %v", v.Point, faults)
	}
}
