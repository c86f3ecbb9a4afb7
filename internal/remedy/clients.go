package remedy

import (
	"bufio"
	"cmp"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sallyport/sallyport/internal/telemetry"
	"github.com/sallyport/sallyport/tlspolicy"
)

// Bounds of what is remembered of a connection log.
const (
	maxRead       = 64 << 20 // of the newest file, from its end
	maxNames      = 10_000
	maxOffers     = 500     // different ones, of one name
	maxLine       = 2 << 20 // an event is at most half of it
	maxRefusedSay = 8       // lines about clients of one name
)

// Seen is what clients offered, by host name, as the connection log tells. The
// zero value has seen nobody.
type Seen struct {
	names map[string]map[string]*offer // by name, by JA4 and what is offered
}

// offer is one kind of client.
type offer struct {
	offered     telemetry.Offered
	certificate string // ECDSA or RSA, as it was served
	ja4, peer   string
	last        time.Time
	count       int
}

// ReadSeen reads the newest part of the connection log of a gateway whose data
// folder is dir. A gateway that has not logged anything was seen by nobody.
func ReadSeen(dir string) (*Seen, error) {
	s := new(Seen)
	f, err := os.Open(filepath.Join(dir, "logs", "connections", "events.log"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	if info, err := f.Stat(); err == nil && info.Size() > maxRead {
		if _, err := f.Seek(-maxRead, io.SeekEnd); err != nil {
			return nil, err
		}
	}
	return s, s.read(f)
}

// read adds the lines of a log. Lines that are none of a log are passed over.
func (s *Seen) read(r io.Reader) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var c telemetry.Connection
		if json.Unmarshal(lines.Bytes(), &c) == nil {
			s.add(&c)
		}
	}
	return lines.Err()
}

func (s *Seen) add(c *telemetry.Connection) {
	if c.Chosen == nil || c.Name == "" {
		return // who is refused today loses nothing
	}
	name := strings.ToLower(c.Name)
	if s.names == nil {
		s.names = map[string]map[string]*offer{}
	}
	offers := s.names[name]
	if offers == nil {
		if len(s.names) >= maxNames {
			return
		}
		offers = map[string]*offer{}
		s.names[name] = offers
	}
	key := c.JA4 + "\x00" + c.Chosen.Certificate + "\x00" + strings.Join(c.Offered.Versions, ",") + "\x00" + strings.Join(c.Offered.Suites, ",") + "\x00" + strings.Join(c.Offered.Groups, ",")
	o := offers[key]
	if o == nil {
		if len(offers) >= maxOffers {
			return
		}
		o = &offer{offered: c.Offered, certificate: c.Chosen.Certificate, ja4: c.JA4}
		offers[key] = o
	}
	o.count++
	if !c.Time.Before(o.last) {
		o.last, o.peer = c.Time, c.Peer
	}
}

// Refused says which clients seen at a name a policy would refuse, the most
// frequent first, a line each. It is what [Context.Clients] wants.
func (s *Seen) Refused(name, policy string) (lines []string) {
	// A name that is a policy of both kinds of endpoint is a legacy one, which no
	// remedy asks about.
	p, ok := tlspolicy.Lookup(policy, false)
	if !ok {
		p, ok = tlspolicy.Lookup(policy, true)
	}
	if !ok {
		p, ok = tlspolicy.LookupSearch(policy)
	}
	if !ok {
		return nil
	}
	var list []*offer
	for _, o := range s.names[strings.ToLower(name)] {
		if !o.takes(p) {
			list = append(list, o)
		}
	}
	slices.SortFunc(list, func(a, b *offer) int { return cmp.Or(-cmp.Compare(a.count, b.count), strings.Compare(a.ja4, b.ja4)) })
	for i, o := range list {
		if i == maxRefusedSay {
			return append(lines, fmt.Sprintf("and %d other kinds of clients that were seen", len(list)-i))
		}
		lines = append(lines, fmt.Sprintf("clients with JA4 %s, seen %d times, last at %s from %s: they offer %s", o.ja4, o.count,
			o.last.UTC().Format(time.RFC3339), o.peer, strings.Join(o.offered.Versions, ", ")))
	}
	return lines
}

// takes reports whether a server under p would find something in the offer.
func (o *offer) takes(p *tlspolicy.Policy) bool {
	groups := o.groups(p)
	for _, v := range p.Versions() {
		if !slices.Contains(o.offered.Versions, tlspolicy.VersionName(v)) {
			continue
		}
		// The highest common version is the one: there is no second try.
		for _, id := range p.Offered(v) {
			name := tlspolicy.SuiteName(id)
			if !slices.Contains(o.offered.Suites, name) {
				continue
			}
			switch {
			case strings.HasPrefix(name, "TLS_RSA_WITH_"):
				if o.certificate != "ECDSA" {
					return true
				}
			case !groups:
			case strings.HasPrefix(name, "TLS_ECDHE_ECDSA_") && o.certificate == "RSA", strings.HasPrefix(name, "TLS_ECDHE_RSA_") && o.certificate == "ECDSA":
				// The name may hold the other kind of certificate as well;
				// what was not seen is not promised.
			default:
				return true
			}
		}
		return false
	}
	return false
}

// groups reports whether the offer has a group of the policy.
func (o *offer) groups(p *tlspolicy.Policy) bool {
	if len(o.offered.Groups) == 0 {
		return slices.ContainsFunc(o.offered.Versions, func(v string) bool { return v != "TLSv1.3" }) // TLS 1.2 may leave them out
	}
	return slices.ContainsFunc(p.Groups, func(g tls.CurveID) bool { return slices.Contains(o.offered.Groups, tlspolicy.GroupName(g)) })
}
