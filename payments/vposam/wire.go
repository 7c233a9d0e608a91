package vposam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

// call sends one request and returns the body of a 2xx answer. With a body it carries the Idempotency-Key. What is
// unclear at the end (no answer, cut, 5xx) is ErrUnknown for a refund, and ErrUnavailable for what may be repeated.
func (p *Provider) call(ctx context.Context, c payments.Connection, method, path, key string, in any) ([]byte, error) {
	var body io.Reader = http.NoBody
	lost := payments.ErrUnavailable
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(text)
		if path != createPath {
			lost = payments.ErrUnknown
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, p.cfg.BaseURL+path, body)
	if err != nil {
		return nil, fmt.Errorf("%w: no such address", payments.ErrUnavailable)
	}
	r.Header.Set("Authorization", "Bearer "+c.Credentials["token"])
	r.Header.Set("Accept", "application/json")
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
	}
	answer, err := wire.Send(c.HTTP, r, lost)
	if err != nil {
		return nil, err
	}
	return answer.Body, verdict(method, answer, lost)
}

// verdict classifies the HTTP status; lost is what an unclear end means for this call.
func verdict(method string, answer wire.Answer, lost error) error {
	code := errorCode(answer.Body)
	err := payments.ErrRefused
	switch status := answer.Status; {
	case status/100 == 2:
		return nil
	case answer.HTML && status/100 == 4:
		err = payments.ErrUnavailable
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		err = payments.ErrCredentials
	case status == http.StatusTooManyRequests || status == http.StatusRequestTimeout:
		err = payments.ErrUnavailable
	case status == http.StatusNotFound && method == http.MethodGet:
		err = payments.ErrNothingNew
	case status == http.StatusConflict && strings.Contains(code, "idempotency"):
		err = lost // the first request under this key is still being worked on
	case status/100 != 4:
		err = lost
	}
	return fmt.Errorf("%w: HTTP %d %s", err, answer.Status, code)
}

// errorCode finds the API's code in an error body; its text stays out of logs.
func errorCode(answer []byte) string {
	f, err := parseObject(answer)
	if err != nil {
		return ""
	}
	if inner, err := parseObject(f["error"]); err == nil {
		f = inner
	}
	return f.text("code")
}

// session is what is kept of an answer, and, as JSON, the evidence: only what names the payment, never a person.
type session struct {
	ID        string    `json:"id"`
	Order     string    `json:"merchantOrderId,omitempty"`
	Merchant  string    `json:"merchantId,omitempty"`
	Status    string    `json:"status"`
	Currency  string    `json:"currency,omitempty"`
	Amount    *int64    `json:"amountMinor,omitempty"`
	Captured  *int64    `json:"capturedAmountMinor,omitempty"`
	Refunded  *int64    `json:"refundedAmountMinor,omitempty"`
	Code      string    `json:"failureCode,omitempty"`
	PaidAt    time.Time `json:"paidAt,omitzero"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	Disputes  []dispute `json:"disputes,omitempty"`

	checkout string
}

type dispute struct {
	ID     string `json:"id"`
	Amount int64  `json:"amountMinor"`
	Status string `json:"status"`
}

func (s session) redacted() []byte {
	raw, _ := json.Marshal(s) // no value of it can fail
	return raw
}

var errWire = errors.New("vposam: not a session")

// parseSession reads a session that stands alone or as "data". Several names are tried where none is documented.
func parseSession(body []byte) (session, error) {
	f, err := parseObject(body)
	if err != nil {
		return session{}, err
	}
	if inner, err := parseObject(f["data"]); err == nil {
		f = inner
	}
	s := session{
		ID: f.text("id", "sessionId"), Order: f.text("merchantOrderId"), Merchant: f.text("merchantId"),
		Status: strings.ToLower(f.text("status")), Currency: strings.ToUpper(f.text("currency")),
		Code: f.text("failureCode"), PaidAt: f.time("paidAt"), ExpiresAt: f.time("expiresAt"),
	}
	for _, name := range []string{"checkoutUrl", "redirectUrl", "url"} {
		if json.Unmarshal(f[name], &s.checkout) == nil && s.checkout != "" {
			break
		}
	}
	for name, into := range map[string]**int64{"amountMinor": &s.Amount, "capturedAmountMinor": &s.Captured, "refundedAmountMinor": &s.Refunded} {
		if *into, err = f.integer(name); err != nil {
			return session{}, err
		}
	}
	var disputes []json.RawMessage
	_ = json.Unmarshal(f["disputes"], &disputes) // absent, or of a shape that tells us nothing
	for _, raw := range disputes {
		d, _ := parseObject(raw)
		amount, err := d.integer("amountMinor")
		if err == nil && amount != nil && d.text("id") != "" {
			s.Disputes = append(s.Disputes, dispute{d.text("id"), *amount, strings.ToLower(d.text("status"))})
		}
	}
	return s, nil
}

// parseProviders returns all names that the capability matrix gives to providers.
func parseProviders(body []byte) ([]string, error) {
	f, err := parseObject(body)
	if err != nil {
		return nil, err
	}
	var providers []json.RawMessage
	if err := json.Unmarshal(f["providers"], &providers); err != nil {
		return nil, errWire
	}
	var names []string
	for _, raw := range providers {
		provider, _ := parseObject(raw)
		names = append(names, provider.text("id"), provider.text("provider"), provider.text("name"), provider.text("code"))
	}
	return names, nil
}

// object is a JSON object whose fields are read one by one, so that a strange one spoils no other.
type object map[string]json.RawMessage

func parseObject(body []byte) (object, error) {
	var f object
	if err := json.Unmarshal(body, &f); err != nil || f == nil {
		return nil, errWire
	}
	return f, nil
}

// text returns the first of the named fields that is a plain identifier; anything else could hold a person's data.
func (f object) text(names ...string) string {
	for _, name := range names {
		var s string
		if json.Unmarshal(f[name], &s) == nil && wire.Plain(s) {
			return s
		}
	}
	return ""
}

func (f object) time(name string) time.Time {
	at, _ := time.Parse(time.RFC3339, f.text(name))
	return at
}

// integer reads a whole number, also one written as text; nil when absent. Fractions and exponents are refused.
func (f object) integer(name string) (*int64, error) {
	raw := strings.Trim(string(f[name]), `"`)
	if raw == "" || raw == "null" {
		return nil, nil
	}
	n, err := strconv.ParseInt(raw, 10, 64)
	if err != nil {
		return nil, errWire
	}
	return &n, nil
}
