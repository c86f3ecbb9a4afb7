package apigateway

import (
	"context"
	"reflect"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway/types"

	"github.com/sallyport/sallyport/internal/controlplane"
	"github.com/sallyport/sallyport/internal/resource"
	"github.com/sallyport/sallyport/internal/store"
)

// inForce reports whether what was written at rev under a key with transition t
// is what the gates enforce: every live node serves rev, and no delay runs.
func (s *service) inForce(ctx context.Context, rev store.Revision, t resource.Transition) (bool, error) {
	if s.Options().Now().Before(t.Until) {
		return false, nil
	}
	return s.IsServed(ctx, rev)
}

// delay notes in c that TLS members changed from before to after: with a
// propagation delay they bind later, and until then no second change of them is
// taken. key is the transition's, what names the document in the refusal.
func (s *service) delay(c *controlplane.Change, key, what string, before, after resource.TLSState) error {
	if reflect.DeepEqual(before, after) {
		return nil
	}
	var t resource.Transition
	pending, err := c.Get(key, &t)
	if err != nil {
		return err
	}
	now := s.Options().Now().UTC()
	if pending && now.Before(t.Until) {
		// AWS's text is not known.
		return resource.Errorf(resource.Conflict, "%s is being updated: its security policy, endpoint access mode and endpoint type can be changed again at %s", what, t.Until.Format(time.RFC3339))
	}
	switch d := s.Options().PropagationDelay; {
	case d > 0:
		c.Put(key, resource.Transition{Until: now.Add(d), Previous: before})
	case pending:
		c.Delete(key)
	}
	return nil
}

// showAPI is api as answers carry it.
func (s *service) showAPI(ctx context.Context, api types.RestApi, rev store.Revision, t resource.Transition) (types.RestApi, error) {
	ok, err := s.inForce(ctx, rev, t)
	if err != nil {
		return api, err
	}
	api.ApiStatus = types.ApiStatusUpdating
	if ok {
		api.ApiStatus = types.ApiStatusAvailable
	}
	if p := aws.ToString(api.Policy); p != "" {
		api.Policy = aws.String(resource.WirePolicy(p))
	}
	return api, nil
}

// showDomain is d as answers carry it. Its policies go out as they came in:
// AWS escapes only those of APIs. Source: the AWS CLI's examples.
func (s *service) showDomain(ctx context.Context, d types.DomainName, rev store.Revision, t resource.Transition) (types.DomainName, error) {
	ok, err := s.inForce(ctx, rev, t)
	if err != nil {
		return d, err
	}
	d.DomainNameStatus = types.DomainNameStatusUpdating
	if ok {
		d.DomainNameStatus = types.DomainNameStatusAvailable
	}
	return d, nil
}
