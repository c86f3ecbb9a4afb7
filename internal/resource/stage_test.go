package resource

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	"github.com/google/go-cmp/cmp"
)

func TestNewStage(t *testing.T) {
	type in = apigateway.CreateStageInput
	str := aws.String
	s := must(NewStage(&in{StageName: str("prod"), DeploymentId: str("d1")}, testTime))
	if d := cmp.Diff(types.Stage{StageName: str("prod"), DeploymentId: str("d1"), CreatedDate: &testTime, LastUpdatedDate: &testTime,
		CacheClusterStatus: "NOT_AVAILABLE", MethodSettings: map[string]types.MethodSetting{}}, s, sdk); d != "" {
		t.Errorf("a fresh stage (-want +got):\n%s", d)
	}
	s = must(NewStage(&in{StageName: str("prod"), DeploymentId: str("d1"), CacheClusterEnabled: true}, testTime))
	if s.CacheClusterStatus != "AVAILABLE" || s.CacheClusterSize != "0.5" {
		t.Errorf("cache: %s, %s", s.CacheClusterStatus, s.CacheClusterSize)
	}
	many := map[string]string{}
	for i := range 101 {
		many[strings.Repeat("a", i%60+1)+strings.Repeat("b", i/60)] = ""
	}
	stage := func(change func(*in)) in {
		i := in{StageName: str("prod"), DeploymentId: str("d1")}
		change(&i)
		return i
	}
	variable := func(name, value string) in {
		return stage(func(i *in) { i.Variables = map[string]string{name: value} })
	}
	for _, tt := range []struct {
		in   in
		want string
	}{
		{stage(func(i *in) { i.StageName = str("a-b_C9") }), ""},
		{stage(func(i *in) { i.StageName = str("a b") }), "BadRequest: Invalid stage name specified: 'a b'.…"},
		{stage(func(i *in) { i.StageName = str("a/b") }), "BadRequest: Invalid stage name specified…"},
		{stage(func(i *in) { i.StageName = str(strings.Repeat("a", 129)) }), "BadRequest: Invalid stage name specified…"},
		{in{}, "Validation: 2 validation errors detected: Value null at 'stageName' failed to satisfy constraint: Member must not be null; Value null at 'deploymentId' failed to satisfy constraint: Member must not be null"},
		{stage(func(i *in) { i.DeploymentId = str("") }), "BadRequest: Deployment id does not exist"},
		{stage(func(i *in) { i.CacheClusterSize = "1" }), "Validation: 1 validation error detected: Value '1' at 'cacheClusterSize'…"},
		{variable("host_1", "https://a.example:80/x?y=z&a=b,c~d#e"), ""},
		{variable("host", ""), ""},
		{variable("ho-st", "x"), "BadRequest: Invalid stage variable name 'ho-st' in variables…"},
		{variable("", "x"), "BadRequest: Invalid stage variable name '' in variables…"},
		{variable(strings.Repeat("a", 65), "x"), "BadRequest: Invalid stage variable name…"},
		{variable("host", "a\r\nb"), "BadRequest: Invalid stage variable value…"},
		{variable("host", "${x}"), "BadRequest: Invalid stage variable value: '${x}' of host in variables…"},
		{variable("host", strings.Repeat("a", 513)), "BadRequest: Invalid stage variable value…"},
		{stage(func(i *in) { i.Variables = many }), "BadRequest: variables: 101 are too many; the limit is 100"},
		{stage(func(i *in) { i.CanarySettings = &types.CanarySettings{PercentTraffic: 101} }), "BadRequest: canarySettings.percentTraffic must be between 0 and 100"},
	} {
		_, err := NewStage(&tt.in, testTime)
		checkErr(t, err, tt.want)
	}
}

