package tlspolicy

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sallyport/sallyport/tlspolicy/internal/rawhello"
)

// An Observation is what a server accepted when it was asked by single
// ClientHellos. It can refute that a policy is in force, and support it, but
// not prove it: it tells of one name, at one time, for one certificate.
type Observation struct {
	ServerName string
	At         time.Time
	Versions   []uint16            // accepted, highest first
	Suites     map[uint16][]uint16 // by version, in the order in which the server chose among those that were left
	Groups     []tls.CurveID       // accepted, in the order in which they were tried
	Steps      []Step              // every question with its answer, in order
	// Unanswered counts the questions that met neither an answer nor a
	// refusal: what they asked for is unknown, and not among the accepted.
	Unanswered int

	unknown map[uint16]bool // versions of which a question was not answered; for 0, a group was
	good    []byte          // a ClientHello that was answered
	silent  error           // of the first question, when it met silence
	spoke   bool            // TLS, be it to refuse
}

// A Step is one ClientHello and what the server made of it.
type Step struct {
	Version uint16
	Suites  []uint16
	Groups  []tls.CurveID
	Answer  string // "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519", "refused: protocol_version (70)"
	Refused bool
}

// Bounds of a probe.
const (
	probeAnswerTime = 5 * time.Second
	maxProbeSteps   = 300
)

// probeGroups are those that a server is asked for, one by one.
// Source: IANA TLS Supported Groups registry: what servers of today have.
var probeGroups = []tls.CurveID{
	tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
	tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521, 30, 256, 257,
}

// Probe asks a server which versions, suites and groups it accepts under a
// server name; "" sends none. dial makes a new connection for each question,
// of which there are about as many as suites that the server has, 300 at most,
// one at a time. No handshake is completed and nothing else is sent.
//
// A server that hangs up without a word may refuse, or may have had enough of
// us: once it has answered something it is asked that again, and the silence
// counts as a refusal only if it still answers.
//
// It fails with the first question's error when that met no TLS server.
func Probe(ctx context.Context, serverName string, dial func(context.Context) (net.Conn, error)) (*Observation, error) {
	o := &Observation{ServerName: serverName, At: time.Now(), Suites: map[uint16][]uint16{}}
	for _, version := range allVersions {
		left := probeSuites(version)
		for len(left) > 0 {
			before := o.Unanswered
			a, ok, err := o.ask(ctx, dial, rawhello.Hello{Version: version, Suites: left, Groups: usualGroups, Shares: usualShares(version)})
			if err != nil {
				return nil, err
			}
			if o.Unanswered > before {
				o.doubt(version)
			}
			i := slices.Index(left, a.Suite)
			if !ok || a.Version != version || i < 0 {
				break
			}
			left = slices.Delete(left, i, i+1)
			o.Suites[version] = append(o.Suites[version], a.Suite)
		}
		if len(o.Suites[version]) > 0 {
			o.Versions = append(o.Versions, version)
		}
	}
	if o.silent != nil && !o.spoke {
		return nil, o.silent
	}
	for _, group := range probeGroups {
		version, ids := uint16(tls.VersionTLS13), o.Suites[tls.VersionTLS13]
		if len(ids) == 0 { // an older version names its group only with ECDHE
			version = tls.VersionTLS12
			ids = slices.DeleteFunc(slices.Clone(o.Suites[version]), func(id uint16) bool { return !strings.Contains(SuiteName(id), "_ECDHE_") })
		}
		if len(ids) == 0 || version == tls.VersionTLS12 && isHybrid(group) {
			continue
		}
		// Without a key share: a server that takes the group asks for one.
		before := o.Unanswered
		a, ok, err := o.ask(ctx, dial, rawhello.Hello{Version: version, Suites: ids, Groups: []tls.CurveID{group}})
		if err != nil {
			return nil, err
		}
		if o.Unanswered > before {
			o.doubt(0)
		}
		if ok && a.Version == version && a.Group == group {
			o.Groups = append(o.Groups, group)
		}
	}
	return o, nil
}

// usualGroups are offered where groups are not the question.
var usualGroups = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024}

func usualShares(version uint16) []tls.CurveID {
	if version < tls.VersionTLS13 {
		return nil
	}
	return []tls.CurveID{tls.X25519, tls.CurveP256}
}

// probeSuites are all suites with a name that exist in a version, in a fixed order.
func probeSuites(version uint16) []uint16 {
	var ids []uint16
	for i := range suiteTable {
		if s := &suiteTable[i]; version >= s.min && version <= s.max {
			ids = append(ids, s.id)
		}
	}
	var others []uint16
	for id, names := range otherSuites {
		if names.openssl == "" { // a signal, not a suite
			continue
		}
		if (id>>8 == 0x13) == (version == tls.VersionTLS13) {
			others = append(others, id)
		}
	}
	slices.Sort(others)
	return append(ids, others...)
}

