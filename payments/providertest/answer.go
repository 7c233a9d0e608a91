package providertest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
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

// AnyAnswer asks for the order, opens it and gives its money back while the acquirer answers this body, whatever it is, and
// checks what holds of every answer; the fuzz targets of the adapters call it.
func AnyAnswer(t *testing.T, p payments.Provider, c payments.Connection, o payments.Order, body string) {
	t.Helper()
	c.HTTP = Answer(http.StatusOK, body)
	seen, err := p.Look(context.Background(), c, o)
	Sane(t, seen, err)
	if !o.Amount.Valid() {
		o.Amount = payments.Money{Minor: 150_000, Currency: "AMD"}
	}
	o.ReturnURL, o.Language = "https://pay.example/p/x/back", "en"
	opened, err := p.Start(context.Background(), c, o)
	known(t, err, payments.ErrCredentials, payments.ErrRefused, payments.ErrUnavailable, payments.ErrStarted)
	if err == nil {
		page, err := url.Parse(opened.URL)
		require.NoError(t, err)
		require.Equal(t, "https", page.Scheme, opened.URL)
		require.Nil(t, page.User, opened.URL)
		require.NotEmpty(t, page.Hostname())
	} else {
		require.Empty(t, opened.URL)
	}
	if giver, ok := p.(payments.Refunder); ok {
		known(t, giver.Refund(context.Background(), c, o, "refund-1", o.Amount), payments.ErrCredentials, payments.ErrRefused, payments.ErrUnavailable, payments.ErrUnknown)
	}
}

// known requires that an error is none, or one of those that the port names.
func known(t *testing.T, err error, names ...error) {
	t.Helper()
	require.True(t, err == nil || slices.ContainsFunc(names, func(name error) bool { return errors.Is(err, name) }), "%v", err)
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
	require.False(t, seen.Busy && seen.Status != state.Pending)
	require.True(t, json.Valid(seen.Raw))
}
