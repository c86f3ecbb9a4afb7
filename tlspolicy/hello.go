package tlspolicy

import (
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"slices"
)

// A Hello is what a client offered in its first ClientHello, in its order,
// GREASE values included. All of it is the client's word: lengths are bounded
// only by the 64 KiB of a ClientHello and strings hold any bytes, so shorten
// and quote before logging. The methods leave GREASE out and stop after
// [MaxNames] names.
type Hello struct {
	ServerName       string   // as sent; "" when absent
	Versions         []uint16 // for a client without supported_versions, its highest and all below
	Suites           []uint16
	Groups           []tls.CurveID
	SignatureSchemes []tls.SignatureScheme
	ALPN             []string // the first [MaxNames]: a list of one-byte names takes eight times its size on the wire
	Extensions       []uint16 // ids, in the order sent

	// JA4 is the fingerprint of the ClientHello: t13d1516h2_8daaf6152771_e5627efa2ab1
	// for example. It is "" for a client that lists more than 1,000 suites or
	// signature schemes. Source: FoxIO, JA4 TLS client fingerprinting.
	JA4 string
}

// MaxNames bounds the lists that the methods of [Hello] return, and its ALPN.
const MaxNames = 128

// maxFingerprint bounds the lists that are sorted and hashed for a stranger.
const maxFingerprint = 1000

// VersionNames returns the versions as [VersionName] writes them.
func (h *Hello) VersionNames() []string {
	return names(h.Versions, VersionName)
}

// SuiteNames returns the suites as [SuiteName] writes them.
func (h *Hello) SuiteNames() []string {
	return names(h.Suites, SuiteName)
}

// GroupNames returns the groups as [GroupName] writes them.
func (h *Hello) GroupNames() []string {
	return names(h.Groups, GroupName)
}

// SignatureSchemeNames returns the schemes as [SignatureSchemeName] writes them.
func (h *Hello) SignatureSchemeNames() []string {
	return names(h.SignatureSchemes, SignatureSchemeName)
}

func names[T ~uint16](ids []T, name func(T) string) []string {
	list := make([]string, 0, min(len(ids), MaxNames))
	for _, id := range ids {
		if IsGREASE(uint16(id)) {
			continue
		}
		if len(list) == MaxNames {
			break
		}
		list = append(list, name(id))
	}
	return list
}

// Extension numbers. Source: IANA TLS ExtensionType Values registry.
const (
	extServerName        = 0
	extALPN              = 16
	extSupportedVersions = 43
)

// newHello copies what info offers; info's slices belong to the handshake and
// are masked later.
func newHello(info *tls.ClientHelloInfo) *Hello {
	h := &Hello{
		ServerName:       info.ServerName,
		Versions:         slices.Clone(info.SupportedVersions),
		Suites:           slices.Clone(info.CipherSuites),
		Groups:           slices.Clone(info.SupportedCurves),
		SignatureSchemes: slices.Clone(info.SignatureSchemes),
		ALPN:             slices.Clone(info.SupportedProtos[:min(len(info.SupportedProtos), MaxNames)]),
		Extensions:       slices.Clone(info.Extensions),
	}
	h.JA4 = ja4(h)
	// Without the extension the legacy version counts, and as such TLS 1.3
	// means TLS 1.2. Source: RFC 8446, section 4.2.1.
	if !slices.Contains(h.Extensions, extSupportedVersions) {
		h.Versions = slices.DeleteFunc(h.Versions, func(v uint16) bool { return v > tls.VersionTLS12 })
	}
	return h
}

// version returns the one that crypto/tls will agree on under p, the highest
// in common, or 0.
func (h *Hello) version(p *Policy) uint16 {
	for _, v := range allVersions {
		if p.permitsVersion(v) && slices.Contains(h.Versions, v) {
			return v
		}
	}
	return 0
}

// ja4 returns the JA4 fingerprint: transport, version, SNI, counts and ALPN,
// then the truncated hashes of the sorted suites and of the sorted extensions
// with the signature schemes, GREASE left out everywhere.
func ja4(h *Hello) string {
	if len(h.Suites) > maxFingerprint || len(h.SignatureSchemes) > maxFingerprint {
		return ""
	}
	var highest uint16
	for _, v := range h.Versions {
		if !IsGREASE(v) {
			highest = max(highest, v)
		}
	}
	suites := withoutGREASE(h.Suites)
	extensions := withoutGREASE(h.Extensions)
	name := byte('i')
	if slices.Contains(extensions, extServerName) {
		name = 'd'
	}

	out := make([]byte, 0, 36)
	out = append(out, 't')
	out = append(out, ja4Version(highest)...)
	out = append(out, name)
	out = appendCount(out, len(suites))
	out = appendCount(out, len(extensions))
	out = appendALPN(out, h.ALPN)

	slices.Sort(suites)
	out = append(out, '_')
	out = appendHash(out, appendHexList(nil, suites))

	extensions = slices.DeleteFunc(extensions, func(id uint16) bool { return id == extServerName || id == extALPN })
	slices.Sort(extensions)
	list := appendHexList(nil, extensions)
	if schemes := withoutGREASE(h.SignatureSchemes); len(schemes) > 0 {
		list = appendHexList(append(list, '_'), schemes)
	}
	out = append(out, '_')
	out = appendHash(out, list)
	return string(out)
}

func ja4Version(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "13"
	case tls.VersionTLS12:
		return "12"
	case tls.VersionTLS11:
		return "11"
	case tls.VersionTLS10:
		return "10"
	}
	return "00"
}

func withoutGREASE[T ~uint16](ids []T) []uint16 {
	list := make([]uint16, 0, len(ids))
	for _, id := range ids {
		if !IsGREASE(uint16(id)) {
			list = append(list, uint16(id))
		}
	}
	return list
}

func appendCount(out []byte, n int) []byte {
	n = min(n, 99)
	return append(out, '0'+byte(n/10), '0'+byte(n%10))
}

// appendALPN appends the first and last character of the first protocol, or
// of its hexadecimal form when either is not alphanumeric.
func appendALPN(out []byte, protocols []string) []byte {
	if len(protocols) == 0 || protocols[0] == "" {
		return append(out, "00"...)
	}
	p := protocols[0]
	first, last := p[0], p[len(p)-1]
	if alphanumeric(first) && alphanumeric(last) {
		return append(out, first, last)
	}
	const digits = "0123456789abcdef"
	return append(out, digits[first>>4], digits[last&0xF])
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func appendHexList(out []byte, ids []uint16) []byte {
	out = slices.Grow(out, 5*len(ids))
	for i, id := range ids {
		if i > 0 {
			out = append(out, ',')
		}
		out = hex.AppendEncode(out, []byte{byte(id >> 8), byte(id)})
	}
	return out
}

// appendHash appends the first twelve hexadecimal digits of the SHA-256 of
// list, or twelve zeros when it is empty.
func appendHash(out, list []byte) []byte {
	if len(list) == 0 {
		return append(out, "000000000000"...)
	}
	sum := sha256.Sum256(list)
	return hex.AppendEncode(out, sum[:6])
}
