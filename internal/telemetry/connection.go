package telemetry

import "time"

// Connection is one record of the connection log: one per handshake, failed
// ones included. Field names are an interface that others script against:
// fields may be added, never renamed.
type Connection struct {
	Time     time.Time `json:"time"`
	ID       string    `json:"id"`
	Listener string    `json:"listener"`        // REGIONAL, EDGE, PRIVATE
	SNI      string    `json:"sni"`             // as sent, cut at 255 bytes; "" when none
	Name     string    `json:"name"`            // the host name that matched; "" when none did
	Policy   string    `json:"policy"`          // the policy that governed
	Mode     string    `json:"mode"`            // BASIC, STRICT or ""
	Offered  Offered   `json:"offered"`         // by the client
	Chosen   *Chosen   `json:"chosen"`          // null when the handshake failed
	Resumed  bool      `json:"resumed"`         // by a session ticket
	Alert    string    `json:"alert"`           // sent or received, by its RFC 8446 name; "" when none
	Reason   string    `json:"reason"`          // why it failed; "" on success
	JA4      string    `json:"ja4"`             // fingerprint of the ClientHello
	Peer     string    `json:"peer"`            // address and port
	Millis   float64   `json:"handshakeMillis"` // duration in milliseconds
}

// Offered is what a ClientHello asked for, GREASE values left out.
type Offered struct {
	Versions []string `json:"versions"` // TLSv1.3 ...
	Suites   []string `json:"suites"`   // IANA names, 0xABCD for unknown ones
	Groups   []string `json:"groups"`   // X25519MLKEM768 ...
	ALPN     []string `json:"alpn"`
}

// Chosen is what the handshake agreed on.
type Chosen struct {
	Version     string `json:"version"`
	Suite       string `json:"suite"`
	Group       string `json:"group"` // "" for RSA key exchange
	ALPN        string `json:"alpn"`
	Certificate string `json:"certificate"` // ECDSA or RSA
}
