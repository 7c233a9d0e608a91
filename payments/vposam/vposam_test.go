package vposam_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/vposam"
	"github.com/dealpay/dealpay/payments/vposam/vposamtest"
)

const token, secret = "tok-9f8e7d6c", "whs-1a2b3c4d"

var orders atomic.Int64

func order() payments.Order {
	n := orders.Add(1)
	return payments.Order{Attempt: fmt.Sprintf("attempt-%d", n), Reference: fmt.Sprintf("DP-%d-1", n),
		Amount: payments.Money{Minor: 1_500_000, Currency: "AMD"}, Description: "Deposit", ReturnURL: "https://pay.example/back"}
}

func connection(token string) payments.Connection {
	return payments.Connection{ID: "c", Acquirer: vposam.Key, HTTP: &http.Client{Timeout: 5 * time.Second},
		Credentials: map[string]string{"token": token, "webhook_secret": secret, "provider": "manual", "merchant_id": "merchant-1"}}
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	providertest.Run(t, func(t *testing.T) providertest.Fixture {
		double := vposamtest.New(vposamtest.Config{Token: token, WebhookSecret: secret})
		t.Cleanup(double.Close)
		server := httptest.NewServer(double)
		t.Cleanup(server.Close)
		return providertest.Fixture{Provider: vposam.New(vposam.Config{BaseURL: server.URL}), Connection: connection(token),
			Bad: connection("wrong"), Control: server.URL, Order: order, Dated: true,
			Private: []string{token, secret, "payer@example.com", "37400000000", "Test Buyer", "*0002", `"0002"`, "12/30"}}
	})
}

// api is a server that gives one answer, and keeps what it was asked.
type api struct {
	status    int
	mediaType string
	body      string
	got       *http.Request
	gotBody   map[string]any
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.got = r
	_ = json.NewDecoder(r.Body).Decode(&a.gotBody)
	if a.mediaType != "" {
		w.Header().Set("Content-Type", a.mediaType)
	}
	w.Header().Set("Location", "https://elsewhere.example/")
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(strings.ReplaceAll(a.body, "HOST", "http://"+r.Host)))
}

func serve(t *testing.T, status int, body string, cfg vposam.Config) (*api, payments.Provider) {
	t.Helper()
	a := &api{status: status, body: body}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	cfg.BaseURL = server.URL
	return a, vposam.New(cfg)
}

func TestStartSendsWhatIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/vpos-am/create-session.json")
	if err != nil {
		t.Skip("the documented example is not beside this checkout")
	}
	var example struct {
		Request struct {
			URL  string         `json:"url"`
			Body map[string]any `json:"body"`
		} `json:"request"`
	}
	require.NoError(t, json.Unmarshal(text, &example))
	a, p := serve(t, 201, `{"id":"ps_1","checkoutUrl":"HOST/pay/ps_1","expiresAt":"2026-09-01T12:20:00Z"}`, vposam.Config{})
	o := order()
	checkout, err := p.Start(context.Background(), connection(token), o)
	require.NoError(t, err)
	require.Equal(t, "ps_1", checkout.ProviderRef)
	require.Equal(t, time.Date(2026, 9, 1, 12, 20, 0, 0, time.UTC), checkout.Deadline)
	require.Equal(t, http.MethodPost, a.got.Method)
	require.True(t, strings.HasSuffix(example.Request.URL, a.got.URL.Path))
	require.Equal(t, "Bearer "+token, a.got.Header.Get("Authorization"))
	require.Equal(t, o.Attempt, a.got.Header.Get("Idempotency-Key"))
	for key, value := range a.gotBody {
		require.IsType(t, example.Request.Body[key], value, key)
	}
	require.Equal(t, o.Reference, a.gotBody["merchantOrderId"])
	require.EqualValues(t, 1_500_000, a.gotBody["amountMinor"])
	require.NotContains(t, a.gotBody, "customer", "no person is named to the acquirer")
}

