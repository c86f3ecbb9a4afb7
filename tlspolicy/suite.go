package tlspolicy

import "crypto/tls"

// Suites that the policies list and crypto/tls has no name for.
const (
	ecdheECDSAWithAES256CBCSHA384 = 0xC024
	ecdheRSAWithAES256CBCSHA384   = 0xC028
	rsaWithAES256CBCSHA256        = 0x003D
)

// suiteFacts is what the policies need to know of a suite.
type suiteFacts struct {
	id       uint16
	iana     string
	openssl  string
	min, max uint16 // protocol versions it is defined for
	rsaKex   bool   // RSA key exchange: no group, no forward secrecy
	aead     bool
}

// suiteTable lists the suites that occur in a policy.
// Sources: IANA TLS Parameters registry; OpenSSL ciphers(1).
var suiteTable = []suiteFacts{
	{0x1301, "TLS_AES_128_GCM_SHA256", "TLS_AES_128_GCM_SHA256", tls.VersionTLS13, tls.VersionTLS13, false, true},
	{0x1302, "TLS_AES_256_GCM_SHA384", "TLS_AES_256_GCM_SHA384", tls.VersionTLS13, tls.VersionTLS13, false, true},
	{0x1303, "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256", tls.VersionTLS13, tls.VersionTLS13, false, true},
	{0xC02B, "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", tls.VersionTLS12, tls.VersionTLS12, false, true},
	{0xC02F, "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256", tls.VersionTLS12, tls.VersionTLS12, false, true},
	{0xC02C, "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384", tls.VersionTLS12, tls.VersionTLS12, false, true},
	{0xC030, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384", tls.VersionTLS12, tls.VersionTLS12, false, true},
	{0xCCA9, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305", tls.VersionTLS12, tls.VersionTLS12, false, true},
	{0xCCA8, "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305", tls.VersionTLS12, tls.VersionTLS12, false, true},
	{0xC023, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", "ECDHE-ECDSA-AES128-SHA256", tls.VersionTLS12, tls.VersionTLS12, false, false},
	{0xC027, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", "ECDHE-RSA-AES128-SHA256", tls.VersionTLS12, tls.VersionTLS12, false, false},
	{0xC024, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", "ECDHE-ECDSA-AES256-SHA384", tls.VersionTLS12, tls.VersionTLS12, false, false},
	{0xC028, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384", "ECDHE-RSA-AES256-SHA384", tls.VersionTLS12, tls.VersionTLS12, false, false},
	{0xC009, "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA", tls.VersionTLS10, tls.VersionTLS12, false, false},
	{0xC013, "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA", tls.VersionTLS10, tls.VersionTLS12, false, false},
	{0xC00A, "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA", tls.VersionTLS10, tls.VersionTLS12, false, false},
	{0xC014, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA", tls.VersionTLS10, tls.VersionTLS12, false, false},
	{0x009C, "TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256", tls.VersionTLS12, tls.VersionTLS12, true, true},
	{0x009D, "TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384", tls.VersionTLS12, tls.VersionTLS12, true, true},
	{0x003C, "TLS_RSA_WITH_AES_128_CBC_SHA256", "AES128-SHA256", tls.VersionTLS12, tls.VersionTLS12, true, false},
	{0x003D, "TLS_RSA_WITH_AES_256_CBC_SHA256", "AES256-SHA256", tls.VersionTLS12, tls.VersionTLS12, true, false},
	{0x002F, "TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA", tls.VersionTLS10, tls.VersionTLS12, true, false},
	{0x0035, "TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA", tls.VersionTLS10, tls.VersionTLS12, true, false},
}

var suites = func() map[uint16]*suiteFacts {
	m := make(map[uint16]*suiteFacts, len(suiteTable))
	for i := range suiteTable {
		m[suiteTable[i].id] = &suiteTable[i]
	}
	return m
}()

// implemented holds the suites of crypto/tls's tables: all that it could
// possibly select, and so all that masking has to reach.
var implemented = func() map[uint16]bool {
	m := make(map[uint16]bool)
	for _, list := range [][]*tls.CipherSuite{tls.CipherSuites(), tls.InsecureCipherSuites()} {
		for _, s := range list {
			m[s.ID] = true
		}
	}
	return m
}()

// allowsHTTP2 reports whether HTTP/2 may run over the version and suite.
// Source: RFC 9113, sections 9.2.1 and 9.2.2 and appendix A: TLS 1.2 or
// later, and in TLS 1.2 no suite without forward secrecy or without
// authenticated encryption.
func allowsHTTP2(version, suite uint16) bool {
	if version >= tls.VersionTLS13 {
		return true
	}
	s := suites[suite]
	return version == tls.VersionTLS12 && s != nil && s.aead && !s.rsaKex
}
