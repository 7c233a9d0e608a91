package wire_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

func TestSendAsksOnceAndKeepsWithinBounds(t *testing.T) {
	var calls atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/page", http.StatusTemporaryRedirect)
		case "/page":
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<html>")
		case "/endless":
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		case "/dropped":
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	for path, want := range map[string]struct {
		answer wire.Answer
		err    error
	}{
		"/page":    {wire.Answer{Status: 200, HTML: true, Body: []byte("<html>")}, nil},
		"/moved":   {wire.Answer{Status: 307, Body: []byte{}}, nil},
		"/endless": {wire.Answer{}, payments.ErrUnknown},
		"/dropped": {wire.Answer{}, payments.ErrUnknown},
	} {
		for range 2 { // the second time on a connection that is in use
			calls.Store(0)
			r, err := http.NewRequest(http.MethodPost, server.URL+path, strings.NewReader("body"))
			require.NoError(t, err)
			r.Header.Set("Idempotency-Key", "k")
			answer, err := wire.Send(nil, r, payments.ErrUnknown)
			require.ErrorIs(t, err, want.err, path)
			require.Equal(t, want.answer, answer, path)
			require.EqualValues(t, 1, calls.Load(), path)
		}
	}
	r, err := http.NewRequest(http.MethodPost, "http://127.0.0.1:1/secret", nil)
	require.NoError(t, err)
	_, err = wire.Send(http.DefaultClient, r, payments.ErrUnknown)
	require.ErrorIs(t, err, payments.ErrUnavailable, "nothing was sent")
	require.NotContains(t, err.Error(), "secret")
}

func TestPlainTextCannotHoldAPerson(t *testing.T) {
	for _, s := range []string{"ps_1", "DP-4F2K9QXH-1", "2026-09-01T12:20:00+04:00", "0-2007", "partially_refunded"} {
		require.True(t, wire.Plain(s), s)
	}
	for _, s := range []string{"", "a@b.c", "+37400000000", "400000******0002", "Test Buyer", "../x", "a/b", "Անի", strings.Repeat("x", 101)} {
		require.False(t, wire.Plain(s), s)
	}
}
