package stripe_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/stripe"
)

// api answers lists with lists and everything else with one body, and keeps what it was asked last.
type api struct {
	status int
	body   string
	lists  map[string]string // by path
	got    *http.Request
	form   url.Values
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	a.got, a.form = r, r.Form
	if list, ok := a.lists[r.URL.Path]; ok {
		_, _ = w.Write([]byte(`{"data":[` + list + `]}`))
		return
	}
	w.Header().Set("Location", "https://elsewhere.example/")
	w.WriteHeader(a.status)
	_, _ = w.Write([]byte(strings.ReplaceAll(a.body, "HOST", "http://"+r.Host)))
}

func serve(t *testing.T, status int, body string) (*api, *stripe.Provider) {
	t.Helper()
	a := &api{status: status, body: body, lists: map[string]string{"/v1/refunds": "", "/v1/disputes": ""}}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	return a, stripe.New(stripe.Config{BaseURL: server.URL})
}

// fixture reads a documented example into v.
func fixture(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/stripe/" + name)
	if err != nil {
		t.Skip("the documented examples are not beside this checkout")
	}
	require.NoError(t, json.Unmarshal(text, v))
}

func TestEveryDocumentedSessionIsJudged(t *testing.T) {
	var cases struct {
		Cases []struct {
			Session json.RawMessage
			State   string
		}
	}
	fixture(t, "session-states.json", &cases)
	require.NotEmpty(t, cases.Cases)
	for _, c := range cases.Cases {
		_, p := serve(t, 200, string(c.Session))
		seen, err := p.Look(t.Context(), connection(key), payments.Order{Attempt: "att_05", ProviderRef: "cs_test_1"})
		require.NoError(t, err)
		require.False(t, seen.Foreign)
		switch c.State {
		case "manual_review":
			require.Equal(t, state.AttemptPaid, seen.Status)
			require.Equal(t, payments.Money{Currency: "AMD"}, seen.Captured, "nothing taken is a wrong amount, which a person sees")
		case "paid":
			require.Equal(t, payments.Money{Minor: 1_500_000, Currency: "AMD"}, seen.Captured)
			fallthrough
		default:
			require.EqualValues(t, c.State, seen.Status, "%s", c.Session)
		}
	}
}

func TestEveryDocumentedPaymentIsJudged(t *testing.T) {
	var cases struct{ Map map[string]string }
	fixture(t, "payment-intent-states.json", &cases)
	for status, want := range cases.Map {
		if status == "requires_payment_method" {
			want = "failed" // of a session that is complete: its slow method gave nothing
		}
		payment := `{"id":"pi_1","status":"` + status + `","amount_received":5000,"currency":"amd","latest_charge":"ch_1"}`
		_, p := serve(t, 200, `{"id":"cs_1","status":"complete","payment_status":"unpaid","payment_intent":`+payment+`,"client_reference_id":"a"}`)
		seen, err := p.Look(t.Context(), connection(key), payments.Order{Attempt: "a", ProviderRef: "cs_1"})
		require.NoError(t, err)
		require.EqualValues(t, want, seen.Status, status)
		require.Equal(t, status == "processing", seen.Busy, status)
		_, p = serve(t, 200, `{"id":"cs_1","status":"open","payment_status":"unpaid","payment_intent":`+payment+`,"client_reference_id":"a"}`)
		seen, err = p.Look(t.Context(), connection(key), payments.Order{Attempt: "a", ProviderRef: "cs_1"})
		require.NoError(t, err)
		require.Equal(t, state.Pending, seen.Status, "an open session can be paid")
		require.False(t, seen.Busy)
	}
	_, p := serve(t, 200, `{"id":"cs_1","status":"complete","payment_status":"unpaid","client_reference_id":"a"}`)
	seen, err := p.Look(t.Context(), connection(key), payments.Order{Attempt: "a", ProviderRef: "cs_1"})
	require.NoError(t, err)
	require.True(t, seen.Busy, "of the payment of a complete session nothing is known but that it was begun")
}

