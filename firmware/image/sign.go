package image

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	comment = "untrusted comment: "

	keyAlgorithm = "Ed"
	keyKDF       = "BK"
	keyID        = 8

	secretSize    = 2 + 2 + 4 + 16 + 8 + keyID + ed25519.PrivateKeySize
	publicSize    = 2 + keyID + ed25519.PublicKeySize
	signatureSize = 2 + keyID + ed25519.SignatureSize
)

var (
	// ErrLocked: the key is protected by a passphrase. "signify -G -n" makes one
	// that is not.
	ErrLocked = errors.New("secret key is locked with a passphrase")
	// ErrKey: no such file of OpenBSD's signify or OpenWrt's usign.
	ErrKey = errors.New("not a file of signify or usign")
	// ErrUnsigned: the image has no signature of this form.
	ErrUnsigned = errors.New("image is not signed")
	// ErrOtherKey: the image was signed with another key.
	ErrOtherKey = errors.New("image is signed with another key")
	// ErrForged: the signature is not one of this image.
	ErrForged = errors.New("signature does not fit the image")
)

// A SecretKey signs images, as signify and usign do.
type SecretKey struct {
	id  [keyID]byte
	key ed25519.PrivateKey
}

// A PublicKey verifies what a SecretKey signed.
type PublicKey struct {
	id  [keyID]byte
	key ed25519.PublicKey
}

type signature struct {
	id  [keyID]byte
	sig []byte
}

// ParseSecretKey reads the file of a secret key. The error is ErrKey or
// ErrLocked.
func ParseSecretKey(file []byte) (SecretKey, error) {
	b, err := parseKeyFile(file, secretSize)
	if err != nil {
		return SecretKey{}, err
	}
	if string(b[2:4]) != keyKDF {
		return SecretKey{}, fmt.Errorf("%w: its passphrase is for %q", ErrKey, b[2:4])
	}
	if binary.BigEndian.Uint32(b[4:]) != 0 {
		return SecretKey{}, ErrLocked
	}
	k := SecretKey{key: bytes.Clone(b[secretSize-ed25519.PrivateKeySize:])}
	copy(k.id[:], b[32:])
	if sum := sha512.Sum512(k.key); !bytes.Equal(sum[:8], b[24:32]) {
		return SecretKey{}, fmt.Errorf("%w: its checksum is wrong", ErrKey)
	}
	return k, nil
}

// ParsePublicKey reads the file of a public key. The error is ErrKey.
func ParsePublicKey(file []byte) (PublicKey, error) {
	b, err := parseKeyFile(file, publicSize)
	if err != nil {
		return PublicKey{}, err
	}
	k := PublicKey{key: bytes.Clone(b[2+keyID:])}
	copy(k.id[:], b[2:])
	return k, nil
}

func parseSignature(file []byte) (signature, error) {
	b, err := parseKeyFile(file, signatureSize)
	if err != nil {
		return signature{}, err
	}
	s := signature{sig: bytes.Clone(b[2+keyID:])}
	copy(s.id[:], b[2:])
	return s, nil
}

// parseKeyFile reads a line of comment and one of base64, which is what all of
// these files are, and returns the octets.
func parseKeyFile(file []byte, size int) ([]byte, error) {
	head, line, ok := bytes.Cut(file, []byte("\n"))
	if !ok || !bytes.HasPrefix(head, []byte(comment)) {
		return nil, ErrKey
	}
	b, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSuffix(line, []byte("\n"))))
	if err != nil || len(b) != size || string(b[:2]) != keyAlgorithm {
		return nil, ErrKey
	}
	return b, nil
}

// Public returns the public half of a key.
func (k SecretKey) Public() PublicKey {
	return PublicKey{k.id, k.key.Public().(ed25519.PublicKey)}
}

// Sign returns the file that signify and usign make of a message. There is
// nothing random in it.
func (k SecretKey) Sign(message []byte) []byte {
	b := append([]byte(keyAlgorithm), k.id[:]...)
	b = append(b, ed25519.Sign(k.key, message)...)
	return fmt.Appendf(nil, "%ssigned by key %x\n%s\n", comment, k.id, base64.StdEncoding.EncodeToString(b))
}

// Verify checks a message against a file that Sign, signify or usign made. The
// error is ErrKey, ErrOtherKey or ErrForged.
func (k PublicKey) Verify(message, file []byte) error {
	s, err := parseSignature(file)
	if err != nil {
		return err
	}
	if s.id != k.id {
		return fmt.Errorf("%w: %x instead of %x", ErrOtherKey, s.id, k.id)
	}
	if !ed25519.Verify(k.key, message, s.sig) {
		return ErrForged
	}
	return nil
}

// VerifyImage checks the signature at the end of an image, which is over all
// that is before it. The error is ErrUnsigned or one of Verify's.
func (k PublicKey) VerifyImage(image []byte) error {
	l := alone("file", image)
	d := &dissector{layers: maxLayers}
	d.blocks(l)
	if len(l.Layers) == 0 {
		return ErrUnsigned
	}
	last := l.Layers[len(l.Layers)-1]
	if last.Kind != "signature" {
		return ErrUnsigned
	}
	text := last.place.b[:len(last.place.b)-blockTrailer]
	return k.Verify(image[:last.Off], text)
}
