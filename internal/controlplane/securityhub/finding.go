package securityhub

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/securityhub"
	"github.com/aws/aws-sdk-go-v2/service/securityhub/types"

	"github.com/sallyport/sallyport/internal/asff"
	"github.com/sallyport/sallyport/internal/auditor"
	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/posture"
)

// SuppressedUntil is the user-defined field that ends a suppression: a time as
// RFC 3339 writes it. AWS has no end for one.
const SuppressedUntil = "sallyport/SuppressedUntil"

// Bounds of what a customer may say. Source: API reference, AwsSecurityFinding
// and BatchUpdateFindings.
const (
	maxBatch       = 100
	maxNote        = 512
	maxTypes       = 50
	maxFields      = 50
	maxFieldName   = 128
	maxFieldValue  = 1024
	maxRelated     = 10
	maxSortFields  = 10
	historyPerPage = 100
	findingsDue    = 100 // on a page, when nobody says how many
)

// id is the ARN of a record's finding.
func (s *service) id(r *auditor.Record) string {
	return asff.ID(r.State.Control, r.State.ID, s.Options().Account, s.Options().Region)
}

// document is a record in ASFF.
func (s *service) document(r *auditor.Record) finding {
	f := r.Finding
	f.FirstSeen = r.State.FirstSeen
	if r.State.Archived != "" {
		f.Status, f.LastSeen = r.State.Status, r.State.Since // as it was last
	}
	updated := f.LastSeen // each evaluation is an update
	if updated.Before(r.State.Updated) {
		updated = r.State.Updated
	}
	m := asff.Meta{
		Control: s.audit.Control(f.Control), Resource: r.Resource, ID: r.State.ID, Account: s.Options().Account, Region: s.Options().Region,
		Created: r.State.Created, Updated: updated, Workflow: string(r.State.Workflow), Archived: r.State.Archived, Said: said(&r.State),
	}
	if n := r.State.Note; n != nil {
		m.Note = &types.Note{Text: &n.Text, UpdatedBy: &n.By, UpdatedAt: asff.Time(n.Updated)}
	}
	return asff.Finding(&f, m)
}

// said are the members that customers set.
func said(s *auditor.State) (out asff.Said) {
	if len(s.Said) > 0 {
		text, err := json.Marshal(s.Said)
		if err == nil {
			err = json.Unmarshal(text, &out)
		}
		if err != nil {
			return asff.Said{} // written by another version: the finding itself stands
		}
	}
	return out
}

// getFindings lists in the order of ids, which do not change, so that a walk
// over the pages neither misses a finding nor meets one twice, or as the caller
// sorts.
func (s *service) getFindings(_ context.Context, _ *controlplane.Call, in *securityhub.GetFindingsInput) (*securityhub.GetFindingsOutput, error) {
	n, err := size(in.MaxResults, findingsDue)
	if err != nil {
		return nil, err
	}
	wanted, err := compile(in.Filters, s.Now())
	if err != nil {
		return nil, err
	}
	sorter, err := sorterOf(in.SortCriteria)
	if err != nil {
		return nil, err
	}
	from, err := pageAfter(in.NextToken, fingerprint([]any{in.Filters, in.SortCriteria}))
	if err != nil {
		return nil, err
	}
	refs := s.audit.Find(candidates(in.Filters))
	if len(sorter) == 0 && len(from.After) > 0 {
		at, _ := slices.BinarySearchFunc(refs, from.After, func(r auditor.Ref, after []string) int { return slices.Compare(place(&r), after) })
		if at < len(refs) && slices.Equal(place(&refs[at]), from.After) {
			at++
		}
		refs = refs[at:]
	}
	type entry struct {
		keys     []string // what it is sorted by, then its place
		document finding
	}
	var entries []entry
	out := &securityhub.GetFindingsOutput{Findings: []finding{}}
	for some := range slices.Chunk(refs, 2*n) {
		for _, r := range s.audit.Fetch(some) {
			e := entry{document: s.document(&r)}
			if !wanted(&e.document) {
				continue
			}
			for _, by := range sorter {
				e.keys = append(e.keys, by.key(&e.document))
			}
			e.keys = append(e.keys, r.State.Control, r.State.ID)
			if len(sorter) == 0 || len(from.After) == 0 || sorter.compare(e.keys, from.After) > 0 {
				entries = append(entries, e)
			}
		}
		// No more than the page is kept, and one that tells of the next.
		if len(sorter) > 0 {
			slices.SortFunc(entries, func(a, b entry) int { return sorter.compare(a.keys, b.keys) })
			entries = entries[:min(len(entries), n+1)]
		} else if len(entries) > n {
			break
		}
	}
	if len(entries) > n {
		entries = entries[:n]
		from.After = entries[n-1].keys
		out.NextToken = from.token()
	}
	for i := range entries {
		out.Findings = append(out.Findings, entries[i].document)
	}
	return out, nil
}

