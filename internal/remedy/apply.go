package remedy

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	resttypes "github.com/aws/aws-sdk-go-v2/service/apigateway/types"
	v2types "github.com/aws/aws-sdk-go-v2/service/apigatewayv2/types"
	searchtypes "github.com/aws/aws-sdk-go-v2/service/opensearch/types"

	"github.com/aws/smithy-go"

	"github.com/sallyport/sallyport/internal/controls"
	"github.com/sallyport/sallyport/internal/evidence"
	"github.com/sallyport/sallyport/internal/posture"
)

// Outcome is what came of applying a remedy.
type Outcome string

const (
	Closed     Outcome = "CLOSED"      // the control passes on the resource as it was read again, and on the wire
	Stored     Outcome = "STORED"      // the document says so, and this gateway does not act on it: stored, not in effect
	Already    Outcome = "ALREADY"     // nothing to do: the resource does not fail any more
	Waiting    Outcome = "WAITING"     // nothing was changed: a person must choose or do something first
	Pending    Outcome = "PENDING"     // changed, and the service is still at it: not proved, not taken back
	RolledBack Outcome = "ROLLED_BACK" // changed, not proved, and as it was before
	Stuck      Outcome = "STUCK"       // changed, not proved, and not as it was before
	Refused    Outcome = "REFUSED"     // nothing was changed: the service refused
)

// Good reports whether nothing is left to look after.
func (o Outcome) Good() bool { return o == Closed || o == Stored || o == Already }

// Failed reports whether something went wrong, other than that a person must
// do or choose something first.
func (o Outcome) Failed() bool { return !o.Good() && o != Waiting }

// Proof tells what was done about one finding, and what shows it.
type Proof struct {
	Control  string          `json:"control"`
	Resource posture.Subject `json:"resource"`
	Outcome  Outcome         `json:"outcome"`
	Reason   string          `json:"reason"`
	Done     []string        `json:"done,omitempty"`   // as commands
	Undone   []string        `json:"undone,omitempty"` // as commands
	// Before and After are the finding as it was reached on the resource read
	// before and after.
	Before *posture.Finding `json:"before,omitempty"`
	After  *posture.Finding `json:"after,omitempty"`
}

// undoTime bounds a rollback, which goes on although the caller gives up.
const undoTime = 2 * time.Minute

// made is a call that was carried out.
type made struct {
	call *call
	back any // nil: nothing takes it back
}

// attempt is one finding being closed.
type attempt struct {
	t      *Target
	p      *Proof
	before *posture.Resource
	role   *string
	done   []made
}

// Apply closes one finding: it reads the resource, changes it, waits until the
// change binds, judges it again, asks the wire where it can, and takes the
// change back when that does not prove it. It never fails otherwise than by the
// proof's outcome.
func (t *Target) Apply(ctx context.Context, f *posture.Finding) (p *Proof) {
	p = &Proof{Control: f.Control, Resource: f.Resource}
	end := func(o Outcome, format string, args ...any) *Proof {
		p.Outcome, p.Reason = o, fmt.Sprintf(format, args...)
		return p
	}
	before, err := t.Read(ctx, f.Resource)
	if err != nil {
		return end(Waiting, "%v", err)
	}
	if s, _ := stateOf(before); s == moving {
		if before, err = t.wait(ctx, f.Resource); err != nil {
			return end(Waiting, "it is being changed by somebody else: %v", err)
		}
	}
	if p.Before, err = t.judge(before, f); err != nil {
		return end(Waiting, "%v", err)
	}
	if p.Before.Status != posture.Failed {
		o := Waiting
		if p.Before.Status == posture.Passed || p.Before.Status == posture.NotApplicable {
			o = Already
		} else if t.stored(before, f) {
			o = Stored
		}
		return end(o, "%s: %s", p.Before.Status, p.Before.Reason)
	}
	a := &attempt{t: t, p: p, before: before}
	c := t.Context
	if f.Control == "APIGateway.1" {
		a.role = t.LogRole(ctx, before.Region)
		c.LogRole = func(string) *string { return a.role }
	}
	fix := find(p.Before, before, c)
	if len(fix.needs) > 0 {
		var what []string
		for _, name := range fix.needs {
			at := slices.IndexFunc(Values, func(v Value) bool { return v.Name == name })
			what = append(what, name+", the "+Values[at].What)
		}
		return end(Waiting, "needed: %s", strings.Join(what, "; "))
	}
	var first, second []*call
	for _, m := range fix.moves {
		switch {
		case m.call == nil:
		case m.call.strict:
			second = append(second, m.call)
		default:
			first = append(first, m.call)
		}
	}
	if len(first) == 0 {
		reason := "no call closes it"
		for _, m := range fix.moves {
			reason = m.step.Text
		}
		return end(Waiting, "%s", reason)
	}
	if !a.round(ctx, first, f, "") || !t.Strict || len(second) == 0 || p.Outcome != Closed {
		return p
	}
	// What is proved stays: only the second step is taken back when it fails.
	if a.before, err = t.Read(ctx, f.Resource); err != nil {
		p.Reason += "; the second step was not taken: " + err.Error()
		return p
	}
	a.done = nil
	a.round(ctx, second, f, "STRICT")
	return p
}