func TestEveryDocumentedChargeIsJudged(t *testing.T) {
	var cases struct {
		Cases []struct {
			Charge struct {
				Captured int64 `json:"amount_captured"`
				Refunded int64 `json:"amount_refunded"`
			}
			Raw   json.RawMessage `json:"-"`
			State string
		}
	}
	var raw struct {
		Cases []struct{ Charge json.RawMessage }
	}
	fixture(t, "charge-refunds.json", &cases)
	fixture(t, "charge-refunds.json", &raw)
	for i, c := range cases.Cases {
		status, intent := "paid", "succeeded"
		if c.Charge.Captured == 0 {
			status, intent = "unpaid", "requires_capture"
		}
		a, p := serve(t, 200, `{"id":"cs_1","status":"complete","payment_status":"`+status+`","client_reference_id":"a","payment_intent":{"id":"pi_1",
			"status":"`+intent+`","latest_charge":`+string(raw.Cases[i].Charge)+`}}`)
		amount, err := json.Marshal(c.Charge.Refunded)
		require.NoError(t, err)
		a.lists["/v1/refunds"] = `{"id":"re_1","amount":` + string(amount) + `,"status":"succeeded"},{"id":"re_2","amount":7,"status":"pending"}`
		seen, err := p.Look(t.Context(), connection(key), payments.Order{Attempt: "a", ProviderRef: "cs_1"})
		require.NoError(t, err)
		if c.State == "authorized" {
			require.Equal(t, state.Authorized, seen.Status)
			continue
		}
		require.Equal(t, state.AttemptPaid, seen.Status, "refunds erase nothing")
		require.Equal(t, c.Charge.Captured, seen.Captured.Minor)
		require.Equal(t, c.Charge.Refunded, seen.Refunded.Minor)
		require.Equal(t, c.State == "refunded", seen.Refunded == seen.Captured)
	}
}

func TestAnswersThatProveNothingSayNothing(t *testing.T) {
	paid := `{"id":"cs_1","client_reference_id":"a","status":"complete","payment_status":"paid",`
	for _, c := range []struct {
		status     int
		body, code string
		want       error
	}{
		{200, `{"id":"cs_1","status":"complete","payment_status":"a_new_word"}`, "complete.a_new_word", payments.ErrNothingNew},
		{200, `{"id":"cs_1","status":"paused","payment_status":"unpaid"}`, "paused.unpaid", payments.ErrNothingNew},
		{200, `{"id":"cs_1","status":"open","payment_status":"paid"}`, "open.paid", payments.ErrNothingNew},
		{200, `{"id":"cs_1"}`, "-.-", payments.ErrNothingNew},
		{200, `{"id":"cs_1","status":"complete","payment_status":"unpaid","payment_intent":{"id":"pi_1","status":"new"}}`, "new", payments.ErrNothingNew},
		{200, paid + `"amount_total":0,"currency":"amd"}`, "complete.paid", payments.ErrNothingNew},
		{200, paid + `"amount_total":-5,"currency":"amd"}`, "complete.paid", payments.ErrNothingNew},
		{200, paid + `"amount_total":5}`, "complete.paid", payments.ErrNothingNew},
		{200, paid + `"currency":"amd"}`, "complete.paid", payments.ErrNothingNew},
		{200, paid + `"amount_total":9000000000000000000,"currency":"amd"}`, "complete.paid", payments.ErrNothingNew},
		{404, `{"error":{"code":"resource_missing"}}`, "", payments.ErrNothingNew},
		{200, paid + `"amount_total":1.5,"currency":"amd"}`, "", payments.ErrUnavailable},
		{200, paid + `"amount_total":"5","currency":"amd"}`, "", payments.ErrUnavailable},
		{200, `<html>all is well</html>`, "", payments.ErrUnavailable},
		{200, `null`, "", payments.ErrUnavailable},
		{200, `{"id":"cs_1","status":`, "", payments.ErrUnavailable},
		{500, paid + `"amount_total":5,"currency":"amd"}`, "", payments.ErrUnavailable},
		{503, ``, "", payments.ErrUnavailable},
		{302, ``, "", payments.ErrUnavailable},
		{429, `{}`, "", payments.ErrUnavailable},
		{401, `{}`, "", payments.ErrCredentials},
		{403, `{}`, "", payments.ErrCredentials},
	} {
		_, p := serve(t, c.status, c.body)
		seen, err := p.Look(t.Context(), connection(key), payments.Order{Attempt: "a", ProviderRef: "cs_1"})
		require.ErrorIs(t, err, c.want, c.body)
		require.Empty(t, seen.Status, c.body)
		require.Zero(t, seen.Captured, c.body)
		require.Equal(t, c.code, seen.Code, c.body)
	}
	a, p := serve(t, 200, paid+`"payment_intent":{"id":"pi_1","status":"succeeded","amount_received":5,"currency":"amd"}}`)
	a.lists["/v1/refunds"] = `{"id":"re_1","amount":6,"status":"succeeded"}`
	_, err := p.Look(t.Context(), connection(key), payments.Order{Attempt: "a", ProviderRef: "cs_1"})
	require.ErrorIs(t, err, payments.ErrNothingNew, "more back than taken")
	_, err = p.Look(t.Context(), connection(key), payments.Order{ProviderRef: "cs_1"})
	require.ErrorIs(t, err, payments.ErrNothingNew, "another shop's session on the same account")
}

