package resource

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Policy is a compiled resource policy. It judges callers without an identity:
// a statement for anyone in particular never fits them. Safe for concurrent use.
//
// Source: IAM reference, JSON policy elements and evaluation logic; developer
// guide, Control access with resource policies.
type Policy struct {
	statements []statement
}

type statement struct {
	allow        bool
	everyone     bool // Principal holds "*"; otherwise nobody without identity is meant
	actions      []wildcard
	notActions   bool
	resources    []wildcard
	folded       []wildcard // resources in lower case; of a Deny only
	notResources bool
	conditions   []condition // all must hold
}

// condition is one key of one operator: any of its values may hold, or, when
// the operator is negated, none.
type condition struct {
	key      conditionKey
	negated  bool
	ifAbsent bool // what it is worth when the request does not have the key
	null     bool // judges only whether the key is there: ifAbsent, or the contrary
	fits     []func(value) bool
}

// value is a condition key's value in a request.
type value struct {
	text string
	addr netip.Addr
}

// Decision is a policy's verdict.
type Decision int

const (
	ImplicitDeny Decision = iota // nothing fits
	ExplicitDeny                 // a Deny fits, whatever else does
	Allow
)

func (d Decision) String() string {
	switch d {
	case Allow:
		return "allow"
	case ExplicitDeny:
		return "explicit deny"
	}
	return "implicit deny"
}

// PolicyRequest is what a policy looks at.
type PolicyRequest struct {
	SourceIP         netip.Addr // the peer, or the address inside the VPC
	VPC, VPCEndpoint string     // empty: the request did not come through a VPC endpoint
	ResourceARN      string     // arn:aws:execute-api:REGION:ACCOUNT:API/STAGE/METHOD/path
	Action           string     // empty: execute-api:Invoke
	Plaintext        bool       // the request did not come over TLS
	// FoldCase asks only whether a Deny fits when the case of letters in
	// resources does not count: the answer is ExplicitDeny or ImplicitDeny.
	FoldCase bool
}

// NotEnforceable names the parts of a well-formed policy that this version
// cannot judge. Such a policy may be stored but nothing is served under it.
type NotEnforceable struct {
	Parts []string // "statement 1: NotPrincipal"
}

func (e *NotEnforceable) Error() string {
	return "resource policy cannot be enforced: " + strings.Join(e.Parts, ", ")
}

const (
	maxPolicy      = 8192 // bytes; source: quotas
	maxPolicyDepth = 8    // document, list, statement, condition, operator, values: six, and room
)

// textPolicy is AWS's answer to any malformed policy.
const textPolicy = "Invalid policy document. Please check the policy syntax and ensure that Principals are valid."

// errPolicy stands for every fault of syntax while a document is read.
var errPolicy = errors.New("malformed policy")

// ParsePolicy compiles a document. Relative resources, execute-api:/…, are
// those of apiARN, arn:aws:execute-api:REGION:ACCOUNT:API. A malformed document
// is an *Error, BadRequest; one that this version cannot judge is a
// *NotEnforceable.
func ParsePolicy(document, apiARN string) (*Policy, error) {
	if len(document) > maxPolicy {
		return nil, Errorf(BadRequest, "Invalid policy document. It is %d bytes long; the limit is %d", len(document), maxPolicy)
	}
	r := policyReader{apiARN: apiARN}
	p, err := r.document(document)
	switch {
	case err != nil:
		return nil, Errorf(BadRequest, textPolicy)
	case len(r.unsupported) > 0:
		return nil, &NotEnforceable{Parts: r.unsupported}
	}
	return p, nil
}

// policy is the rule for saving one: well-formed, whether or not this version
// can enforce it.
func (p *problems) policy(document *string) {
	if document == nil {
		return
	}
	var refused *NotEnforceable
	if _, err := ParsePolicy(*document, ""); !errors.As(err, &refused) {
		p.take(err)
	}
}

// Evaluate judges a request. It allocates nothing but what a pattern with "?" needs.
func (p *Policy) Evaluate(r PolicyRequest) Decision {
	action := strings.ToLower(r.Action)
	if action == "" {
		action = "execute-api:invoke"
	}
	d := ImplicitDeny
	if r.FoldCase {
		r.ResourceARN = strings.ToLower(r.ResourceARN)
	}
	for i := range p.statements {
		s := &p.statements[i]
		if r.FoldCase && s.allow || d == Allow && s.allow || !s.fits(action, r) {
			continue
		}
		if !s.allow {
			return ExplicitDeny
		}
		d = Allow
	}
	return d
}

func (s *statement) fits(action string, r PolicyRequest) bool {
	resources := s.resources
	if r.FoldCase {
		resources = s.folded
	}
	if !s.everyone || anyMatch(s.actions, action) == s.notActions || anyMatch(resources, r.ResourceARN) == s.notResources {
		return false
	}
	for i := range s.conditions {
		if !s.conditions[i].holds(r) {
			return false
		}
	}
	return true
}

func anyMatch(patterns []wildcard, text string) bool {
	for i := range patterns {
		if patterns[i].match(text) {
			return true
		}
	}
	return false
}

func (c *condition) holds(r PolicyRequest) bool {
	v, ok := c.key.read(r)
	if !ok {
		return c.ifAbsent
	}
	if c.null {
		return !c.ifAbsent
	}
	for _, fits := range c.fits {
		if fits(v) {
			return !c.negated
		}
	}
	return c.negated
}

// conditionKey is a request's property. read says whether the request has it.
type conditionKey struct {
	name    string // lower case: names of keys are not case-sensitive
	address bool
	boolean bool
	read    func(PolicyRequest) (value, bool)
}

// conditionKeys are those that can be judged. Through a VPC endpoint a request
// has aws:VpcSourceIp and no aws:SourceIp, otherwise the reverse.
// Source: IAM reference, AWS global condition context keys.
var conditionKeys = []conditionKey{
	{name: "aws:sourceip", address: true, read: func(r PolicyRequest) (value, bool) {
		return addressValue(r.SourceIP, r.VPCEndpoint == "")
	}},
	{name: "aws:vpcsourceip", address: true, read: func(r PolicyRequest) (value, bool) {
		return addressValue(r.SourceIP, r.VPCEndpoint != "")
	}},
	{name: "aws:sourcevpc", read: func(r PolicyRequest) (value, bool) { return value{text: r.VPC}, r.VPC != "" }},
	{name: "aws:sourcevpce", read: func(r PolicyRequest) (value, bool) { return value{text: r.VPCEndpoint}, r.VPCEndpoint != "" }},
	{name: "aws:securetransport", boolean: true, read: func(r PolicyRequest) (value, bool) {
		if r.Plaintext {
			return value{text: "false"}, true
		}
		return value{text: "true"}, true
	}},
}

func addressValue(a netip.Addr, present bool) (value, bool) {
	return value{addr: a.Unmap().WithZone("")}, present && a.IsValid()
}

// String of an address is made only where an operator wants text.
func (v value) String() string {
	if v.addr.IsValid() {
		return v.addr.String()
	}
	return v.text
}

// operator is a condition operator. compile turns one of its values into a
// test; nil for those that cannot be judged yet.
type operator struct {
	name    string
	negated bool
	only    func(conditionKey) bool // nil: any key
	compile func(want string) (func(value) bool, error)
}

// operators are those of the IAM reference, JSON policy elements: Condition
// operators. The rest of them, unsupportedOperators, is well-formed and not
// judged here.
var operators = []operator{
	{"StringEquals", false, nil, equal},
	{"StringNotEquals", true, nil, equal},
	{"StringEqualsIgnoreCase", false, nil, equalFold},
	{"StringNotEqualsIgnoreCase", true, nil, equalFold},
	{"StringLike", false, nil, like},
	{"StringNotLike", true, nil, like},
	{"IpAddress", false, func(k conditionKey) bool { return k.address }, inPrefix},
	{"NotIpAddress", true, func(k conditionKey) bool { return k.address }, inPrefix},
	{"Bool", false, func(k conditionKey) bool { return k.boolean }, isBool},
}