func TestDeployStage(t *testing.T) {
	str := aws.String
	fresh := must(DeployStage(nil, &apigateway.CreateDeploymentInput{StageName: str("prod"), StageDescription: str("d"), Variables: map[string]string{"a": "b"}, TracingEnabled: aws.Bool(true)}, "d1", testTime))
	if aws.ToString(fresh.DeploymentId) != "d1" || aws.ToString(fresh.Description) != "d" || fresh.Variables["a"] != "b" || !fresh.TracingEnabled {
		t.Errorf("fresh: %+v", fresh)
	}
	again := must(DeployStage(&fresh, &apigateway.CreateDeploymentInput{StageName: str("prod")}, "d2", testLater))
	want := clone(fresh)
	want.DeploymentId, want.LastUpdatedDate = str("d2"), &testLater
	if d := cmp.Diff(want, again, sdk); d != "" {
		t.Errorf("a deployment changes nothing else (-want +got):\n%s", d)
	}
	canary := must(DeployStage(&fresh, &apigateway.CreateDeploymentInput{StageName: str("prod"), CanarySettings: &types.DeploymentCanarySettings{PercentTraffic: 5}}, "d2", testLater))
	if aws.ToString(canary.DeploymentId) != "d1" || aws.ToString(canary.CanarySettings.DeploymentId) != "d2" || canary.CanarySettings.PercentTraffic != 5 {
		t.Errorf("canary: %+v", canary)
	}
	_, err := DeployStage(nil, &apigateway.CreateDeploymentInput{StageName: str("prod"), CanarySettings: &types.DeploymentCanarySettings{}}, "d1", testTime)
	checkErr(t, err, "BadRequest: canarySettings need a stage that has a deployment already; prod is new")
}

