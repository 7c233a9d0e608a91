// Package hooks is where acquirers' notices come in. A notice is a reminder: it is kept and a check is promised, and
// nothing in it is believed here.
package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
)

// maxBody bounds a notice; the largest documented ones are a few kilobytes.
const maxBody = 64 << 10

// Taker receives a notice for the tenant behind key.
type Taker interface {
	Take(ctx context.Context, acquirer, key string, n payments.Notice) (payments.Provider, payments.Outcome, error)
}

// Handler answers /hooks/{acquirer}/{key}.
func Handler(taker Taker, now func() time.Time, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		acquirer, key, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/hooks/"), "/")
		if !ok || key == "" || strings.Contains(key, "/") {
			refuse(w, r, http.StatusNotFound, "not_found", noHook)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			refuse(w, r, http.StatusRequestEntityTooLarge, "too_large", "A notice of this size is none of an acquirer's.")
			return
		}
		notice := payments.Notice{Method: r.Method, Query: r.URL.RawQuery, Header: r.Header, Body: body, ReceivedAt: now()}
		provider, outcome, err := taker.Take(r.Context(), acquirer, key, notice)
		if err != nil {
			log.WarnContext(r.Context(), "notice not taken", "acquirer", acquirer, "outcome", outcome, "err", err)
		}
		answer(w, r, provider, outcome, err)
	})
}

const noHook = "No acquirer's notices are taken at this address."

// answer speaks the acquirer's own form where it has one.
func answer(w http.ResponseWriter, r *http.Request, provider payments.Provider, outcome payments.Outcome, err error) {
	switch {
	case errors.Is(err, payments.ErrNotFound):
		refuse(w, r, http.StatusNotFound, "not_found", noHook)
		return
	case errors.Is(err, payments.ErrNotice):
		refuse(w, r, http.StatusBadRequest, "notice_unreadable", "This is not a notice of this acquirer.")
		return
	}
	if replier, ok := provider.(payments.Replier); ok {
		status, contentType, body := replier.Reply(outcome)
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		_, _ = w.Write(body)
		return
	}
	switch {
	case errors.Is(err, payments.ErrForged):
		refuse(w, r, http.StatusUnauthorized, "notice_forged", "The signature is missing, wrong or too old.")
		return
	case outcome == payments.Rejected:
		refuse(w, r, http.StatusConflict, "payment_refused", "This payment is not wanted: the link is closed, or the amount is another.")
		return
	}
	if err != nil {
		w.Header().Set("Retry-After", "5")
		refuse(w, r, http.StatusServiceUnavailable, "try_again", "The notice could not be kept. Send it again.")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"ok":true}`)
}

func refuse(w http.ResponseWriter, r *http.Request, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"type": "about:blank", "title": http.StatusText(status), "status": status, "code": code,
		"detail": detail, "request_id": tenants.RequestOf(r.Context())})
}
