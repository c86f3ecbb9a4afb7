// Package tlspolicy serves TLS under named security policies, exactly: a
// policy's protocol versions, cipher suites and key-exchange groups can be
// negotiated and nothing else can. That includes the TLS 1.3 suites, for
// which crypto/tls has no setting, and the order of preference. The policies
// are those of Amazon API Gateway; the work is done by the standard library,
// unmodified.
//
// # The usual call
//
// At start, look the policy up, let it prove itself in this process, and
// configure one tls.Config for each name served under it:
//
//	policy, ok := tlspolicy.Lookup("SecurityPolicy_TLS13_1_3_FIPS_2025_09", false)
//	if err := policy.Prove(); err != nil {
//		return err // this Go release, GODEBUG or FIPS mode cannot enforce it
//	}
//	config := &tls.Config{Certificates: certificates, NextProtos: []string{"h2", "http/1.1"}}
//	policy.Configure(config)
//	config.SetSessionTicketKeys(keys) // of this name and policy, and no other's
//
// For each connection, choose by what the client offers:
//
//	conn := tlspolicy.Server(raw, func(hello *tlspolicy.Hello, _ *tls.ClientHelloInfo) (*tlspolicy.Policy, *tls.Config, error) {
//		return policy, config, nil // by hello.ServerName, say
//	})
//	if err := conn.HandshakeContext(ctx); err != nil {
//		log(conn.Hello(), conn.Policy(), err)
//		return conn.Close()
//	}
//
// From then on conn, or the *tls.Conn embedded in it, is used like any other.
//
// # What it promises
//
//   - A handshake completes only with a version, suite and group that the
//     policy permits. [Policy.Check] confirms it after every handshake, the
//     resumed ones included, before a byte is served.
//   - Of the permitted suites that the client offers and a certificate can
//     serve, the first in the policy's list is selected, whatever the client
//     prefers. Where that cannot be foretold, because the client's groups
//     lack the curve of an ECDSA certificate, say, or GetCertificate changes
//     its mind, the order may be crypto/tls's or the handshake may fail, but
//     what is selected is still permitted.
//   - HTTP/2 is not negotiated over a connection on which RFC 9113 forbids it.
//   - Whatever is missing or wrong (a nil or zero policy, a configuration that
//     was not configured for it, an error or a panic in [Choose]) refuses the
//     connection. There is no default policy.
//   - However a ClientHello is split into records, the result is the same.
//
// # What it rests on
//
// [crypto/tls.ClientHelloInfo].CipherSuites, as handed to GetConfigForClient,
// is the very slice from which the handshake then selects. [Server] copies the
// offers, overwrites each suite that must not be selected with a GREASE value,
// and restores the slice in the first write of the connection beneath: by then
// the selection is made, and what comes next, the comparison with the
// ClientHello that answers a HelloRetryRequest, must see the original. The
// transcript is hashed from the bytes received and never sees a mask. Only
// suites that crypto/tls implements are masked, so signalling values such as
// TLS_FALLBACK_SCSV keep their meaning.
//
// No documentation of crypto/tls promises that aliasing. So it is never taken
// on trust: a test of this package fails on the Go release that ends it,
// [Policy.Prove] fails in a process built with such a release, and the check
// inside every handshake closes what would slip through.
//
// # Limits
//
//   - crypto/tls lacks three of the documented suites, see [Missing]: TLS 1.2
//     with AES-256 in CBC mode and SHA-384 or SHA-256. They are never offered.
//   - The choice among permitted groups is crypto/tls's: hybrid groups first,
//     even at the cost of a HelloRetryRequest, then those the client sent a
//     key share for, then the listed order.
//   - In FIPS 140-3 mode, and with GODEBUG settings such as tlsmlkem=0,
//     crypto/tls serves less than some policies list. Prove says so.
//   - In GetCertificate and other callbacks during the handshake, and in
//     crypto/tls's own error texts, the suites of a ClientHelloInfo are
//     masked; [Conn.Hello] has them as sent. GetCertificate is called several
//     times for one handshake below TLS 1.3.
//   - Configurations that share ticket keys resume each other's sessions. A
//     resumed session passes every check of the policy it resumes under, but
//     keys per name and policy are the caller's part.
//   - Encrypted Client Hello is not decrypted; a hello that has it is judged
//     by its outer part.
//
// # Concurrency
//
// Policies are read-only and shared; all their methods are safe for
// concurrent use. A [Conn] is as safe as a [crypto/tls.Conn]; its own methods
// Hello and Policy may be called at any time, Alert after the handshake.
package tlspolicy
