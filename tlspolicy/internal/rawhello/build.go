// Package rawhello writes single ClientHellos and reads what a server answers,
// byte by byte and without a TLS stack: for offers that no client library can
// be made to send, such as one TLS 1.3 suite or a group nobody implements.
//
//	answer, err := rawhello.Exchange(rawhello.Build(rawhello.Hello{
//		Version: tls.VersionTLS13,
//		Suites:  []uint16{tls.TLS_CHACHA20_POLY1305_SHA256},
//		Groups:  []tls.CurveID{tls.X25519},
//		Shares:  []tls.CurveID{tls.X25519},
//	}), func(c net.Conn) { tls.Server(c, config).Handshake() })
//
// No secret is kept: a handshake begun here cannot be completed.
package rawhello

import (
	"crypto/ecdh"
	"crypto/mlkem"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"slices"
	"sync"
)

// A Hello is a ClientHello to be. The zero value of each field but Version
// and Suites leaves its extension out.
type Hello struct {
	// Version is the highest version offered. For TLS 1.3 the extension
	// supported_versions carries it alone, unless Versions is set; up to TLS
	// 1.2 it is the legacy version.
	Version  uint16
	Versions []uint16 // supported_versions, as it is; may accompany any Version

	Suites     []uint16
	Groups     []tls.CurveID         // supported_groups
	Shares     []tls.CurveID         // groups to send a key share for; TLS 1.3 requires the extension, so it is sent empty for nil
	Schemes    []tls.SignatureScheme // nil means a common list from TLS 1.2 on, an empty list leaves the extension out
	ServerName string
	ALPN       []string
	Random     []byte // 32 bytes; nil means zeros
	SessionID  []byte
	Extensions []Extension // sent last, as they are

	// Fragment is the number of bytes of the message for each record, 0 for
	// all in one record.
	Fragment int

	// Again marks the ClientHello that answers a HelloRetryRequest, whose
	// records carry another version.
	Again bool
}

// An Extension is one that this package knows nothing of.
type Extension struct {
	ID   uint16
	Data []byte
}

// commonSchemes suits RSA and ECDSA certificates in TLS 1.2 and 1.3.
var commonSchemes = []tls.SignatureScheme{
	tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256, tls.PKCS1WithSHA256,
	tls.ECDSAWithP384AndSHA384, tls.PSSWithSHA384, tls.PKCS1WithSHA384,
	tls.ECDSAWithP521AndSHA512, tls.PSSWithSHA512, tls.PKCS1WithSHA512,
}

const (
	typeClientHello = 1
	typeServerHello = 2

	recordAlert     = 21
	recordHandshake = 22
)

// Build returns the ClientHello in TLS records.
func Build(h Hello) []byte {
	const largest = 1 << 14
	fragment := h.Fragment
	if fragment <= 0 || fragment > largest {
		fragment = largest
	}
	var version byte = 1 // as TLS 1.0 has it, for servers that refuse what they do not know
	if h.Again {
		version = 3
	}
	var out []byte
	for part := range slices.Chunk(Message(h), fragment) {
		out = append(out, recordHandshake, 3, version)
		out = binary.BigEndian.AppendUint16(out, uint16(len(part)))
		out = append(out, part...)
	}
	return out
}

// Message returns the ClientHello as a handshake message, without records.
func Message(h Hello) []byte {
	var b builder
	b.u16(min(h.Version, tls.VersionTLS12))
	random := h.Random
	if random == nil {
		random = make([]byte, 32)
	}
	b = append(b, random...)
	b.vec8(h.SessionID)
	b.vec16(u16s(h.Suites))
	b.vec8([]byte{0}) // no compression
	b.vec16(extensions(h))

	out := []byte{typeClientHello, byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}
	return append(out, b...)
}