// place is where a finding stands when nobody sorts.
func place(r *auditor.Ref) []string { return []string{r.Control, r.ID} }

// sorter orders findings by some fields, then by id.
type sorter []struct {
	key  func(*finding) string
	down bool
}

func sorterOf(criteria []types.SortCriterion) (out sorter, err error) {
	if len(criteria) > maxSortFields {
		return nil, invalid("Invalid parameter 'SortCriteria'. At most %d fields can be sorted by.", maxSortFields)
	}
	for _, c := range criteria {
		key, ok := sortKey(aws.ToString(c.Field))
		if !ok {
			return nil, invalid("Invalid parameter 'SortCriteria'. Findings cannot be sorted by %q.", clip(aws.ToString(c.Field)))
		}
		out = append(out, struct {
			key  func(*finding) string
			down bool
		}{key, c.SortOrder == types.SortOrderDescending})
	}
	return out, nil
}

// compare orders the keys of two findings. Those of a token may be fewer.
func (s sorter) compare(a, b []string) int {
	for i := range min(len(a), len(b)) {
		c := strings.Compare(a[i], b[i])
		if i < len(s) && s[i].down {
			c = -c
		}
		if c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// refusal is why one finding of a batch is not updated.
type refusal struct{ code, text string }

func (r refusal) Error() string { return r.code + ": " + r.text }

// Source: API reference, BatchUpdateFindingsUnprocessedFinding.
var (
	notFound   = refusal{"FindingNotFound", "Finding Not Found"}
	duplicated = refusal{"DuplicatedFindingIdentifier", "Finding Identifier is duplicated"}
)

func (s *service) batchUpdateFindings(ctx context.Context, _ *controlplane.Call, in *securityhub.BatchUpdateFindingsInput) (*securityhub.BatchUpdateFindingsOutput, error) {
	if n := len(in.FindingIdentifiers); n < 1 || n > maxBatch {
		return nil, invalid("Invalid parameter 'FindingIdentifiers'. It must name 1 to %d findings.", maxBatch)
	}
	edit, err := s.edit(in, "arn:aws:iam::"+s.Options().Account+":user/default") // as STS says
	if err != nil {
		return nil, err
	}
	out := &securityhub.BatchUpdateFindingsOutput{ProcessedFindings: []types.AwsSecurityFindingIdentifier{}, UnprocessedFindings: []types.BatchUpdateFindingsUnprocessedFinding{}}
	refuse := func(i types.AwsSecurityFindingIdentifier, r refusal) {
		out.UnprocessedFindings = append(out.UnprocessedFindings, types.BatchUpdateFindingsUnprocessedFinding{FindingIdentifier: &i, ErrorCode: &r.code, ErrorMessage: &r.text})
	}
	asked := map[string]types.AwsSecurityFindingIdentifier{} // by UUID
	named := func(i types.AwsSecurityFindingIdentifier) [2]string { return [2]string{*i.Id, *i.ProductArn} }
	times := map[[2]string]int{}
	for _, i := range in.FindingIdentifiers {
		times[named(i)]++
	}
	told := map[[2]string]bool{}
	var ids []string
	for _, i := range in.FindingIdentifiers {
		switch uuid, ok := s.uuid(i); {
		case times[named(i)] > 1:
			if !told[named(i)] { // once is enough
				told[named(i)] = true
				refuse(i, duplicated)
			}
		case !ok:
			refuse(i, notFound)
		default:
			asked[uuid] = i
			ids = append(ids, uuid)
		}
	}
	refused, err := s.audit.UpdateAll(ctx, ids, edit)
	if err != nil {
		return nil, err
	}
	for _, uuid := range ids {
		var why refusal
		switch err := refused[uuid]; {
		case err == nil:
			out.ProcessedFindings = append(out.ProcessedFindings, asked[uuid])
		case errors.As(err, &why):
			refuse(asked[uuid], why)
		default:
			refuse(asked[uuid], notFound)
		}
	}
	return out, nil
}

// uuid is that of the finding which an identifier names, if it can be one of
// ours.
func (s *service) uuid(i types.AwsSecurityFindingIdentifier) (string, bool) {
	if aws.ToString(i.ProductArn) != asff.ProductARN(s.Options().Account, s.Options().Region, false) {
		return "", false
	}
	rest, ok := strings.CutPrefix(aws.ToString(i.Id), s.arn("security-control/"))
	if !ok {
		return "", false
	}
	control, uuid, ok := strings.Cut(rest, "/finding/")
	return uuid, ok && control != "" && uuid != "" && len(uuid) <= 64
}

// edit makes of a request what it does to the state of each finding. by is who
// asks. What is wrong with the request is wrong for every finding.
func (s *service) edit(in *securityhub.BatchUpdateFindingsInput, by string) (func(*auditor.State) (auditor.Change, error), error) {
	now := s.Now()
	values := map[string]any{}
	for _, ratio := range []struct {
		name  string
		value *int32
	}{{"Confidence", in.Confidence}, {"Criticality", in.Criticality}} {
		if ratio.value == nil {
			continue
		}
		if *ratio.value < 0 || *ratio.value > 100 {
			return nil, invalid("Invalid parameter '%s'. It must be from 0 to 100.", ratio.name)
		}
		values[ratio.name] = *ratio.value
	}
	if n := in.Note; n != nil {
		for member, text := range map[string]*string{"Text": n.Text, "UpdatedBy": n.UpdatedBy} {
			if t := aws.ToString(text); strings.TrimSpace(t) == "" || utf8.RuneCountInString(t) > maxNote {
				return nil, invalid("Invalid parameter 'Note'. %s must have 1 to %d characters.", member, maxNote)
			}
		}
	}
	if in.RelatedFindings != nil {
		if len(in.RelatedFindings) > maxRelated {
			return nil, invalid("Invalid parameter 'RelatedFindings'. There may be at most %d.", maxRelated)
		}
		for _, r := range in.RelatedFindings {
			if utf8.RuneCountInString(aws.ToString(r.Id)) > 512 || utf8.RuneCountInString(aws.ToString(r.ProductArn)) > 2048 {
				return nil, invalid("Invalid parameter 'RelatedFindings'. An Id or ProductArn is too long.")
			}
		}
		values["RelatedFindings"] = in.RelatedFindings
	}
	if in.Severity != nil {
		v, err := severity(in.Severity)
		if err != nil {
			return nil, err
		}
		values["Severity"] = v
	}
	if in.Types != nil {
		if len(in.Types) > maxTypes {
			return nil, invalid("Invalid parameter 'Types'. There may be at most %d.", maxTypes)
		}
		for _, t := range in.Types {
			if !validType(t) {
				return nil, invalid("Invalid parameter 'Types'. %q is not namespace/category/classifier with one of the namespaces %s.", clip(t), strings.Join(namespaces, ", "))
			}
		}
		values["Types"] = in.Types
	}
	var until time.Time
	if in.UserDefinedFields != nil {
		if len(in.UserDefinedFields) > maxFields {
			return nil, invalid("Invalid parameter 'UserDefinedFields'. There may be at most %d.", maxFields)
		}
		for k, v := range in.UserDefinedFields {
			if strings.TrimSpace(k) == "" || utf8.RuneCountInString(k) > maxFieldName || utf8.RuneCountInString(v) > maxFieldValue {
				return nil, invalid("Invalid parameter 'UserDefinedFields'. Names have 1 to %d characters and values at most %d.", maxFieldName, maxFieldValue)
			}
		}
		if text, ok := in.UserDefinedFields[SuppressedUntil]; ok {
			if until, ok = parseTime(text); !ok || !until.After(now) {
				return nil, invalid("Invalid parameter 'UserDefinedFields'. %s must be a time to come, as 2026-08-01T12:00:00Z.", SuppressedUntil)
			}
		}
		values["UserDefinedFields"] = in.UserDefinedFields
	}
	if in.VerificationState != "" {
		values["VerificationState"] = in.VerificationState
	}
	var workflow auditor.Workflow
	if in.Workflow != nil {
		workflow = auditor.Workflow(in.Workflow.Status)
	}
	texts := map[string]json.RawMessage{}
	for k, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", k, err)
		}
		texts[k] = text
	}

	return func(state *auditor.State) (auditor.Change, error) {
		step := auditor.Change{By: by}
		changed := func(path, old, new string) {
			if old != new {
				step.Members = append(step.Members, auditor.Member{Path: path, Old: old, New: new})
			}
		}
		for _, k := range slices.Sorted(maps.Keys(texts)) {
			changed(k, readable(state.Said[k]), readable(texts[k]))
			if state.Said == nil {
				state.Said = map[string]json.RawMessage{}
			}
			state.Said[k] = texts[k]
		}
		if n := in.Note; n != nil {
			old := ""
			if state.Note != nil {
				old = state.Note.Text
			}
			changed("Note.Text", old, *n.Text)
			state.Note = &auditor.Note{Text: *n.Text, By: *n.UpdatedBy, Updated: now}
		}
		if workflow != "" {
			if state.Workflow = workflow; workflow != auditor.Suppressed {
				state.Suppression = nil
			} else if state.Suppression == nil {
				state.Suppression = &auditor.Suppression{}
			}
		}
		if sup := state.Suppression; sup != nil && state.Workflow == auditor.Suppressed {
			if in.UserDefinedFields != nil || workflow != "" {
				sup.Until = until
			}
			if in.Note != nil {
				sup.Reason, sup.By = *in.Note.Text, *in.Note.UpdatedBy
			} else if sup.Reason == "" && state.Note != nil {
				sup.Reason, sup.By = state.Note.Text, state.Note.By
			}
			sup.By = cmp.Or(sup.By, by)
		}
		return step, nil
	}, nil
}