func TestAStrangeAnswerToStartSendsNobodyAnywhere(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{201, `{"id":"ps_1","checkoutUrl":"https://phish.example/pay"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"https://evilvpos.am/pay"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"https://vpos.am.evil.example/pay"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"https://user@vpos.am/pay"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"http://vpos.am.phish.example/pay"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"http://user@api.vpos.am/pay"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"javascript:alert(1)"}`, payments.ErrRefused},
		{201, `{"id":"ps_1"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"HOST/p","amountMinor":1}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"HOST/p","currency":"USD"}`, payments.ErrRefused},
		{201, `{"id":"ps_1","checkoutUrl":"HOST/p","merchantOrderId":"other"}`, payments.ErrRefused},
		{201, `{"id":"../x","checkoutUrl":"HOST/p"}`, payments.ErrUnavailable},
		{201, `<html>`, payments.ErrUnavailable},
		{201, `{"id":"ps_1","checkoutUrl":"HOST/p`, payments.ErrUnavailable},
		{201, `{"id":"` + strings.Repeat("x", 70_000) + `"}`, payments.ErrUnavailable},
		{302, ``, payments.ErrUnavailable},
		{401, `{"error":{"code":"invalid_token"}}`, payments.ErrCredentials},
		{403, `{"error":{"code":"origin_not_trusted"}}`, payments.ErrCredentials},
		{409, `{"error":{"code":"duplicate_merchant_order_id"}}`, payments.ErrRefused},
		{409, `{"error":{"code":"idempotency_in_progress"}}`, payments.ErrUnavailable},
		{422, `{"code":"invalid_amount"}`, payments.ErrRefused},
		{429, ``, payments.ErrUnavailable},
		{500, ``, payments.ErrUnavailable},
	} {
		_, p := serve(t, c.status, c.body, vposam.Config{})
		checkout, err := p.Start(context.Background(), connection(token), order())
		require.ErrorIs(t, err, c.want, "%d %.80s", c.status, c.body)
		require.Empty(t, checkout)
		require.NotContains(t, err.Error(), token)
	}
	_, p := serve(t, 201, `{"data":{"sessionId":"ps_1","redirectUrl":"HOST/p"}}`, vposam.Config{})
	checkout, err := p.Start(context.Background(), connection(token), order())
	require.NoError(t, err)
	require.Equal(t, "ps_1", checkout.ProviderRef)
}

func TestAmountsNeverLoseAFraction(t *testing.T) {
	whole := vposam.Config{AmountExponents: map[string]int{"AMD": 0}}
	a, p := serve(t, 201, `{"id":"ps_1","checkoutUrl":"HOST/p","amountMinor":"15000"}`, whole)
	_, err := p.Start(context.Background(), connection(token), order())
	require.NoError(t, err)
	require.EqualValues(t, 15_000, a.gotBody["amountMinor"])
	require.True(t, p.Describe().WholeUnits)
	for _, m := range []payments.Money{{Minor: 1_500_050, Currency: "AMD"}, {Minor: 0, Currency: "AMD"}, {Minor: -1, Currency: "AMD"},
		{Minor: 100, Currency: "XXX"}, {Minor: state.MaxMinor + 1, Currency: "AMD"}} {
		o := order()
		o.Amount = m
		_, err := p.Start(context.Background(), connection(token), o)
		require.ErrorIs(t, err, payments.ErrRefused, m)
	}
	_, p = serve(t, 200, `{"id":"ps_1","status":"captured","currency":"AMD","amountMinor":15000}`, whole)
	seen, err := p.Look(context.Background(), connection(token), payments.Order{ProviderRef: "ps_1"})
	require.NoError(t, err)
	require.Equal(t, payments.Money{Minor: 1_500_000, Currency: "AMD"}, seen.Captured)
}

func TestEveryStatusHasItsMeaning(t *testing.T) {
	for word, want := range map[string]state.AttemptStatus{
		"created": state.Created, "new": state.Created, "pending": state.Pending, "processing": state.Pending,
		"requires_action": state.Pending, "AUTHORIZED": state.Authorized, "held": state.Authorized,
		"captured": state.AttemptPaid, "Paid": state.AttemptPaid, "succeeded": state.AttemptPaid, "completed": state.AttemptPaid,
		"partially_refunded": state.AttemptPaid, "refunded": state.AttemptPaid, "disputed": state.AttemptPaid,
		"failed": state.AttemptFailed, "declined": state.AttemptFailed, "expired": state.AttemptExpired,
		"cancelled": state.AttemptCancelled, "canceled": state.AttemptCancelled,
	} {
		_, p := serve(t, 200, `{"id":"ps_1","merchantOrderId":"o","status":"`+word+`","amountMinor":500,"currency":"amd"}`, vposam.Config{})
		seen, err := p.Look(context.Background(), connection(token), payments.Order{Reference: "o", ProviderRef: "ps_1"})
		require.NoError(t, err, word)
		require.Equal(t, want, seen.Status, word)
		require.Equal(t, want == state.AttemptPaid, seen.Captured == payments.Money{Minor: 500, Currency: "AMD"}, word)
		undone := want == state.AttemptCancelled // if it had been captured before, all of it went back
		require.Equal(t, undone || word == "refunded", seen.Refunded.Minor == 500, word)
		require.False(t, seen.Foreign)
		require.Equal(t, word == "processing", seen.Busy, word)
	}
}

