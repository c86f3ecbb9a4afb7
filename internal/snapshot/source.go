package snapshot

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/awsapi"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// A source is what the compiler remembers of a stored document: the facts that
// compiling needs (lean, since there may be 100,000), or why it does not decode.
// Frozen deployments and key material are not remembered but read when needed:
// the former never change, the latter are whole in one document.
type source struct {
	facts any // nil when err is set
	err   error
	rev   store.Revision // of the commit that wrote it; 0: there is none
}

// sources mirrors the store as far as names, APIs and stages need it. Only the
// compiler's goroutine touches it, except that compiling reads it in parallel.
type sources struct {
	apis     map[string]*apiSource
	domains  map[string]*domainSource
	users    map[string]map[user]struct{} // key of material -> who shows the certificate
	searches map[string]source            // searchFacts, by name
	links    map[string]source            // resource.Link, by id: VPC links of both versions
}

// A user is who shows a certificate: a domain name or a search domain to
// clients, or a stage to backends.
type user struct{ domain, search, api, stage string }

type apiSource struct {
	api        source // apiFacts
	transition source // resource.Transition
	stages     map[string]*stageSource
}

type stageSource struct {
	stage    source // stageFacts
	effect   source // resource.StageEffect
	rotation source // resource.Rotation
}

type domainSource struct {
	domain     source            // domainFacts
	transition source            // resource.Transition
	mappings   map[string]source // Mapping, by key segment
}

type apiFacts struct {
	name  string
	state resource.TLSState
}

type stageFacts struct {
	deployment string
	variables  map[string]string
	accessLog  *AccessLog
	logs       []logSetting
	refused    []string

	clientCertificate string // clientCertificateId; "": none
}

type domainFacts struct {
	state        resource.TLSState
	certificates []string // ids: the first is everybody's, a second is the edge listener's own
	refused      []string
}

// touched is what a set of commits asks to be compiled anew.
type touched struct {
	apis         map[string]*touchedAPI
	domains      map[string]struct{}
	certificates map[string]struct{} // keys of material to be read anew
	searches     map[string]struct{}
	links        map[string]struct{} // VPC links: the stages that ask for them
}

type touchedAPI struct {
	stages map[string]bool // true: read its deployment anew
}

func newTouched() *touched {
	return &touched{
		apis:         make(map[string]*touchedAPI),
		domains:      make(map[string]struct{}),
		certificates: make(map[string]struct{}),
		searches:     make(map[string]struct{}),
		links:        make(map[string]struct{}),
	}
}

func (t *touched) empty() bool {
	return len(t.apis) == 0 && len(t.domains) == 0 && len(t.searches) == 0 && len(t.links) == 0
}

func (t *touched) api(id string) *touchedAPI {
	a := t.apis[id]
	if a == nil {
		a = &touchedAPI{stages: make(map[string]bool)}
		t.apis[id] = a
	}
	return a
}

func (t *touched) stage(api, name string, reread bool) {
	a := t.api(api)
	a.stages[name] = a.stages[name] || reread
}

// An input is one row of the dependency table: which keys the compiler follows,
// how their values are read, what they touch.
type input struct {
	prefix string
	parts  int // of the key after prefix
	// decode reads a value; nil: the document is not remembered, and not listed
	// at start, since whoever needs it reads it.
	decode func(value []byte) (any, error)
	// put remembers the source (rev 0: deleted) and says what is touched.
	put func(s *sources, t *touched, parts []string, src source)
}

