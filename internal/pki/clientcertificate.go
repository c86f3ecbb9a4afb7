package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// The form of a generated client certificate.
// Source: developer guide, generate a client certificate; two public ones
// decoded, of 2016 and 2017.
const (
	clientCertificateLife = 365 * 24 * time.Hour
	clientSerialBytes     = 8
)

// clientCertificateName is subject and issuer, in this order.
var clientCertificateName = []struct {
	attribute asn1.ObjectIdentifier
	value     string
}{
	{asn1.ObjectIdentifier{2, 5, 4, 6}, "US"},
	{asn1.ObjectIdentifier{2, 5, 4, 7}, "Seattle"},
	{asn1.ObjectIdentifier{2, 5, 4, 3}, "ApiGateway"},
}

// sha256WithRSA is the signature algorithm. Its parameters are NULL, not absent
// (RFC 4055, section 5).
var sha256WithRSA = pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, Parameters: asn1.NullRawValue}

// The X.509 structures, without the extensions that crypto/x509 always adds.
// Source: RFC 5280, section 4.1.
type (
	bareCertificate struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	bareTBS struct {
		Version   int `asn1:"explicit,tag:0"`
		Serial    *big.Int
		Algorithm pkix.AlgorithmIdentifier
		Issuer    pkix.RDNSequence
		Validity  bareValidity
		Subject   pkix.RDNSequence
		PublicKey asn1.RawValue
	}
	bareValidity struct{ NotBefore, NotAfter time.Time }
)

// NewClientCertificate generates a certificate that the gateway shows to
// backends: RSA 2048, signed by itself with SHA-256, version 3 without a single
// extension, of C=US, L=Seattle, CN=ApiGateway, with a random serial number of
// 8 bytes, valid for exactly 365 days from now, which is cut to the second.
func NewClientCertificate(now time.Time) (*Imported, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	from := now.UTC().Truncate(time.Second)
	tbs := bareTBS{
		Version: 2, // v3
		Serial:  clientSerial(), Algorithm: sha256WithRSA,
		Issuer: clientName(), Subject: clientName(),
		Validity:  bareValidity{from, from.Add(clientCertificateLife)},
		PublicKey: asn1.RawValue{FullBytes: public},
	}
	signed, err := asn1.Marshal(tbs)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(signed)
	signature, err := key.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	der, err := asn1.Marshal(bareCertificate{
		TBS: asn1.RawValue{FullBytes: signed}, Algorithm: sha256WithRSA,
		Signature: asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)},
	})
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &Imported{Leaf: leaf, Key: key, Kind: RSA2048}, nil
}

func clientName() pkix.RDNSequence {
	var name pkix.RDNSequence
	for _, n := range clientCertificateName {
		name = append(name, pkix.RelativeDistinguishedNameSET{{Type: n.attribute, Value: n.value}})
	}
	return name
}

// clientSerial is positive and takes all of its bytes.
func clientSerial() *big.Int {
	b := make([]byte, clientSerialBytes)
	for b[0] == 0 || b[0] > 0x7f {
		rand.Read(b) //nolint:errcheck // it never fails: crypto/rand.Read
	}
	return new(big.Int).SetBytes(b)
}
