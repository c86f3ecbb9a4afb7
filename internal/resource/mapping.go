package resource

import (
	"regexp"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"
)

// Base paths: one or more segments. Source: developer guide, Use multi-level
// base path mappings; /ping and /sping are the service's own (quotas page).
var basePath = regexp.MustCompile(`^[A-Za-z0-9$._+!*'()-]+(/[A-Za-z0-9$._+!*'()-]+)*$`)

var reservedBasePaths = []string{"ping", "sping"}

const maxBasePath = 300 // bytes; source: developer guide, multi-level base path mappings

// NewBasePathMapping maps a base path to a stage. The answer writes the empty
// base path as "(none)". Whether API and stage exist is for the caller.
func NewBasePathMapping(in *apigateway.CreateBasePathMappingInput) (types.BasePathMapping, error) {
	m := types.BasePathMapping{BasePath: wireBasePath(in.BasePath), RestApiId: clone(in.RestApiId), Stage: givenStage(in.Stage)}
	var p problems
	if in.RestApiId == nil {
		p.missing("restApiId")
	}
	p.checkMapping(m)
	if err := p.err(); err != nil {
		return types.BasePathMapping{}, err
	}
	return m, nil
}

func wireBasePath(path *string) *string {
	p := aws.ToString(path)
	if p == "" {
		p = EmptyBasePath
	}
	return &p
}

// givenStage: "(none)" stands for no stage, as it does for the base path.
func givenStage(stage *string) *string {
	if aws.ToString(stage) == EmptyBasePath {
		return nil
	}
	return given(stage)
}

func (p *problems) checkMapping(m types.BasePathMapping) {
	path := aws.ToString(m.BasePath)
	switch {
	case path == EmptyBasePath:
	case !basePath.MatchString(path) || len(path) > maxBasePath || slices.Contains(strings.Split(path, "/"), "..") || slices.Contains(strings.Split(path, "/"), "."):
		p.addf("Invalid base path specified: '%s'. It may hold letters, digits and $-_.+!*'() in segments between single slashes, "+
			"at most %d bytes", path, maxBasePath)
	case slices.Contains(reservedBasePaths, path):
		p.addf("The base path '%s' is reserved", path)
	}
	if aws.ToString(m.RestApiId) == "" {
		p.addf("Invalid REST API identifier specified")
	}
	if s := aws.ToString(m.Stage); s != "" && !validStageName(s) {
		p.addf("Invalid stage identifier specified")
	}
}

var mappingPaths = table[types.BasePathMapping]{rows: []row[types.BasePathMapping]{
	{"/basepath", replace, setBasePath},
	{"/basePath", replace, setBasePath}, // Terraform's spelling
	{"/restapiId", replace, text(func(d *types.BasePathMapping) **string { return &d.RestApiId })},
	{"/restApiId", replace, text(func(d *types.BasePathMapping) **string { return &d.RestApiId })}, // the member's own spelling
	{"/stage", replace, func(d *types.BasePathMapping, e edit) error {
		v, err := e.text()
		if err == nil {
			d.Stage = givenStage(&v)
		}
		return err
	}},
}}

func setBasePath(d *types.BasePathMapping, e edit) error {
	v, err := e.text()
	if err == nil {
		d.BasePath = wireBasePath(&v)
	}
	return err
}

// UpdateBasePathMapping may change the base path, and with it the key.
func UpdateBasePathMapping(old types.BasePathMapping, ops []types.PatchOperation) (types.BasePathMapping, error) {
	m, err := mappingPaths.patch(old, ops)
	if err != nil || len(ops) == 0 {
		return old, err
	}
	var p problems
	p.checkMapping(m)
	if err := p.err(); err != nil {
		return old, err
	}
	return m, nil
}