var inputs = []input{
	// an API's document -> its default endpoint, its API
	{resource.PrefixRestAPIs, 1, decodeRestAPI, func(s *sources, t *touched, parts []string, src source) {
		s.api(parts[0]).api = src
		t.api(parts[0])
		s.prune(parts[0])
	}},
	{resource.PrefixTransitions + "restapis/", 1, decodeJSON[resource.Transition], func(s *sources, t *touched, parts []string, src source) {
		s.api(parts[0]).transition = src
		t.api(parts[0])
		s.prune(parts[0])
	}},
	// a stage's documents -> that stage
	{resource.PrefixStages, 2, decodeStage, func(s *sources, t *touched, parts []string, src source) {
		s.putStage(t, parts, func(st *stageSource) { st.stage = src })
	}},
	{resource.PrefixEffects, 2, decodeJSON[resource.StageEffect], func(s *sources, t *touched, parts []string, src source) {
		s.putStage(t, parts, func(st *stageSource) { st.effect = src })
	}},
	{resource.PrefixRotations, 2, decodeRotation, func(s *sources, t *touched, parts []string, src source) {
		s.putStage(t, parts, func(st *stageSource) { st.rotation = src })
	}},
	// a deployment's copy -> the stages that serve it
	{resource.PrefixFrozen, 2, nil, func(s *sources, t *touched, parts []string, _ source) {
		api := s.apis[parts[0]]
		if api == nil {
			return
		}
		for name, stage := range api.stages {
			if f, ok := stage.stage.facts.(stageFacts); ok && f.deployment == parts[1] {
				t.stage(parts[0], name, true)
			}
		}
	}},
	// a domain name's documents -> that domain name
	{resource.PrefixDomainNames, 1, decodeDomainName, func(s *sources, t *touched, parts []string, src source) {
		d := s.domain(parts[0])
		before := d.certificates()
		d.domain = src
		s.use(user{domain: parts[0]}, before, d.certificates())
		t.domains[parts[0]] = struct{}{}
		s.pruneDomain(parts[0])
	}},
	{resource.PrefixTransitions + "domainnames/", 1, decodeJSON[resource.Transition], func(s *sources, t *touched, parts []string, src source) {
		s.domain(parts[0]).transition = src
		t.domains[parts[0]] = struct{}{}
		s.pruneDomain(parts[0])
	}},
	{resource.PrefixBasePathMappings, 2, decodeMapping, func(s *sources, t *touched, parts []string, src source) {
		d := s.domain(parts[0])
		if src.rev == 0 {
			delete(d.mappings, parts[1])
		} else {
			d.mappings[parts[1]] = src
		}
		t.domains[parts[0]] = struct{}{}
		s.pruneDomain(parts[0])
	}},
	// key material -> every domain name and stage that shows the certificate
	{resource.PrefixMaterial, 1, nil, func(s *sources, t *touched, parts []string, _ source) {
		s.putMaterial(t, resource.MaterialKey(parts[0]))
	}},
	{resource.PrefixClientMaterial, 1, nil, func(s *sources, t *touched, parts []string, _ source) {
		s.putMaterial(t, resource.ClientMaterialKey(parts[0]))
	}},
	// a search domain -> itself
	{resource.PrefixSearchDomains, 1, decodeSearchDomain, putSearchDomain},
	// a VPC link -> the stages with integrations that go by it
	{resource.PrefixVPCLinks, 1, decodeVPCLink, putVPCLink},
	{resource.PrefixVPCLinksV2, 1, decodeVPCLinkV2, putVPCLink},
}

func putVPCLink(s *sources, t *touched, parts []string, src source) {
	if src.rev == 0 {
		delete(s.links, parts[0])
	} else {
		s.links[parts[0]] = src
	}
	t.links[parts[0]] = struct{}{}
}

// inputOf returns the row for key and the key's parts, or nil for a document
// that nothing here depends on.
func inputOf(key string) (*input, []string) {
	for i := range inputs {
		in := &inputs[i]
		if !strings.HasPrefix(key, in.prefix) {
			continue
		}
		if parts := resource.SplitKey(key, in.prefix); len(parts) == in.parts {
			return in, parts
		}
		return nil, nil
	}
	return nil, nil
}

func newSources() *sources {
	return &sources{
		apis:     make(map[string]*apiSource),
		domains:  make(map[string]*domainSource),
		users:    make(map[string]map[user]struct{}),
		searches: make(map[string]source),
		links:    make(map[string]source),
	}
}

func (s *sources) api(id string) *apiSource {
	a := s.apis[id]
	if a == nil {
		a = &apiSource{stages: make(map[string]*stageSource)}
		s.apis[id] = a
	}
	return a
}

func (s *sources) stage(api, name string) *stageSource {
	a := s.api(api)
	st := a.stages[name]
	if st == nil {
		st = &stageSource{}
		a.stages[name] = st
	}
	return st
}

func (s *sources) domain(name string) *domainSource {
	d := s.domains[name]
	if d == nil {
		d = &domainSource{mappings: make(map[string]source)}
		s.domains[name] = d
	}
	return d
}

// prune forgets stages, and the API, of which no document is left.
func (s *sources) prune(api string) {
	a := s.apis[api]
	for name, st := range a.stages {
		if st.stage.rev == 0 && st.effect.rev == 0 && st.rotation.rev == 0 {
			delete(a.stages, name)
		}
	}
	if a.api.rev == 0 && a.transition.rev == 0 && len(a.stages) == 0 {
		delete(s.apis, api)
	}
}

func (s *sources) pruneDomain(name string) {
	d := s.domains[name]
	if d.domain.rev == 0 && d.transition.rev == 0 && len(d.mappings) == 0 {
		delete(s.domains, name)
	}
}

// putStage changes what is remembered of a stage.
func (s *sources) putStage(t *touched, parts []string, change func(*stageSource)) {
	st := s.stage(parts[0], parts[1])
	before := st.certificates()
	change(st)
	s.use(user{api: parts[0], stage: parts[1]}, before, st.certificates())
	t.stage(parts[0], parts[1], false)
	s.prune(parts[0])
}

// putMaterial touches whoever shows the certificate of that key of material.
func (s *sources) putMaterial(t *touched, key string) {
	t.certificates[key] = struct{}{}
	for u := range s.users[key] {
		switch {
		case u.domain != "":
			t.domains[u.domain] = struct{}{}
		case u.search != "":
			t.searches[u.search] = struct{}{}
		default:
			t.stage(u.api, u.stage, false)
		}
	}
}

