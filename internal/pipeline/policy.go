package pipeline

import (
	"net/url"
	"strings"

	"github.com/sallyport/sallyport/internal/resource"
)

// maxMethodARN is the longest method ARN in bytes. Source: quotas of REST APIs.
const maxMethodARN = 1600

// applyPolicy judges the request by the API's resource policy. A private API
// without one denies all.
//
// A path has more spellings than a policy names, so all that a backend may
// read the same are judged: as sent; decoded, without one trailing slash; and
// as a lenient backend would (backslashes taken for slashes, empty segments and
// path parameters dropped, also without regard to case). The first two must be
// allowed; an explicit deny of any refuses.
func (e *exchange) applyPolicy() *fault {
	sent := strings.TrimPrefix(e.path, "/")
	own := len(e.p.arn) + len(e.stage.API) + len(e.stage.Name) + len(e.x.Method) + len("///")
	if own+len(sent) > maxMethodARN {
		return newFault(uriTooLong, "method ARN too long")
	}
	policy := e.stage.Policy
	if policy == nil && !e.api.Private {
		return nil
	}
	suffix := e.stage.API + "/" + e.stage.Name + "/" + e.x.Method + "/"
	if policy == nil {
		return e.denied(suffix+sent, false, "private API without a resource policy")
	}
	c := e.x.Conn
	request := resource.PolicyRequest{
		SourceIP: e.sourceIP(), VPC: c.VPC, VPCEndpoint: c.VPCEndpoint, Action: "execute-api:Invoke",
		Plaintext: c.Version == 0,
	}
	judge := func(path string) resource.Decision {
		request.ResourceARN = e.p.arn + suffix + path
		return policy.Evaluate(request)
	}
	decision := judge(sent)
	if decoded, loose := readings(sent); decision == resource.Allow {
		if decoded != sent {
			decision = judge(decoded)
		}
		if decision == resource.Allow && loose != decoded && judge(loose) == resource.ExplicitDeny {
			decision = resource.ExplicitDeny
		}
		if request.FoldCase = true; decision == resource.Allow && judge(loose) == resource.ExplicitDeny {
			decision = resource.ExplicitDeny
		}
	}
	switch decision {
	case resource.Allow:
		return nil
	case resource.ExplicitDeny:
		return e.denied(suffix+sent, true, "resource policy: explicit deny")
	}
	return e.denied(suffix+sent, false, "resource policy: nothing allows it")
}

// readings are the decoded and the lenient reading of a path without its
// first slash. A path that cannot be decoded is refused by a later step.
func readings(path string) (decoded, loose string) {
	decoded = path
	if strings.IndexByte(path, '%') >= 0 {
		if d, err := url.PathUnescape(path); err == nil {
			decoded = d
		}
	}
	decoded = strings.TrimSuffix(decoded, "/")
	if !strings.Contains(decoded, "//") && !strings.HasPrefix(decoded, "/") && !strings.ContainsAny(decoded, `;\`) {
		return decoded, decoded
	}
	var kept []string
	for segment := range strings.SplitSeq(strings.ReplaceAll(decoded, `\`, "/"), "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment != "" {
			kept = append(kept, segment)
		}
	}
	return decoded, strings.Join(kept, "/")
}

// denied words the refusal as AWS does, with all but the last four digits of
// the account hidden.
func (e *exchange) denied(rest string, explicit bool, reason string) *fault {
	account := e.p.options.Account
	if n := len(account) - 4; n > 0 {
		account = strings.Repeat("*", n) + account[n:]
	}
	text := "User: anonymous is not authorized to perform: execute-api:Invoke on resource: arn:aws:execute-api:" +
		e.p.options.Region + ":" + account + ":" + rest
	if explicit {
		text += " with an explicit deny"
	}
	return &fault{kind: accessDenied, message: text, reason: reason}
}
