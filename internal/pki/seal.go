package pki

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
)

// ErrSealed: a sealed secret does not open. It was sealed with another key or
// for another context, or was altered; which of these, nobody can tell.
var ErrSealed = errors.New("sealed secret does not open with this seal key and context")

// A sealed secret is one version byte, a random nonce of 12 bytes, and the
// AES-256-GCM ciphertext with its tag. The version and the context are
// authenticated with it.
const (
	sealVersion  = 1
	sealKeySize  = 32
	sealNonce    = 12
	sealTag      = 16
	sealOverhead = 1 + sealNonce + sealTag
)

// Sealer seals secrets at rest with AES-256-GCM. Make one with OpenSealKey.
// Safe for concurrent use. Nonces are random, so one key is good for 2^32
// secrets (NIST SP 800-38D, section 8.3), far more than a store holds.
type Sealer struct{ aead cipher.AEAD }

// OpenSealKey reads the seal key at path: 64 hexadecimal digits and a newline.
// If the file does not exist it is created, mode 0600, with a random key. A
// file that others may read, or that is not such a key, is an error naming it.
func OpenSealKey(path string) (*Sealer, error) {
	RemoveLeftovers(path)
	text, err := readPrivate(path, 1024)
	if errors.Is(err, fs.ErrNotExist) {
		key := make([]byte, sealKeySize)
		rand.Read(key) //nolint:errcheck // it never fails: crypto/rand.Read
		text = append(hex.AppendEncode(nil, key), '\n')
		err = CreateFileAtomic(path, text, 0o600)
		if errors.Is(err, fs.ErrExist) { // another process was first: its key counts
			text, err = readPrivate(path, 1024)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("seal key: %w", err)
	}
	key := make([]byte, hex.DecodedLen(len(text)))
	n, err := hex.Decode(key, bytes.TrimSpace(text))
	if err != nil { // its text would quote the key
		return nil, fmt.Errorf("seal key: %s: not hexadecimal; hint: restore it; nothing else opens what it sealed", path)
	}
	if n != sealKeySize {
		return nil, fmt.Errorf("seal key: %s: %d bytes long, not %d; hint: restore it; nothing else opens what it sealed", path, n, sealKeySize)
	}
	return newSealer(key[:n])
}

func newSealer(key []byte) (*Sealer, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Sealer{aead}, nil
}

// Seal encrypts plain so that it opens only with the same key and context.
// The context says what the secret is and whose, as in "acm/material/ID": a
// sealed secret moved to another place does not open there.
func (s *Sealer) Seal(context string, plain []byte) []byte {
	sealed := make([]byte, 1+sealNonce, len(plain)+sealOverhead)
	sealed[0] = sealVersion
	rand.Read(sealed[1:]) //nolint:errcheck // it never fails: crypto/rand.Read
	return s.aead.Seal(sealed, sealed[1:], plain, sealData(context))
}

// Open returns what Seal was given, or an error that wraps ErrSealed.
func (s *Sealer) Open(context string, sealed []byte) ([]byte, error) {
	switch {
	case len(sealed) < sealOverhead:
		return nil, fmt.Errorf("%w: %d bytes are too few", ErrSealed, len(sealed))
	case sealed[0] != sealVersion:
		return nil, fmt.Errorf("%w: version %d is not known", ErrSealed, sealed[0])
	}
	plain, err := s.aead.Open(nil, sealed[1:1+sealNonce], sealed[1+sealNonce:], sealData(context))
	if err != nil {
		return nil, ErrSealed
	}
	return plain, nil
}

func sealData(context string) []byte { return append([]byte{sealVersion}, context...) }
