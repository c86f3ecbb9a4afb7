package frontgate

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/sallyport/sallyport/internal/snapshot"
)

const (
	ticketRotation = 24 * time.Hour
	// ticketSecrets is how many days a ticket can be resumed; crypto/tls ends
	// one after seven days as well.
	ticketSecrets = 7
)

// sessionName marks what bindSessions adds to a session.
const sessionName = "sallyport name "

// bindSessions makes c resume a session only under the very server name that
// it was opened with: a wildcard stands for many, and they share keys.
// Source: RFC 6066, section 3.
func bindSessions(c *tls.Config) {
	c.WrapSession = func(cs tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
		s.Extra = append(s.Extra, []byte(sessionName+snapshot.NormalizeHost(cs.ServerName)))
		return c.EncryptTicket(cs, s)
	}
	c.UnwrapSession = func(ticket []byte, cs tls.ConnectionState) (*tls.SessionState, error) {
		s, err := c.DecryptTicket(ticket, cs)
		if s == nil || err != nil {
			return nil, err
		}
		want := []byte(sessionName + snapshot.NormalizeHost(cs.ServerName))
		if !slices.ContainsFunc(s.Extra, func(e []byte) bool { return bytes.Equal(e, want) }) {
			return nil, nil // a full handshake
		}
		// The next ticket carries what this one did, and its own mark once.
		s.Extra = slices.DeleteFunc(s.Extra, func(e []byte) bool { return bytes.Equal(e, want) })
		return s, nil
	}
}

// secrets are what ticket keys are derived from: one a day, in memory alone.
// A restart forgets them, and every client makes one full handshake.
type secrets struct {
	all        []secret // newest first
	generation uint64   // changes with all
}

type secret struct {
	value [32]byte
	made  time.Time
}

// rotate makes today's secret and drops those that are too old. A clock that
// goes back changes nothing.
func (s *secrets) rotate(now time.Time) {
	if len(s.all) > 0 && now.Sub(s.all[0].made) < ticketRotation {
		return
	}
	next := secret{made: now}
	rand.Read(next.value[:])
	kept := []secret{next}
	for _, old := range s.all {
		if len(kept) < ticketSecrets && now.Sub(old.made) < ticketSecrets*ticketRotation {
			kept = append(kept, old)
		}
	}
	s.all = kept
	s.generation++
}

// keys derives the ticket keys of a name, today's first. They differ with
// everything that a resumed session must not carry over: name, policy, mode,
// trust store and revision (promise P3 of the threat model).
func (s *secrets) keys(n *snapshot.Name) ([][32]byte, error) {
	info := []byte("sallyport session ticket 1")
	const trustStore = "" // no name asks for client certificates yet
	for _, part := range []string{n.Host, n.Policy.Name, n.Mode.String(), n.Endpoints.String(), trustStore} {
		info = binary.BigEndian.AppendUint32(info, uint32(len(part)))
		info = append(info, part...)
	}
	info = binary.BigEndian.AppendUint64(info, uint64(n.Revision))
	keys := make([][32]byte, len(s.all))
	for i := range s.all {
		key, err := hkdf.Key(sha256.New, s.all[i].value[:], nil, string(info), 32)
		if err != nil {
			return nil, fmt.Errorf("ticket key of %q: %w", n.Host, err)
		}
		copy(keys[i][:], key)
	}
	return keys, nil
}