// readable is a value as the history shows it.
func readable(text json.RawMessage) string {
	var s string
	if json.Unmarshal(text, &s) == nil {
		return s
	}
	return clip(string(text))
}

// severity completes what a customer says: of label and number one makes the
// other.
func severity(in *types.SeverityUpdate) (*types.Severity, error) {
	v := &types.Severity{Label: in.Label, Normalized: in.Normalized, Product: in.Product}
	if n := in.Normalized; n != nil && (*n < 0 || *n > 100) {
		return nil, invalid("Invalid parameter 'Severity'. Normalized must be from 0 to 100.")
	}
	switch {
	case v.Label != "":
		v.Normalized = aws.Int32(asff.Normalized[v.Label])
	case v.Normalized != nil:
		v.Label = labelOf(*v.Normalized)
	case v.Product == nil:
		return nil, invalid("Invalid parameter 'Severity'. It needs a Label.")
	}
	return v, nil
}

// labelOf is the label of a number. Source: API reference, SeverityUpdate.
func labelOf(n int32) types.SeverityLabel {
	switch {
	case n == 0:
		return types.SeverityLabelInformational
	case n < 40:
		return types.SeverityLabelLow
	case n < 70:
		return types.SeverityLabelMedium
	case n < 90:
		return types.SeverityLabelHigh
	}
	return types.SeverityLabelCritical
}

