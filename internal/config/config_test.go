package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite generated files")

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "sallyport.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaults(t *testing.T) {
	c, err := Load(Sources{})
	if err != nil {
		t.Fatal(err)
	}
	dir, _ := filepath.Abs("sallyport-data")
	want := Config{DataDir: dir, SealKey: filepath.Join(dir, "seal.key"), Admin: "127.0.0.1:4566",
		Listen: []Listener{{"REGIONAL", "127.0.0.1:8443"}, {"EDGE", "127.0.0.1:8444"}, {"PRIVATE", "127.0.0.1:8445"}},
		Region: "us-east-1", AccountID: "000000000000", DomainSuffixes: []string{"localhost", "amazonaws.com"}}
	if d := cmp.Diff(want, c, cmpopts.EquateComparable(), cmpopts.IgnoreUnexported(Config{})); d != "" {
		t.Error(d)
	}
}

func TestPrecedence(t *testing.T) {
	path := write(t, "region: eu-west-1\naccount-id: \"111111111111\"\npropagation-delay: 15m\nlisten: [REGIONAL=127.0.0.1:0]\n")
	env := map[string]string{"SALLYPORT_ACCOUNT_ID": "222222222222", "SALLYPORT_REGION": "eu-west-2", "SALLYPORT_DOMAIN_SUFFIX": "localhost, example.test"}
	c, err := Load(Sources{File: path, Flags: map[string][]string{"region": {"eu-west-3"}},
		Getenv: func(k string) (string, bool) { v, ok := env[k]; return v, ok }})
	if err != nil {
		t.Fatal(err)
	}
	if c.Region != "eu-west-3" || c.AccountID != "222222222222" || c.PropagationDelay != 15*time.Minute {
		t.Errorf("flag over environment over file: got %q %q %v", c.Region, c.AccountID, c.PropagationDelay)
	}
	if d := cmp.Diff([]string{"localhost", "example.test"}, c.DomainSuffixes); d != "" {
		t.Error(d)
	}
	if c.Listen[0].Addr != "127.0.0.1:0" || len(c.Listen) != 3 {
		t.Errorf("naming one type keeps the others' defaults: %v", c.Listen)
	}
}

