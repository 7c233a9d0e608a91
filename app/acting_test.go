package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// answer is an HTTP answer, read whole.
type answer struct {
	Status int
	Header http.Header
	Body   []byte
	Err    error // of a request that got no answer
}

// code is the code of a problem, empty when the answer is none.
func (a answer) code() string {
	var p api.Problem
	if !strings.HasPrefix(a.Header.Get("Content-Type"), "application/problem+json") || json.Unmarshal(a.Body, &p) != nil {
		return ""
	}
	return p.Code
}

// send sends a request. A string is sent as it is, another body as JSON; headers come in pairs. It may be called from
// any goroutine.
func (s *scene) send(method, address string, body any, headers ...string) answer {
	var content io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		content = strings.NewReader(b)
	case io.Reader:
		content = b
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return answer{Err: err}
		}
		content = bytes.NewReader(raw)
	}
	r, err := http.NewRequestWithContext(s.Context(), method, address, content)
	if err != nil {
		return answer{Err: err}
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		return answer{Err: err}
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	return answer{Status: response.StatusCode, Header: response.Header, Body: raw, Err: err}
}

// api calls /api/v1 with the account's key.
func (a *account) api(method, path string, body any, headers ...string) answer {
	return a.send(method, a.app+"/api/v1"+path, body, append([]string{"Authorization", "Bearer " + a.APIKey}, headers...)...)
}

// with is the account with another key or session.
func (a *account) with(token string) *account {
	other := *a
	other.APIKey = token
	return &other
}

// key makes a key of this role.
func (a *account) key(role tenants.Role) *account {
	made := want[api.NewKey](a.scene, http.StatusCreated, a.api(http.MethodPost, "/api-keys", map[string]any{"name": string(role), "role": role}, once()...))
	return a.with(made.Secret)
}

// want requires the status and reads the body.
func want[T any](s *scene, status int, got answer) T {
	s.Helper()
	var v T
	require.NoError(s, got.Err)
	require.Equal(s, status, got.Status, string(got.Body))
	if len(got.Body) > 0 {
		require.NoError(s, json.Unmarshal(got.Body, &v), string(got.Body))
	}
	return v
}

// refused requires a problem of this status and code, which names its request.
func refused(s *scene, status int, code string, got answer) {
	s.Helper()
	p := want[api.Problem](s, status, got)
	require.Equal(s, "application/problem+json", got.Header.Get("Content-Type"))
	require.Equal(s, code, p.Code, p.Detail)
	require.Equal(s, status, p.Status)
	require.NotEmpty(s, p.Detail)
	require.Equal(s, got.Header.Get("X-Request-Id"), p.RequestId)
	require.NotEmpty(s, p.RequestId)
}

// once is a fresh idempotency key.
func once() []string { return []string{"Idempotency-Key", tenants.NewToken()} }

// create makes an invoice of a deal; terms may name amount, purpose, expires_at and acquirer.
func (a *account) create(deal string, terms ...map[string]any) api.Invoice {
	a.Helper()
	body := map[string]any{"deal_id": deal}
	for _, more := range terms {
		for k, v := range more {
			body[k] = v
		}
	}
	return want[api.Invoice](a.scene, http.StatusCreated, a.api(http.MethodPost, "/invoices", body, once()...))
}

// get reads an invoice.
func (a *account) get(id string) api.Invoice {
	a.Helper()
	return want[api.Invoice](a.scene, http.StatusOK, a.api(http.MethodGet, "/invoices/"+id, nil))
}

// act does something with an invoice that answers with it.
func (a *account) act(in api.Invoice, what string, body any, headers ...string) api.Invoice {
	a.Helper()
	got := a.api(http.MethodPost, "/invoices/"+in.Id+"/"+what, body, headers...)
	require.Contains(a, []int{http.StatusOK, http.StatusCreated}, got.Status, string(got.Body))
	return want[api.Invoice](a.scene, got.Status, got)
}

// refund asks to give back minor units.
func (a *account) refund(in api.Invoice, minor int64) answer {
	return a.api(http.MethodPost, "/invoices/"+in.Id+"/refunds", map[string]any{
		"amount": map[string]any{"minor": minor, "currency": in.Amount.Currency}, "reason": "The customer changed their mind"}, once()...)
}

// balance reads a deal.
func (a *account) balance(deal string) api.Deal {
	a.Helper()
	return want[api.Deal](a.scene, http.StatusOK, a.api(http.MethodGet, "/deals/"+deal, nil))
}

// press is a customer who presses Pay; it returns the address of the acquirer's page.
func (s *scene) press(in api.Invoice) string {
	s.Helper()
	got := s.send(http.MethodPost, in.Url+"/pay", url.Values{}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	require.NoError(s, got.Err)
	require.Equal(s, http.StatusSeeOther, got.Status, string(got.Body))
	checkout := got.Header.Get("Location")
	require.Contains(s, checkout, "api.vpos.am", "the customer was not sent to the acquirer")
	return checkout
}

// control orders something of a stand-in.
func (s *scene) order(host, what string, body any) []byte {
	s.Helper()
	method := http.MethodPost
	if body == nil {
		method = http.MethodGet
	}
	got := s.send(method, s.control[host]+"/"+what, body)
	require.NoError(s, got.Err)
	require.Equal(s, http.StatusOK, got.Status, string(got.Body))
	return got.Body
}

// fault orders a stand-in to misbehave for the next count matching requests.
func (s *scene) fault(host, kind string, count, ms int, match string) {
	s.Helper()
	s.order(host, "faults", map[string]any{"kind": kind, "count": count, "ms": ms, "match": match})
}

// bank does something at the acquirer and returns the payment's line in its books.
func (s *scene) bank(what string, order map[string]any) acquirertest.Entry {
	s.Helper()
	var e acquirertest.Entry
	require.NoError(s, json.Unmarshal(s.order(demo.Acquirer, what, order), &e))
	return e
}

// pays is a customer at an acquirer's page; so many notices follow.
func (s *scene) pays(checkout, outcome string, notices int) acquirertest.Entry {
	s.Helper()
	return s.bank("pay", map[string]any{"url": checkout, "outcome": outcome, "notices": notices})
}

// books are the acquirer's payments for an invoice.
func (s *scene) books(in api.Invoice) []acquirertest.Entry {
	s.Helper()
	var all, own []acquirertest.Entry
	require.NoError(s, json.Unmarshal(s.order(demo.Acquirer, "books", nil), &all))
	for _, e := range all {
		if strings.HasPrefix(e.Order, in.Number+"-") {
			own = append(own, e)
		}
	}
	return own
}

// until waits for something that work in the background brings about.
func (s *scene) until(what string, ready func() bool) {
	s.Helper()
	s.within(20*time.Second, what, ready)
}

func (s *scene) within(patience time.Duration, what string, ready func() bool) {
	s.Helper()
	for deadline := time.Now().Add(patience); !ready(); time.Sleep(20 * time.Millisecond) {
		require.False(s, time.Now().After(deadline), "not within %s: %s", patience, what)
	}
}