func TestMethodSettings(t *testing.T) {
	base := must(NewStage(&apigateway.CreateStageInput{StageName: aws.String("prod"), DeploymentId: aws.String("d1")}, testTime))
	defaults := types.MethodSetting{CacheTtlInSeconds: 300, RequireAuthorizationForCacheControl: true, ThrottlingBurstLimit: 5000, ThrottlingRateLimit: 10000,
		UnauthorizedCacheControlHeaderStrategy: "SUCCEED_WITH_RESPONSE_HEADER"}
	with := func(change func(*types.MethodSetting)) types.MethodSetting {
		s := defaults
		change(&s)
		return s
	}
	info := func(s *types.MethodSetting) { s.LoggingLevel = aws.String("INFO") }
	for _, tt := range []struct {
		name string
		ops  []string
		want map[string]types.MethodSetting
	}{
		{"every member", []string{"replace /*/*/metrics/enabled=true", "replace /*/*/logging/loglevel=ERROR", "replace /*/*/logging/dataTrace=true",
			"replace /*/*/throttling/burstLimit=7", "replace /*/*/throttling/rateLimit=0.5", "replace /*/*/caching/enabled=true", "replace /*/*/caching/dataEncrypted=true",
			"replace /*/*/caching/ttlInSeconds=3600", "replace /*/*/caching/requireAuthorizationForCacheControl=false",
			"replace /*/*/caching/unauthorizedCacheControlHeaderStrategy=FAIL_WITH_403"},
			map[string]types.MethodSetting{"*/*": {MetricsEnabled: true, LoggingLevel: aws.String("ERROR"), DataTraceEnabled: true, ThrottlingBurstLimit: 7, ThrottlingRateLimit: 0.5,
				CachingEnabled: true, CacheDataEncrypted: true, CacheTtlInSeconds: 3600, UnauthorizedCacheControlHeaderStrategy: "FAIL_WITH_403"}}},
		{"keys are kept as they were sent", []string{"replace /~1pets~1{id}/GET/logging/loglevel=INFO", "replace /pets/GET/logging/loglevel=INFO", "replace /~1/ANY/logging/loglevel=INFO"},
			map[string]types.MethodSetting{"~1pets~1{id}/GET": with(info), "pets/GET": with(info), "~1/ANY": with(info)}},
		{"a new key copies */*, and keeps the copy", []string{"replace /*/*/metrics/enabled=true", "replace /pets/GET/logging/loglevel=INFO", "replace /*/*/metrics/enabled=false"},
			map[string]types.MethodSetting{"*/*": defaults, "pets/GET": with(func(s *types.MethodSetting) { info(s); s.MetricsEnabled = true })}},
		{"remove", []string{"replace /pets/GET/metrics/enabled=true", "replace /cats/GET/metrics/enabled=false", "remove /pets/GET"}, map[string]types.MethodSetting{"cats/GET": defaults}},
		{"no limits, as Terraform says it", []string{"replace /*/*/throttling/burstLimit=-1", "replace /*/*/throttling/rateLimit=-1.000000"},
			map[string]types.MethodSetting{"*/*": with(func(s *types.MethodSetting) { s.ThrottlingBurstLimit, s.ThrottlingRateLimit = -1, -1 })}},
		{"the whole map", []string{"replace /a/GET/metrics/enabled=true", `replace /methodSettings={"pets/GET":{"loggingLevel":"INFO"},"*/*":{"metricsEnabled":true,"throttlingRateLimit":5}}`},
			map[string]types.MethodSetting{
				"*/*":      with(func(s *types.MethodSetting) { s.MetricsEnabled, s.ThrottlingRateLimit = true, 5 }),
				"pets/GET": with(func(s *types.MethodSetting) { s.MetricsEnabled, s.ThrottlingRateLimit = true, 5; info(s) })}},
	} {
		s, err := UpdateStage(base, patches(tt.ops...), testLater)
		checkErr(t, err, "")
		if d := cmp.Diff(tt.want, s.MethodSettings, sdk); d != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, d)
		}
	}
	if len(base.MethodSettings) != 0 {
		t.Error("the input was edited")
	}

	// What needs the account's role for logs.
	for op, want := range map[string]bool{
		"replace /*/*/logging/loglevel=INFO":                       true,
		"replace /~1pets/GET/logging/loglevel=ERROR":               true,
		"replace /*/*/logging/loglevel=OFF":                        false,
		"replace /*/*/logging/dataTrace=true":                      false,
		"replace /pets/GET/metrics/enabled=true":                   false, // copies the level of */*
		`replace /methodSettings={"*/*":{"loggingLevel":"ERROR"}}`: true,
		`replace /methodSettings={"*/*":{"metricsEnabled":true}}`:  false,
	} {
		logged := must(UpdateStage(base, patches("replace /*/*/logging/loglevel=INFO"), testLater))
		after := must(UpdateStage(logged, patches(op), testLater))
		if got := SetsLogging(after, patches(op)); got != want {
			t.Errorf("%s needs the role: %t", op, got)
		}
	}
	account := NewAccount()
	checkErr(t, MayLog(account), "BadRequest: CloudWatch Logs role ARN must be set in account settings to enable logging")
	account.CloudwatchRoleArn = aws.String("arn:aws:iam::000000000000:role/logs")
	checkErr(t, MayLog(account), "")

	const unknown = "BadRequest: Invalid method setting path: "
	const list = ". Must be one of: [/deploymentId, /description, /cacheClusterEnabled, /cacheClusterSize, /clientCertificateId, /accessLogSettings, " +
		"/accessLogSettings/destinationArn, /accessLogSettings/format, /{resourcePath}/{httpMethod}/metrics/enabled, /{resourcePath}/{httpMethod}/logging/dataTrace, " +
		"/{resourcePath}/{httpMethod}/logging/loglevel, /{resourcePath}/{httpMethod}/throttling/burstLimit, /{resourcePath}/{httpMethod}/throttling/rateLimit, " +
		"/{resourcePath}/{httpMethod}/caching/ttlInSeconds, /{resourcePath}/{httpMethod}/caching/enabled, /{resourcePath}/{httpMethod}/caching/dataEncrypted, " +
		"/{resourcePath}/{httpMethod}/caching/requireAuthorizationForCacheControl, /{resourcePath}/{httpMethod}/caching/unauthorizedCacheControlHeaderStrategy, " +
		"/variables/{variable_name}, /tracingEnabled]"
	for _, tt := range []struct{ op, want string }{
		{"replace /x=1", unknown + "/x" + list},
		{"replace /webAclArn=arn", unknown + "/webAclArn" + list},
		{"replace /pets/dogs/GET/metrics/enabled=true", unknown + "/pets/dogs/GET/metrics/enabled" + list},
		{"replace /pets/FETCH/metrics/enabled=true", unknown + "/pets/FETCH/metrics/enabled" + list},
		{"replace //GET/metrics/enabled=true", unknown + "//GET/metrics/enabled" + list},
		{"replace /pets/GET=true", unknown + "/pets/GET" + list},
		{"remove /*/*", "BadRequest: Cannot remove method setting */* because there is no method setting for this method "},
		{"remove /~1pets/GET", "BadRequest: Cannot remove method setting ~1pets/GET because there is no method setting for this method "},
		{"replace /*/*/logging/loglevel=DEBUG", "BadRequest: Invalid patch value 'DEBUG' for path '/*/*/logging/loglevel': must be one of [OFF, ERROR, INFO]"},
		{"replace /*/*/caching/ttlInSeconds=3601", "BadRequest: Invalid patch value '3601' for path '/*/*/caching/ttlInSeconds': must be a whole number between 0 and 3600"},
		{"replace /*/*/throttling/burstLimit=-2", "BadRequest: Invalid patch value '-2'…"},
		{"replace /*/*/throttling/rateLimit=-0.5", "BadRequest: Invalid patch value '-0.5'…"},
		{"replace /*/*/throttling/burstLimit=1.5", "BadRequest: Invalid patch value '1.5'…"},
		{"replace /*/*/throttling/rateLimit=NaN", "BadRequest: Invalid patch value 'NaN' for path '/*/*/throttling/rateLimit': must be a number that is not negative"},
		{"replace /*/*/throttling/rateLimit=1e9", "BadRequest: Invalid patch value '1e9'…"},
		{`replace /methodSettings={"*/*":{"colour":"red"}}`, "BadRequest: Invalid patch value…"},
		{`replace /methodSettings=[]`, "BadRequest: Invalid patch value…"},
		{`replace /methodSettings={"x":{}}`, "BadRequest: Invalid patch value…"},
	} {
		_, err := UpdateStage(base, patches(tt.op), testLater)
		checkErr(t, err, tt.want)
	}
}