func extensions(h Hello) []byte {
	var b builder
	add := func(id uint16, data []byte) {
		b.u16(id)
		b.vec16(data)
	}
	if h.ServerName != "" {
		var entry, list builder
		entry = append(entry, 0) // host_name
		entry.vec16([]byte(h.ServerName))
		list.vec16(entry)
		add(0, list)
	}
	add(23, nil)           // extended_master_secret
	add(0xFF01, []byte{0}) // renegotiation_info
	if len(h.Groups) > 0 {
		var list builder
		list.vec16(u16s(h.Groups))
		add(10, list)
		add(11, []byte{1, 0}) // uncompressed points
	}
	schemes := h.Schemes
	if schemes == nil && (h.Version >= tls.VersionTLS12 || h.Versions != nil) {
		schemes = commonSchemes
	}
	if len(schemes) > 0 {
		var list builder
		list.vec16(u16s(schemes))
		add(13, list)
	}
	if len(h.ALPN) > 0 {
		var protocols, list builder
		for _, p := range h.ALPN {
			protocols.vec8([]byte(p))
		}
		list.vec16(protocols)
		add(16, list)
	}
	versions := h.Versions
	if versions == nil && h.Version >= tls.VersionTLS13 {
		versions = []uint16{h.Version}
	}
	if versions != nil {
		var list builder
		list.vec8(u16s(versions))
		add(43, list)
		var shares, all builder
		for _, group := range h.Shares {
			shares.u16(uint16(group))
			shares.vec16(Share(group))
		}
		all.vec16(shares)
		add(51, all)
		add(45, []byte{1, 1}) // psk_dhe_ke
	}
	for _, e := range h.Extensions {
		add(e.ID, e.Data)
	}
	return b
}

// Share returns a key share for the group, always the same one: a true one
// where the standard library can make it, else bytes of the right length or
// of 32.
func Share(group tls.CurveID) []byte {
	shares.Lock()
	defer shares.Unlock()
	if share, ok := shares.made[group]; ok {
		return share
	}
	share, err := newShare(group)
	if err != nil { // not under this FIPS mode: the server cannot use it either
		share = make([]byte, 32)
	}
	shares.made[group] = share
	return share
}

var shares = struct {
	sync.Mutex
	made map[tls.CurveID][]byte
}{made: make(map[tls.CurveID][]byte)}

func newShare(group tls.CurveID) ([]byte, error) {
	const x448, kyberDraft = 30, 0x6399
	switch group {
	case tls.X25519:
		return point(ecdh.X25519())
	case tls.CurveP256:
		return point(ecdh.P256())
	case tls.CurveP384:
		return point(ecdh.P384())
	case tls.CurveP521:
		return point(ecdh.P521())
	case tls.X25519MLKEM768: // ML-KEM first, draft-ietf-tls-ecdhe-mlkem
		return hybrid(ecdh.X25519(), 768, true)
	case tls.SecP256r1MLKEM768:
		return hybrid(ecdh.P256(), 768, false)
	case tls.SecP384r1MLKEM1024:
		return hybrid(ecdh.P384(), 1024, false)
	case x448:
		return make([]byte, 56), nil
	case kyberDraft:
		return hybrid(ecdh.X25519(), 768, false)
	}
	return make([]byte, 32), nil
}

func point(curve ecdh.Curve) ([]byte, error) {
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	return key.PublicKey().Bytes(), nil
}

func hybrid(curve ecdh.Curve, size int, kemFirst bool) ([]byte, error) {
	classical, err := point(curve)
	if err != nil {
		return nil, err
	}
	var kem []byte
	if size == 768 {
		key, err := mlkem.GenerateKey768()
		if err != nil {
			return nil, err
		}
		kem = key.EncapsulationKey().Bytes()
	} else {
		key, err := mlkem.GenerateKey1024()
		if err != nil {
			return nil, err
		}
		kem = key.EncapsulationKey().Bytes()
	}
	if kemFirst {
		return slices.Concat(kem, classical), nil
	}
	return slices.Concat(classical, kem), nil
}

type builder []byte

func (b *builder) u16(v uint16) { *b = binary.BigEndian.AppendUint16(*b, v) }

func (b *builder) vec8(data []byte) { *b = append(append(*b, byte(len(data))), data...) }

func (b *builder) vec16(data []byte) {
	b.u16(uint16(len(data)))
	*b = append(*b, data...)
}

func u16s[T ~uint16](ids []T) []byte {
	var b builder
	for _, id := range ids {
		b.u16(uint16(id))
	}
	return b
}