func TestForeignAnswersAreTold(t *testing.T) {
	o := payments.Order{Attempt: "a", Reference: "o", ProviderRef: "cs_1"}
	for body, want := range map[string]bool{
		`"id":"cs_1","client_reference_id":"a"`:                                               false,
		`"id":"cs_1","client_reference_id":"a","metadata":{"order":"o"},"livemode":false`:     false,
		`"id":"cs_1","client_reference_id":"a","metadata":{"order":"other"},"livemode":false`: true,
		`"id":"cs_1","client_reference_id":"b"`:                                               true,
		`"id":"cs_1"`:                                                                         true,
		`"id":"cs_2","client_reference_id":"a"`:                                               true,
		`"id":"cs_1","client_reference_id":"a","livemode":true`:                               true,
	} {
		_, p := serve(t, 200, `{`+body+`,"status":"complete","payment_status":"paid","amount_total":5,"currency":"amd"}`)
		seen, err := p.Look(t.Context(), connection(key), o)
		require.NoError(t, err)
		require.Equal(t, want, seen.Foreign, body)
	}
}

func TestStartSendsAndBelievesLittle(t *testing.T) {
	good := `{"id":"cs_1","status":"open","client_reference_id":"a","amount_total":5000,"currency":"amd","url":"HOST/c/pay/cs_1","expires_at":1790086400}`
	o := payments.Order{Attempt: "a", Reference: "DP-1-1", Amount: payments.Money{Minor: 5000, Currency: "AMD"}, ReturnURL: "https://pay.example/back"}
	a, p := serve(t, 200, good)
	checkout, err := p.Start(t.Context(), connection(key), o)
	require.NoError(t, err)
	require.EqualValues(t, 1790086400, checkout.Deadline.Unix())
	require.Equal(t, "a", a.got.Header.Get("Idempotency-Key"))
	require.Equal(t, "2024-12-18.acacia", a.got.Header.Get("Stripe-Version"))
	require.Equal(t, "Bearer "+key, a.got.Header.Get("Authorization"))
	for name, want := range map[string]string{"mode": "payment", "client_reference_id": "a", "metadata[order]": "DP-1-1",
		"payment_intent_data[metadata][attempt]": "a", "line_items[0][price_data][currency]": "amd",
		"line_items[0][price_data][unit_amount]": "5000", "adaptive_pricing[enabled]": "false", "expires_at": ""} {
		require.Equal(t, want, a.form.Get(name), name)
	}
	for name, c := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"another amount":   {200, strings.Replace(good, "5000", "5001", 1), payments.ErrRefused},
		"another currency": {200, strings.Replace(good, "amd", "usd", 1), payments.ErrRefused},
		"another attempt":  {200, strings.Replace(good, `"a"`, `"b"`, 1), payments.ErrRefused},
		"a foreign host":   {200, strings.Replace(good, "HOST", "https://evil.example", 1), payments.ErrRefused},
		"a host like ours": {200, strings.Replace(good, "HOST", "https://evilstripe.com", 1), payments.ErrRefused},
		"a host below":     {200, strings.Replace(good, "HOST", "https://stripe.com.evil.example", 1), payments.ErrRefused},
		"a user's host":    {200, strings.Replace(good, "HOST", "https://checkout.stripe.com@evil.example", 1), payments.ErrRefused},
		"a user":           {200, strings.Replace(good, "HOST", "https://user@checkout.stripe.com", 1), payments.ErrRefused},
		"another scheme":   {200, strings.Replace(good, "HOST", "ftp://checkout.stripe.com", 1), payments.ErrRefused},
		"no page":          {200, strings.Replace(good, "HOST/c/pay/cs_1", "", 1), payments.ErrRefused},
		"already over":     {200, strings.Replace(good, "open", "complete", 1), payments.ErrStarted},
		"no session":       {200, `{}`, payments.ErrUnavailable},
		"no JSON":          {200, `<html>`, payments.ErrUnavailable},
		"in progress":      {409, `{}`, payments.ErrUnavailable},
		"a bad request":    {400, `{"error":{"type":"invalid_request_error","code":"amount_too_small"}}`, payments.ErrRefused},
		"cannot be made":   {402, `{}`, payments.ErrRefused},
		"a wrong key":      {401, `{}`, payments.ErrCredentials},
		"an outage":        {500, good, payments.ErrUnavailable},
		"elsewhere":        {307, good, payments.ErrUnavailable},
	} {
		_, p := serve(t, c.status, c.body)
		_, err := p.Start(t.Context(), connection(key), o)
		require.ErrorIs(t, err, c.want, name)
		require.NotContains(t, err.Error(), key)
	}
}

