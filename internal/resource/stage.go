package resource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// Limits of a stage. Source: quotas; API reference, Stage.
const (
	maxStageName     = 128
	maxVariables     = 100
	maxVariableName  = 64
	maxVariableValue = 512
	maxFormat        = 3 * 1024 // bytes
	maxCacheTTL      = 3600     // seconds
	// maxMethodSettings bounds the keys of methodSettings: each of 300
	// resources with each method, and the wildcards.
	maxMethodSettings = 300*8 + 8
)

var (
	stageName     = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	variableName  = regexp.MustCompile(`^[A-Za-z0-9_]+$`)
	variableValue = regexp.MustCompile(`^[A-Za-z0-9._~:/?#&=,-]*$`) // Source: API reference, Stage.variables
)

func validStageName(s string) bool { return len(s) <= maxStageName && stageName.MatchString(s) }

// NewStage makes a stage for a deployment, whose existence is for the caller.
func NewStage(in *apigateway.CreateStageInput, now time.Time) (types.Stage, error) {
	s := types.Stage{
		CacheClusterEnabled:  in.CacheClusterEnabled,
		CacheClusterSize:     in.CacheClusterSize,
		CanarySettings:       clone(in.CanarySettings),
		CreatedDate:          aws.Time(now),
		DeploymentId:         given(in.DeploymentId),
		Description:          given(in.Description),
		DocumentationVersion: given(in.DocumentationVersion),
		LastUpdatedDate:      aws.Time(now),
		MethodSettings:       map[string]types.MethodSetting{},
		StageName:            clone(in.StageName),
		Tags:                 clone(in.Tags),
		TracingEnabled:       in.TracingEnabled,
		Variables:            clone(in.Variables),
	}
	if c := s.CanarySettings; c != nil && c.DeploymentId == nil {
		c.DeploymentId = clone(s.DeploymentId)
	}
	settleCache(&s)

	var p problems
	if in.StageName == nil {
		p.missing("stageName")
	}
	if in.DeploymentId == nil {
		p.missing("deploymentId")
	}
	enum(&p, in.CacheClusterSize, "cacheClusterSize", in.CacheClusterSize.Values())
	p.checkStage(s)
	if err := p.err(); err != nil {
		return types.Stage{}, err
	}
	return s, nil
}

// DeployStage is what CreateDeployment does to the stage that it names: the
// deployment becomes the stage's, or its canary's where canary settings are
// sent. old is nil when the stage is new.
func DeployStage(old *types.Stage, in *apigateway.CreateDeploymentInput, deploymentID string, now time.Time) (types.Stage, error) {
	if old == nil {
		s, err := NewStage(&apigateway.CreateStageInput{
			StageName:           in.StageName,
			DeploymentId:        aws.String(deploymentID),
			Description:         in.StageDescription,
			CacheClusterEnabled: aws.ToBool(in.CacheClusterEnabled),
			CacheClusterSize:    in.CacheClusterSize,
			TracingEnabled:      aws.ToBool(in.TracingEnabled),
			Variables:           in.Variables,
		}, now)
		if err == nil && in.CanarySettings != nil {
			err = Errorf(BadRequest, "canarySettings need a stage that has a deployment already; %s is new", aws.ToString(in.StageName))
		}
		if err != nil {
			return types.Stage{}, err
		}
		return s, nil
	}
	s := clone(*old)
	if c := in.CanarySettings; c != nil {
		s.CanarySettings = &types.CanarySettings{
			DeploymentId:           aws.String(deploymentID),
			PercentTraffic:         c.PercentTraffic,
			StageVariableOverrides: clone(c.StageVariableOverrides),
			UseStageCache:          c.UseStageCache,
		}
	} else {
		s.DeploymentId = aws.String(deploymentID)
	}
	if d := given(in.StageDescription); d != nil {
		s.Description = d
	}
	if in.CacheClusterEnabled != nil {
		s.CacheClusterEnabled = *in.CacheClusterEnabled
	}
	if in.CacheClusterSize != "" {
		s.CacheClusterSize = in.CacheClusterSize
	}
	if in.TracingEnabled != nil {
		s.TracingEnabled = *in.TracingEnabled
	}
	if in.Variables != nil {
		s.Variables = clone(in.Variables)
	}
	s.LastUpdatedDate = aws.Time(now)
	settleCache(&s)
	var p problems
	enum(&p, in.CacheClusterSize, "cacheClusterSize", in.CacheClusterSize.Values())
	p.checkStage(s)
	if err := p.err(); err != nil {
		return *old, err
	}
	return s, nil
}

