package pipeline

import (
	"errors"
	"slices"

	"github.com/sallyport/sallyport/internal/backgate"
	"github.com/sallyport/sallyport/internal/httpwire"
)

// search hands a request for a search domain to the cluster that the operator's
// targets map the domain to, by its ARN or its name; nothing maps it: 503. The
// hop to the cluster is plain HTTP. What the client sends goes through as it
// is, but for what says who asked.
func (e *exchange) search() *fault {
	domain := e.name.Search
	if domain == nil {
		return nil
	}
	if f := e.limitBody(); f != nil {
		return f
	}
	target := domain.ARN
	if !e.p.options.Backends.Maps(target) {
		target = domain.Domain
	}
	if !e.p.options.Backends.Maps(target) {
		e.p.log.warn("search domain without a cluster", domain.Domain, "domain", domain.Domain, "arn", domain.ARN,
			"hint", "targets maps the ARN or the name to host:port of the cluster", "request_id", e.requestID)
		return newFault(overloaded, "no target is mapped to the search domain")
	}
	r := &e.request
	r.Method, r.Scheme, r.Host, r.Path, r.Query, r.Target = e.x.Method, "http", e.host, e.x.RawPath, e.x.RawQuery, target
	r.Header = httpwire.AppendEndToEnd(r.Header[:0], e.x.Header)
	r.Header = slices.DeleteFunc(r.Header, func(f httpwire.Field) bool { return isIdentity(f.Name) })
	e.setIdentity(&r.Header)
	if r.Inform, r.ContentLength = e.inform, e.x.ContentLength; r.ContentLength != 0 {
		r.Body, r.Trailer = &e.body, &e.x.Trailer
	}
	e.asked = e.p.options.Now()
	resp, err := e.p.options.Backends.Do(e.x.Context, r)
	e.integrationLatency = e.since(e.asked)
	if err != nil {
		return e.clusterFault(err)
	}
	defer resp.Body.Close()
	if bodyless := r.Method == "HEAD" || resp.Status == 204 || resp.Status == 304; bodyless && e.x.Method != "HEAD" {
		resp.ContentLength = 0
	}
	e.status = resp.Status
	e.header = append(e.header[:0], resp.Header...)
	if f := e.stream(resp, e.header); f != nil {
		return f
	}
	return answered
}

// clusterFault is backendFault without a stage to speak of.
func (e *exchange) clusterFault(err error) *fault {
	if f := e.body.fault(); f != nil {
		return f
	}
	var failed *backgate.Error
	if !errors.As(err, &failed) {
		return newFault(default5XX, err.Error())
	}
	e.p.options.Metrics.BackendFailure(failed.Kind.String())
	if failed.Kind != backgate.Canceled {
		e.p.log.warn("search cluster failed", e.name.Search.Domain+" "+failed.Kind.String(), "domain", e.name.Search.Domain, "kind", failed.Kind.String(), "request_id", e.requestID, "err", failed)
	}
	if failed.Kind == backgate.Timeout {
		return newFault(integrationTimeout, failed.Error())
	}
	return newFault(overloaded, failed.Error())
}
