package backgate

import (
	"crypto/x509"
	"fmt"
	"strings"
	"time"
)

// Kind is what went wrong on the way to a backend.
type Kind uint8

const (
	// Untrusted: no way from the certificate leads to a trusted root.
	Untrusted Kind = iota + 1
	// Incomplete: the chain ends before a root, and its issuer is not trusted.
	Incomplete
	// NoRoot: verification is skipped, but the chain as sent has no root.
	NoRoot
	Expired
	NotYetValid
	WrongName
	// Unusable: a certificate that cannot be read or whose keys and signatures
	// prove nothing.
	Unusable
	// HandshakeRefused: version, suite or group do not match, or an alert.
	HandshakeRefused
	// ClientCertificate: the backend demands a client certificate, or refuses ours.
	ClientCertificate
	// NotTLS: what answers does not speak TLS.
	NotTLS
	// RefusedAddress: the name resolves to addresses that may not be dialed.
	RefusedAddress
	// InvalidAddress: the integration's URI, or a header, cannot be sent.
	InvalidAddress
	// NoTarget: what the VPC link leads to is not there, or has no address.
	NoTarget
	// Dial: no connection: name not found, refused, unreachable, no answer in time.
	Dial
	// Closed: the connection ended before the answer was complete.
	Closed
	// Timeout: the integration's own timeout passed, or the handshake's.
	Timeout
	// Protocol: the answer is not HTTP, or exceeds a limit.
	Protocol
	// Canceled: the client went away.
	Canceled
)

// Answer is what the client of a REST API gets, and $context.error.responseType.
type Answer struct {
	ResponseType string
	Status       int
	ErrorType    string // x-amzn-ErrorType
}

// The answers to errors of backends: a fault of TLS or of its configuration is
// 500, all else 504.
// Source: developer guide, Gateway response types; observed.
var (
	configurationFault = Answer{"DEFAULT_5XX", 500, "InternalServerErrorException"}
	networkFault       = Answer{"INTEGRATION_FAILURE", 504, "InternalServerErrorException"}
	timeoutFault       = Answer{"INTEGRATION_TIMEOUT", 504, "InternalServerErrorException"}
)

const (
	configurationError = "Execution failed due to configuration error: "
	pathBuilding       = configurationError + "PKIX path building failed: sun.security.provider.certpath.SunCertPathBuilderException: unable to find valid certification path to requested target"
	pathValidation     = configurationError + "PKIX path validation failed: java.security.cert.CertPathValidatorException: validity check failed"
	networkError       = "Execution failed due to a network error communicating with endpoint"
)

// kinds say how each kind is called here, what AWS says in the execution log
// and in $context.integration.error, and what the client gets. "{host}" stands
// for the host, "{peer}" for the subject of the backend's certificate,
// "{detail}" for the error's detail.
// Sources: re:Post, SSL certificate with backend integration (path building and
// validation); observed (host name, network, timeout, address); the texts of
// Unusable, HandshakeRefused, ClientCertificate and NotTLS are inferred: what
// Java itself says.
var kinds = [...]struct {
	name, text string
	answer     *Answer
}{
	Untrusted:         {"untrusted certificate", pathBuilding, &configurationFault},
	Incomplete:        {"incomplete certificate chain", pathBuilding, &configurationFault},
	NoRoot:            {"no root in the certificate chain", pathBuilding, &configurationFault},
	Expired:           {"expired certificate", pathValidation, &configurationFault},
	NotYetValid:       {"certificate not yet valid", pathValidation, &configurationFault},
	WrongName:         {"certificate for another name", configurationError + "Host name '{host}' does not match the certificate subject provided by the peer ({peer})", &configurationFault},
	Unusable:          {"unusable certificate", pathBuilding, &configurationFault},
	HandshakeRefused:  {"handshake refused", configurationError + "Received fatal alert: {detail}", &configurationFault},
	ClientCertificate: {"client certificate refused", configurationError + "Received fatal alert: {detail}", &configurationFault},
	NotTLS:            {"not TLS", configurationError + "Unsupported or unrecognized SSL message", &configurationFault},
	RefusedAddress:    {"refused address", configurationError + "Invalid endpoint address", &configurationFault},
	InvalidAddress:    {"invalid address", configurationError + "Invalid endpoint address", &configurationFault},
	NoTarget:          {"no target", configurationError + "There was an internal error while executing your request", &configurationFault},
	Dial:              {"no connection", networkError, &networkFault},
	Closed:            {"connection closed", networkError + ": Connection is closed", &networkFault},
	Timeout:           {"timeout", "Execution failed due to a timeout error", &timeoutFault},
	Protocol:          {"protocol error", networkError, &networkFault},
	Canceled:          {"client gone", networkError, &networkFault},
}

