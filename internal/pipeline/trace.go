package pipeline

import (
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
	"github.com/sallyport/sallyport/internal/telemetry"
)

// logLine is a line of the execution log.
type logLine uint8

const (
	logExtendedID logLine = iota
	logUsagePlan
	logNoKeyNeeded
	logUsagePlanPassed
	logStarting
	logMethod
	logRequestPath
	logRequestQuery
	logRequestHeaders
	logRequestBody
	logEndpointURI
	logEndpointHeaders
	logEndpointBody
	logSending
	logReceived
	logBackendHeaders
	logBackendBody
	logResponseBody
	logResponseHeaders
	logSucceeded
	logFailed
	logCompleted
)

// logLines are the lines in AWS's order and wording. What is empty keeps the
// blank before it. Source: execution logs and test-invoke logs as observed.
var logLines = [...]struct {
	format string
	level  snapshot.LogLevel // the lowest that keeps it
	data   bool              // with data trace only
	live   bool              // of live traffic only, not of a test
}{
	logExtendedID:      {"Extended Request Id: %s", snapshot.LogInfo, false, true},
	logUsagePlan:       {"Verifying Usage Plan for request: %s. API Key: %s API Stage: %s/%s", snapshot.LogInfo, false, true},
	logNoKeyNeeded:     {"API Key %s authorized because method '%s %s' does not require API Key. Request will not contribute to throttle or quota limits", snapshot.LogInfo, false, true},
	logUsagePlanPassed: {"Usage Plan check succeeded for API Key %s and API Stage %s/%s", snapshot.LogInfo, false, true},
	logStarting:        {"Starting execution for request: %s", snapshot.LogInfo, false, false},
	logMethod:          {"HTTP Method: %s, Resource Path: %s", snapshot.LogInfo, false, false},
	logRequestPath:     {"Method request path: %s", snapshot.LogInfo, false, false},
	logRequestQuery:    {"Method request query string: %s", snapshot.LogInfo, false, false},
	logRequestHeaders:  {"Method request headers: %s", snapshot.LogInfo, false, false},
	logRequestBody:     {"Method request body before transformations: %s", snapshot.LogInfo, true, false},
	logEndpointURI:     {"Endpoint request URI: %s", snapshot.LogInfo, false, false},
	logEndpointHeaders: {"Endpoint request headers: %s", snapshot.LogInfo, false, false},
	logEndpointBody:    {"Endpoint request body after transformations: %s", snapshot.LogInfo, true, false},
	logSending:         {"Sending request to %s", snapshot.LogInfo, false, false},
	logReceived:        {"Received response. Status: %d, Integration latency: %d ms", snapshot.LogInfo, false, false},
	logBackendHeaders:  {"Endpoint response headers: %s", snapshot.LogInfo, false, false},
	logBackendBody:     {"Endpoint response body before transformations: %s", snapshot.LogInfo, true, false},
	logResponseBody:    {"Method response body after transformations: %s", snapshot.LogInfo, true, false},
	logResponseHeaders: {"Method response headers: %s", snapshot.LogInfo, false, false},
	logSucceeded:       {"Successfully completed execution", snapshot.LogInfo, false, false},
	logFailed:          {"%s", snapshot.LogError, false, false},
	logCompleted:       {"Method completed with status: %d", snapshot.LogError, false, false},
}

// maxEvent is the longest event in bytes, its prefix included; a longer one is
// cut and ends in truncated. Source: developer guide, execution logging.
const (
	maxEvent  = 1024
	truncated = " [TRUNCATED]"
)

// testTime is what a line of a test begins with.
const testTime = "Mon Jan 02 15:04:05 UTC 2006 : "

// trace is the execution log of one exchange; nil where none is kept. It may
// take memory: who traces, pays.
type trace struct {
	level snapshot.LogLevel
	data  bool
	test  bool
	log   *telemetry.Log // live: where each line goes at once
	lead  string         // live: what each line begins with
	now   func() time.Time
	text  []byte // test: the lines so far; live: room for one

	body     []byte // of the request, its beginning
	endpoint int    // test: length of text before the endpoint's lines
	failure  *backgate.Error

	// What is said at the end, when no header of the backend is left.
	headers  string // of the answer
	answered []byte // its body's beginning
	backend  []byte // the backend's, where it is not the answer's
	mapped   bool   // backend is set
}

// openTrace begins the execution log if the stage keeps one for the method.
func (e *exchange) openTrace() {
	logs := e.p.options.Logs
	if e.method.Log == snapshot.LogOff || logs == nil {
		return
	}
	e.trace = &trace{
		level: e.method.Log, data: e.method.DataTrace, now: e.p.options.Now,
		log: logs.Group(executionGroup(e.stage.API, e.stage.Name)), lead: "(" + e.requestID + ") ",
	}
	e.trace.say(logExtendedID, e.extendedID)
}

// executionGroup is the log group of a stage's execution log.
func executionGroup(api, stage string) string {
	return "API-Gateway-Execution-Logs_" + api + "/" + stage
}