// namespaces are what a type of finding begins with. Source: API reference,
// AwsSecurityFinding.Types.
var namespaces = []string{"Software and Configuration Checks", "TTPs", "Effects", "Unusual Behaviors", "Sensitive Data Identifications"}

func validType(t string) bool {
	parts := strings.Split(t, "/")
	return len(t) <= 256 && len(parts) <= 3 && slices.Contains(namespaces, parts[0]) && !slices.Contains(parts, "")
}

// getFindingHistory tells what changed, the newest first.
func (s *service) getFindingHistory(_ context.Context, _ *controlplane.Call, in *securityhub.GetFindingHistoryInput) (*securityhub.GetFindingHistoryOutput, error) {
	uuid, ok := s.uuid(*in.FindingIdentifier)
	records := s.audit.Fetch(s.audit.Find(func(r *auditor.Ref) bool { return ok && r.ID == uuid }))
	if len(records) != 1 || s.id(&records[0]) != *in.FindingIdentifier.Id {
		return nil, invalid("Invalid parameter 'FindingIdentifier'. There is no such finding.")
	}
	if in.StartTime != nil && in.EndTime != nil && in.EndTime.Before(*in.StartTime) {
		return nil, invalid("Invalid parameter 'EndTime'. It is before StartTime.")
	}
	var all []types.FindingHistoryRecord
	for _, r := range s.history(&records[0].State, in.FindingIdentifier) {
		if (in.StartTime == nil || !r.UpdateTime.Before(*in.StartTime)) && (in.EndTime == nil || !r.UpdateTime.After(*in.EndTime)) {
			all = append(all, r)
		}
	}
	at := func(r types.FindingHistoryRecord) string { return r.UpdateTime.Format(time.RFC3339Nano) }
	page, next, err := pageOf(all, at, fingerprint([]any{in.FindingIdentifier, in.StartTime, in.EndTime}), in.MaxResults, historyPerPage, in.NextToken)
	if err != nil {
		return nil, err
	}
	return &securityhub.GetFindingHistoryOutput{Records: page, NextToken: next}, nil
}

