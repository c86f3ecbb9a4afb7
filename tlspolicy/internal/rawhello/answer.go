package rawhello

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// An Answer is what a server chose, as far as it can be read unencrypted: the
// ServerHello or HelloRetryRequest of TLS 1.3, the whole first flight up to
// TLS 1.2.
type Answer struct {
	Version uint16
	Suite   uint16
	Group   tls.CurveID // 0 for RSA key exchange
	Retry   bool        // a HelloRetryRequest, which asks for a share of Group
	ALPN    string      // up to TLS 1.2
	Resumed bool        // up to TLS 1.2: the server skipped its certificate
}

// Refused is the error for a server that answered with an alert.
type Refused struct{ Alert uint8 }

func (r Refused) Error() string { return fmt.Sprintf("refused with alert %d", r.Alert) }

// maxAnswer bounds what is read of a server's answer, in bytes.
const maxAnswer = 1 << 18

var errTooLong = errors.New("rawhello: answer too long")

// retryRandom marks a HelloRetryRequest. Source: RFC 8446, section 4.1.3.
var retryRandom = []byte{
	0xCF, 0x21, 0xAD, 0x74, 0xE5, 0x9A, 0x61, 0x11, 0xBE, 0x1D, 0x8C, 0x02, 0x1E, 0x65, 0xB8, 0x91,
	0xC2, 0xA2, 0x11, 0x16, 0x7A, 0xBB, 0x8C, 0x5E, 0x07, 0x9E, 0x09, 0xE2, 0xC8, 0xA8, 0x33, 0x9C,
}

// ReadServerHello reads a server's answer to a ClientHello. It returns a
// [Refused] for an alert, also for one that cuts the first flight short, and io.ErrUnexpectedEOF or another error for an
// answer that ends early or makes no sense. It reads no further than it must.
func ReadServerHello(r io.Reader) (Answer, error) {
	m := messages{r: r}
	typ, body, err := m.next()
	if err != nil {
		return Answer{}, err
	}
	if typ != typeServerHello {
		return Answer{}, fmt.Errorf("rawhello: message %d in place of a ServerHello", typ)
	}
	a, err := parseServerHello(body)
	if err != nil {
		return Answer{}, err
	}
	if a.Version >= tls.VersionTLS13 {
		return a, nil
	}
	// The group of an older version is in the ServerKeyExchange, which RSA key
	// exchange and resumption do without.
	const (
		newSessionTicket  = 4
		certificate       = 11
		serverKeyExchange = 12
		certificateReq    = 13
		serverHelloDone   = 14
		certificateStatus = 22
	)
	for first := true; ; first = false {
		typ, body, err := m.next()
		if first && (errors.Is(err, errChangeCipher) || err == nil && typ == newSessionTicket) {
			a.Resumed = true
			return a, nil
		}
		if err != nil {
			return Answer{}, err
		}
		switch typ {
		case certificate, certificateStatus, certificateReq:
		case serverKeyExchange:
			const namedCurve = 3
			if len(body) < 3 {
				return Answer{}, errors.New("rawhello: short ServerKeyExchange")
			}
			if body[0] != namedCurve { // finite fields, whose prime is no group's name
				continue
			}
			a.Group = tls.CurveID(binary.BigEndian.Uint16(body[1:]))
		case serverHelloDone:
			return a, nil
		default:
			return Answer{}, fmt.Errorf("rawhello: unexpected message %d", typ)
		}
	}
}

func parseServerHello(body []byte) (Answer, error) {
	errShort := errors.New("rawhello: short ServerHello")
	var a Answer
	p := parser{rest: body}
	a.Version = p.u16()
	a.Retry = bytes.Equal(p.take(32), retryRandom)
	p.take(int(p.u8())) // session id
	a.Suite = p.u16()
	p.u8() // compression
	if p.failed {
		return Answer{}, errShort
	}
	if len(p.rest) == 0 {
		return a, nil
	}
	extensions := parser{rest: p.take(int(p.u16()))}
	if p.failed || len(p.rest) != 0 {
		return Answer{}, errShort
	}
	for len(extensions.rest) > 0 {
		id := extensions.u16()
		e := parser{rest: extensions.take(int(extensions.u16()))}
		switch id {
		case 16: // application_layer_protocol_negotiation
			e.u16()
			a.ALPN = string(e.take(int(e.u8())))
		case 43: // supported_versions
			a.Version = e.u16()
		case 51: // key_share
			a.Group = tls.CurveID(e.u16())
		}
		if extensions.failed || e.failed {
			return Answer{}, errShort
		}
	}
	return a, nil
}

// messages reads handshake messages out of unencrypted records.
type messages struct {
	r    io.Reader
	held []byte // handshake bytes not yet consumed
	read int
}

// errChangeCipher ends the readable part of an answer.
var errChangeCipher = errors.New("rawhello: the answer is encrypted from here on")

func (m *messages) next() (typ uint8, body []byte, err error) {
	for {
		if len(m.held) >= 4 {
			n := int(m.held[1])<<16 | int(m.held[2])<<8 | int(m.held[3])
			if n > maxAnswer {
				return 0, nil, errTooLong
			}
			if len(m.held) >= 4+n {
				typ, body, m.held = m.held[0], m.held[4:4+n], m.held[4+n:]
				return typ, body, nil
			}
		}
		if err := m.record(); err != nil {
			return 0, nil, err
		}
	}
}

func (m *messages) record() error {
	var header [5]byte
	if _, err := io.ReadFull(m.r, header[:]); err != nil {
		return unexpected(err)
	}
	n := int(binary.BigEndian.Uint16(header[3:]))
	if m.read += len(header) + n; m.read > maxAnswer {
		return errTooLong
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(m.r, data); err != nil {
		return unexpected(err)
	}
	const recordChangeCipher = 20
	switch header[0] {
	case recordHandshake:
		m.held = append(m.held, data...)
		return nil
	case recordChangeCipher:
		return errChangeCipher
	case recordAlert:
		const warning = 1
		if n != 2 {
			return errors.New("rawhello: malformed alert")
		}
		if data[0] == warning && data[1] != 0 {
			return nil
		}
		return Refused{Alert: data[1]}
	}
	return fmt.Errorf("rawhello: unexpected record type %d", header[0])
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parser takes bytes from the front and remembers when there were too few.
type parser struct {
	rest   []byte
	failed bool
}

func (p *parser) take(n int) []byte {
	if p.failed || n > len(p.rest) {
		p.failed, p.rest = true, nil
		return nil
	}
	var b []byte
	b, p.rest = p.rest[:n], p.rest[n:]
	return b
}

func (p *parser) u8() uint8 {
	if b := p.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (p *parser) u16() uint16 {
	if b := p.take(2); b != nil {
		return binary.BigEndian.Uint16(b)
	}
	return 0
}
