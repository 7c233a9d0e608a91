package stripe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/stripe"
	"github.com/dealpay/dealpay/payments/stripe/stripetest"
)

const key, secret, oldSecret = "sk_test_9f8e7d6c", "whsec_1a2b3c4d", "whsec_9z8y7x6w"

var (
	counter atomic.Int64
	dram    = payments.Money{Minor: 1_500_000, Currency: "AMD"}
)

func order() payments.Order {
	n := fmt.Sprint(counter.Add(1))
	return payments.Order{Attempt: "attempt-" + n, Reference: "DP-" + n + "-1", Amount: dram, Description: "Deposit", ReturnURL: "https://pay.example/back"}
}

func connection(key string) payments.Connection {
	return payments.Connection{ID: "c", Acquirer: stripe.Key, HTTP: &http.Client{Timeout: 5 * time.Second},
		Credentials: map[string]string{"secret_key": key, "webhook_secret": secret}}
}

// account is a double with a provider connected to it.
func account(t *testing.T, cfg stripetest.Config) (*stripetest.Server, *httptest.Server, *stripe.Provider) {
	t.Helper()
	cfg.SecretKey, cfg.WebhookSecret = key, secret
	double := stripetest.New(cfg)
	t.Cleanup(double.Close)
	server := httptest.NewServer(double)
	t.Cleanup(server.Close)
	return double, server, stripe.New(stripe.Config{BaseURL: server.URL})
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	for name, cfg := range map[string]stripetest.Config{"one secret": {}, "a secret that is rotated": {OldWebhookSecret: oldSecret}} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Fixture {
				double, server, p := account(t, cfg)
				return providertest.Fixture{Provider: p, Connection: connection(key), Bad: connection("sk_test_wrong"), Control: server.URL,
					Order: order, Hook: double.SetWebhook, Dated: true,
					Private: []string{key, secret, oldSecret, "payer@example.com", "37400000000", "Test Buyer", "*0002", `"0002"`}}
			})
		})
	}
}