// round carries calls out, and proves or undoes them. mode is the access mode
// that must be there afterwards.
func (a *attempt) round(ctx context.Context, calls []*call, f *posture.Finding, mode string) bool {
	t, p := a.t, a.p
	var backends map[string]string
	stage := apiStage(f.Resource)
	if f.Control == "APIGateway.2" && t.Backends != nil {
		var err error
		if backends, err = t.Backends(ctx, stage[0], stage[1]); err != nil {
			p.Outcome, p.Reason = Waiting, "what the backends take could not be asked: "+err.Error()
			return false
		}
	}
	id := ""
	for _, c := range calls {
		input := c.input
		if id != "" {
			input = filled(input, id)
		}
		sent := call{input: input}
		product, err := t.send(ctx, a.before.Region, input)
		if err != nil {
			// Without an answer nobody knows whether it was done.
			if answer := smithy.APIError(nil); !errors.As(err, &answer) {
				m := made{call: c, back: inverse(input, a.before, a.role, product)}
				if _, making := input.(*apigateway.GenerateClientCertificateInput); making {
					m = made{call: &call{lasting: "a client certificate may have been made: aws apigateway get-client-certificates shows it"}}
				}
				a.done = append(a.done, m)
			}
			return a.undo(ctx, f, fmt.Sprintf("%s: %v", sent.command(a.before.Region, ""), err))
		}
		p.Done = append(p.Done, sent.command(a.before.Region, t.Context.Endpoint))
		a.done = append(a.done, made{c, inverse(input, a.before, a.role, product)})
		if product != "" {
			id = product
		}
	}
	after, err := t.wait(ctx, f.Resource)
	if errors.Is(err, errPending) {
		p.Outcome, p.Reason = Pending, err.Error()+": run the audit again when it is done; nothing was taken back"
		return false
	}
	if err != nil {
		return a.undo(ctx, f, err.Error())
	}
	if p.After, err = t.judge(after, f); err != nil {
		return a.undo(ctx, f, err.Error())
	}
	t.witness(ctx, p.After)
	p.Outcome = Closed
	switch {
	case p.After.Status == posture.Unknown && !contradicted(p.After) && t.stored(after, f):
		p.Outcome = Stored
	case p.After.Status != posture.Passed:
		return a.undo(ctx, f, string(p.After.Status)+": "+p.After.Reason)
	}
	if d, ok := after.Doc.(*resttypes.DomainName); ok && mode != "" && string(d.EndpointAccessMode) != mode {
		return a.undo(ctx, f, "endpointAccessMode is "+string(d.EndpointAccessMode)+", not "+mode)
	}
	if backends != nil {
		now, err := t.Backends(ctx, stage[0], stage[1])
		if err != nil {
			return a.undo(ctx, f, "what the backends take could not be asked: "+err.Error())
		}
		for url, why := range now {
			if why != "" && backends[url] == "" {
				return a.undo(ctx, f, url+" was in use and is not any more: "+why)
			}
		}
	}
	p.Reason = string(p.After.Status) + ": " + p.After.Reason
	return true
}