// settleCache derives the cache's status. There is nothing to build, so a cache
// that is switched on is available at once; the smallest size is the default.
func settleCache(s *types.Stage) {
	s.CacheClusterStatus = types.CacheClusterStatusNotAvailable
	if s.CacheClusterEnabled {
		s.CacheClusterStatus = types.CacheClusterStatusAvailable
		if s.CacheClusterSize == "" {
			s.CacheClusterSize = types.CacheClusterSizeSize0Point5Gb
		}
	}
}

func (p *problems) checkStage(s types.Stage) {
	if n := aws.ToString(s.StageName); !validStageName(n) {
		p.addf("Invalid stage name specified: '%s'. It may hold letters, digits, hyphens and underscores, at most %d", n, maxStageName)
	}
	if aws.ToString(s.DeploymentId) == "" {
		p.addf("Deployment id does not exist")
	}
	p.description(s.Description)
	p.variables("variables", s.Variables)
	if c := s.CanarySettings; c != nil {
		if !(c.PercentTraffic >= 0 && c.PercentTraffic <= 100) {
			p.addf("canarySettings.percentTraffic must be between 0 and 100")
		}
		if aws.ToString(c.DeploymentId) == "" {
			p.addf("Deployment id does not exist")
		}
		p.variables("canarySettings.stageVariableOverrides", c.StageVariableOverrides)
	}
	p.accessLog(s.AccessLogSettings)
	if len(s.MethodSettings) > maxMethodSettings {
		p.addf("methodSettings: %d keys are too many; the limit is %d", len(s.MethodSettings), maxMethodSettings)
	}
	p.tags(s.Tags)
}

func (p *problems) variables(member string, vars map[string]string) {
	if len(vars) > maxVariables {
		p.addf("%s: %d are too many; the limit is %d", member, len(vars), maxVariables)
		return
	}
	for _, name := range sortedKeys(vars) {
		if !variableName.MatchString(name) || len(name) > maxVariableName {
			p.addf("Invalid stage variable name '%s' in %s: it may hold letters, digits and underscores, at most %d", name, member, maxVariableName)
		}
		if !variableValue.MatchString(vars[name]) || len(vars[name]) > maxVariableValue {
			p.addf("Invalid stage variable value: '%s' of %s in %s may hold letters, digits and -._~:/?#&=, only, at most %d",
				vars[name], name, member, maxVariableValue)
		}
	}
}

// Access logs. Source: developer guide, Set up API logging.
var (
	formatID        = regexp.MustCompile(`\$context\.(requestId|extendedRequestId)([^A-Za-z0-9_.]|\.?$|\.[^A-Za-z0-9_])`)
	logsARN         = regexp.MustCompile(`^arn:aws[a-z-]*:logs:[a-z0-9-]+:[0-9]{12}:log-group:[A-Za-z0-9._/#-]{1,512}(:\*)?$`)
	firehoseARN     = regexp.MustCompile(`^arn:aws[a-z-]*:firehose:[a-z0-9-]+:[0-9]{12}:deliverystream/amazon-apigateway-[A-Za-z0-9._-]{1,64}$`)
	accessLogFields = "/accessLogSettings/destinationArn, /accessLogSettings/format"
)

// accessLog judges what is there: one of the two members may come in a later
// request, and nothing is logged until both are there.
func (p *problems) accessLog(a *types.AccessLogSettings) {
	if a == nil {
		return
	}
	if d := aws.ToString(a.DestinationArn); d != "" && !logsARN.MatchString(d) && !firehoseARN.MatchString(d) {
		p.take(malformedARN(d))
	}
	switch f := aws.ToString(a.Format); {
	case f == "":
	case len(f) > maxFormat:
		p.addf("Invalid access log format: it is %d bytes long; the limit is %d", len(f), maxFormat)
	case strings.ContainsAny(f, "\n\r"):
		p.addf("Invalid access log format: it must be one line")
	case !formatID.MatchString(f):
		p.addf("Invalid access log format: it must contain $context.requestId or $context.extendedRequestId")
	}
}

// defaultMethodSetting is what a key of methodSettings starts as, unless there
// is a "*/*" to copy. Source: recorded stages.
var defaultMethodSetting = types.MethodSetting{
	CacheTtlInSeconds:                      300,
	RequireAuthorizationForCacheControl:    true,
	ThrottlingBurstLimit:                   5000,
	ThrottlingRateLimit:                    10000,
	UnauthorizedCacheControlHeaderStrategy: types.UnauthorizedCacheControlHeaderStrategySucceedWithResponseHeader,
}

const everyMethod = "*/*"

