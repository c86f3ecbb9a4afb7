package telemetry

import (
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"
	"unicode/utf8"
)

// given are the values of one request, by name.
type given map[string]string

func (g given) AppendVariable(dst []byte, id Variable, rest string) ([]byte, bool) {
	for name, v := range g {
		if got, r, ok := LookupVariable(name); ok && got == id && r == rest {
			return append(dst, v...), true
		}
	}
	return dst, false
}

func TestFormat(t *testing.T) {
	values := given{
		"requestId": "r-1", "status": "200", "error.message": "No", "error.messageString": `No "x"`, "identity.sourceIp": "192.0.2.1",
		"integrationStatus": "502", "requestOverride.header.X-A": "over", "identity.userAgent": "a\"b\\c\n\x00<&>é\x85", "path": "",
	}
	for _, test := range []struct{ format, want string }{
		{"$context.requestId", "r-1"},
		{"$context.requestId $context.status\n", "r-1 200"},
		{"$context.identity.caller", "-"},                                        // not set
		{"$context.path", "-"},                                                   // empty
		{"$context.routeKey $context.noSuch.thing", "- -"},                       // no REST variables
		{"$context.requestid $context.RequestId", "- -"},                         // case-sensitive
		{"$context.error.message|$context.error.messageString", `No|"No \"x\""`}, // the longest name
		{"$context.error.messageStrings", "-"},
		{"$context.requestId.", "r-1."},
		{"$context.requestId-$context.status", "r-1-200"},
		{"$context.requestId,$context.status;", "r-1,200;"},
		{"$context.integrationStatus $context.integration.integrationStatus", "502 502"},
		{"$context.requestOverride.header.X-A", "over"},
		{"$context.requestOverride.header.X-B", "-"},
		{"${context.requestId} $$context.requestId $input.body $contextual.x $context. $context", "${context.requestId} $r-1 $input.body $contextual.x $context. $context"},
		{"ua=$context.identity.userAgent", `ua=a\x22b\x5cc\x0a\x00<&>é\x85`},
		{`{"ua":"$context.identity.userAgent"}`, `{"ua":"a\"b\\c\n\u0000<&>é\ufffd"}`},
		{"<r>$context.identity.userAgent</r>", "<r>a&quot;b\\c&#10;\ufffd&lt;&amp;&gt;é\ufffd</r>"},
	} {
		f, err := CompileFormat(test.format)
		if err != nil {
			t.Errorf("%s: %v", test.format, err)
			continue
		}
		if got := string(f.Append(nil, values)); got != test.want {
			t.Errorf("%s\n got %s\nwant %s", test.format, got, test.want)
		}
	}
	for _, bad := range []string{"", " \n", "a\nb", "a\rb", "a\u2028b", strings.Repeat("x", maxFormat+1)} {
		if _, err := CompileFormat(bad); err == nil {
			t.Errorf("%.20q was accepted", bad)
		}
	}
}

func TestVariablesAreUnique(t *testing.T) {
	seen := map[Variable]bool{}
	for _, v := range variables {
		seen[v.id] = true
		if id, _, ok := LookupVariable(v.name); !ok || id != v.id {
			t.Errorf("%s is not found", v.name)
		}
	}
	for _, f := range families {
		seen[f.id] = true
	}
	for id := Unknown + 1; id < variableCount; id++ {
		if !seen[id] {
			t.Errorf("variable %d has no name", id)
		}
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	f, err := CompileFormat(clf)
	if err != nil {
		t.Fatal(err)
	}
	v := constant("a \"value\" to escape")
	buf := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(100, func() { buf = f.Append(buf[:0], v) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

const clf = `$context.identity.sourceIp $context.identity.caller $context.identity.user [$context.requestTime]"$context.httpMethod $context.resourcePath $context.protocol" $context.status $context.responseLength $context.requestId $context.extendedRequestId`

// constant gives every variable the same value.
type constant string

func (c constant) AppendVariable(dst []byte, _ Variable, _ string) ([]byte, bool) {
	return append(dst, c...), true
}

func BenchmarkAppend(b *testing.B) {
	f, err := CompileFormat(clf)
	if err != nil {
		b.Fatal(err)
	}
	var v Values = constant("192.0.2.1")
	buf := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		buf = f.Append(buf[:0], v)
	}
}

// One record is one line, and in JSON and XML a value stays in its place,
// whatever it holds.
func FuzzFormat(f *testing.F) {
	f.Add("$context.requestId", "x")
	f.Add(`{"a":"$context.identity.userAgent"}`, "\"}\n{")
	f.Add("<a>$context.path</a>", "</a>\r\n<b>")
	f.Add("$context.error.messageString ${context.x}", "\xff\u2028")
	f.Add("$context.requestOverride.header.X-Y-$context.", "-")
	f.Fuzz(func(t *testing.T, format, value string) {
		c, err := CompileFormat(format)
		if err != nil {
			return
		}
		line := string(c.Append(nil, constant(value)))
		if strings.ContainsFunc(line, breaksLine) {
			t.Errorf("%q with %q breaks the line: %q", format, value, line)
		}
		quoted := string(mustCompile(t, `{"v":"$context.identity.userAgent","e":$context.error.messageString}`).Append(nil, constant(value)))
		var got struct{ V, E string }
		if value != "" {
			if err := json.Unmarshal([]byte(quoted), &got); err != nil {
				t.Errorf("%q: %v", quoted, err)
			} else if cut := strings.ToValidUTF8(value[:min(len(value), maxValue)], ""); utf8.ValidString(value) && len(value) <= maxValue && (got.V != cut || got.E != cut) {
				t.Errorf("%q reads back as %q", value, got)
			}
		}
		marked := mustCompile(t, `<v>$context.identity.userAgent</v>`).Append(nil, constant(value))
		var v struct {
			Text string `xml:",chardata"`
			Any  []struct {
				XMLName xml.Name
			} `xml:",any"`
		}
		if err := xml.Unmarshal(marked, &v); err != nil || len(v.Any) > 0 {
			t.Errorf("%q: %v", marked, err)
		}
	})
}

func mustCompile(t testing.TB, format string) *Format {
	f, err := CompileFormat(format)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// A line keeps all but what would end it or garble a terminal.
func TestAppendLine(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		`{"a": "b\\c", 'd': <e>}`:   `{"a": "b\\c", 'd': <e>}`,
		"a\nb\r\nc\td":              `a\nb\r\nc` + "\td",
		"\x1b[31m\x00\x7f":          `\x1b[31m\x00\x7f`,
		"\xff\xc3":                  `\xff\xc3`,
		"é\u0085\u2028\u2029\ufffd": `é\xc2\x85\xe2\x80\xa8\xe2\x80\xa9` + "\ufffd",
	} {
		if got := string(AppendLine([]byte("> "), text)); got != "> "+want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
