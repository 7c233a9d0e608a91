package widgets

import (
	stdjson "encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// FuzzRead: what is accepted is UTF-8, holds no zero character, and is the same to a reader that forgives more.
func FuzzRead(f *testing.F) {
	for _, seed := range []string{`{"deal_id": "1", "amount": {"minor": 1500000, "currency": "AMD"}, "expires_at": "2026-03-01T10:00:00Z"}`, `{"deal_id": "1", "deal_id": "2"}`,
		`{"Deal_ID": "1"}`, "{\"purpose\": \"\xff\"}", `{"purpose": "\ud83d"}`, `{"purpose": "\\u0000"}`, `{"amount": {"minor": 1e3}}`, `{} {}`, `null`, ``} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var strict, lenient api.NewInvoice
		if err := read(raw, &strict); err != nil {
			var told *bad
			require.ErrorAs(t, err, &told)
			require.True(t, utf8.ValidString(told.detail))
			return
		}
		require.True(t, utf8.Valid(raw))
		require.NotContains(t, strict.DealId, "\x00")
		require.NoError(t, stdjson.Unmarshal(raw, &lenient))
		require.Equal(t, lenient, strict)
	})
}