// history makes records of a finding's steps, the newest first. Of a life longer
// than what is kept, the oldest step kept is what the next is compared with.
func (s *service) history(state *auditor.State, of *types.AwsSecurityFindingIdentifier) (out []types.FindingHistoryRecord) {
	for i, step := range state.History {
		created := i == 0 && step.Time.Equal(state.Created)
		if i == 0 && !created {
			continue
		}
		r := types.FindingHistoryRecord{
			FindingIdentifier: of, UpdateTime: aws.Time(step.Time), FindingCreated: &created, Updates: []types.FindingHistoryUpdate{},
			UpdateSource: &types.FindingHistoryUpdateSource{Type: types.FindingHistoryUpdateSourceTypeBatchImportFindings, Identity: of.ProductArn},
		}
		if step.By != "" {
			r.UpdateSource = &types.FindingHistoryUpdateSource{Type: types.FindingHistoryUpdateSourceTypeBatchUpdateFindings, Identity: aws.String(step.By)}
		}
		if !created {
			before := &state.History[i-1]
			changed := func(path, old, new string) {
				if old != new {
					u := types.FindingHistoryUpdate{UpdatedField: &path}
					if old != "" {
						u.OldValue = &old
					}
					if new != "" {
						u.NewValue = &new
					}
					r.Updates = append(r.Updates, u)
				}
			}
			changed("Compliance.Status", statusOf(before), statusOf(&step))
			changed("RecordState", recordState(before.Archived), recordState(step.Archived))
			changed("Workflow.Status", string(before.Workflow), string(step.Workflow))
			for _, m := range step.Members {
				changed(m.Path, m.Old, m.New)
			}
		}
		out = append(out, r)
	}
	slices.Reverse(out)
	return out
}

func statusOf(c *auditor.Change) string {
	status, _ := asff.Compliance(&posture.Finding{Status: c.Status, Reason: c.Reason, Evidence: []posture.Evidence{{Kind: posture.Configuration}}})
	return string(status)
}

func recordState(archived bool) string {
	if archived {
		return string(types.RecordStateArchived)
	}
	return string(types.RecordStateActive)
}
