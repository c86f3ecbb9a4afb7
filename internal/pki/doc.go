// Package pki holds what the gateway keeps secret and what it is believed by:
// the local certificate authority that signs default endpoint names, the
// sealing of secrets at rest, the credentials of the first run, and the
// judgement of certificates that are imported.
//
// It promises: files of secrets are 0600 and appear whole or not at all; one
// that is readable by others, damaged or does not fit its sibling is an error
// that names the file and the reason, never replaced by a fresh one; no error
// text and no log carries key material.
//
//	sealer, err := pki.OpenSealKey(filepath.Join(dir, "seal.key"))
//	ca, err := pki.OpenCA(dir, sealer)
//	leaves, err := ca.Endpoints([]string{"*.execute-api.us-east-1.localhost"})
package pki
