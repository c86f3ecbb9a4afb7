package tlspolicy

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
)

var allVersions = []uint16{tls.VersionTLS13, tls.VersionTLS12, tls.VersionTLS11, tls.VersionTLS10}

var versionNames = map[uint16]string{
	0x0300: "SSLv3",
	0x0301: "TLSv1.0",
	0x0302: "TLSv1.1",
	0x0303: "TLSv1.2",
	0x0304: "TLSv1.3",
}

// VersionName returns TLSv1.3, TLSv1.2, TLSv1.1, TLSv1.0 or SSLv3, and 0xABCD
// for any other number.
func VersionName(version uint16) string { return nameOr(versionNames, version) }

// ParseVersion reads what VersionName writes; it also takes 1.2, TLS1.2 and
// TLS 1.2, in any case. TLSv1 is TLS 1.0, as OpenSSL has it.
func ParseVersion(s string) (uint16, bool) {
	t := strings.ToUpper(strings.ReplaceAll(s, " ", ""))
	t = strings.TrimPrefix(strings.TrimPrefix(t, "TLS"), "V")
	switch t {
	case "1.3":
		return tls.VersionTLS13, true
	case "1.2":
		return tls.VersionTLS12, true
	case "1.1":
		return tls.VersionTLS11, true
	case "1.0", "1":
		return tls.VersionTLS10, true
	}
	return parseNumber(s)
}

// groupNames follows the names that the policies' documentation uses.
// Source: IANA TLS Supported Groups registry.
var groupNames = map[tls.CurveID]string{
	19:     "P-192",
	21:     "P-224",
	22:     "secp256k1",
	23:     "P-256",
	24:     "P-384",
	25:     "P-521",
	26:     "brainpoolP256r1",
	27:     "brainpoolP384r1",
	28:     "brainpoolP512r1",
	29:     "X25519",
	30:     "X448",
	31:     "brainpoolP256r1tls13",
	32:     "brainpoolP384r1tls13",
	33:     "brainpoolP512r1tls13",
	256:    "ffdhe2048",
	257:    "ffdhe3072",
	258:    "ffdhe4096",
	259:    "ffdhe6144",
	260:    "ffdhe8192",
	512:    "MLKEM512",
	513:    "MLKEM768",
	514:    "MLKEM1024",
	4587:   "SecP256r1MLKEM768",
	4588:   "X25519MLKEM768",
	4589:   "SecP384r1MLKEM1024",
	0x6399: "X25519Kyber768Draft00",
	0x639A: "SecP256r1Kyber768Draft00",
}

// groupAliases are the names that other programs print, in lower case.
var groupAliases = map[string]tls.CurveID{
	"secp256r1": 23, "prime256v1": 23, "curvep256": 23,
	"secp384r1": 24, "curvep384": 24,
	"secp521r1": 25, "curvep521": 25,
	"curve25519": 29,
}

// GroupName returns a key-exchange group's name, X25519MLKEM768, X25519 or
// P-256 for example, "" for 0, which stands for RSA key exchange, and 0xABCD
// for an unknown number.
func GroupName(group tls.CurveID) string {
	if group == 0 {
		return ""
	}
	return nameOr(groupNames, group)
}

// ParseGroup reads what GroupName writes, and secp256r1, prime256v1 and their
// like, in any case.
func ParseGroup(s string) (tls.CurveID, bool) {
	if id, ok := groupAliases[strings.ToLower(s)]; ok {
		return id, true
	}
	for id, name := range groupNames {
		if strings.EqualFold(name, s) {
			return id, true
		}
	}
	id, ok := parseNumber(s)
	return tls.CurveID(id), ok
}

// SuiteName returns a cipher suite's name in the IANA registry,
// TLS_AES_128_GCM_SHA256 for example, and 0xABCD for an unknown number.
func SuiteName(id uint16) string {
	if s := suites[id]; s != nil {
		return s.iana
	}
	if s, ok := otherSuites[id]; ok {
		return s.iana
	}
	return tls.CipherSuiteName(id)
}

// OpenSSLName returns the name that OpenSSL and the guide use for a cipher
// suite, ECDHE-RSA-AES128-SHA256 for example, and 0xABCD for an unknown number.
func OpenSSLName(id uint16) string {
	if s := suites[id]; s != nil {
		return s.openssl
	}
	if s, ok := otherSuites[id]; ok && s.openssl != "" {
		return s.openssl
	}
	return number(id)
}

// ParseSuite reads an IANA or an OpenSSL name, in any case, or 0xABCD.
func ParseSuite(s string) (uint16, bool) {
	for i := range suiteTable {
		if strings.EqualFold(suiteTable[i].iana, s) || strings.EqualFold(suiteTable[i].openssl, s) {
			return suiteTable[i].id, true
		}
	}
	for id, names := range otherSuites {
		if strings.EqualFold(names.iana, s) || names.openssl != "" && strings.EqualFold(names.openssl, s) {
			return id, true
		}
	}
	return parseNumber(s)
}