// methodSetting is one member of types.MethodSetting: where it lies in a patch
// path, what the wire calls it, how its text is read.
type methodSetting struct {
	suffix string
	name   string
	set    setter[types.MethodSetting]
}

// methodSettings is in the order of AWS's own error text. A throttling limit of
// -1 is no limit: Terraform sends it for a limit that is left out.
// Source: API reference, Patch Operations; MethodSetting.
var methodSettings = []methodSetting{
	{"metrics/enabled", "metricsEnabled", flag(func(d *types.MethodSetting) *bool { return &d.MetricsEnabled })},
	{"logging/dataTrace", "dataTraceEnabled", flag(func(d *types.MethodSetting) *bool { return &d.DataTraceEnabled })},
	{"logging/loglevel", "loggingLevel", func(d *types.MethodSetting, e edit) error {
		v, err := e.text()
		if err == nil && !slices.Contains([]string{"OFF", "ERROR", "INFO"}, v) {
			err = e.badValue("one of [OFF, ERROR, INFO]")
		}
		if err == nil {
			d.LoggingLevel = &v
		}
		return err
	}},
	{"throttling/burstLimit", "throttlingBurstLimit", integer(-1, math.MaxInt32, func(d *types.MethodSetting) *int32 { return &d.ThrottlingBurstLimit })},
	{"throttling/rateLimit", "throttlingRateLimit", setRateLimit},
	{"caching/ttlInSeconds", "cacheTtlInSeconds", integer(0, maxCacheTTL, func(d *types.MethodSetting) *int32 { return &d.CacheTtlInSeconds })},
	{"caching/enabled", "cachingEnabled", flag(func(d *types.MethodSetting) *bool { return &d.CachingEnabled })},
	{"caching/dataEncrypted", "cacheDataEncrypted", flag(func(d *types.MethodSetting) *bool { return &d.CacheDataEncrypted })},
	{"caching/requireAuthorizationForCacheControl", "requireAuthorizationForCacheControl", flag(func(d *types.MethodSetting) *bool { return &d.RequireAuthorizationForCacheControl })},
	{"caching/unauthorizedCacheControlHeaderStrategy", "unauthorizedCacheControlHeaderStrategy", choice(func(d *types.MethodSetting) *types.UnauthorizedCacheControlHeaderStrategy {
		return &d.UnauthorizedCacheControlHeaderStrategy
	})},
}

var stagePaths = table[types.Stage]{unknown: unknownStagePath, rows: append([]row[types.Stage]{
	{"/deploymentId", replace | copyFrom, setDeployment},
	{"/description", replace, text(func(d *types.Stage) **string { return &d.Description })},
	{"/clientCertificateId", replace, text(func(d *types.Stage) **string { return &d.ClientCertificateId })},
	{"/tracingEnabled", replace, flag(func(d *types.Stage) *bool { return &d.TracingEnabled })},
	{"/cacheClusterEnabled", replace, flag(func(d *types.Stage) *bool { return &d.CacheClusterEnabled })},
	{"/cacheClusterSize", replace, choice(func(d *types.Stage) *types.CacheClusterSize { return &d.CacheClusterSize })},
	{"/documentationVersion", replace, text(func(d *types.Stage) **string { return &d.DocumentationVersion })},
	{"/variables", replace | remove | copyFrom, setVariables},
	{"/variables/{name}", replace | remove, entry(func(d *types.Stage) *map[string]string { return &d.Variables })},
	{"/accessLogSettings", remove, func(d *types.Stage, _ edit) error { d.AccessLogSettings = nil; return nil }},
	{"/accessLogSettings/{member}", add | replace | remove, setAccessLog},
	{"/canarySettings", remove, func(d *types.Stage, e edit) error {
		if d.CanarySettings == nil {
			return e.absent()
		}
		d.CanarySettings = nil
		return nil
	}},
	{"/canarySettings/deploymentId", replace, text(func(d *types.Stage) **string { return &canary(d).DeploymentId })},
	{"/canarySettings/percentTraffic", replace, decimal(100, func(d *types.Stage) *float64 { return &canary(d).PercentTraffic })},
	{"/canarySettings/useStageCache", replace, flag(func(d *types.Stage) *bool { return &canary(d).UseStageCache })},
	{"/canarySettings/stageVariableOverrides", replace, func(d *types.Stage, e edit) error {
		m, err := e.stringMap()
		if err == nil {
			canary(d).StageVariableOverrides = m
		}
		return err
	}},
	{"/canarySettings/stageVariableOverrides/{name}", replace | remove, entry(func(d *types.Stage) *map[string]string { return &canary(d).StageVariableOverrides })},
	{"/methodSettings", replace, replaceMethodSettings},
	{"/{resourcePath}/{httpMethod}", remove, removeMethodSetting},
}, methodSettingRows()...)}