var unsupportedOperators = []string{
	"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals",
	"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals",
	"BinaryEquals", "ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike",
}

func equal(want string) (func(value) bool, error) {
	return func(v value) bool { return v.String() == want }, nil
}

func equalFold(want string) (func(value) bool, error) {
	return func(v value) bool { return strings.EqualFold(v.String(), want) }, nil
}

func like(want string) (func(value) bool, error) {
	w := compileWildcard(want)
	return func(v value) bool { return w.match(v.String()) }, nil
}

func isBool(want string) (func(value) bool, error) {
	if !strings.EqualFold(want, "true") && !strings.EqualFold(want, "false") {
		return nil, errPolicy
	}
	return equalFold(want)
}

// inPrefix takes an address or a CIDR block; bits below the mask are ignored.
func inPrefix(want string) (func(value) bool, error) {
	var prefix netip.Prefix
	if a, err := netip.ParseAddr(want); err == nil && a.Zone() == "" {
		prefix = netip.PrefixFrom(a, a.BitLen())
	} else if prefix, err = netip.ParsePrefix(want); err != nil {
		return nil, errPolicy
	}
	if a := prefix.Addr(); a.Is4In6() { // requests are compared unmapped
		if prefix.Bits() < 96 {
			return nil, errPolicy
		}
		prefix = netip.PrefixFrom(a.Unmap(), prefix.Bits()-96)
	}
	prefix = prefix.Masked()
	return func(v value) bool { return prefix.Contains(v.addr) }, nil
}

// policyReader turns a document into statements and notes what it cannot judge.
type policyReader struct {
	apiARN      string
	unsupported []string
}

func (r *policyReader) cannot(at int, format string, args ...any) {
	r.unsupported = append(r.unsupported, fmt.Sprintf("statement %d: ", at+1)+fmt.Sprintf(format, args...))
}

func (r *policyReader) document(text string) (*Policy, error) {
	tree, err := readJSON(text)
	if err != nil {
		return nil, err
	}
	doc, ok := tree.(object)
	if !ok || !doc.only("Version", "Id", "Statement") {
		return nil, errPolicy
	}
	if v, ok := doc["Version"]; ok && v != "2012-10-17" && v != "2008-10-17" {
		return nil, errPolicy
	}
	if id, ok := doc["Id"]; ok && !isString(id) {
		return nil, errPolicy
	}
	list, ok := doc["Statement"].([]any)
	if !ok {
		list = []any{doc["Statement"]} // a single statement need not be in a list
	}
	if len(list) == 0 {
		return nil, errPolicy
	}
	p := &Policy{}
	for i, item := range list {
		s, err := r.statement(i, item)
		if err != nil {
			return nil, err
		}
		p.statements = append(p.statements, s)
	}
	return p, nil
}