// alertNames has the names of RFC 8446, section 6, and of the older RFCs for
// those that it no longer lists.
var alertNames = map[uint8]string{
	0:   "close_notify",
	10:  "unexpected_message",
	20:  "bad_record_mac",
	21:  "decryption_failed",
	22:  "record_overflow",
	30:  "decompression_failure",
	40:  "handshake_failure",
	41:  "no_certificate",
	42:  "bad_certificate",
	43:  "unsupported_certificate",
	44:  "certificate_revoked",
	45:  "certificate_expired",
	46:  "certificate_unknown",
	47:  "illegal_parameter",
	48:  "unknown_ca",
	49:  "access_denied",
	50:  "decode_error",
	51:  "decrypt_error",
	60:  "export_restriction",
	70:  "protocol_version",
	71:  "insufficient_security",
	80:  "internal_error",
	86:  "inappropriate_fallback",
	90:  "user_canceled",
	100: "no_renegotiation",
	109: "missing_extension",
	110: "unsupported_extension",
	111: "certificate_unobtainable",
	112: "unrecognized_name",
	113: "bad_certificate_status_response",
	114: "bad_certificate_hash_value",
	115: "unknown_psk_identity",
	116: "certificate_required",
	120: "no_application_protocol",
	121: "ech_required",
}

// AlertName returns an alert's name in RFC 8446, handshake_failure for
// example, and alert(N) for an unknown number.
func AlertName(code uint8) string {
	if name, ok := alertNames[code]; ok {
		return name
	}
	return "alert(" + strconv.Itoa(int(code)) + ")"
}

// schemeNames has the names of the IANA TLS SignatureScheme registry.
var schemeNames = map[tls.SignatureScheme]string{
	0x0201: "rsa_pkcs1_sha1",
	0x0203: "ecdsa_sha1",
	0x0401: "rsa_pkcs1_sha256",
	0x0403: "ecdsa_secp256r1_sha256",
	0x0501: "rsa_pkcs1_sha384",
	0x0503: "ecdsa_secp384r1_sha384",
	0x0601: "rsa_pkcs1_sha512",
	0x0603: "ecdsa_secp521r1_sha512",
	0x0804: "rsa_pss_rsae_sha256",
	0x0805: "rsa_pss_rsae_sha384",
	0x0806: "rsa_pss_rsae_sha512",
	0x0807: "ed25519",
	0x0808: "ed448",
	0x0809: "rsa_pss_pss_sha256",
	0x080A: "rsa_pss_pss_sha384",
	0x080B: "rsa_pss_pss_sha512",
	0x081A: "ecdsa_brainpoolP256r1tls13_sha256",
	0x081B: "ecdsa_brainpoolP384r1tls13_sha384",
	0x081C: "ecdsa_brainpoolP512r1tls13_sha512",
	0x0904: "mldsa44",
	0x0905: "mldsa65",
	0x0906: "mldsa87",
}

// SignatureSchemeName returns a scheme's name in the IANA registry,
// ecdsa_secp256r1_sha256 for example, and 0xABCD for an unknown number.
func SignatureSchemeName(scheme tls.SignatureScheme) string { return nameOr(schemeNames, scheme) }

// IsGREASE reports whether a version, suite, group or extension number is one
// of the values that clients offer to keep servers tolerant.
// Source: RFC 8701.
func IsGREASE(id uint16) bool { return id&0x0F0F == 0x0A0A && id>>8 == id&0xFF }

func nameOr[K ~uint16](names map[K]string, id K) string {
	if name, ok := names[id]; ok {
		return name
	}
	return number(uint16(id))
}

func number(id uint16) string { return fmt.Sprintf("0x%04X", id) }

func parseNumber(s string) (uint16, bool) {
	if len(s) < 3 || !strings.EqualFold(s[:2], "0x") {
		return 0, false
	}
	n, err := strconv.ParseUint(s[2:], 16, 16)
	if err != nil {
		return 0, false
	}
	return uint16(n), true
}

type suiteNames struct{ iana, openssl string }