func control(t *testing.T, server *httptest.Server, name, body string) map[string]any {
	t.Helper()
	res, err := http.Post(server.URL+"/_control/"+name, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	var out map[string]any
	_ = json.NewDecoder(res.Body).Decode(&out)
	require.Equal(t, 200, res.StatusCode, "%s %v", name, out)
	return out
}

// started opens a session and returns the order as it is kept.
func started(t *testing.T, p *stripe.Provider, o payments.Order) (payments.Order, payments.Checkout) {
	t.Helper()
	checkout, err := p.Start(t.Context(), connection(key), o)
	require.NoError(t, err)
	o.ProviderRef = checkout.ProviderRef
	return o, checkout
}

func look(t *testing.T, p *stripe.Provider, o payments.Order) payments.Observation {
	t.Helper()
	seen, err := p.Look(t.Context(), connection(key), o)
	require.NoError(t, err)
	return seen
}

func TestAnAttemptIsOneSessionWhateverElseChanges(t *testing.T) {
	double, _, p := account(t, stripetest.Config{})
	o, first := started(t, p, order())
	o.ReturnURL = "https://pay.example/p/another/back"
	_, second := started(t, p, o)
	require.Equal(t, first, second, "found among the newest")
	require.Len(t, double.Books(), 1)
	for range 11 {
		started(t, p, order())
	}
	_, second = started(t, p, o)
	require.Equal(t, first, second, "on the second page")
	require.NoError(t, p.CancelCheckout(t.Context(), connection(key), o))
	_, err := p.Start(t.Context(), connection(key), o)
	require.ErrorIs(t, err, payments.ErrStarted, "an ended session is not handed out again")
}

func TestASessionLivesNoLongerThanItsLink(t *testing.T) {
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct{ deadline, want time.Time }{
		{now.Add(3 * time.Hour), now.Add(3 * time.Hour)},
		{now.Add(23*time.Hour + 58*time.Minute), now.Add(23*time.Hour + 58*time.Minute)},
		{now.Add(24 * time.Hour), time.Time{}},
		{now.Add(72 * time.Hour), time.Time{}},
		{now.Add(31 * time.Minute), now.Add(31 * time.Minute)},
		{now.Add(10 * time.Minute), now.Add(40 * time.Minute)},
		{now, time.Time{}},
		{time.Time{}, time.Time{}},
	} {
		a := &api{status: 400, body: `{}`}
		server := httptest.NewServer(a)
		o := order()
		o.Deadline = c.deadline
		_, err := stripe.New(stripe.Config{BaseURL: server.URL, Now: func() time.Time { return now }}).Start(t.Context(), connection(key), o)
		server.Close()
		require.ErrorIs(t, err, payments.ErrRefused)
		want := ""
		if !c.want.IsZero() {
			want = fmt.Sprint(c.want.Unix())
		}
		require.Equal(t, want, a.form.Get("expires_at"), c.deadline)
	}
}

func TestOnlyAnOpenCheckoutCanBeCancelled(t *testing.T) {
	_, server, p := account(t, stripetest.Config{})
	o, _ := started(t, p, order())
	require.NoError(t, p.CancelCheckout(t.Context(), connection(key), o))
	require.Equal(t, state.AttemptExpired, look(t, p, o).Status)
	require.ErrorIs(t, p.CancelCheckout(t.Context(), connection(key), o), payments.ErrRefused)
	paid, checkout := started(t, p, order())
	control(t, server, "pay", `{"url":"`+checkout.URL+`"}`)
	require.ErrorIs(t, p.CancelCheckout(t.Context(), connection(key), paid), payments.ErrRefused)
	require.ErrorIs(t, p.CancelCheckout(t.Context(), connection(key), order()), payments.ErrRefused)
	require.ErrorIs(t, p.CancelCheckout(t.Context(), connection("sk_test_wrong"), paid), payments.ErrCredentials)
	unwell := stripe.New(stripe.Config{BaseURL: "http://127.0.0.1:1"})
	require.ErrorIs(t, unwell.CancelCheckout(t.Context(), connection(key), paid), payments.ErrUnavailable)
}

func TestASlowMethodEndsOneWayOrTheOther(t *testing.T) {
	_, server, p := account(t, stripetest.Config{})
	for end, want := range map[string]state.AttemptStatus{"succeeded": state.AttemptPaid, "failed": state.AttemptFailed} {
		o, _ := started(t, p, order())
		control(t, server, "delayed", `{"ref":"`+o.ProviderRef+`","status":"processing"}`)
		require.Equal(t, state.Pending, look(t, p, o).Status)
		control(t, server, "clock", `{"advance":"72h"}`)
		require.Equal(t, state.Pending, look(t, p, o).Status, "complete does not expire")
		require.True(t, look(t, p, o).Busy)
		control(t, server, "delayed", `{"ref":"`+o.ProviderRef+`","status":"`+end+`"}`)
		require.Equal(t, want, look(t, p, o).Status)
	}
}

func TestARefundThatFailsLaterWasNeverMade(t *testing.T) {
	_, server, p := account(t, stripetest.Config{PendingRefunds: true})
	o, checkout := started(t, p, order())
	control(t, server, "pay", `{"url":"`+checkout.URL+`"}`)
	half := payments.Money{Minor: 750_000, Currency: "AMD"}
	require.ErrorIs(t, p.Refund(t.Context(), connection(key), o, "r-1", half), payments.ErrUnknown)
	require.ErrorIs(t, p.Refund(t.Context(), connection(key), o, "r-1", half), payments.ErrUnknown, "the same refund")
	require.Zero(t, look(t, p, o).Refunded.Minor, "pending")
	control(t, server, "refund_status", `{"ref":"`+o.ProviderRef+`","status":"failed"}`)
	require.Zero(t, look(t, p, o).Refunded.Minor)
	require.ErrorIs(t, p.Refund(t.Context(), connection(key), o, "r-1", payments.Money{Minor: 100, Currency: "AMD"}), payments.ErrUnknown,
		"the key stands for something else")
	require.ErrorIs(t, p.Refund(t.Context(), connection(key), o, "r-2", half), payments.ErrUnknown)
	control(t, server, "refund_status", `{"ref":"`+o.ProviderRef+`","status":"succeeded"}`)
	require.Equal(t, half, look(t, p, o).Refunded)
	require.ErrorIs(t, p.Refund(t.Context(), connection(key), o, "r-3", payments.Money{Minor: 100, Currency: "USD"}), payments.ErrRefused)
	for range 12 { // over more than one page
		control(t, server, "refund", `{"ref":"`+o.ProviderRef+`","amount_minor":100}`)
	}
	require.EqualValues(t, 750_000+1200, look(t, p, o).Refunded.Minor)
}

func TestDisputesAreSeenAndNamedByTheirPayment(t *testing.T) {
	double, server, p := account(t, stripetest.Config{})
	got := make(chan payments.Notice, 8)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := make([]byte, r.ContentLength)
		_, _ = r.Body.Read(body)
		got <- payments.Notice{Method: r.Method, Header: r.Header.Clone(), Body: body, ReceivedAt: time.Now()}
	}))
	t.Cleanup(hook.Close)
	o, checkout := started(t, p, order())
	control(t, server, "pay", `{"url":"`+checkout.URL+`"}`)
	require.Empty(t, look(t, p, o).Disputes)
	double.SetWebhook(hook.URL)
	control(t, server, "dispute", `{"ref":"`+o.ProviderRef+`","amount_minor":500000}`)
	heard, err := p.Hear(connection(key), <-got)
	require.NoError(t, err)
	require.True(t, heard.Authentic)
	require.Empty(t, heard.Reference, "a dispute does not carry the order")
	seen := look(t, p, payments.Order{ProviderRef: heard.ProviderRef})
	require.Equal(t, o.Reference, seen.Reference, "but its payment leads to it")
	require.Equal(t, o.ProviderRef, seen.ProviderRef)
	require.False(t, seen.Foreign)
	for _, c := range []struct {
		word string
		want state.FactKind
	}{
		{"opened", state.DisputeOpened}, {"warning_needs_response", state.DisputeOpened}, {"warning_under_review", state.DisputeOpened},
		{"under_review", state.DisputeOpened}, {"warning_closed", state.DisputeWon}, {"prevented", state.DisputeWon},
		{"won", state.DisputeWon}, {"lost", state.DisputeLost},
	} {
		if c.word != "opened" {
			control(t, server, "dispute", `{"ref":"`+o.ProviderRef+`","status":"`+c.word+`"}`)
		}
		seen = look(t, p, o)
		require.Equal(t, state.AttemptPaid, seen.Status)
		require.Len(t, seen.Disputes, 1)
		require.Equal(t, c.want, seen.Disputes[0].Status, c.word)
		require.Equal(t, payments.Money{Minor: 500_000, Currency: "AMD"}, seen.Disputes[0].Amount)
	}
	control(t, server, "dispute", `{"ref":"`+o.ProviderRef+`","status":"a_new_word"}`)
	require.Empty(t, look(t, p, o).Disputes)
}

