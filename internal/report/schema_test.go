package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sallyport/sallyport/internal/posture"
)

// Published schemas are not part of this project. SALLYPORT_SCHEMAS names a
// folder with those that are to be had:
//
//	sarif-schema-2.1.0.json      of docs.oasis-open.org/sarif/sarif/v2.1.0
//	ocsf-compliance_finding.json as schema.ocsf.io/schema/1.5.0/classes/compliance_finding?profiles=cloud answers
//	asff.json                    a JSON Schema of one finding in the AWS Security Finding Format; AWS
//	                             publishes its model as the SDK's types, against which TestASFF checks always
//
// Without, SARIF's and an older one of OCSF are taken from Go modules that
// carry them.
func published(t *testing.T, name string) []byte {
	t.Helper()
	folder := os.Getenv("SALLYPORT_SCHEMAS")
	if folder == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(folder, name))
	if err != nil {
		t.Logf("SKIPPED in part: %v", err)
	}
	return text
}

// module is the folder of a Go module's version, "" where it is not to be had.
func module(t *testing.T, path string) string {
	t.Helper()
	out, err := exec.Command("go", "mod", "download", "-json", path).Output()
	var m struct{ Dir string }
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		t.Logf("%s is not to be had: %v", path, err)
	}
	return m.Dir
}

// check validates the documents of a form against a schema.
func check(t *testing.T, schema []byte, docs ...any) {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	// It may name itself by where it is published: nothing is fetched.
	if m, ok := doc.(map[string]any); ok {
		delete(m, "$id")
		delete(m, "id")
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("schema.json", doc); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if compiled.Validate(map[string]any{}) == nil {
		t.Fatal("the schema refuses nothing")
	}
	for _, d := range docs {
		if err := compiled.Validate(d); err != nil {
			t.Errorf("%v", err)
		}
	}
}

func parsed(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestSchemaSARIF(t *testing.T) {
	schema := published(t, "sarif-schema-2.1.0.json")
	if schema == nil {
		if dir := module(t, "github.com/owenrumney/go-sarif/v3@v3.3.1"); dir != "" {
			schema = constant(t, filepath.Join(dir, "pkg/report/v210/sarif/schema.go"), "schema")
		}
	}
	if schema == nil {
		t.Skip("SKIPPED: SARIF's schema is not to be had; name a folder with SALLYPORT_SCHEMAS")
	}
	for _, all := range []bool{false, true} {
		check(t, schema, parsed(t, render(t, "sarif", sample(t), Meta{Version: "v1", All: all})), parsed(t, render(t, "sarif", &posture.Report{}, Meta{})))
	}
}

// constant is the value of a string constant in a Go file.
func constant(t *testing.T, file, name string) []byte {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var value string
	ast.Inspect(tree, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && v.Names[0].Name == name && len(v.Values) == 1 {
			if literal, ok := v.Values[0].(*ast.BasicLit); ok {
				value, err = strconv.Unquote(literal.Value)
			}
		}
		return true
	})
	if err != nil || value == "" {
		t.Fatalf("%s has no constant %s: %v", file, name, err)
	}
	return []byte(value)
}

func TestSchemaASFF(t *testing.T) {
	schema := published(t, "asff.json")
	if schema == nil {
		t.Skip("SKIPPED: no asff.json in a folder that SALLYPORT_SCHEMAS names; TestASFF checks against the SDK's types and its client")
	}
	check(t, schema, parsed(t, render(t, "asff", sample(t), Meta{})).([]any)...)
}

// newer are the members of OCSF 1.5.0 that 1.2.0 did not have: by that older
// schema everything else must be known.
var newer = []string{
	"compliance.control_parameters", // 1.3.0
	"compliance.desc",               // 1.5.0
	"compliance.status_details",     // 1.4.0
	"evidences",                     // 1.3.0
	"resources",                     // 1.3.0
}

func TestSchemaOCSF(t *testing.T) {
	docs := parsed(t, render(t, "ocsf", sample(t), Meta{Version: "v1"})).([]any)
	if schema := published(t, "ocsf-compliance_finding.json"); schema != nil {
		check(t, schema, docs...)
		return
	}
	dir := module(t, "github.com/valllabh/ocsf-schema-golang@v1.0.3")
	if dir == "" {
		t.Skip("SKIPPED: OCSF's schema is not to be had; name a folder with SALLYPORT_SCHEMAS")
	}
	if _, err := exec.LookPath("zstd"); err != nil {
		t.Skip("SKIPPED: zstd is missing; it opens the schema of OCSF")
	}
	schema, err := exec.Command("zstd", "-dc", filepath.Join(dir, "ocsfvalidate/1.2/jsonschema/classes_compliance_finding.json.zst")).Output()
	if err != nil {
		t.Fatal(err)
	}
	check(t, schema, docs...)
	var s node
	if err := json.Unmarshal(schema, &s); err != nil {
		t.Fatal(err)
	}
	unknown := map[string]bool{}
	for _, d := range docs {
		s.unknown("", d, s.Defs, unknown)
	}
	if got := slices.Sorted(maps.Keys(unknown)); !slices.Equal(got, newer) {
		t.Errorf("members that OCSF 1.2.0 does not know: %q, want %q", got, newer)
	}
}

// node is as much of a JSON Schema as is needed to tell which members it knows.
type node struct {
	Ref        string          `json:"$ref"`
	Properties map[string]node `json:"properties"`
	Items      *node           `json:"items"`
	Defs       map[string]node `json:"$defs"`
}

func (n node) unknown(path string, doc any, defs map[string]node, found map[string]bool) {
	if name, ok := strings.CutPrefix(n.Ref, "#/$defs/"); ok {
		n = defs[name]
	}
	switch v := doc.(type) {
	case []any:
		for _, e := range v {
			if n.Items != nil {
				n.Items.unknown(path, e, defs, found)
			}
		}
	case map[string]any:
		if len(n.Properties) == 0 {
			return // anything may be in it
		}
		for key, value := range v {
			at := strings.TrimPrefix(fmt.Sprintf("%s.%s", path, key), ".")
			if member, ok := n.Properties[key]; ok {
				member.unknown(at, value, defs, found)
			} else {
				found[at] = true
			}
		}
	}
}