// certificates are the keys of material that the domain name needs.
func (d *domainSource) certificates() (keys []string) {
	if f, ok := d.domain.facts.(domainFacts); ok {
		for _, id := range f.certificates {
			keys = append(keys, resource.MaterialKey(id))
		}
	}
	return keys
}

// use keeps the reverse index from key material to who shows the certificate.
func (s *sources) use(who user, before, after []string) {
	for _, key := range before {
		delete(s.users[key], who)
		if len(s.users[key]) == 0 {
			delete(s.users, key)
		}
	}
	for _, key := range after {
		if s.users[key] == nil {
			s.users[key] = make(map[user]struct{})
		}
		s.users[key][who] = struct{}{}
	}
}

// read makes the source of a document.
func (in *input) read(value []byte, rev store.Revision) source {
	if in.decode == nil {
		return source{rev: rev}
	}
	var facts any
	err := safely(func() (err error) {
		facts, err = in.decode(value)
		return err
	})
	if err != nil {
		return source{err: err, rev: rev}
	}
	return source{facts: facts, rev: rev}
}

// apply takes one commit into the sources.
func (s *sources) apply(ev store.Event, t *touched) {
	for _, ch := range ev.Changes {
		in, parts := inputOf(ch.Key)
		if in == nil {
			continue
		}
		var src source
		if ch.Value != nil {
			src = in.read(ch.Value, ev.Revision)
		}
		in.put(s, t, parts, src)
	}
}

// everything touches all that s knows, nothing of it to be taken from the past.
func (s *sources) everything(t *touched) {
	for id, a := range s.apis {
		t.api(id)
		for name := range a.stages {
			t.stage(id, name, true)
		}
	}
	for name := range s.domains {
		t.domains[name] = struct{}{}
	}
	for name := range s.searches {
		t.searches[name] = struct{}{}
	}
	for key := range s.users {
		t.certificates[key] = struct{}{}
	}
}

func decodeJSON[T any](value []byte) (any, error) {
	var v T
	if err := json.Unmarshal(value, &v); err != nil {
		return nil, err
	}
	return v, nil
}

func decodeRestAPI(value []byte) (any, error) {
	var doc types.RestApi
	if err := awsapi.Unmarshal(value, &doc); err != nil {
		return nil, err
	}
	return apiFacts{name: aws.ToString(doc.Name), state: resource.TLSStateOf(doc)}, nil
}

func decodeStage(value []byte) (any, error) {
	var doc types.Stage
	if err := awsapi.Unmarshal(value, &doc); err != nil {
		return nil, err
	}
	log, err := compileAccessLog(doc.AccessLogSettings)
	if err != nil {
		return nil, err
	}
	logs, err := compileLogSettings(doc.MethodSettings)
	if err != nil {
		return nil, err
	}
	if aws.ToString(doc.DeploymentId) == "" {
		return nil, fmt.Errorf("no deployment")
	}
	clientCertificate := aws.ToString(doc.ClientCertificateId)
	if clientCertificate != "" {
		if _, err := clientMaterial(clientCertificate); err != nil {
			return nil, err
		}
	}
	return stageFacts{
		deployment: *doc.DeploymentId,
		variables:  doc.Variables,
		accessLog:  log,
		logs:       logs,
		refused:    resource.GuardsNotEnforced(doc),

		clientCertificate: clientCertificate,
	}, nil
}

func decodeVPCLink(value []byte) (any, error) {
	var doc types.VpcLink
	if err := awsapi.Unmarshal(value, &doc); err != nil {
		return nil, err
	}
	return resource.LinkOf(doc), nil
}

// decodeVPCLinkV2: nothing in the document leads anywhere.
func decodeVPCLinkV2([]byte) (any, error) { return resource.Link{V2: true}, nil }

func decodeDomainName(value []byte) (any, error) {
	var doc types.DomainName
	if err := awsapi.Unmarshal(value, &doc); err != nil {
		return nil, err
	}
	f := domainFacts{state: resource.TLSStateOfDomain(doc), refused: resource.GuardsNotEnforced(doc)}
	edge, other := resource.ServedCertificates(doc)
	for _, arn := range []string{other, edge} {
		if arn == "" {
			continue
		}
		_, id, ok := strings.Cut(arn, ":certificate/")
		if !ok || id == "" || strings.Contains(id, "/") {
			return nil, fmt.Errorf("certificate %q is not an ACM ARN", arn)
		}
		f.certificates = append(f.certificates, id)
	}
	return f, nil
}

func decodeMapping(value []byte) (any, error) {
	var doc types.BasePathMapping
	if err := awsapi.Unmarshal(value, &doc); err != nil {
		return nil, err
	}
	m := Mapping{
		BasePath: strings.Trim(aws.ToString(doc.BasePath), "/"),
		API:      aws.ToString(doc.RestApiId),
		Stage:    aws.ToString(doc.Stage),
	}
	if m.BasePath == resource.EmptyBasePath {
		m.BasePath = ""
	}
	if m.Stage == resource.EmptyBasePath { // UpdateBasePathMapping unsets a stage this way
		m.Stage = ""
	}
	return m, nil
}