// What VPC links lead to is written as a mapping in the file, as NAME=HOST:PORT
// elsewhere.
func TestTargets(t *testing.T) {
	const listener = "arn:aws:elasticloadbalancing:us-east-1:000000000000:listener/net/a/1/2"
	want := map[string][]string{listener: {"10.0.0.5:443", "[fd00::5]:443"}, "search": {"search.internal:9200"}}
	written := []string{listener + "=10.0.0.5:443", "search=search.internal:9200", listener + "=[fd00::5]:443"}
	for what, s := range map[string]Sources{
		"file":        {File: write(t, "targets:\n  "+listener+":\n  - 10.0.0.5:443\n  - '[fd00::5]:443'\n  search: search.internal:9200\n")},
		"flag":        {File: write(t, "targets:\n  search: elsewhere:1\n"), Flags: map[string][]string{"targets": written}},
		"environment": {Getenv: func(k string) (string, bool) { return strings.Join(written, ", "), k == "SALLYPORT_TARGETS" }},
	} {
		c, err := Load(s)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if d := cmp.Diff(want, c.Targets); d != "" {
			t.Errorf("%s: %s", what, d)
		}
	}
	guide, err := os.ReadFile("../../docs/vpc-links.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(guide), "    # sallyport.yaml\n")
	text, _, _ = strings.Cut(text, "\n\n")
	if c, err := Load(Sources{File: write(t, strings.ReplaceAll("\n"+text, "\n    ", "\n"))}); err != nil || len(c.Targets) != 2 {
		t.Errorf("the guide's configuration: %v %v", c.Targets, err)
	}
	_, err = Load(Sources{Flags: map[string][]string{"targets": {"search=a:1", "10.0.0.5:443"}}})
	if !errors.As(err, &FlagError{}) || !strings.Contains(err.Error(), `flag --targets: "10.0.0.5:443" is not NAME=HOST:PORT`) {
		t.Errorf("flag: %v", err)
	}
}

func TestDiffers(t *testing.T) {
	load := func(text string) Config {
		c, err := Load(Sources{File: write(t, text)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	got := load("region: eu-west-1\nallow-backend: 127.0.0.0/8\n").Differs(load("admin: 127.0.0.1:0\n"))
	if d := cmp.Diff([]string{"admin", "region"}, got); d != "" {
		t.Errorf("reloadable settings are not among those that wait: %s", d)
	}
}

func TestRefused(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"datadir: x\n", `:1: unknown key "datadir" (did you mean "data-dir"?)`},
		{"region: eu-west-1\nregoin: x\n", `:2: unknown key "regoin" (did you mean "region"?)`},
		{"region: eu-west-1\nregion: eu-west-2\n", `:2: key "region" is given twice`},
		{"region: [a, b]\n", ":1: region: want one plain value"},
		{"region: Mars\n", `:1: region: "Mars" is not a Region`},
		{"account-id: 12\n", `:1: account-id: "12" is not 12 digits`},
		{"admin: nowhere\n", `:1: admin: "nowhere" is not HOST:PORT`},
		{"listen: [FOO=127.0.0.1:1]\n", `:1: listen: listener type "FOO" is none of REGIONAL, EDGE, PRIVATE, HTTP`},
		{"listen: [EDGE=127.0.0.1:1, EDGE=127.0.0.1:2]\n", "listener type EDGE is given twice"},
		{"listen:\n  REGIONAL: 127.0.0.1:1\n", ":2: listen: want a value or a list of values"},
		{"allow-backend: 300.0.0.0/8\n", `"300.0.0.0/8" is not a CIDR range`},
		{"propagation-delay: 15\n", `"15" is not a duration`},
		{"domain-suffix: [.example]\n", "without a leading dot"},
		{"- a\n- b\n", ":1: want a mapping"},
		{"region: \"eu\n", ":2: found unexpected end of stream"},
		{"region: eu-west-1\n\tadmin: x\n", ":2: found a tab character that violates indentation"},
		{"region: &a *b\n", ":1: "},
		{"\x01", ":1: control characters are not allowed"},
		{"region: eu-west-1\n---\nadmin: 127.0.0.1:0\n", ":2: a second YAML document begins"},
		{"admin: [::1]:0\n", ":1: "},
		{"admin: '::1:0'\n", "is not HOST:PORT"},
		{"admin: 127.0.0.1:65536\n", "no port between 0 and 65535"},
		{"listen: REGIONAL\n", `"REGIONAL" is not TYPE=ADDR`},
		{"trust-bundle: ''\n", "the path is empty"},
		{"region:\n", ":1: region: want one plain value"},
		{"quickstart: [true]\n", ":1: quickstart: want one plain value"},
		{"quickstart: maybe\n", "neither true nor false"},
		{"vpc-id: 12\n", "is not a VPC id"},
		{"targets: 10.0.0.5:443\n", ":1: targets: want a mapping of names"},
		{"targets:\n  search: 10.0.0.5:443\n  x y: 10.0.0.5:443\n", `:3: targets: "x y" is not an ARN or the name of a search domain`},
		{"targets:\n  search: [10.0.0.5:443,\n    10.0.0.6]\n", `:3: targets: search: "10.0.0.6" is not HOST:PORT`},
		{"targets:\n  search: [10.0.0.5:443]\n  search: [10.0.0.6:443]\n", `:3: targets: "search" is given twice`},
		{"targets:\n  search:\n", ":2: targets: search: want a value or a list of values"},
		{"targets:\n  search: []\n", ":2: targets: search: the list is empty"},
		{"targets:\n  search: '10.0.0.5:0'\n", "no port between 1 and 65535"},
		{"targets:\n  search: ':443'\n", "is not HOST:PORT"},
		{"targets:\n  search: '[::g]:443'\n", "is not HOST:PORT"},
		{"targets:\n  search: [a:1, a:1]\n", "a:1 is given twice"},
		{"targets:\n  arn:aws:x: a:1\n", "is not an ARN"},
	} {
		path := write(t, tc.text)
		_, err := Load(Sources{File: path})
		if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), path+":") {
			t.Errorf("%q: got %v, want %s… %s", tc.text, err, path, tc.want)
		}
	}
	if _, err := Load(Sources{File: "/nonexistent.yaml"}); err == nil {
		t.Error("a missing file was accepted")
	}
}

