// Package tenants says who is asking and is the only way to the database. Everything a tenant owns is reached through
// [DB.In], which binds one transaction to one tenant by row-level security.
package tenants

import (
	"crypto/rand"
	"encoding/base64"
	"log/slog"

	"github.com/google/uuid"
)

// ID names a tenant. It is made by a door, a session or a scan of promises, never from a request's body; the zero
// value names nobody.
type ID struct{ u uuid.UUID }

// String is the id as text; it identifies nobody outside.
func (id ID) String() string { return id.u.String() }

// Zero says whether the ID names nobody.
func (id ID) Zero() bool { return id.u == uuid.Nil }

// LogValue writes the id as text.
func (id ID) LogValue() slog.Value { return slog.StringValue(id.String()) }

// Restore makes the ID out of text that this program itself wrote into something sealed or into its own queue.
func Restore(text string) (ID, error) {
	u, err := uuid.Parse(text)
	return ID{u}, err
}

// NewUUID returns a time-ordered UUID (version 7).
func NewUUID() uuid.UUID { return uuid.Must(uuid.NewV7()) }

// NewToken returns 192 random bits as URL-safe text.
func NewToken() string {
	b := make([]byte, 24)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}

// NewNumber returns a short number for people, such as "DP-4F2K9QXH": 40 random bits without letters that look alike.
func NewNumber(prefix string) string {
	const alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return prefix + "-" + string(b)
}

// Secret is text that must not be printed; every formatting verb and the logger show a placeholder.
type Secret string

const hidden = "[hidden]"

func (Secret) String() string { return hidden }

// GoString hides the secret from %#v.
func (Secret) GoString() string { return hidden }

// LogValue hides the secret from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }
