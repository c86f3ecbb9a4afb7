package tlspolicy

import (
	"crypto/tls"
	"testing"
)

func TestNamesRoundTrip(t *testing.T) {
	for _, v := range allVersions {
		if got, ok := ParseVersion(VersionName(v)); !ok || got != v {
			t.Errorf("version %s: %04x %t", VersionName(v), got, ok)
		}
	}
	for id := range implemented {
		if got, ok := ParseSuite(SuiteName(id)); !ok || got != id {
			t.Errorf("suite %s: %04x %t", SuiteName(id), got, ok)
		}
		if got, ok := ParseSuite(OpenSSLName(id)); !ok || got != id {
			t.Errorf("suite %s: %04x %t", OpenSSLName(id), got, ok)
		}
	}
	for id := range otherSuites {
		if suites[id] != nil {
			t.Errorf("%04x is in two tables", id)
		}
		if got, ok := ParseSuite(SuiteName(id)); !ok || got != id {
			t.Errorf("suite %s: %04x %t", SuiteName(id), got, ok)
		}
	}
	for id := range groupNames {
		if got, ok := ParseGroup(GroupName(id)); !ok || got != id {
			t.Errorf("group %s: %d %t", GroupName(id), got, ok)
		}
	}
}

func TestNamesOfUnknownNumbers(t *testing.T) {
	tests := []struct{ got, want string }{
		{VersionName(0x0305), "0x0305"},
		{SuiteName(0xABCD), "0xABCD"},
		{OpenSSLName(0xABCD), "0xABCD"},
		{OpenSSLName(0x5600), "0x5600"}, // OpenSSL has no name for a signalling value
		{SuiteName(0x5600), "TLS_FALLBACK_SCSV"},
		{GroupName(0xABCD), "0xABCD"},
		{GroupName(0), ""},
		{SignatureSchemeName(0xABCD), "0xABCD"},
		{SignatureSchemeName(tls.PSSWithSHA256), "rsa_pss_rsae_sha256"},
		{AlertName(70), "protocol_version"},
		{AlertName(200), "alert(200)"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

func TestParse(t *testing.T) {
	for s, want := range map[string]uint16{
		"TLSv1.2": tls.VersionTLS12, "tls1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13, "1.1": tls.VersionTLS11,
		"TLSv1": tls.VersionTLS10, "0x0303": tls.VersionTLS12, "": 0, "TLS": 0, "1.4": 0, "0x": 0, "0x12345": 0,
	} {
		if got, ok := ParseVersion(s); got != want || ok != (want != 0) {
			t.Errorf("ParseVersion(%q) = %04x, %t", s, got, ok)
		}
	}
	for s, want := range map[string]tls.CurveID{
		"x25519": tls.X25519, "secp256r1": tls.CurveP256, "prime256v1": tls.CurveP256, "CurveP384": tls.CurveP384,
		"x25519mlkem768": tls.X25519MLKEM768, "0x001d": tls.X25519, "": 0, "P-999": 0,
	} {
		if got, ok := ParseGroup(s); got != want || ok != (want != 0) {
			t.Errorf("ParseGroup(%q) = %d, %t", s, got, ok)
		}
	}
	for s, want := range map[string]uint16{
		"ecdhe-rsa-aes128-gcm-sha256": 0xC02F, "TLS_AES_128_GCM_SHA256": 0x1301, "DES-CBC3-SHA": 0x000A, "0xc02f": 0xC02F, "": 0, "HIGH": 0,
	} {
		if got, ok := ParseSuite(s); got != want || ok != (want != 0) {
			t.Errorf("ParseSuite(%q) = %04x, %t", s, got, ok)
		}
	}
}

func TestIsGREASE(t *testing.T) {
	n := 0
	for id := range 1 << 16 {
		if IsGREASE(uint16(id)) {
			n++
		}
	}
	if n != 16 || !IsGREASE(0x0A0A) || !IsGREASE(0xFAFA) || IsGREASE(0x0A1A) || IsGREASE(0x1301) {
		t.Errorf("%d GREASE values, RFC 8701 has 16", n)
	}
}