// String names the kind in a few words.
func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k].name != "" {
		return kinds[k].name
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Answer is what the client gets for an error of this kind.
func (k Kind) Answer() Answer { return *kinds[k].answer }

// reason is what an error of a kind comes from, as far as it can be told.
type reason uint8

// The first reason of each kind in reasons is the one that holds where nothing
// better is known.
const (
	privateRoot reason = iota + 1
	selfSignedLeaf
	otherSignature
	notForServers
	notAnAuthority
	pathTooLong
	nameConstraint
	criticalExtension
	noPath
	missingIssuer
	leafAlone
	unrelated
	rootAbsent
	rootNotAnAuthority
	leafExpired
	issuerExpired
	rootExpired
	leafEarly
	issuerEarly
	rootEarly
	anotherName
	anotherAddress
	ignoredCommonName
	constrainedCommonName
	wildcardDepth
	noNames
	unreadable
	weakSignature
	keyTooSmall
	keyTooLarge
	keyType
	chainTooLong
	chainTooCostly
	refusedByAlert
	oldVersion
	nothingInCommon
	unknownName
	brokenHandshake
	messageTooLarge
	certificateRefused
	certificateRequired
	notTLS
	plainHTTP
	refusedSpecial
	invalidURI
	unmappedTarget
	noConnection
	unknownHost
	connectionRefused
	noAnswer
	closedEarly
	closedInHandshake
	renegotiates
	integrationTimeout
	stalledHandshake
	notHTTP
	clientGone
	lastReason
)

// reasons explain verdicts to whoever has to do something about them. brief is
// put beside the certificate at fault. In why and fix stand, in braces: the
// certificate at fault ("subject", "issuer", "from", "until", "key",
// "signature"), the names that the backend's certificate is for ("names"), the
// host without its port ("host"), the time of the verdict ("now"), and the
// error's own "address", "detail" and "cause".
var reasons = [...]struct {
	kind            Kind
	brief, why, fix string
}{
	privateRoot: {Untrusted, "root not trusted",
		"the chain ends in the root {subject}, which is none of those that the gateway trusts",
		"get that root from whoever runs it and add it with --trust-bundle, or have the backend use a certificate of a public authority; tlsConfig.insecureSkipVerification on the integration drops this check alone"},
	selfSignedLeaf: {Untrusted, "self-signed",
		"the backend's certificate, {subject}, is signed by itself: nobody vouches for it",
		"have the backend use a certificate of a public authority or of your own, or add this very certificate with --trust-bundle; tlsConfig.insecureSkipVerification on the integration drops this check alone"},
	otherSignature: {Untrusted, "signature does not fit",
		"{subject} names {issuer} as its issuer, but the certificate of that name did not sign it ({detail})",
		"the authority has several certificates under one name, or was made anew: have the backend send the one whose key signed its certificate"},
	notForServers: {Untrusted, "not for servers",
		"{subject}, or an authority above it, has an extended key usage without serverAuth: it does not prove a server",
		"issue the certificate again with extendedKeyUsage serverAuth, or without that extension"},
	notAnAuthority: {Untrusted, "not an authority",
		"{subject} signed the certificate before it, but may not: it lacks basicConstraints CA:TRUE, or its keyUsage lacks keyCertSign",
		"have the certificate issued by an authority; a server's certificate cannot issue others"},
	pathTooLong: {Untrusted, "too many authorities below",
		"{subject} allows fewer authorities below it (basicConstraints pathlen) than the chain has",
		"have the certificate issued by an authority higher up, or that authority's certificate issued again with a greater pathlen"},
	nameConstraint: {Untrusted, "outside its issuer's names",
		"an authority of the chain may not issue certificates for the names of {subject} (name constraints; {detail})",
		"have the certificate issued with permitted names, or by another authority"},
	criticalExtension: {Untrusted, "critical extension unknown",
		"{subject} has a critical extension that is not understood here, so it must not be trusted",
		"issue the certificate again without that extension, or with the extension not critical"},
	noPath: {Untrusted, "no way to a trusted root",
		"no way from {subject} leads to a trusted root ({detail})",
		"have the backend send the chain as its authority delivered it, or add the authority's root with --trust-bundle"},

	missingIssuer: {Incomplete, "issuer missing",
		"the chain ends with {subject}; its issuer, {issuer}, was not sent and is not trusted",
		"have the backend send the whole chain: append the certificate of {issuer} to its certificate file; missing certificates are not fetched. If that is a root of your own, add it with --trust-bundle"},
	leafAlone: {Incomplete, "issuer missing",
		"the backend sent its own certificate, {subject}, alone; its issuer, {issuer}, is not trusted",
		"have the backend send the whole chain: append the certificate of {issuer} to its certificate file (browsers may hide the lack, for they fetch it); missing certificates are not fetched. If that is a root of your own, add it with --trust-bundle"},
	unrelated: {Incomplete, "issuer missing",
		"the backend sent further certificates, but none of them is that of {issuer}, who issued {subject}",
		"the backend sends the chain of another certificate: put the one that came with this certificate in its place"},

	rootAbsent: {NoRoot, "root missing",
		"insecureSkipVerification demands that the chain brings a root along; {issuer}, who issued {subject}, was not sent",
		"have the backend send its root as well: append it to its certificate file; or add the root with --trust-bundle and switch insecureSkipVerification off"},
	rootNotAnAuthority: {NoRoot, "not a root",
		"{subject} ends the chain, but may not sign certificates: it lacks basicConstraints CA:TRUE or keyUsage keyCertSign",
		"make that root anew with basicConstraints = critical, CA:TRUE and keyUsage = critical, keyCertSign"},

	leafExpired: {Expired, "expired",
		"the backend's certificate, {subject}, was valid until {until}; it is {now}",
		"renew the backend's certificate and reload the backend; a server that was not reloaded still presents the old one"},
	issuerExpired: {Expired, "expired",
		"the certificate of the authority {subject} was valid until {until}; it is {now}",
		"have the backend send that authority's current certificate, or leave it out if another one leads to a trusted root; the backend's own certificate may well be in order"},
	rootExpired: {Expired, "expired",
		"the trusted root {subject} was valid until {until}; it is {now}",
		"put the authority's current root into the trust bundle, or have the certificate issued under another"},
	leafEarly: {NotYetValid, "not yet valid",
		"the backend's certificate, {subject}, is valid from {from}; it is {now}",
		"wait, or have it issued with an earlier beginning; if the time here is wrong, correct the clock of this machine"},
	issuerEarly: {NotYetValid, "not yet valid",
		"the certificate of the authority {subject} is valid from {from}; it is {now}",
		"have the backend send that authority's certificate that is in force now; if the time here is wrong, correct the clock of this machine"},
	rootEarly: {NotYetValid, "not yet valid",
		"the trusted root {subject} is valid from {from}; it is {now}",
		"if the time here is wrong, correct the clock of this machine; else trust a root that is in force"},

	anotherName: {WrongName, "for another name",
		"the integration's URI names {host}; the certificate is for {names}",
		"have the certificate issued with {host} among its alternative names, or write one of its own names in the integration's uri (through a VPC link the uri's host is what is verified, not the target's)"},
	anotherAddress: {WrongName, "not for this address",
		"the integration's URI names the IP address {host}, which is not among the certificate's alternative names of type IP address; it is for {names}",
		"write one of the certificate's names in the integration's uri, or have the address put into the certificate; an IP address in the common name or among the DNS names does not count"},
	ignoredCommonName: {WrongName, "for another name",
		"{host} is the certificate's common name only, which does not count where there are alternative names: {names}",
		"have the certificate issued with {host} among its alternative names"},
	constrainedCommonName: {WrongName, "name not within constraints",
		"{host} is the certificate's common name only, which does not count beneath an authority whose certificate has name constraints: they bind alternative names alone",
		"have the certificate issued with {host} among its alternative names"},
	wildcardDepth: {WrongName, "wildcard too short",
		"a wildcard stands for one label only: none of {names} covers {host}",
		"have {host} itself put among the certificate's alternative names, or give the backend a name one label below the wildcard's domain"},
	noNames: {WrongName, "without a name",
		"the certificate, {subject}, names no host at all",
		"have the certificate issued with {host} among its alternative names"},

	unreadable: {Unusable, "cannot be read",
		"a certificate that the backend presents cannot be read ({cause})",
		"look at the backend's certificate file with openssl x509 -text and have the certificate issued again by the rules of RFC 5280"},
	weakSignature: {Unusable, "weak signature",
		"{subject} is signed with {signature}, which can be forged and so proves nothing",
		"have the certificate issued again with SHA-256 or better"},
	keyTooSmall: {Unusable, "key too small",
		"the key of {subject} ({key}) is too small to prove anything",
		"make a new key, RSA of at least 2048 bits or ECDSA P-256, and have a certificate issued for it"},
	keyTooLarge: {Unusable, "key too large",
		"a certificate that the backend presents has an RSA key of more than 8192 bits, which would cost too much to verify",
		"make a new key, RSA of 2048 to 4096 bits or ECDSA P-256, and have a certificate issued for it"},
	keyType: {Unusable, "key of another kind",
		"the backend's certificate has a key that is neither RSA nor ECDSA (P-256, P-384, P-521) nor Ed25519 ({cause})",
		"make a new key, RSA of at least 2048 bits or ECDSA P-256, and have a certificate issued for it"},
	chainTooLong: {Unusable, "too many certificates",
		"the backend presents {detail} certificates; at most 20 are looked at",
		"have the backend send its own chain only, not a bundle of all roots"},
	chainTooCostly: {Unusable, "too many ways",
		"the certificates that the backend presents can be put together in too many ways: after 100 signatures none led to a trusted root",
		"have the backend send its own chain only: the leaf, then each one's issuer"},

	refusedByAlert: {HandshakeRefused, "",
		"the backend ended the handshake with the alert {detail}",
		"look into the backend's own log for this handshake"},
	oldVersion: {HandshakeRefused, "",
		"the backend speaks neither TLS 1.2 nor TLS 1.3 (protocol_version)",
		"switch TLS 1.2 or 1.3 on at the backend"},
	nothingInCommon: {HandshakeRefused, "",
		"the backend takes none of the versions, cipher suites, groups and signatures on offer, or demands a client certificate without saying so (handshake_failure)",
		"switch on TLS 1.3, or for TLS 1.2 an ECDHE suite with AES-GCM, with group X25519 or P-256; if it wants a client certificate, attach one to the stage"},
	unknownName: {HandshakeRefused, "",
		"the backend knows no host by the name {host} (unrecognized_name)",
		"write in the integration's uri a name that the backend serves, or add this one to the backend"},
	brokenHandshake: {HandshakeRefused, "",
		"what the backend says in the handshake is not as TLS demands ({cause})",
		"look into the backend's own log, and whether something between here and there changes the connection"},
	messageTooLarge: {HandshakeRefused, "",
		"a message of the backend's handshake is larger than any honest one ({cause})",
		"have the backend send its own chain only; all its certificates together may have 256 KiB"},

	certificateRefused: {ClientCertificate, "",
		"the backend does not accept the client certificate that it was shown, or the lack of one (alert {detail})",
		"add the certificate attached to the stage to those that the backend trusts, and see that it has not expired; if none is attached, attach one"},
	certificateRequired: {ClientCertificate, "",
		"the backend demands a client certificate, and none was shown (alert {detail})",
		"generate a client certificate, attach it to the stage (clientCertificateId) and add it to those that the backend trusts"},

	notTLS: {NotTLS, "",
		"what answers there does not speak TLS ({cause})",
		"name the port on which the backend speaks TLS in the integration's uri"},
	plainHTTP: {NotTLS, "",
		"what answers there speaks plain HTTP",
		"name the port on which the backend speaks TLS in the integration's uri, or write http:// in it if the way there needs no protection"},
	refusedSpecial: {RefusedAddress, "",
		"{host} leads to {address}, which is {detail}: behind such addresses stand this machine, its neighbours and metadata services",
		"if the backend is meant to be there, the operator allows it with --allow-backend {address}"},
	invalidURI: {InvalidAddress, "",
		"the integration's URI, or a header for the backend, cannot be sent ({cause})",
		"write the uri as https://HOST[:PORT]/PATH with a host name in ASCII (xn-- form)"},
	unmappedTarget: {NoTarget, "",
		"the VPC link's target leads nowhere: {detail}",
		"map the target to addresses with the setting targets"},

	noConnection: {Dial, "",
		"no connection to the backend could be made ({cause})",
		"see that the backend runs and can be reached from this machine"},
	unknownHost: {Dial, "",
		"the name {host} leads to no address ({cause})",
		"correct the host in the integration's uri, or this machine's DNS"},
	connectionRefused: {Dial, "",
		"nobody listens at the backend's address ({cause})",
		"start the backend, or correct the port in the integration's uri"},
	noAnswer: {Dial, "",
		"the backend's address does not answer in time ({cause})",
		"see that no firewall or security group drops the packets, and that the address is right"},
	closedEarly: {Closed, "",
		"the backend ended the connection before its answer was complete ({cause})",
		"look into the backend's own log; it may have crashed, or its timeouts may be too short"},
	closedInHandshake: {Closed, "",
		"the backend ended the connection in the middle of the TLS handshake ({cause})",
		"see that it speaks TLS on this port, knows {host} as a server name (SNI), and look into its own log; some end it so when they miss a client certificate"},
	renegotiates: {Closed, "",
		"the backend wants to begin the TLS handshake anew in the middle of the connection, commonly to ask for a client certificate for some paths only; that is not done here",
		"have the backend ask for the certificate in the first handshake, for all of the host and not for a location of it, or switch renegotiation off"},
	integrationTimeout: {Timeout, "",
		"the backend did not answer within the integration's timeout",
		"find out what takes the backend so long, or raise timeoutInMillis"},
	stalledHandshake: {Timeout, "",
		"the backend took the connection, but did not finish the TLS handshake in time",
		"see that it speaks TLS on this port and is not overloaded"},
	notHTTP: {Protocol, "",
		"what the backend answers is not HTTP/1.1, or exceeds a limit ({cause})",
		"look at the answer with curl -v --http1.1"},
	clientGone: {Canceled, "",
		"the client went away before the backend answered",
		""},
}

// finding is what a verdict on a chain rests on.
type finding struct {
	leaf    *x509.Certificate
	at      *x509.Certificate // at fault
	element int               // its index in the chain as presented, from 1; 0: it is none of them
	now     time.Time
}

// reasonOf is why e is what it is.
func (e *Error) reasonOf() reason {
	if e.reason != 0 {
		return e.reason
	}
	for r := range reasons {
		if reasons[r].kind == e.Kind {
			return reason(r)
		}
	}
	return 0
}

// Why says in plain words what is wrong.
func (e *Error) Why() string { return e.fill(reasons[e.reasonOf()].why) }

// Fix says what to do about it, "" when there is nothing.
func (e *Error) Fix() string { return e.fill(reasons[e.reasonOf()].fix) }

// Brief says in a few words what is wrong with the certificate at fault.
func (e *Error) Brief() string { return reasons[e.reasonOf()].brief }

// Element is the index of the certificate at fault in the chain as the backend
// presented it, -1 when none of them is.
func (e *Error) Element() int { return e.finding.element - 1 }

// maxFact is where a fact within an explanation is cut, in bytes.
const maxFact = 300

// fill writes the facts into an explanation.
func (e *Error) fill(text string) string {
	facts := []string{"{host}", hostname(e.Host), "{address}", e.Address, "{detail}", e.Detail, "{cause}", "no more is known"}
	if e.Cause != nil {
		facts[7] = cut(e.Cause.Error(), maxFact)
	}
	f := &e.finding
	if f.leaf != nil {
		facts = append(facts, "{names}", nameList(f.leaf))
	}
	if c := f.at; c != nil {
		facts = append(facts, "{subject}", subjectOf(c), "{issuer}", cut(distinguishedName(c.RawIssuer), maxFact),
			"{from}", c.NotBefore.UTC().Format(time.RFC3339), "{until}", c.NotAfter.UTC().Format(time.RFC3339),
			"{now}", f.now.UTC().Format(time.RFC3339), "{key}", keyOf(c), "{signature}", signatureOf(c))
	}
	for i := 1; i < len(facts); i += 2 {
		facts[i] = cut(facts[i], maxFact)
	}
	return strings.NewReplacer(facts...).Replace(text)
}

// subjectOf names a certificate, also one without a subject.
func subjectOf(c *x509.Certificate) string {
	if s := distinguishedName(c.RawSubject); s != "" {
		return s
	}
	if names := namesOf(c, 1); len(names) > 0 {
		return "that of " + names[0]
	}
	return "that of nobody"
}

// nameList lists some of the names that a certificate is for.
func nameList(c *x509.Certificate) string {
	const shown = 5
	names := namesOf(c, shown)
	if len(names) == 0 {
		return "no host"
	}
	text := strings.Join(names, ", ")
	if more := len(c.DNSNames) + len(c.IPAddresses) - len(names); more > 0 {
		text = fmt.Sprintf("%s and %d more", cut(text, maxFact-20), more)
	}
	return text
}