// undo takes back what was done, latest first, and says whether all is as it was.
func (a *attempt) undo(ctx context.Context, f *posture.Finding, why string) bool {
	t, p := a.t, a.p
	p.Reason = why
	if len(a.done) == 0 {
		p.Outcome = Refused
		return false
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	var left []string
	for _, m := range slices.Backward(a.done) {
		if m.back == nil {
			left = append(left, m.call.lasting)
			continue
		}
		back := call{input: m.back}
		// Another change of the resource may still be under way.
		_, err := t.wait(ctx, f.Resource)
		if err == nil || !errors.Is(err, errPending) {
			_, err = t.send(ctx, a.before.Region, m.back)
		}
		if err != nil {
			left = append(left, fmt.Sprintf("%s: %v", back.command(a.before.Region, ""), err))
			continue
		}
		p.Undone = append(p.Undone, back.command(a.before.Region, t.Context.Endpoint))
	}
	now, err := t.wait(ctx, f.Resource)
	switch {
	case err != nil:
		left = append(left, err.Error())
	case !same(a.before.Doc, now.Doc):
		left = append(left, "the resource, read again, is not as it was")
	}
	p.Outcome = RolledBack
	if len(left) > 0 {
		p.Outcome = Stuck
		p.Reason += "; not taken back: " + strings.Join(left, "; ")
	}
	return false
}

// judge evaluates the control of a finding as the finding was reached.
func (t *Target) judge(r *posture.Resource, f *posture.Finding) (*posture.Finding, error) {
	c, ok := controls.Lookup(f.Control)
	if !ok {
		return nil, fmt.Errorf("there is no control %s", f.Control)
	}
	o := posture.Options{Now: time.Now(), Mode: f.Mode, Params: map[string]posture.Values{}, AllowLists: map[string]string{}}
	if t.Now != nil {
		o.Now = t.Now()
	}
	for _, d := range c.Parameters {
		if v, ok := f.Parameters[d.Name]; ok && d.Customizable {
			if o.Params[c.ID] == nil {
				o.Params[c.ID] = posture.Values{}
			}
			o.Params[c.ID][d.Name] = v
		}
	}
	if f.AllowList != "" {
		o.AllowLists[c.ID] = f.AllowList
	}
	e, err := posture.New([]*posture.Control{c}, o)
	if err != nil {
		return nil, err
	}
	for _, found := range e.Judge(r) {
		return &found, nil
	}
	return nil, fmt.Errorf("control %s does not judge %s", f.Control, r.Type)
}

// stored reports whether what keeps a resource from passing is only that this
// gateway does not act on a setting.
func (t *Target) stored(r *posture.Resource, f *posture.Finding) bool {
	if len(r.NotInEffect) == 0 {
		return false
	}
	acting := *r
	acting.NotInEffect = nil
	found, err := t.judge(&acting, f)
	return err == nil && found.Status == posture.Passed
}

// witness asks the wire what a finding says of it.
func (t *Target) witness(ctx context.Context, f *posture.Finding) {
	if t.Dial == nil || f.Expect == nil || f.Expect.Host == "" {
		return
	}
	if target, dial := t.Dial(f.Expect); dial != nil {
		f.Witness(evidence.Probe(ctx, f.Expect, target, dial))
	}
}

func contradicted(f *posture.Finding) bool {
	return slices.ContainsFunc(f.Evidence, func(e posture.Evidence) bool { return e.Contradicts })
}

// filled is an input with the id of what the call before made.
func filled(input any, id string) any {
	in, ok := input.(*apigateway.UpdateStageInput)
	if !ok {
		return input
	}
	with := *in
	with.PatchOperations = slices.Clone(in.PatchOperations)
	for i, op := range with.PatchOperations {
		if aws.ToString(op.Value) == generated {
			with.PatchOperations[i].Value = &id
		}
	}
	return &with
}

// same compares two documents, but for when they were changed last.
func same(a, b any) bool {
	timeless := func(doc any) any {
		switch d := doc.(type) {
		case *resttypes.Stage:
			s := *d
			s.LastUpdatedDate = nil
			if s.ClientCertificateId == nil {
				s.ClientCertificateId = aws.String("")
			}
			s.MethodSettings = maps.Clone(s.MethodSettings)
			for key, m := range s.MethodSettings {
				if m.LoggingLevel == nil {
					m.LoggingLevel = aws.String("OFF")
					s.MethodSettings[key] = m
				}
			}
			return s
		case *resttypes.DomainName:
			return *d
		case *v2types.Stage:
			s := *d
			s.LastUpdatedDate = nil
			if o := s.DefaultRouteSettings; o != nil && o.LoggingLevel == v2types.LoggingLevelOff {
				off := *o
				off.LoggingLevel = ""
				s.DefaultRouteSettings = &off
			}
			if o := s.DefaultRouteSettings; o != nil && reflect.ValueOf(*o).IsZero() {
				s.DefaultRouteSettings = nil
			}
			return s
		case *v2types.Route:
			r := *d
			if r.AuthorizationType == "" {
				r.AuthorizationType = v2types.AuthorizationTypeNone
			}
			if r.AuthorizationType == v2types.AuthorizationTypeNone {
				r.AuthorizerId = nil // it decides nothing, and no call takes it away
			}
			return r
		case *v2types.Integration:
			return *d
		case *searchtypes.DomainStatus: // the rest has versions and dates of its own
			return [2]any{d.DomainEndpointOptions, d.NodeToNodeEncryptionOptions}
		}
		return nil
	}
	return reflect.DeepEqual(timeless(a), timeless(b))
}

// apiStage is the API and the name of a stage, by its ARN.
func apiStage(s posture.Subject) [2]string {
	api, stage := (&patient{r: &posture.Resource{ID: s.ID}}).path()
	return [2]string{api, stage}
}
