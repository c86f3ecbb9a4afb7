package pipeline

import (
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/internal/frontgate"
	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// findName looks up what the Host stands for. An unknown one is refused by the
// next step, which first looks whether the connection is good for anything.
func (e *exchange) findName() *fault {
	e.host = snapshot.NormalizeHost(e.x.Authority)
	if e.host != "" {
		e.name = e.config.Lookup(e.host)
	}
	return nil
}

// admit asks the first gate whether the connection may carry this request.
func (e *exchange) admit() *fault {
	v := frontgate.Admit(e.config, e.x, e.name)
	e.x.Judged()
	if v.Refused() {
		kind := forbidden
		if v.Status == 421 {
			kind = misdirected
		}
		return &fault{kind: kind, status: v.Status, errorType: v.ErrorType, message: v.Message, reason: v.Reason, close: v.Close}
	}
	if e.name == nil {
		return newFault(forbidden, "unknown host")
	}
	if v.WouldRefuse != "" {
		e.p.options.Metrics.StrictWouldRefuse()
		e.p.log.warn("STRICT would refuse", e.name.Host+v.WouldRefuse, "name", e.name.Host, "sni", e.x.Conn.SNI, "reason", v.WouldRefuse)
	}
	return nil
}

// reservedPaths answer by themselves on custom domains, so that a domain can be
// probed without an API. Source: quotas page; the answer is inferred.
var reservedPaths = map[string]bool{"/ping": true, "/sping": true}

// answerPing answers a reserved path.
func (e *exchange) answerPing() *fault {
	e.status = 200
	e.answer(e.identityHeaders(httpwire.Header{{Name: "Content-Type", Value: "text/plain"}}), []byte("Healthy Connection"))
	return answered
}

// findStage finds API and stage: on a default endpoint the first segment names
// the stage; on a custom domain the longest base path mapping that fits leads
// to a stage, or to an API whose stage is the next segment.
func (e *exchange) findStage() *fault {
	rest, api, stage := e.x.RawPath, e.name.API, ""
	if e.name.API == "" {
		if e.mapping, rest = matchMapping(e.name.Mappings, e.x.RawPath); e.mapping == nil {
			return newFault(forbidden, "no base path mapping fits")
		}
		api, stage = e.mapping.API, e.mapping.Stage
	}
	e.api = e.config.API(api)
	if e.api == nil {
		return newFault(forbidden, "mapping to an API that does not exist")
	}
	// A public name may have come to stand before a private API.
	if frontgate.Cross(e.api.Endpoint, e.x.Conn.Listener) == frontgate.Unreachable {
		return newFault(forbidden, "private API through another listener")
	}
	if stage == "" {
		if !strings.HasPrefix(rest, "/") {
			return newFault(forbidden, "no stage in the path")
		}
		stage, rest = cutSegment(rest)
	}
	found := e.api.Stages[stage]
	if found == nil {
		return newFault(forbidden, "no such stage")
	}
	if e.name.API != "" && found.DisableDefaultEndpoint {
		return newFault(forbidden, "default endpoint disabled")
	}
	e.stage, e.path = found, rest
	return nil
}

// cutSegment splits "/a/b" into "a" and "/b".
func cutSegment(path string) (segment, rest string) {
	path = path[1:]
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// matchMapping returns the first mapping whose base path is the beginning of
// path, segment by segment, and what follows it. Segments are decoded once, as
// resources' are. Mappings come longest first.
func matchMapping(mappings []snapshot.Mapping, path string) (*snapshot.Mapping, string) {
	for i := range mappings {
		if rest, ok := cutBasePath(path, mappings[i].BasePath); ok {
			return &mappings[i], rest
		}
	}
	return nil, ""
}

func cutBasePath(path, base string) (rest string, ok bool) {
	for base != "" {
		if !strings.HasPrefix(path, "/") {
			return "", false
		}
		var want, segment string
		want, base, _ = strings.Cut(base, "/")
		segment, path = cutSegment(path)
		if strings.IndexByte(segment, '%') >= 0 {
			decoded, err := url.PathUnescape(segment)
			if err != nil {
				return "", false
			}
			segment = decoded
		}
		if segment != want {
			return "", false
		}
	}
	return path, true
}

// findMethod finds resource and verb.
func (e *exchange) findMethod() *fault {
	m, result := e.stage.Route(e.x.Method, e.path, &e.params)
	switch result {
	case snapshot.Routed:
		e.method = m
		e.openTrace()
		return nil
	case snapshot.NoRoute:
		return newFault(missingAuthenticationToken, "no such resource or method")
	case snapshot.OtherSpelling:
		return newFault(badRequest, "another spelling of a guarded path")
	}
	return newFault(badRequest, "path has no single reading")
}