func TestAccessLogSettings(t *testing.T) {
	base := must(NewStage(&apigateway.CreateStageInput{StageName: aws.String("prod"), DeploymentId: aws.String("d1")}, testTime))
	const logs = "arn:aws:logs:us-east-1:000000000000:log-group:/aws/pets"
	set := func(format string) []types.PatchOperation {
		return []types.PatchOperation{{Op: types.OpReplace, Path: aws.String("/accessLogSettings/format"), Value: &format}}
	}
	for _, tt := range []struct {
		ops  []types.PatchOperation
		want string
	}{
		{patches("add /accessLogSettings/destinationArn="+logs, "add /accessLogSettings/format=$context.requestId"), ""},
		{patches("replace /accessLogSettings/destinationArn=" + logs + ":*"), ""},
		{patches("replace /accessLogSettings/destinationArn=arn:aws:firehose:us-east-1:000000000000:deliverystream/amazon-apigateway-pets"), ""},
		{patches("replace /accessLogSettings/destinationArn=arn:aws:firehose:us-east-1:000000000000:deliverystream/pets"),
			"BadRequest: Invalid ARN. ARN is not well formed arn:aws:firehose:us-east-1:000000000000:deliverystream/pets"},
		{patches("replace /accessLogSettings/destinationArn=pets"), "BadRequest: Invalid ARN. ARN is not well formed pets"},
		{patches("replace /accessLogSettings/destinationArn=arn:aws:s3:::bucket"), "BadRequest: Invalid ARN. ARN is not well formed arn:aws:s3:::bucket"},
		{patches("replace /accessLogSettings/destinationArn="), "BadRequest: Access Log value must not be empty"},
		{patches("add /accessLogSettings/format"), "BadRequest: Access Log value must not be empty"},
		{patches("replace /accessLogSettings/colour=red"), "BadRequest: Invalid accessLogSettings path. Must be one of : [/accessLogSettings/destinationArn, /accessLogSettings/format]"},
		{patches("remove /accessLogSettings/colour"), "BadRequest: Cannot remove method setting accessLogSettings/colour because there is no method setting for this method "},
		{set(`{"id":"$context.requestId"}`), ""},
		{set(`$context.extendedRequestId $context.status`), ""},
		{set(`$context.requestId.`), ""},
		{set(`$context.requestIdentity`), "BadRequest: Invalid access log format: it must contain $context.requestId or $context.extendedRequestId"},
		{set(`$context.status`), "BadRequest: Invalid access log format: it must contain…"},
		{set("$context.requestId\n$context.status"), "BadRequest: Invalid access log format: it must be one line"},
		{set("$context.requestId " + strings.Repeat("x", 3072)), "BadRequest: Invalid access log format: it is 3091 bytes long; the limit is 3072"},
	} {
		_, err := UpdateStage(base, tt.ops, testLater)
		checkErr(t, err, tt.want)
	}
	s := testStage()
	for _, ops := range [][]types.PatchOperation{
		patches("remove /accessLogSettings"), patches("remove /accessLogSettings/format", "remove /accessLogSettings/destinationArn"),
	} {
		if got := must(UpdateStage(s, ops, testLater)); got.AccessLogSettings != nil {
			t.Errorf("left: %+v", got.AccessLogSettings)
		}
	}
}

