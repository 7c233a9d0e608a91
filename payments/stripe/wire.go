package stripe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/wire"
)

// request is one call of the API.
type request struct {
	method, path string
	form         url.Values
	key          string // Idempotency-Key
	lost         error  // what an unclear end means for this call
}

// errReused says that the Idempotency-Key was used before with other parameters.
var errReused = errors.New("stripe: the key was used before")

// call sends one request and decodes a 2xx answer.
func (p *Provider) call(ctx context.Context, c payments.Connection, in request, out any) error {
	target, body := p.cfg.BaseURL+in.path, ""
	if in.method == http.MethodGet {
		target += "?" + in.form.Encode()
	} else {
		body = in.form.Encode()
	}
	r, err := http.NewRequestWithContext(ctx, in.method, target, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w: no such address", payments.ErrUnavailable)
	}
	r.Header.Set("Authorization", "Bearer "+c.Credentials["secret_key"])
	r.Header.Set("Stripe-Version", p.cfg.Version)
	if in.method != http.MethodGet {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if in.key != "" {
		r.Header.Set("Idempotency-Key", in.key)
	}
	answer, err := wire.Send(c.HTTP, r, in.lost)
	if err != nil {
		return err
	}
	if err := verdict(in, answer); err != nil {
		return err
	}
	if json.Unmarshal(answer.Body, out) != nil {
		return fmt.Errorf("%w: unreadable answer", in.lost)
	}
	return nil
}

// failure is the body of an error (API reference, "Errors"); its text stays out of logs.
type failure struct {
	Error struct {
		Type plain `json:"type"`
		Code plain `json:"code"`
	} `json:"error"`
}

// verdict classifies the HTTP status.
func verdict(in request, answer wire.Answer) error {
	var f failure
	_ = json.Unmarshal(answer.Body, &f) // without a readable body the status alone decides
	err := payments.ErrRefused
	switch status := answer.Status; {
	case status/100 == 2:
		return nil
	case status/100 == 4 && answer.HTML, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout:
		err = payments.ErrUnavailable
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		err = payments.ErrCredentials
	case status == http.StatusNotFound && in.method == http.MethodGet:
		err = payments.ErrNothingNew
	case f.Error.Type == "idempotency_error" && status == http.StatusBadRequest:
		err = errReused
	case status == http.StatusConflict, status == http.StatusFailedDependency, status/100 != 4:
		err = in.lost // a conflict: the first request under this key is still being worked on
	}
	return fmt.Errorf("%w: HTTP %d %s %s", err, answer.Status, f.Error.Type, f.Error.Code)
}

// page is one answer to a list, newest first.
type page[T any] struct {
	Data []T  `json:"data"`
	More bool `json:"has_more"`
}

type named interface{ name() string }

// list walks a list until each is satisfied; so many pages are enough for what belongs to one payment.
func list[T named](ctx context.Context, p *Provider, c payments.Connection, path string, form url.Values, each func(T) (done bool)) error {
	const pages, size = 5, 10 // ten sessions fit into the bounded answer
	form.Set("limit", strconv.Itoa(size))
	for range pages {
		var got page[T]
		if err := p.call(ctx, c, request{http.MethodGet, path, form, "", payments.ErrUnavailable}, &got); err != nil {
			return err
		}
		for _, item := range got.Data {
			if each(item) {
				return nil
			}
		}
		if !got.More || len(got.Data) == 0 {
			return nil
		}
		form.Set("starting_after", got.Data[len(got.Data)-1].name())
	}
	return nil
}

// plain is text that can be an identifier or a code; anything else is read as nothing, it could hold a person's data.
type plain string

// UnmarshalJSON never fails, so that a strange field spoils no other.
func (s *plain) UnmarshalJSON(text []byte) error {
	var raw string
	*s = ""
	if json.Unmarshal(text, &raw) == nil && wire.Plain(raw) {
		*s = plain(raw)
	}
	return nil
}

// expandable is an id, or the object itself where it was asked for.
type expandable[T any] struct {
	ref    plain
	object *T
}

// UnmarshalJSON reads either form.
func (e *expandable[T]) UnmarshalJSON(text []byte) error {
	var self struct {
		ID plain `json:"id"`
	}
	*e = expandable[T]{}
	if _ = e.ref.UnmarshalJSON(text); e.ref != "" || string(text) == "null" || text[0] != '{' {
		return nil
	}
	if err := json.Unmarshal(text, &self); err != nil {
		return err
	}
	e.ref, e.object = self.ID, new(T)
	return json.Unmarshal(text, e.object)
}

// MarshalJSON writes what is kept as evidence.
func (e expandable[T]) MarshalJSON() ([]byte, error) {
	if e.object != nil {
		return json.Marshal(e.object)
	}
	return json.Marshal(e.ref)
}

func (e expandable[T]) id() plain { return e.ref }

// marks are the metadata by which we know our own.
type marks struct {
	Attempt plain `json:"attempt,omitempty"`
	Order   plain `json:"order,omitempty"`
}

// session is what is kept of a Checkout Session and, as JSON, the evidence: only what names the payment, never a person.
type session struct {
	ID       plain              `json:"id"`
	Status   plain              `json:"status"`
	Payment  plain              `json:"payment_status"`
	Currency plain              `json:"currency"`
	Total    *int64             `json:"amount_total,omitempty"`
	Attempt  plain              `json:"client_reference_id"`
	Expires  int64              `json:"expires_at,omitempty"`
	Live     *bool              `json:"livemode,omitempty"`
	Metadata marks              `json:"metadata"`
	Intent   expandable[intent] `json:"payment_intent"`
	URL      string             `json:"url,omitempty"`
	// of the evidence only
	Refunds  []refund  `json:"refunds,omitempty"`
	Disputes []dispute `json:"disputes,omitempty"`
}

func (s session) name() string { return string(s.ID) }

func (s session) deadline() time.Time {
	if s.Expires <= 0 {
		return time.Time{}
	}
	return time.Unix(s.Expires, 0).UTC()
}

func (s session) redacted() []byte {
	s.URL = ""
	raw, _ := json.Marshal(s) // no value of it can fail
	return raw
}

type intent struct {
	ID       plain              `json:"id"`
	Status   plain              `json:"status"`
	Currency plain              `json:"currency"`
	Received *int64             `json:"amount_received,omitempty"`
	Charge   expandable[charge] `json:"latest_charge"`
	Problem  struct {
		Code    plain `json:"code,omitempty"`
		Decline plain `json:"decline_code,omitempty"`
	} `json:"last_payment_error"`
}

type charge struct {
	ID       plain  `json:"id"`
	Currency plain  `json:"currency"`
	Captured *int64 `json:"amount_captured,omitempty"`
	Refunded int64  `json:"amount_refunded"`
	Created  int64  `json:"created,omitempty"`
}

type refund struct {
	ID       plain `json:"id"`
	Amount   int64 `json:"amount"`
	Status   plain `json:"status"`
	Metadata struct {
		Refund plain `json:"refund,omitempty"` // our id of it
	} `json:"metadata"`
}

func (r refund) name() string { return string(r.ID) }

type dispute struct {
	ID       plain `json:"id"`
	Amount   int64 `json:"amount"`
	Currency plain `json:"currency"`
	Status   plain `json:"status"`
}

func (d dispute) name() string { return string(d.ID) }
