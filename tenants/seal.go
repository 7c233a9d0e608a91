package tenants

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Sealer encrypts what must not be readable in the database: with the newest key of its keyset, and opens with any.
type Sealer struct{ aead tink.AEAD }

// ErrSealed is returned for a ciphertext that was not made for this tenant and purpose, or by an unknown key.
var ErrSealed = errors.New("tenants: cannot open what is sealed")

// NewKeyset returns a fresh keyset as text for SECRET_KEYSET: base64 of Tink's JSON.
func NewKeyset() (string, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", err
	}
	return encode(handle)
}

// Rotate adds a key to the keyset and makes it the one that seals from now on; the older ones still open.
func Rotate(text string) (string, error) {
	handle, err := decode(text)
	if err != nil {
		return "", err
	}
	manager := keyset.NewManagerFromHandle(handle)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return "", err
	}
	if err := manager.SetPrimary(id); err != nil {
		return "", err
	}
	if handle, err = manager.Handle(); err != nil {
		return "", err
	}
	return encode(handle)
}

func encode(handle *keyset.Handle) (string, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&b)); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(b.Bytes()), nil
}

func decode(text string) (*keyset.Handle, error) {
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("SECRET_KEYSET is missing: expected base64 of a Tink keyset; make one with dealpay rotate-keys")
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("SECRET_KEYSET is no base64: expected base64 of a Tink keyset; make one with dealpay rotate-keys")
	}
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(raw)))
	if err != nil {
		return nil, errors.New("SECRET_KEYSET is no Tink keyset: expected base64 of one; make one with dealpay rotate-keys")
	}
	return handle, nil
}

// NewSealer reads SECRET_KEYSET.
func NewSealer(text string) (*Sealer, error) {
	handle, err := decode(text)
	if err != nil {
		return nil, err
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("SECRET_KEYSET holds no key for AEAD: expected base64 of a Tink keyset; make one with dealpay rotate-keys")
	}
	return &Sealer{primitive}, nil
}

// Seal encrypts clear for this tenant and purpose; ID zero is for what belongs to no tenant (sessions, OAuth states).
func (s *Sealer) Seal(id ID, purpose string, clear []byte) ([]byte, error) {
	sealed, err := s.aead.Encrypt(clear, []byte(id.String()+"/"+purpose))
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", purpose, err)
	}
	return sealed, nil
}

// Open decrypts what Seal made for the same tenant and purpose.
func (s *Sealer) Open(id ID, purpose string, sealed []byte) ([]byte, error) {
	clear, err := s.aead.Decrypt(sealed, []byte(id.String()+"/"+purpose))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrSealed, purpose)
	}
	return clear, nil
}

// Seal encrypts for the transaction's tenant.
func (tx *Tx) Seal(purpose string, clear []byte) ([]byte, error) {
	return tx.sealer.Seal(tx.tenant, purpose, clear)
}

// Open decrypts for the transaction's tenant.
func (tx *Tx) Open(purpose string, sealed []byte) ([]byte, error) {
	return tx.sealer.Open(tx.tenant, purpose, sealed)
}