func TestUpdateStage(t *testing.T) {
	s := testStage()
	after := must(UpdateStage(s, patches("replace /description=d", "replace /deploymentId=dep3", "replace /clientCertificateId=c1", "replace /tracingEnabled=true",
		"replace /cacheClusterEnabled=true", "replace /cacheClusterSize=1.6", "replace /documentationVersion=1", "replace /variables/port=80", "remove /variables/host",
		"remove /canarySettings"), testLater))
	want := clone(s)
	want.Description, want.DeploymentId, want.ClientCertificateId, want.DocumentationVersion = aws.String("d"), aws.String("dep3"), aws.String("c1"), aws.String("1")
	want.TracingEnabled, want.CacheClusterEnabled, want.CacheClusterSize, want.CacheClusterStatus = true, true, "1.6", "AVAILABLE"
	want.Variables, want.CanarySettings, want.LastUpdatedDate = map[string]string{"port": "80"}, nil, &testLater
	if d := cmp.Diff(want, after, sdk); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if d := cmp.Diff(testStage(), s, sdk); d != "" {
		t.Errorf("the input was edited:\n%s", d)
	}
	if after = must(UpdateStage(after, patches("replace /clientCertificateId=", `replace /variables={"a":"b"}`), testLater)); after.ClientCertificateId != nil || !cmp.Equal(after.Variables, map[string]string{"a": "b"}) {
		t.Errorf("%+v", after)
	}
	if after = must(UpdateStage(after, patches("remove /variables"), testLater)); after.Variables != nil {
		t.Errorf("%+v", after.Variables)
	}

	// Promoting a canary: the deployment, the variables it overrides, and no
	// more traffic of its own.
	s.Variables = map[string]string{"host": "a.example", "port": "80"}
	promoted := must(UpdateStage(s, patches("copy /deploymentId<-/canarySettings/deploymentId", "copy /variables<-/canarySettings/stageVariableOverrides",
		"replace /canarySettings/percentTraffic=0.0"), testLater))
	if aws.ToString(promoted.DeploymentId) != "dep2" || !cmp.Equal(promoted.Variables, map[string]string{"host": "b.example", "port": "80"}) || promoted.CanarySettings.PercentTraffic != 0 {
		t.Errorf("promoted: %+v", promoted)
	}
	none := must(UpdateStage(s, patches("remove /canarySettings"), testLater))
	for _, tt := range []struct {
		old      types.Stage
		op, want string
	}{
		{none, "copy /deploymentId<-/canarySettings/deploymentId", "BadRequest: Invalid patch from '/canarySettings/deploymentId': the stage has no canary"},
		{s, "copy /deploymentId<-/variables", "BadRequest: Invalid patch from '/variables' specified for op 'copy' on path '/deploymentId'. Must be one of: [/canarySettings/deploymentId]"},
		{s, "copy /description<-/deploymentId", "BadRequest: Invalid patch path  '/description' specified for op 'copy'. Please choose supported operations"},
		{none, "remove /canarySettings", "BadRequest: Invalid patch path /canarySettings"},
		{none, "replace /canarySettings/percentTraffic=20", ""},
		{s, "replace /canarySettings/percentTraffic=100.1", "BadRequest: Invalid patch value '100.1' for path '/canarySettings/percentTraffic': must be a number between 0 and 100"},
		{s, `replace /canarySettings/stageVariableOverrides={"a":"b"}`, ""},
		{s, `replace /canarySettings/stageVariableOverrides={"a":1}`, "BadRequest: Invalid patch value '{\"a\":1}' for path '/canarySettings/stageVariableOverrides': must be a JSON map of texts"},
		{s, "replace /canarySettings/stageVariableOverrides/a-b=c", "BadRequest: Invalid stage variable name 'a-b' in canarySettings.stageVariableOverrides…"},
		{s, "remove /variables/nope", "BadRequest: Invalid patch path /variables/nope"},
		{s, "replace /cacheClusterSize=2", "BadRequest: Invalid patch value '2' for path '/cacheClusterSize': must be one of [0.5, 1.6, 6.1, 13.5, 28.4, 58.2, 118, 237]"},
		{s, "replace /deploymentId=", "BadRequest: Deployment id does not exist"},
	} {
		_, err := UpdateStage(tt.old, patches(tt.op), testLater)
		checkErr(t, err, tt.want)
	}
}