func setRateLimit(d *types.MethodSetting, e edit) error {
	if v, err := strconv.ParseFloat(aws.ToString(e.value), 64); err == nil && v == -1 {
		d.ThrottlingRateLimit = -1
		return nil
	}
	return decimal(math.MaxFloat64, func(d *types.MethodSetting) *float64 { return &d.ThrottlingRateLimit })(d, e)
}

func methodSettingRows() []row[types.Stage] {
	var rows []row[types.Stage]
	for _, m := range methodSettings {
		rows = append(rows, row[types.Stage]{"/{resourcePath}/{httpMethod}/" + m.suffix, replace, func(d *types.Stage, e edit) error {
			return setMethodSetting(d, e, m)
		}})
	}
	return rows
}

// unknownStagePath is AWS's text; AWS prints it without some of the commas.
func unknownStagePath(e edit) error {
	list := []string{"/deploymentId", "/description", "/cacheClusterEnabled", "/cacheClusterSize", "/clientCertificateId",
		"/accessLogSettings", "/accessLogSettings/destinationArn", "/accessLogSettings/format"}
	for _, m := range methodSettings {
		list = append(list, "/{resourcePath}/{httpMethod}/"+m.suffix)
	}
	list = append(list, "/variables/{variable_name}", "/tracingEnabled")
	return Errorf(BadRequest, "Invalid method setting path: %s. Must be one of: [%s]", e.path, strings.Join(list, ", "))
}

// SetsLogging reports whether ops, which led to after, set a logging level that
// writes execution logs.
func SetsLogging(after types.Stage, ops []types.PatchOperation) bool {
	logs := func(level *string) bool { return level != nil && (*level == "ERROR" || *level == "INFO") }
	for _, op := range ops {
		switch path := aws.ToString(op.Path); {
		case strings.HasSuffix(path, "/logging/loglevel"):
			if logs(op.Value) {
				return true
			}
		case path == "/methodSettings":
			for _, setting := range after.MethodSettings {
				if logs(setting.LoggingLevel) {
					return true
				}
			}
		}
	}
	return false
}

// settingKey is what a path says before the setting, as it was sent: AWS keeps
// "pets/GET" and "~1pets/GET" apart.
func (e edit) settingKey() (string, error) {
	method := e.raw[1]
	if method != "*" && !slices.Contains(httpMethods, method) || len(e.raw[0]) > maxURI || hasControl(e.raw[0]) {
		return "", unknownStagePath(e)
	}
	return e.raw[0] + "/" + method, nil
}

func setMethodSetting(d *types.Stage, e edit, m methodSetting) error {
	key, err := e.settingKey()
	if err != nil {
		return err
	}
	setting, ok := d.MethodSettings[key]
	if !ok {
		setting = inherited(d.MethodSettings)
	}
	if err := m.set(&setting, e); err != nil {
		return err
	}
	if d.MethodSettings == nil {
		d.MethodSettings = map[string]types.MethodSetting{}
	}
	d.MethodSettings[key] = setting
	return nil
}

// inherited is what a new key starts as: a copy of today's "*/*", which later
// changes of "*/*" do not reach.
func inherited(settings map[string]types.MethodSetting) types.MethodSetting {
	if all, ok := settings[everyMethod]; ok {
		return clone(all)
	}
	return defaultMethodSetting
}

func removeMethodSetting(d *types.Stage, e edit) error {
	key, err := e.settingKey()
	if err != nil {
		return err
	}
	if _, ok := d.MethodSettings[key]; !ok {
		return noMethodSetting(key)
	}
	delete(d.MethodSettings, key)
	return nil
}

// noMethodSetting is AWS's text, its last blank included; Terraform looks for
// its words.
func noMethodSetting(key string) error {
	return Errorf(BadRequest, "Cannot remove method setting %s because there is no method setting for this method ", key)
}