// Only what the command line says is a mistake of the command line.
func TestFlagError(t *testing.T) {
	path := write(t, "region: Mars\n")
	env := func(k string) (string, bool) { return "", k == "SALLYPORT_REGION" }
	for what, s := range map[string]Sources{"file": {File: path}, "environment": {Getenv: env}} {
		if _, err := Load(s); err == nil || errors.As(err, &FlagError{}) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := Load(Sources{File: path, Getenv: env, Flags: map[string][]string{"region": {"Venus"}}}); !errors.As(err, &FlagError{}) || !strings.Contains(err.Error(), `flag --region: "Venus"`) {
		t.Errorf("flag: %v", err)
	}
}

func TestUnknownEnv(t *testing.T) {
	got := UnknownEnv([]string{"SALLYPORT_REGION=x", "SALLYPORT_REGOIN=x", "SALLYPORT_SERVICE_PORT_HTTP=1", "PATH=x", "SALLYPORT_="})
	want := []string{`SALLYPORT_REGOIN (did you mean "region"?)`, "SALLYPORT_SERVICE_PORT_HTTP", "SALLYPORT_"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Generated pages match the table; -update rewrites them.
func TestGenerated(t *testing.T) {
	for path, want := range map[string][]byte{"../../docs/config.schema.json": Schema(), "../../docs/reference/settings.md": []byte(Reference())} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s is out of date (%v): go test ./internal/config -update", path, err)
		}
	}
}

// Somebody else's validator agrees with Load on what is a legal file.
func TestSchemaAgrees(t *testing.T) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(Schema())))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.json", doc); err != nil {
		t.Fatal(err)
	}
	schema := compiler.MustCompile("config.json")
	for text, legal := range map[string]bool{
		"region: eu-west-1\nlisten: [EDGE=127.0.0.1:0]\nquickstart: true\n": true,
		"domain-suffix: example.test\n":                                     true,
		"targets:\n  search: 10.0.0.5:443\n  arn:aws:elasticloadbalancing:us-east-1:000000000000:loadbalancer/net/a/1: [10.0.0.5:443, 'nlb.internal:8443']\n": true,
		"targets:\n  search: [443]\n": false,
		"targets:\n  search: []\n":    false,
		"targets:\n  X: a:1\n":        false,
		"unknown: 1\n":                false,
		"region: Mars\n":              false,
		"listen: [FOO=1]\n":           false,
	} {
		var v any
		if err := yaml.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		_, loadErr := Load(Sources{File: write(t, text)})
		if schemaErr := schema.Validate(v); (schemaErr == nil) != legal || (loadErr == nil) != legal {
			t.Errorf("%q: want legal %v, schema says %v, Load says %v", text, legal, schemaErr, loadErr)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"", "region: x\n", "listen: [a, b]\n", "a: &a [*a]\n", "? {x: 1}\n: 2\n", "\xff", "region: !!binary aGk=\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		entries, err := parse("f", data)
		if err == nil {
			for name := range entries {
				if KeyNamed(name) == nil {
					t.Errorf("unknown key %q got through", name)
				}
			}
		}
	})
}