// otherSuites names suites that no policy lists and clients do offer.
var otherSuites = map[uint16]suiteNames{
	0x0033: {"TLS_DHE_RSA_WITH_AES_128_CBC_SHA", "DHE-RSA-AES128-SHA"},
	0x0039: {"TLS_DHE_RSA_WITH_AES_256_CBC_SHA", "DHE-RSA-AES256-SHA"},
	0x0041: {"TLS_RSA_WITH_CAMELLIA_128_CBC_SHA", "CAMELLIA128-SHA"},
	0x0045: {"TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA", "DHE-RSA-CAMELLIA128-SHA"},
	0x0067: {"TLS_DHE_RSA_WITH_AES_128_CBC_SHA256", "DHE-RSA-AES128-SHA256"},
	0x006B: {"TLS_DHE_RSA_WITH_AES_256_CBC_SHA256", "DHE-RSA-AES256-SHA256"},
	0x0084: {"TLS_RSA_WITH_CAMELLIA_256_CBC_SHA", "CAMELLIA256-SHA"},
	0x0088: {"TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA", "DHE-RSA-CAMELLIA256-SHA"},
	0x009E: {"TLS_DHE_RSA_WITH_AES_128_GCM_SHA256", "DHE-RSA-AES128-GCM-SHA256"},
	0x009F: {"TLS_DHE_RSA_WITH_AES_256_GCM_SHA384", "DHE-RSA-AES256-GCM-SHA384"},
	0x00BA: {"TLS_RSA_WITH_CAMELLIA_128_CBC_SHA256", "CAMELLIA128-SHA256"},
	0x00BE: {"TLS_DHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", "DHE-RSA-CAMELLIA128-SHA256"},
	0x00C0: {"TLS_RSA_WITH_CAMELLIA_256_CBC_SHA256", "CAMELLIA256-SHA256"},
	0x00C4: {"TLS_DHE_RSA_WITH_CAMELLIA_256_CBC_SHA256", "DHE-RSA-CAMELLIA256-SHA256"},
	0xC072: {"TLS_ECDHE_ECDSA_WITH_CAMELLIA_128_CBC_SHA256", "ECDHE-ECDSA-CAMELLIA128-SHA256"},
	0xC073: {"TLS_ECDHE_ECDSA_WITH_CAMELLIA_256_CBC_SHA384", "ECDHE-ECDSA-CAMELLIA256-SHA384"},
	0xC076: {"TLS_ECDHE_RSA_WITH_CAMELLIA_128_CBC_SHA256", "ECDHE-RSA-CAMELLIA128-SHA256"},
	0xC077: {"TLS_ECDHE_RSA_WITH_CAMELLIA_256_CBC_SHA384", "ECDHE-RSA-CAMELLIA256-SHA384"},
	0xC09C: {"TLS_RSA_WITH_AES_128_CCM", "AES128-CCM"},
	0xC09D: {"TLS_RSA_WITH_AES_256_CCM", "AES256-CCM"},
	0xC09E: {"TLS_DHE_RSA_WITH_AES_128_CCM", "DHE-RSA-AES128-CCM"},
	0xC09F: {"TLS_DHE_RSA_WITH_AES_256_CCM", "DHE-RSA-AES256-CCM"},
	0xC0A0: {"TLS_RSA_WITH_AES_128_CCM_8", "AES128-CCM8"},
	0xC0A1: {"TLS_RSA_WITH_AES_256_CCM_8", "AES256-CCM8"},
	0xC0A2: {"TLS_DHE_RSA_WITH_AES_128_CCM_8", "DHE-RSA-AES128-CCM8"},
	0xC0A3: {"TLS_DHE_RSA_WITH_AES_256_CCM_8", "DHE-RSA-AES256-CCM8"},
	0xC0AC: {"TLS_ECDHE_ECDSA_WITH_AES_128_CCM", "ECDHE-ECDSA-AES128-CCM"},
	0xC0AD: {"TLS_ECDHE_ECDSA_WITH_AES_256_CCM", "ECDHE-ECDSA-AES256-CCM"},
	0xC0AE: {"TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8", "ECDHE-ECDSA-AES128-CCM8"},
	0xC0AF: {"TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8", "ECDHE-ECDSA-AES256-CCM8"},
	0xCCAA: {"TLS_DHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "DHE-RSA-CHACHA20-POLY1305"},
	0x0004: {"TLS_RSA_WITH_RC4_128_MD5", "RC4-MD5"},
	0x0005: {"TLS_RSA_WITH_RC4_128_SHA", "RC4-SHA"},
	0x000A: {"TLS_RSA_WITH_3DES_EDE_CBC_SHA", "DES-CBC3-SHA"},
	0x0016: {"TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA", "DHE-RSA-DES-CBC3-SHA"},
	0x00FF: {"TLS_EMPTY_RENEGOTIATION_INFO_SCSV", ""},
	0x1304: {"TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_SHA256"},
	0x1305: {"TLS_AES_128_CCM_8_SHA256", "TLS_AES_128_CCM_8_SHA256"},
	0x5600: {"TLS_FALLBACK_SCSV", ""},
	0xC007: {"TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", "ECDHE-ECDSA-RC4-SHA"},
	0xC008: {"TLS_ECDHE_ECDSA_WITH_3DES_EDE_CBC_SHA", "ECDHE-ECDSA-DES-CBC3-SHA"},
	0xC011: {"TLS_ECDHE_RSA_WITH_RC4_128_SHA", "ECDHE-RSA-RC4-SHA"},
	0xC012: {"TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", "ECDHE-RSA-DES-CBC3-SHA"},
}