// replaceMethodSettings takes a JSON map, key to wire members, in place of all
// settings. Members left out start as those of a new key.
func replaceMethodSettings(d *types.Stage, e edit) error {
	v, err := e.text()
	if err != nil {
		return err
	}
	var sent map[string]map[string]any
	dec := json.NewDecoder(bytes.NewReader([]byte(v)))
	dec.UseNumber()
	if dec.Decode(&sent) != nil || dec.More() {
		return e.badValue("a JSON map of method settings")
	}
	next := types.Stage{MethodSettings: map[string]types.MethodSetting{}}
	keys := sortedKeys(sent) // "*/*" sorts before letters and "~", so others inherit from it
	for _, key := range keys {
		at := strings.LastIndexByte(key, '/')
		if at <= 0 {
			return e.badValue("a JSON map of method settings; no setting has the key " + key)
		}
		sub := edit{op: e.op, path: e.path, raw: []string{key[:at], key[at+1:]}}
		if _, err := sub.settingKey(); err != nil {
			return err
		}
		next.MethodSettings[key] = inherited(next.MethodSettings)
		for _, name := range sortedKeys(sent[key]) {
			i := slices.IndexFunc(methodSettings, func(m methodSetting) bool { return m.name == name })
			if i < 0 {
				return e.badValue("a JSON map of method settings; there is no setting " + name)
			}
			sub.value = aws.String(fmt.Sprint(sent[key][name]))
			if err := setMethodSetting(&next, sub, methodSettings[i]); err != nil {
				return err
			}
		}
	}
	d.MethodSettings = next.MethodSettings
	return nil
}

func setAccessLog(d *types.Stage, e edit) error {
	a := d.AccessLogSettings
	if a == nil {
		a = &types.AccessLogSettings{}
	}
	var target **string
	switch e.args[0] {
	case "destinationArn":
		target = &a.DestinationArn
	case "format":
		target = &a.Format
	default:
		if e.op == types.OpRemove {
			return noMethodSetting("accessLogSettings/" + e.args[0])
		}
		return Errorf(BadRequest, "Invalid accessLogSettings path. Must be one of : [%s]", accessLogFields)
	}
	if e.op == types.OpRemove {
		*target = nil
	} else if aws.ToString(e.value) == "" {
		return Errorf(BadRequest, "Access Log value must not be empty")
	} else {
		*target = clone(e.value)
	}
	if d.AccessLogSettings = a; a.DestinationArn == nil && a.Format == nil {
		d.AccessLogSettings = nil
	}
	return nil
}

// canary returns the stage's canary, begun on the stage's own deployment when
// there is none.
func canary(d *types.Stage) *types.CanarySettings {
	if d.CanarySettings == nil {
		d.CanarySettings = &types.CanarySettings{DeploymentId: clone(d.DeploymentId)}
	}
	return d.CanarySettings
}

// setDeployment: copy promotes the canary's deployment.
func setDeployment(d *types.Stage, e edit) error {
	if e.op != types.OpCopy {
		return text(func(d *types.Stage) **string { return &d.DeploymentId })(d, e)
	}
	if err := e.promotes(d, "/canarySettings/deploymentId"); err != nil {
		return err
	}
	d.DeploymentId = clone(d.CanarySettings.DeploymentId)
	return nil
}

// setVariables: copy lays the canary's overrides over the stage's variables;
// variables that it does not override stay.
func setVariables(d *types.Stage, e edit) error {
	switch e.op {
	case types.OpRemove:
		d.Variables = nil
		return nil
	case types.OpCopy:
		if err := e.promotes(d, "/canarySettings/stageVariableOverrides"); err != nil {
			return err
		}
		for k, v := range d.CanarySettings.StageVariableOverrides {
			d.Variables = with(d.Variables, k, v)
		}
		return nil
	}
	m, err := e.stringMap()
	if err == nil {
		d.Variables = m
	}
	return err
}

func (e edit) promotes(d *types.Stage, from string) error {
	if e.from != from {
		return Errorf(BadRequest, "Invalid patch from '%s' specified for op 'copy' on path '%s'. Must be one of: [%s]", e.from, e.path, from)
	}
	if d.CanarySettings == nil {
		return Errorf(BadRequest, "Invalid patch from '%s': the stage has no canary", e.from)
	}
	return nil
}

// stringMap reads a JSON map of texts.
func (e edit) stringMap() (map[string]string, error) {
	v, err := e.text()
	if err != nil {
		return nil, err
	}
	var m map[string]string
	if json.Unmarshal([]byte(v), &m) != nil {
		return nil, e.badValue("a JSON map of texts")
	}
	return m, nil
}

// UpdateStage applies the operations. Whether a deployment or a client
// certificate exists is for the caller.
func UpdateStage(old types.Stage, ops []types.PatchOperation, now time.Time) (types.Stage, error) {
	if len(ops) == 0 {
		return old, nil
	}
	s, err := stagePaths.patch(old, ops)
	if err != nil {
		return old, err
	}
	settleCache(&s)
	s.LastUpdatedDate = aws.Time(now)
	var p problems
	p.checkStage(s)
	if err := p.err(); err != nil {
		return old, err
	}
	return s, nil
}