// say writes a line, if the level keeps it.
func (t *trace) say(l logLine, args ...any) {
	row := &logLines[l]
	if row.level > t.level || row.data && !t.data || row.live && t.test {
		return
	}
	text := fmt.Sprintf(row.format, args...)
	if !t.test {
		t.text = append(t.text[:0], t.lead...)
		t.text = cutEvent(telemetry.AppendLine(t.text, text), 0)
		t.log.Write(t.text)
		return
	}
	start := len(t.text)
	t.text = t.now().UTC().AppendFormat(t.text, testTime)
	if row.data { // a document keeps its lines, as in AWS's console
		for i, part := range strings.Split(text, "\n") {
			if i > 0 {
				t.text = append(t.text, '\n')
			}
			t.text = telemetry.AppendLine(t.text, part)
		}
	} else {
		t.text = telemetry.AppendLine(t.text, text)
	}
	t.text = append(cutEvent(t.text, start), '\n')
}

// cutEvent cuts the event that begins at start.
func cutEvent(b []byte, start int) []byte {
	if len(b)-start <= maxEvent {
		return b
	}
	end := start + maxEvent - len(truncated)
	for !utf8.RuneStart(b[end]) {
		end--
	}
	return append(b[:end], truncated...)
}

// traceRequest tells what came in.
func (e *exchange) traceRequest() {
	t := e.trace
	key := redact(e.x.Header.Get("x-api-key"))
	t.say(logUsagePlan, e.requestID, key, e.stage.API, e.stage.Name)
	t.say(logNoKeyNeeded, key, e.x.Method, e.method.ResourcePath)
	t.say(logUsagePlanPassed, key, e.stage.API, e.stage.Name)
	t.say(logStarting, e.requestID)
	path := e.path
	if path == "" {
		path = "/"
	}
	t.say(logMethod, e.x.Method, path)
	if t.level < snapshot.LogInfo {
		return // nothing of what follows is kept
	}
	var params, headers javaMap
	for _, p := range e.params.All() {
		value := p.Value
		if d, err := url.PathUnescape(value); err == nil {
			value = d
		}
		params.add(p.Name, value)
	}
	t.say(logRequestPath, params.String())
	t.say(logRequestQuery, queryMap(e.x.RawQuery).String())
	if headers.fold = true; e.x.Authority != "" {
		headers.add("Host", e.x.Authority)
	}
	headers.addAll(e.x.Header)
	t.say(logRequestHeaders, headers.String())
	if t.data && e.x.ContentLength != 0 {
		t.body = e.body.peek(maxEvent)
	}
	t.say(logRequestBody, t.body)
}

// traceEndpoint tells what is about to go out; body is its beginning. Nothing
// is told of an address that nothing can be sent to, as on AWS.
func (e *exchange) traceEndpoint(r *backgate.Request, body []byte) {
	t := e.trace
	t.endpoint = len(t.text)
	if t.level < snapshot.LogInfo || r.Scheme != "http" && r.Scheme != "https" {
		return
	}
	if _, _, err := backgate.ParseURL("https://" + r.Host); err != nil {
		return
	}
	uri := r.Scheme + "://" + r.Host + r.Path
	if r.Query != "" {
		uri += "?" + redactQuery(r.Query)
	}
	headers := javaMap{fold: true}
	headers.addAll(r.Header)
	t.say(logEndpointURI, uri)
	t.say(logEndpointHeaders, headers.String())
	t.say(logEndpointBody, body)
	t.say(logSending, uri)
}

// passedBody is the beginning of a body that goes to the backend as it came.
func (e *exchange) passedBody() []byte {
	if e.bufferedSet {
		return e.buffered[:min(len(e.buffered), maxEvent)]
	}
	return e.trace.body
}

// traceBackend tells what came back.
func (e *exchange) traceBackend(resp *backgate.Response) {
	t := e.trace
	if t.level < snapshot.LogInfo {
		return
	}
	headers := javaMap{fold: true}
	headers.addAll(resp.Header)
	t.say(logReceived, resp.Status, e.integrationLatency.Milliseconds())
	t.say(logBackendHeaders, headers.String())
}

// traceFailure keeps why the backend could not be asked. What a test told of an
// address that may not be asked is taken back.
func (t *trace) traceFailure(err *backgate.Error) {
	t.failure = err
	if t.test && err.Kind == backgate.RefusedAddress {
		t.text = t.text[:t.endpoint]
	}
}

// traceMapped keeps the beginning of a backend's body that is not what the
// client gets.
func (t *trace) traceMapped(body []byte) {
	t.backend, t.mapped = append([]byte(nil), body[:min(len(body), maxEvent)]...), true
}

// traceUnread is traceMapped for a body that nobody reads otherwise.
func (t *trace) traceUnread(resp *backgate.Response) {
	if !t.data {
		return
	}
	buf := make([]byte, maxEvent)
	n := 0
	for n < len(buf) {
		m, err := resp.Body.Read(buf[n:])
		if n += m; err != nil {
			break // what is not needed may be broken
		}
	}
	t.traceMapped(buf[:n])
}