func (r *policyReader) statement(at int, item any) (statement, error) {
	var s statement
	o, ok := item.(object)
	if !ok || !o.only("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition") {
		return s, errPolicy
	}
	if sid, ok := o["Sid"]; ok && !isString(sid) {
		return s, errPolicy
	}
	switch o["Effect"] {
	case "Allow":
		s.allow = true
	case "Deny":
	default:
		return s, errPolicy
	}

	principal, not, err := o.either("Principal", "NotPrincipal")
	if err != nil {
		return s, err
	}
	if s.everyone, err = readPrincipal(principal); err != nil {
		return s, err
	}
	if not {
		r.cannot(at, "NotPrincipal")
	}

	actions, not, err := o.either("Action", "NotAction")
	if err != nil {
		return s, err
	}
	s.notActions = not
	if s.actions, err = r.patterns(at, "Action", actions, func(a string) (string, error) {
		if service, name, ok := strings.Cut(a, ":"); a != "*" && (!ok || service == "" || name == "") {
			return "", errPolicy
		}
		return strings.ToLower(a), nil // names of actions are not case-sensitive
	}); err != nil {
		return s, err
	}

	resources, not, err := o.either("Resource", "NotResource")
	if err != nil {
		return s, err
	}
	s.notResources = not
	if s.resources, err = r.patterns(at, "Resource", resources, func(a string) (string, error) {
		if path, ok := strings.CutPrefix(a, "execute-api:/"); ok {
			a = r.apiARN + "/" + path
		} else if a != "*" && !strings.HasPrefix(a, "arn:") {
			return "", errPolicy
		}
		if !s.allow {
			s.folded = append(s.folded, compileWildcard(strings.ToLower(a)))
		}
		return a, nil
	}); err != nil {
		return s, err
	}

	if c, ok := o["Condition"]; ok {
		s.conditions, err = r.conditions(at, c)
	}
	return s, err
}

// patterns reads a string or a list of them.
func (r *policyReader) patterns(at int, element string, item any, complete func(string) (string, error)) ([]wildcard, error) {
	list, err := stringsOf(item)
	if err != nil {
		return nil, err
	}
	var out []wildcard
	for _, text := range list {
		r.variables(at, element, text)
		full, err := complete(text)
		if err != nil {
			return nil, err
		}
		out = append(out, compileWildcard(full))
	}
	return out, nil
}

// variables notes policy variables, ${…}, which are not resolved.
func (r *policyReader) variables(at int, element, text string) {
	if strings.Contains(text, "${") {
		r.cannot(at, "policy variable in %s %q", element, text)
	}
}

var awsPrincipal = regexp.MustCompile(`^(\*|[0-9]{12}|A[A-Z0-9]{15,127}|arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:(root|[A-Za-z-]+/.+))$`)

// readPrincipal says whether everyone is meant: "*" or {"AWS":"*"}.
func readPrincipal(item any) (everyone bool, err error) {
	if item == "*" {
		return true, nil
	}
	o, ok := item.(object)
	if !ok || len(o) == 0 || !o.only("AWS", "Service", "Federated", "CanonicalUser") {
		return false, errPolicy
	}
	for kind, names := range o {
		list, err := stringsOf(names)
		if err != nil {
			return false, err
		}
		for _, name := range list {
			if name == "" || kind == "AWS" && !awsPrincipal.MatchString(name) {
				return false, errPolicy
			}
			everyone = everyone || kind == "AWS" && name == "*"
		}
	}
	return everyone, nil
}

