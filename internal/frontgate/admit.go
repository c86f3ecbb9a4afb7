package frontgate

import (
	"fmt"
	"net/http"

	"github.com/sallyport/sallyport/internal/httpwire"
	"github.com/sallyport/sallyport/internal/snapshot"
)

// Verdict is whether a request may go on. The zero value says yes.
type Verdict struct {
	Status    int    // 0: admitted; 403 or 421
	Close     bool   // the connection is of no further use
	ErrorType string // for x-amzn-ErrorType
	Message   string // for {"message": ...}
	Reason    string // for logs
	// WouldRefuse says what STRICT would have refused and why, on a resource
	// that is not STRICT; "" when STRICT would have admitted.
	WouldRefuse string
}

// Refused reports whether the request ends here.
func (v Verdict) Refused() bool { return v.Status != 0 }

func forbidden(reason string) Verdict {
	return Verdict{Status: http.StatusForbidden, ErrorType: "ForbiddenException", Message: "Forbidden", Reason: reason}
}

func misdirected(reason string) Verdict {
	return Verdict{Status: http.StatusMisdirectedRequest, ErrorType: "MisdirectedRequestException", Message: "Misdirected Request", Reason: reason}
}

// Crossing is how a listener relates to the endpoint types of a resource.
type Crossing uint8

const (
	SameType    Crossing = iota // the listener is of one of the resource's types
	OtherType                   // it is not: STRICT refuses
	Unreachable                 // it is not, and no mode opens that way
)

// Cross decides which listeners lead to which endpoints; nothing else does.
//
// A private endpoint is reached through a PRIVATE listener only, whatever the
// mode. Public ones (regional, edge) are reached through every TLS listener
// unless they are STRICT: BASIC refuses nothing. (AWS answers 403 when a
// public API's default endpoint is called through a VPC endpoint, in BASIC
// too; a public custom domain passes there.) A listener of no known type,
// plaintext above all, leads nowhere.
func Cross(endpoints snapshot.EndpointType, listener string) Crossing {
	at := snapshot.ParseEndpointType(listener)
	switch {
	case at == 0 || endpoints == 0:
		return Unreachable
	case endpoints&at != 0:
		return SameType
	case endpoints == snapshot.Private:
		return Unreachable
	}
	return OtherType
}

// Admit is a request's first step. target is what its Host or :authority
// stands for in names, nil when it stands for nothing, which is refused. In
// order:
//
//  0. Without TLS only a search domain that does not enforce HTTPS is admitted,
//     else 403.
//  1. The connection's version, suite and group must still be tolerated by the
//     policy of the name that its SNI stands for now: else 421, and the
//     connection closes. So a tightened policy binds the next request. Only
//     what a client sent before it was told to move is still served, until the
//     change is acknowledged (Conn.Moving).
//  2. The listener must lead to the target, see Cross: else 403.
//  3. A search domain's own policy must tolerate the connection, whatever name
//     it was opened for: else 421. Behind AWS's endpoints no other name leads
//     to it, so there is no BASIC to be kind to.
//  4. What STRICT demands of the target, see strict. A target that is not
//     STRICT passes, and WouldRefuse says what would have happened.
//
// It is pure and safe for concurrent use.
func Admit(names Names, x *httpwire.Exchange, target *snapshot.Name) Verdict {
	c := x.Conn
	if c.Version == 0 {
		if target != nil && target.Search != nil && !target.Search.EnforceHTTPS {
			return Verdict{}
		}
		return forbidden("nothing here may be asked for without TLS")
	}
	served := names.Lookup(c.SNI)
	governing := served
	if governing == nil {
		governing = names.Default()
	}
	if err := governing.Policy.Tolerates(c.Version, c.Suite, c.Group); err != nil && !c.Moving.Load() {
		v := misdirected("connection is older than the policy: " + err.Error())
		v.Close = true
		return v
	}
	if target == nil {
		return forbidden("host stands for nothing here")
	}
	crossing := Cross(target.Endpoints, c.Listener)
	if crossing == Unreachable {
		return forbidden(fmt.Sprintf("%s endpoint reached through a %s listener", target.Endpoints, c.Listener))
	}
	if target.Search != nil && target != served {
		if err := target.Policy.Tolerates(c.Version, c.Suite, c.Group); err != nil {
			return misdirected("the search domain's policy: " + err.Error())
		}
	}
	v := strict(c, snapshot.NormalizeHost(x.Authority), served, target, crossing)
	if v.Refused() && target.Mode != snapshot.Strict {
		return Verdict{WouldRefuse: fmt.Sprintf("%d %s", v.Status, v.Reason)}
	}
	return v
}

// strict is what STRICT says to a request for host on connection c, whose SNI
// stands for served (nil: for nothing here).
//
// Whatever the target's type, the listener must be of that type: else 403.
//
// Regional and private: SNI must equal Host, both normalized; a missing SNI
// equals nothing. Else 403, but 421 on an HTTP/2 connection that the client
// may have reused in good faith, because the certificate it was shown covers
// the host too: on a fresh connection the same request passes.
//
// Edge follows CloudFront's protection against domain fronting: 421 unless at
// least one of three holds.
//
//   - SNI equals Host.
//   - The served certificate belongs to the account that owns the target. All
//     resources of a gateway are one account's; so are the certificates that
//     were imported for custom domain names. The certificate of default
//     endpoints, which unknown names get as well, is the gateway's own: it
//     proves nothing about an account.
//   - The served certificate covers Host.
//
// A client that sends no SNI, and so gets the default certificate, is
// accepted, as CloudFront does. Beyond CloudFront's rule, whoever passes without SNI being
// equal to Host must have negotiated what the target's own policy tolerates:
// otherwise the weakest name of the gateway would decide for a STRICT one.
//
// Source: developer guide, security policies for REST APIs (endpoint access
// mode); CloudFront guide, use custom URLs (domain fronting). 403 on regional
// and private is this gateway's reading; the guide names no status.
func strict(c *httpwire.Conn, host string, served, target *snapshot.Name, crossing Crossing) Verdict {
	if crossing != SameType {
		return forbidden(fmt.Sprintf("%s endpoint reached through a %s listener", target.Endpoints, c.Listener))
	}
	if c.SNI != "" && c.SNI == host {
		return Verdict{}
	}
	mismatch := "SNI differs from Host"
	if c.SNI == "" {
		mismatch = "no SNI"
	}
	covered := c.Leaf != nil && host != "" && c.Leaf.VerifyHostname(host) == nil
	if snapshot.ParseEndpointType(c.Listener) != snapshot.Edge {
		if c.HTTP2 && c.SNI != "" && covered {
			return misdirected(mismatch + " on a reused connection")
		}
		return forbidden(mismatch)
	}
	sameAccount := served != nil && served.API == ""
	if c.SNI != "" && !sameAccount && !covered {
		return misdirected(mismatch + ", and the served certificate is neither the account's nor covers Host")
	}
	if err := target.Policy.Tolerates(c.Version, c.Suite, c.Group); err != nil {
		return misdirected(mismatch + ", and " + err.Error())
	}
	return Verdict{}
}