// traceHeaders keeps the headers that the client gets, but for the ids.
func (t *trace) traceHeaders(h httpwire.Header) {
	if t.level < snapshot.LogInfo {
		return
	}
	headers := javaMap{fold: true}
	for _, f := range h {
		if !isOurs(f.Name) {
			headers.add(f.Name, f.Value)
		}
	}
	t.headers = headers.String()
}

// traceAnswered keeps the beginning of the body that the client gets.
func (t *trace) traceAnswered(p []byte) {
	if !t.data {
		return
	}
	t.answered = append(t.answered, p[:min(len(p), maxEvent-min(len(t.answered), maxEvent))]...)
}

// closeTrace tells how the exchange ended.
func (e *exchange) closeTrace() {
	t := e.trace
	failure := e.integrationError
	if failure == "" && e.fault != nil {
		failure = "Execution failed: " + e.fault.text() + " (" + e.fault.reason + ")"
	}
	if failure == "" && t.level < snapshot.LogInfo {
		return
	}
	switch {
	case t.mapped:
		t.say(logBackendBody, t.backend)
	case failure == "" && !e.asked.IsZero():
		t.say(logBackendBody, t.answered)
	}
	if failure == "" {
		t.say(logResponseBody, t.answered)
		t.say(logResponseHeaders, t.headers)
		t.say(logSucceeded)
	} else {
		t.say(logFailed, failure)
	}
	if e.status != 0 { // else nobody was answered
		t.say(logCompleted, e.status)
	}
}

// javaMap is a map as Java prints one, {k=v, k2=v2}, in the order in which keys
// came; one that came more than once has a list, {k=[v, v2]}. Secrets are
// redacted. What no event could show is not kept.
type javaMap struct {
	fold    bool // keys are compared without regard to case
	entries []javaEntry
	size    int
}

type javaEntry struct {
	key    string
	values []string
}

func (m *javaMap) add(key, value string) {
	if m.size > maxEvent {
		return
	}
	if isSecret(key) {
		value = redact(value)
	}
	value = value[:min(len(value), 2*maxEvent)]
	m.size += len(key) + len(value) + len("=, ")
	for i := range m.entries {
		if k := m.entries[i].key; k == key || m.fold && strings.EqualFold(k, key) {
			m.entries[i].values = append(m.entries[i].values, value)
			return
		}
	}
	m.entries = append(m.entries, javaEntry{key, []string{value}})
}

func (m *javaMap) addAll(h httpwire.Header) {
	for _, f := range h {
		m.add(f.Name, f.Value)
	}
}

func (m *javaMap) String() string {
	var b strings.Builder
	b.WriteByte('{')
	for i, e := range m.entries {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(e.key)
		b.WriteByte('=')
		if len(e.values) == 1 {
			b.WriteString(e.values[0])
			continue
		}
		b.WriteString("[" + strings.Join(e.values, ", ") + "]")
	}
	b.WriteByte('}')
	return b.String()
}

// queryMap reads a raw query.
func queryMap(raw string) *javaMap {
	m := new(javaMap)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		if m.size > maxEvent {
			break
		}
		_, value, _ := strings.Cut(pair, "=")
		m.add(queryName(pair), queryText(value))
	}
	return m
}

// redactQuery is a raw query with its secrets redacted.
func redactQuery(raw string) string {
	var b strings.Builder
	for i, pair := range strings.Split(raw, "&") {
		if b.Len() > maxEvent {
			break // the event ends before
		}
		if i > 0 {
			b.WriteByte('&')
		}
		if name, value, _ := strings.Cut(pair, "="); isSecret(queryText(name)) {
			pair = name + "=" + redact(value)
		}
		b.WriteString(pair)
	}
	return b.String()
}

// secrets are how the names of headers and query parameters end whose values do
// not go into a log, in lower case and without hyphens and underscores: so
// X-Access-Token and db_password are found, too. Source: AWS redacts
// "authorization headers, API key values, and similar sensitive request
// parameters"; which ones are similar is ours.
var secrets = []string{
	"authorization", "token", "secret", "password", "passwd", "passphrase", "apikey", "accesskey", "secretkey", "privatekey",
	"signature", "credential", "credentials", "cookie", "jwt",
}

// longestSecret bounds what is looked at of a name: its end.
const longestSecret = 64

func isSecret(name string) bool {
	name = name[max(0, len(name)-longestSecret):]
	var letters [longestSecret]byte
	plain := letters[:0]
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			plain = append(plain, c|0x20)
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			plain = append(plain, c)
		}
	}
	for _, end := range secrets {
		if len(plain) >= len(end) && string(plain[len(plain)-len(end):]) == end {
			return true
		}
	}
	return string(plain) == "sig" // of Azure's shared access signatures
}

const (
	// shown is how many bytes at a secret's end stay, unless that would be
	// more than half of it. Source: observed, six.
	shown = 6
	// mostStars bounds the stars, so that a long token does not push the rest
	// out of the event.
	mostStars = 64
)

// redact puts asterisks in place of all but the end of a secret.
func redact(s string) string {
	hidden := len(s)
	if len(s) >= 2*shown {
		hidden -= shown
	}
	return strings.Repeat("*", min(hidden, mostStars)) + s[hidden:]
}