// ask puts one question. It fails only on the first one, or when ctx ends:
// later on, silence is counted.
func (o *Observation) ask(ctx context.Context, dial func(context.Context) (net.Conn, error), h rawhello.Hello) (a rawhello.Answer, ok bool, err error) {
	if len(o.Steps) >= maxProbeSteps {
		o.Unanswered++
		return a, false, nil
	}
	first := len(o.Steps) == 0
	h.ServerName, h.Random = o.ServerName, make([]byte, 32)
	rand.Read(h.Random)
	step := Step{Version: h.Version, Suites: slices.Clone(h.Suites), Groups: h.Groups}
	hello := rawhello.Build(h)
	a, err = exchange(ctx, dial, hello)
	var refused rawhello.Refused
	switch {
	case err == nil:
		ok, step.Answer, o.spoke = true, describe(a), true
		if o.good == nil {
			o.good = hello
		}
	case ctx.Err() != nil:
		return a, false, ctx.Err()
	case errors.As(err, &refused):
		o.spoke = true
		step.Refused, step.Answer = true, fmt.Sprintf("refused: %s (%d)", AlertName(refused.Alert), refused.Alert)
	case hungUp(err) && o.stillAnswers(ctx, dial): // some servers refuse without a word
		step.Refused, step.Answer = true, "refused: connection closed"
		if first {
			o.silent = err
		}
	case ctx.Err() != nil:
		return a, false, ctx.Err()
	case first:
		return a, false, err
	default:
		o.Unanswered++
		step.Answer = "no answer: " + err.Error()
	}
	o.Steps = append(o.Steps, step)
	return a, ok, nil
}

// stillAnswers reports whether the server answers what it has answered before;
// true while that is nothing yet.
func (o *Observation) stillAnswers(ctx context.Context, dial func(context.Context) (net.Conn, error)) bool {
	if o.good == nil {
		return true
	}
	_, err := exchange(ctx, dial, o.good)
	return err == nil
}

// doubt notes that a question about a version, or with 0 about a group, was
// not answered.
func (o *Observation) doubt(version uint16) {
	if o.unknown == nil {
		o.unknown = map[uint16]bool{}
	}
	o.unknown[version] = true
}

func hungUp(err error) bool {
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func exchange(ctx context.Context, dial func(context.Context) (net.Conn, error), hello []byte) (rawhello.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, probeAnswerTime)
	defer cancel()
	c, err := dial(ctx)
	if err != nil {
		return rawhello.Answer{}, err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.Write(hello); err != nil {
		return rawhello.Answer{}, err
	}
	return rawhello.ReadServerHello(c)
}

// Contradictions says, a sentence each, in what the server differs from a
// policy; none means that nothing observed speaks against it. Suites that
// need a certificate of a kind that no answer showed do not count, nor do the
// suites of [Missing], nor groups but for the hybrid ones, which alone the
// policies' names speak of. What a question was not answered about is not
// called refused.
func (o *Observation) Contradictions(p *Policy) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !p.valid() {
		return []string{"it permits nothing"}
	}
	shown := o.authentications()
	for _, version := range allVersions {
		got := o.Suites[version]
		if !p.permitsVersion(version) {
			if len(got) > 0 {
				add("%s is accepted", VersionName(version))
			}
			continue
		}
		for _, id := range got {
			if s := suites[id]; s == nil || !slices.Contains(p.listed(version), id) {
				add("%s is accepted in %s", SuiteName(id), VersionName(version))
			}
		}
		if o.unknown[version] {
			continue
		}
		if len(got) == 0 {
			add("%s is refused", VersionName(version))
			continue
		}
		for _, id := range p.Offered(version) {
			kind := authentication(id)
			if !slices.Contains(got, id) && (kind == "" || slices.Contains(shown, kind)) {
				add("%s is refused in %s", SuiteName(id), VersionName(version))
			}
		}
	}
	if len(o.Suites[tls.VersionTLS13]) > 0 && p.permitsVersion(tls.VersionTLS13) {
		switch hybrids := slices.ContainsFunc(o.Groups, isHybrid); {
		case hybrids && !p.PostQuantum:
			add("a hybrid ML-KEM group is accepted")
		case !hybrids && p.PostQuantum && !o.unknown[0]:
			add("no hybrid ML-KEM group is accepted")
		}
	}
	return out
}

// Policies lists the policies that nothing observed speaks against, in the
// order of [All].
func (o *Observation) Policies() []*Policy {
	var out []*Policy
	for _, p := range policies {
		if len(o.Contradictions(p)) == 0 {
			out = append(out, p)
		}
	}
	return out
}

// authentications are the kinds of certificate that the server has shown.
func (o *Observation) authentications() (kinds []string) {
	for _, ids := range o.Suites {
		for _, id := range ids {
			if kind := authentication(id); kind != "" && !slices.Contains(kinds, kind) {
				kinds = append(kinds, kind)
			}
		}
	}
	return kinds
}

// authentication is the kind of certificate that a suite needs, "" for TLS 1.3.
func authentication(id uint16) string {
	switch name := SuiteName(id); {
	case strings.Contains(name, "_ECDSA_"):
		return "ECDSA"
	case strings.Contains(name, "_RSA_"):
		return "RSA"
	}
	return ""
}