func TestOrphansAreTold(t *testing.T) {
	double, server, p := account(t, stripetest.Config{})
	control(t, server, "orphan", `{"amount_minor":900,"currency":"USD"}`)
	ref := double.Books()[0].Ref
	seen := look(t, p, payments.Order{ProviderRef: ref})
	require.Equal(t, payments.Money{Minor: 900, Currency: "USD"}, seen.Captured)
	require.False(t, seen.Foreign)
	_, err := p.Look(t.Context(), connection(key), payments.Order{ProviderRef: "pi_unknown"})
	require.ErrorIs(t, err, payments.ErrNothingNew)
}

func TestCheckNeedsEveryPermissionAndASecret(t *testing.T) {
	_, _, p := account(t, stripetest.Config{})
	require.NoError(t, p.Check(t.Context(), connection(key)))
	c := connection(key)
	c.Credentials["webhook_secret"] = "1a2b3c4d"
	require.ErrorIs(t, p.Check(t.Context(), c), payments.ErrCredentials)
	for denied, want := range map[string]error{"/v1/checkout/sessions": payments.ErrCredentials, "/v1/refunds": payments.ErrCredentials,
		"/v1/disputes": payments.ErrCredentials, "none": nil} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == denied {
				w.WriteHeader(http.StatusForbidden)
			}
			_, _ = w.Write([]byte(`{"data":[]}`))
		}))
		require.ErrorIs(t, stripe.New(stripe.Config{BaseURL: server.URL}).Check(context.Background(), connection(key)), want, denied)
		server.Close()
	}
}