func (r *policyReader) conditions(at int, item any) ([]condition, error) {
	o, ok := item.(object)
	if !ok {
		return nil, errPolicy
	}
	var out []condition
	for _, name := range sortedKeys(o) {
		keys, ok := o[name].(object)
		if !ok || len(keys) == 0 {
			return nil, errPolicy
		}
		for _, key := range sortedKeys(keys) {
			values, err := valuesOf(keys[key])
			if err != nil {
				return nil, err
			}
			c, err := r.condition(at, name, key, values)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
	}
	return out, nil
}

// condition compiles one key of one operator. What a request without the key
// is worth follows from the operator: plain ones do not hold, negated ones do,
// and so do IfExists and ForAllValues; ForAnyValue does not.
func (r *policyReader) condition(at int, name, key string, values []string) (condition, error) {
	base, all := strings.CutPrefix(name, "ForAllValues:")
	base, some := strings.CutPrefix(base, "ForAnyValue:")
	base, ifExists := strings.CutSuffix(base, "IfExists")
	if all && some {
		return condition{}, errPolicy
	}
	k := slices.IndexFunc(conditionKeys, func(k conditionKey) bool { return k.name == strings.ToLower(key) })
	if k < 0 {
		if !strings.Contains(key, ":") {
			return condition{}, errPolicy
		}
		r.cannot(at, "condition key %s", key)
	}
	for _, v := range values {
		r.variables(at, "Condition", v)
	}
	if base == "Null" {
		if ifExists || all || some || len(values) != 1 {
			return condition{}, errPolicy
		}
		if _, err := isBool(values[0]); err != nil {
			return condition{}, err
		}
		if k < 0 {
			return condition{}, nil
		}
		return condition{key: conditionKeys[k], null: true, ifAbsent: strings.EqualFold(values[0], "true")}, nil
	}
	i := slices.IndexFunc(operators, func(o operator) bool { return o.name == base })
	if i < 0 {
		if !slices.Contains(unsupportedOperators, base) {
			return condition{}, errPolicy
		}
		r.cannot(at, "condition operator %s", name)
		return condition{}, nil
	}
	op := operators[i]
	c := condition{negated: op.negated, ifAbsent: !some && (op.negated || ifExists || all)}
	for _, v := range values {
		fits, err := op.compile(v)
		if err != nil {
			return condition{}, err
		}
		c.fits = append(c.fits, fits)
	}
	if k >= 0 {
		c.key = conditionKeys[k]
		if op.only != nil && !op.only(c.key) {
			r.cannot(at, "condition operator %s on key %s", name, key)
		}
	}
	return c, nil
}

// object is a JSON object in which each name stood once.
type object map[string]any

func (o object) only(names ...string) bool {
	for k := range o {
		if !slices.Contains(names, k) {
			return false
		}
	}
	return true
}

// either returns the one of two members that is there; both or none is malformed.
func (o object) either(yes, no string) (item any, negated bool, err error) {
	a, okA := o[yes]
	b, okB := o[no]
	switch {
	case okA && !okB:
		return a, false, nil
	case okB && !okA:
		return b, true, nil
	}
	return nil, false, errPolicy
}

func isString(v any) bool { _, ok := v.(string); return ok }

// stringsOf takes a string or a list of at least one.
func stringsOf(item any) ([]string, error) {
	if s, ok := item.(string); ok {
		return []string{s}, nil
	}
	list, ok := item.([]any)
	if !ok || len(list) == 0 {
		return nil, errPolicy
	}
	var out []string
	for _, v := range list {
		s, ok := v.(string)
		if !ok {
			return nil, errPolicy
		}
		out = append(out, s)
	}
	return out, nil
}

// valuesOf is stringsOf for conditions, where true and 1 may stand bare.
func valuesOf(item any) ([]string, error) {
	list, ok := item.([]any)
	if !ok {
		list = []any{item}
	}
	plain := make([]any, len(list))
	for i, v := range list {
		switch v := v.(type) {
		case bool:
			plain[i] = fmt.Sprint(v)
		case json.Number:
			plain[i] = v.String()
		default:
			plain[i] = v
		}
	}
	return stringsOf(plain)
}

// readJSON reads one JSON value and nothing after it. encoding/json would take
// the last of two members of one name; two readers could then see two policies
// in one document, so such a document is malformed.
func readJSON(text string) (any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	v, err := readValue(d, 0)
	if err != nil {
		return nil, errPolicy
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errPolicy
	}
	return v, nil
}

func readValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxPolicyDepth {
		return nil, errPolicy
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := k.(string) // the decoder takes nothing else for a name
			if _, twice := o[name]; twice {
				return nil, errPolicy
			}
			if o[name], err = readValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := readValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

// WirePolicy is a stored policy as answers carry it: AWS escapes the document
// once more, quotes and slashes included, and Terraform undoes exactly that.
// Empty stays empty. Source: recorded GetRestApi answers.
func WirePolicy(document string) string {
	if document == "" {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(document); err != nil { // a string always encodes
		return ""
	}
	quoted := strings.TrimSuffix(b.String(), "\n")
	return strings.ReplaceAll(quoted[1:len(quoted)-1], "/", `\/`)
}