func TestAnAnswerThatProvesNothingKeepsTheStatus(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, code string
		want       error
	}{
		{200, `{"id":"ps_1","status":"chargeback_pending"}`, "chargeback_pending", payments.ErrNothingNew},
		{200, `{"id":"ps_1"}`, "", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":2}`, "", payments.ErrNothingNew},
		{200, `{"status":"captured","amountMinor":5,"currency":"AMD"}`, "captured", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":"captured"}`, "captured", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":"captured","amountMinor":0,"currency":"AMD"}`, "captured", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":"captured","amountMinor":-5,"currency":"AMD"}`, "captured", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":"captured","amountMinor":5}`, "captured", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":"captured","amountMinor":5,"refundedAmountMinor":6,"currency":"AMD"}`, "captured", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":"captured","amountMinor":9000000000000000000,"currency":"AMD"}`, "captured", payments.ErrNothingNew},
		{404, `{}`, "", payments.ErrNothingNew},
		{200, `{"id":"ps_1","status":"captured","amountMinor":1.5,"currency":"AMD"}`, "", payments.ErrUnavailable},
		{200, `{"id":"ps_1","status":"captured","amountMinor":1e9,"currency":"AMD"}`, "", payments.ErrUnavailable},
		{200, `<html>all is well</html>`, "", payments.ErrUnavailable},
		{200, `null`, "", payments.ErrUnavailable},
		{503, `{"status":"captured"}`, "", payments.ErrUnavailable},
		{401, `{}`, "", payments.ErrCredentials},
	} {
		_, p := serve(t, c.status, c.body, vposam.Config{})
		seen, err := p.Look(context.Background(), connection(token), payments.Order{ProviderRef: "ps_1"})
		require.ErrorIs(t, err, c.want, c.body)
		require.Empty(t, seen.Status, c.body)
		require.Zero(t, seen.Captured, c.body)
		require.Equal(t, c.code, seen.Code, c.body)
	}
}

func TestForeignAnswersAreTold(t *testing.T) {
	o := payments.Order{Reference: "o", ProviderRef: "ps_1"}
	for body, want := range map[string]bool{
		`"id":"ps_1","merchantOrderId":"o","merchantId":"merchant-1"`: false,
		`"id":"ps_1"`:                                   false,
		`"id":"ps_1","merchantOrderId":"other"`:         true,
		`"id":"ps_2","merchantOrderId":"o"`:             true,
		`"merchantOrderId":"o","merchantId":"stranger"`: true,
	} {
		_, p := serve(t, 200, `{`+body+`,"status":"paid","amountMinor":5,"currency":"AMD"}`, vposam.Config{})
		seen, err := p.Look(context.Background(), connection(token), o)
		require.NoError(t, err)
		require.Equal(t, want, seen.Foreign, body)
	}
}

func TestRefundsEndKnownOrUnknown(t *testing.T) {
	o := payments.Order{ProviderRef: "ps_1"}
	for _, c := range []struct {
		status int
		body   string
		want   error
	}{
		{200, `{"status":"succeeded"}`, nil},
		{201, `{"data":{"status":"completed"}}`, nil},
		{200, `{"status":"failed"}`, payments.ErrRefused},
		{202, `{"status":"pending"}`, payments.ErrUnknown},
		{200, `<html>`, payments.ErrUnknown},
		{500, ``, payments.ErrUnknown},
		{302, ``, payments.ErrUnknown},
		{409, `{"error":{"code":"idempotency_in_progress"}}`, payments.ErrUnknown},
		{422, `{}`, payments.ErrRefused},
		{404, `{}`, payments.ErrRefused},
		{401, `{}`, payments.ErrCredentials},
		{429, ``, payments.ErrUnavailable},
	} {
		a, p := serve(t, c.status, c.body, vposam.Config{})
		err := p.(payments.Refunder).Refund(context.Background(), connection(token), o, "refund-1", payments.Money{Minor: 5, Currency: "AMD"})
		require.ErrorIs(t, err, c.want, "%d %s", c.status, c.body)
		require.Equal(t, "refund-1", a.got.Header.Get("Idempotency-Key"))
		require.Equal(t, "/v1/payment-sessions/ps_1/refunds", a.got.URL.Path)
	}
	_, p := serve(t, 200, `{"status":"succeeded"}`, vposam.Config{NoRefunds: true})
	require.NotImplements(t, (*payments.Refunder)(nil), p)
	require.False(t, p.Describe().Refunds)
	dead := vposam.New(vposam.Config{BaseURL: "http://127.0.0.1:1"}).(payments.Refunder)
	err := dead.Refund(context.Background(), connection(token), o, "r", payments.Money{Minor: 5, Currency: "AMD"})
	require.ErrorIs(t, err, payments.ErrUnavailable, "nothing was sent, so nothing moved")
}

func TestOnlyKnownEndpointsAreAsked(t *testing.T) {
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/vpos-am/known-endpoints.json")
	if err != nil {
		t.Skip("the documented endpoints are not beside this checkout")
	}
	var doc struct {
		Server    string
		Endpoints []struct{ Path string }
	}
	require.NoError(t, json.Unmarshal(text, &doc))
	require.Contains(t, doc.Server, vposam.New(vposam.Config{}).Describe().Hosts[0])
	known := map[string]bool{}
	for _, e := range doc.Endpoints {
		known[e.Path] = true
	}
	a, p := serve(t, 200, `{}`, vposam.Config{})
	_ = p.Check(t.Context(), connection(token))
	require.True(t, known[a.got.Method+" "+a.got.URL.Path])
	_, _ = p.Start(t.Context(), connection(token), order())
	require.True(t, known[a.got.Method+" "+a.got.URL.Path])
	require.NotEmpty(t, a.got.Header.Get("Idempotency-Key"))
}