func TestRefundsEndKnownOrUnknown(t *testing.T) {
	for _, c := range []struct {
		status int
		body   string
		end    error
	}{
		{200, `{"status":"succeeded"}`, nil},
		{200, `{"status":"pending"}`, payments.ErrUnknown},
		{200, `{"status":"requires_action"}`, payments.ErrUnknown},
		{200, `{"status":"failed"}`, payments.ErrRefused},
		{200, `{"status":"canceled"}`, payments.ErrRefused},
		{200, `<html>`, payments.ErrUnknown},
		{200, `{}`, payments.ErrUnknown},
		{500, ``, payments.ErrUnknown},
		{302, ``, payments.ErrUnknown},
		{409, `{}`, payments.ErrUnknown},
		{424, `{}`, payments.ErrUnknown},
		{400, `{"error":{"type":"idempotency_error"}}`, payments.ErrUnknown},
		{400, `{"error":{"code":"charge_already_refunded"}}`, payments.ErrRefused},
		{404, `{}`, payments.ErrRefused},
		{403, `{}`, payments.ErrCredentials},
		{429, `{}`, payments.ErrUnavailable},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				_, _ = w.Write([]byte(`{"id":"cs_1","status":"complete","payment_status":"paid","amount_total":5000,"currency":"amd","payment_intent":"pi_1"}`))
				return
			}
			require.Equal(t, "refund-1", r.Header.Get("Idempotency-Key"))
			require.Equal(t, "pi_1", r.PostFormValue("payment_intent"))
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		err := stripe.New(stripe.Config{BaseURL: server.URL}).Refund(t.Context(), connection(key), payments.Order{ProviderRef: "cs_1"},
			"refund-1", payments.Money{Minor: 500, Currency: "AMD"})
		server.Close()
		require.ErrorIs(t, err, c.end, "%d %s", c.status, c.body)
	}
}
