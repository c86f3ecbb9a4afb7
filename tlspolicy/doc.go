// Package tlspolicy serves TLS under named security policies, exactly: a
// policy's versions, cipher suites and key-exchange groups are negotiated and
// nothing else is, TLS 1.3 suites included, which crypto/tls has no setting
// for.
package tlspolicy
