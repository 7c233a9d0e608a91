package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
)

// Answer is a client of an acquirer that gives this answer to every request.
func Answer(status int, body string) *http.Client {
	return &http.Client{Transport: answering(func(r *http.Request) *http.Response {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
			Body: io.NopCloser(bytes.NewReader([]byte(body)))}
	})}
}

type answering func(*http.Request) *http.Response

func (a answering) RoundTrip(r *http.Request) (*http.Response, error) { return a(r), nil }

// AnyAnswer looks at the order while the acquirer answers this body, whatever it is, and checks what holds of every
// observation; the fuzz targets of the adapters call it.
func AnyAnswer(t *testing.T, p payments.Provider, c payments.Connection, o payments.Order, body string) {
	t.Helper()
	c.HTTP = Answer(http.StatusOK, body)
	seen, err := p.Look(context.Background(), c, o)
	Sane(t, seen, err)
}

// Sane checks what holds of every observation: an error comes without a status, what is paid has an amount, no more
// went back than came, and the evidence never holds what an address, a phone number or a card needs.
func Sane(t *testing.T, seen payments.Observation, err error) {
	t.Helper()
	require.False(t, strings.ContainsAny(string(seen.Raw)+seen.Code, "@/<>* "), "%s %s", seen.Raw, seen.Code)
	if err != nil {
		require.Empty(t, seen.Status)
		require.Zero(t, seen.Captured)
		return
	}
	require.Equal(t, seen.Status == state.AttemptPaid, seen.Captured.Minor > 0)
	require.GreaterOrEqual(t, seen.Refunded.Minor, int64(0))
	if seen.Status == state.AttemptPaid {
		require.LessOrEqual(t, seen.Refunded.Minor, seen.Captured.Minor)
	}
	require.True(t, json.Valid(seen.Raw))
}
