package fastshift_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/fastshift"
	"github.com/dealpay/dealpay/payments/fastshift/fastshifttest"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/tenants/standintest"
)

const token = "tok-5d4c3b2a"

var orders atomic.Int64

func order() payments.Order {
	n := orders.Add(1)
	return payments.Order{Attempt: fmt.Sprintf("6a1f0c52-7d7e-4f0e-9d0b-%012x", n), Reference: fmt.Sprintf("DP-%d-1", n),
		Amount: payments.Money{Minor: 1_500_000, Currency: "AMD"}, Description: "Deposit", ReturnURL: "https://pay.example/back"}
}

func connection(token string) payments.Connection {
	return payments.Connection{ID: "c", Acquirer: fastshift.Key, HTTP: &http.Client{Timeout: 5 * time.Second}, Credentials: map[string]string{"token": token}}
}

func merchant(t *testing.T, cfg fastshifttest.Config) (*fastshifttest.Server, *httptest.Server, *fastshift.Provider) {
	t.Helper()
	cfg.Token = token
	double := fastshifttest.New(cfg)
	t.Cleanup(double.Close)
	server := httptest.NewServer(double)
	t.Cleanup(server.Close)
	return double, server, fastshift.New(fastshift.Config{BaseURL: server.URL + "/api/en/"})
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	for name, cfg := range map[string]fastshifttest.Config{"as documented": {}, "repeatable": {Repeatable: true}, "forms": {FormWebhooks: true}} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Fixture {
				_, server, p := merchant(t, cfg)
				return providertest.Fixture{Provider: p, Connection: connection(token), Bad: connection("wrong"), Control: server.URL, Order: order,
					Private: []string{token, "00000000beef", "Deposit"}, Lacks: []string{"authorized", "wrong_currency", "bank_refund"}}
			})
		})
	}
}

// exchange is a documented request with its answer.
type exchange struct {
	Request struct {
		URL  string
		Body map[string]any
	}
	Response struct {
		Body json.RawMessage
	}
	Expect struct{ State string }
}

func example(t *testing.T, name string, v any) {
	t.Helper()
	text, err := os.ReadFile("../../../shared/fixtures/acquirers/fastshift/" + name + ".json")
	if err != nil {
		t.Skip("the documented examples are not beside this checkout")
	}
	require.NoError(t, json.Unmarshal(text, v))
}

// api gives one answer, and keeps what it was asked.
type api struct {
	status int
	body   string
	media  string
	got    *http.Request
	text   []byte
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.got = r
	a.text, _ = io.ReadAll(r.Body)
	w.Header().Set("Content-Type", a.media)
	w.WriteHeader(a.status)
	_, _ = io.WriteString(w, strings.ReplaceAll(a.body, "HOST", "http://"+r.Host))
}

func serve(t *testing.T, status int, body string, cfg fastshift.Config) (*api, *fastshift.Provider) {
	t.Helper()
	a := &api{status: status, body: body, media: "application/json"}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	cfg.BaseURL = server.URL + "/api/en/"
	return a, fastshift.New(cfg)
}

var documented = payments.Order{Attempt: "6a1f0c52-7d7e-4f0e-9d0b-2f1f6a1f0c52", Reference: "att_04", Amount: payments.Money{Minor: 100_000, Currency: "AMD"},
	Description: "Payment description", ReturnURL: "https://app.example/r/att_04", NotifyURL: "https://app.example/wh/fastshift/t1"}

func TestTheDocumentedOrderIsRegistered(t *testing.T) {
	var e exchange
	example(t, "register-ok", &e)
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	a, p := serve(t, 200, strings.Replace(string(e.Response.Body), "https://fastshift.example", "HOST", 1), fastshift.Config{Now: func() time.Time { return now }})
	checkout, err := p.Start(t.Context(), connection(token), documented)
	require.NoError(t, err)
	want, err := json.Marshal(e.Request.Body)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(a.text), "and no person")
	require.True(t, strings.HasSuffix(e.Request.URL, a.got.URL.Path))
	require.Equal(t, "Bearer "+token, a.got.Header.Get("Authorization"))
	require.Equal(t, documented.Attempt, checkout.ProviderRef)
	require.Equal(t, now.Add(20*time.Minute), checkout.Deadline, "whatever the zone of its times")
}

func TestEveryDocumentedStatusIsJudged(t *testing.T) {
	for _, name := range []string{"status-pending", "status-completed", "status-rejected", "status-expired"} {
		var e exchange
		example(t, name, &e)
		a, p := serve(t, 200, string(e.Response.Body), fastshift.Config{})
		seen, err := p.Look(t.Context(), connection(token), documented)
		require.NoError(t, err, name)
		require.True(t, strings.HasSuffix(e.Request.URL, a.got.URL.Path))
		require.EqualValues(t, e.Expect.State, seen.Status, name)
		require.False(t, seen.Foreign)
		require.True(t, json.Valid(seen.Raw))
		require.Equal(t, seen.Status == state.AttemptPaid, seen.Captured == documented.Amount)
		if name == "status-completed" {
			require.True(t, seen.PaidAt.Equal(time.Date(2026, 8, 26, 13, 29, 7, 0, time.UTC)))
		}
	}
}

func TestEveryDocumentedErrorIsClassified(t *testing.T) {
	var e struct {
		Cases []struct {
			Status int `json:"http_status"`
			Body   json.RawMessage
			Class  string
		}
	}
	example(t, "errors", &e)
	starts := map[string]error{"invalid_request": payments.ErrRefused, "logical": payments.ErrRefused, "credentials": payments.ErrCredentials,
		"credentials_or_ip_allow_list": payments.ErrCredentials, "not_found": payments.ErrRefused, "technical": payments.ErrUnavailable}
	for _, c := range e.Cases {
		want := starts[c.Class]
		require.NotNil(t, want, c.Class)
		look, check := want, want
		if errors.Is(want, payments.ErrRefused) {
			look, check = payments.ErrNothingNew, nil
		}
		for _, body := range []string{string(c.Body), `{}`, ``} {
			_, p := serve(t, c.Status, body, fastshift.Config{})
			_, err := p.Start(t.Context(), connection(token), documented)
			require.ErrorIs(t, err, want, c.Class)
			_, err = p.Look(t.Context(), connection(token), documented)
			require.ErrorIs(t, err, look, c.Class)
			require.ErrorIs(t, p.Check(t.Context(), connection(token)), check, c.Class)
		}
	}
}

func TestAnswersThatProveNothingSayNothing(t *testing.T) {
	order := func(fields string) string {
		return `{"status":"OK","data":{"order":{"order_number":"` + documented.Attempt + `",` + fields + `}}}`
	}
	type answer struct {
		status     int
		body, code string
		want       error
	}
	for _, c := range []answer{
		{200, order(`"status":"a_new_word","amount":1000`), "a_new_word", payments.ErrNothingNew},
		{200, order(`"status":"COMPLETED","amount":1000`), "COMPLETED", payments.ErrNothingNew},
		{200, order(`"status":"completed"`), "completed", payments.ErrNothingNew},
		{200, order(`"status":"completed","amount":0`), "completed", payments.ErrNothingNew},
		{200, order(`"status":"completed","amount":-1000`), "completed", payments.ErrNothingNew},
		{200, order(`"status":"completed","amount":1e3`), "completed", payments.ErrNothingNew},
		{200, order(`"status":"completed","amount":1000.001`), "completed", payments.ErrNothingNew},
		{200, order(`"status":"completed","amount":90000000000000`), "completed", payments.ErrNothingNew},
		{200, `{"status":"OK","data":{"order":{"status":"completed","amount":1000}}}`, "completed", payments.ErrNothingNew},
		{200, `{"status":"OK","data":{}}`, "", payments.ErrUnavailable},
		{200, `{"status":"OK","data":[]}`, "", payments.ErrUnavailable},
		{200, strings.Replace(order(`"status":"completed","amount":1000`), "OK", "", 1), "", payments.ErrUnavailable},
		{200, strings.Replace(order(`"status":"completed","amount":1000`), "OK", "APP_ERROR", 1), "", payments.ErrUnavailable},
		{200, strings.Replace(order(`"status":"completed","amount":1000`), "OK", "FORBIDDEN", 1), "", payments.ErrCredentials},
		{200, `<html>`, "", payments.ErrUnavailable},
		{500, order(`"status":"completed","amount":1000`), "", payments.ErrUnavailable},
		{302, order(`"status":"completed","amount":1000`), "", payments.ErrUnavailable},
		{429, `{}`, "", payments.ErrUnavailable},
	} {
		_, p := serve(t, c.status, c.body, fastshift.Config{})
		seen, err := p.Look(t.Context(), connection(token), documented)
		require.ErrorIs(t, err, c.want, c.body)
		require.Empty(t, seen.Status, c.body)
		require.Zero(t, seen.Captured, c.body)
		require.Equal(t, c.code, seen.Code, c.body)
	}
	_, p := serve(t, 200, order(`"status":"completed","amount":"1000","external_order_id":"another"`), fastshift.Config{})
	seen, err := p.Look(t.Context(), connection(token), documented)
	require.NoError(t, err)
	require.True(t, seen.Foreign)
	require.Equal(t, documented.Amount, seen.Captured, "text is an amount too")
	_, err = p.Look(t.Context(), connection(token), payments.Order{ProviderRef: "../register"})
	require.ErrorIs(t, err, payments.ErrNothingNew)
	a, p := serve(t, 403, "<html>", fastshift.Config{})
	a.media = "text/html"
	require.ErrorIs(t, p.Check(t.Context(), connection(token)), payments.ErrUnavailable, "not FastShift's own answer")
}

func TestAStrangeAnswerToStartSendsNobodyAnywhere(t *testing.T) {
	good := `{"status":"OK","data":{"order":{"order_number":"` + documented.Attempt + `","amount":1000,"external_order_id":"att_04"},"redirect_url":"HOST/pay/1"}}`
	for name, c := range map[string]struct {
		old, new string
		want     error
	}{
		"good":           {"", "", nil},
		"another amount": {"1000", "1001", payments.ErrRefused},
		"another order":  {"6a1f", "6a1e", payments.ErrRefused},
		"another shop's": {"att_04", "att_05", payments.ErrRefused},
		"elsewhere":      {"HOST", "https://evil.example", payments.ErrRefused},
		"a name like it": {"HOST", "https://evilfastshift.am", payments.ErrRefused},
		"a host below":   {"HOST", "https://fastshift.am.evil.example", payments.ErrRefused},
		"with a user":    {"HOST", "https://user@fastshift.am", payments.ErrRefused},
		"nowhere":        {"HOST/pay/1", "", payments.ErrRefused},
		"a script":       {"HOST/pay/1", "javascript:alert(1)", payments.ErrRefused},
	} {
		_, p := serve(t, 200, strings.Replace(good, c.old, c.new, 1), fastshift.Config{})
		checkout, err := p.Start(t.Context(), connection(token), documented)
		require.ErrorIs(t, err, c.want, name)
		require.Zero(t, checkout.Deadline)
	}
	for _, m := range []payments.Money{{Minor: 150, Currency: "AMD"}, {Minor: 100, Currency: "USD"}, {Minor: 0, Currency: "AMD"}} {
		o := documented
		o.Amount = m
		_, err := fastshift.New(fastshift.Config{}).Start(t.Context(), connection(token), o)
		require.ErrorIs(t, err, payments.ErrRefused)
	}
	a, p := serve(t, 200, strings.Replace(good, "1000", "100050", 1), fastshift.Config{Decimals: 2})
	o := documented
	o.Amount.Minor = 100_050
	_, err := p.Start(t.Context(), connection(token), o)
	require.NoError(t, err)
	require.Contains(t, string(a.text), `"amount":100050`)
}

func TestAHintIsNeverMoreThanAHint(t *testing.T) {
	var e struct{ Callback map[string]string }
	example(t, "webhook", &e)
	p := fastshift.New(fastshift.Config{})
	at := time.Unix(1_790_000_010, 0)
	body, err := json.Marshal(e.Callback)
	require.NoError(t, err)
	form := url.Values{"status": {e.Callback["status"]}, "order_number": {strings.ToUpper(e.Callback["order_number"])}}.Encode()
	want, err := p.Hear(connection(token), payments.Notice{Method: "POST", Body: body, ReceivedAt: at})
	require.NoError(t, err)
	require.Equal(t, e.Callback["order_number"], want.ProviderRef)
	require.False(t, want.Authentic)
	require.False(t, want.Signed)
	for name, n := range map[string]payments.Notice{
		"a form":  {Method: "POST", Body: []byte(form)},
		"a query": {Method: "GET", Query: form},
		"both":    {Method: "POST", Query: form, Body: []byte(form)},
	} {
		n.ReceivedAt = at.Add(time.Second)
		heard, err := p.Hear(connection(token), n)
		require.NoError(t, err, name)
		require.Equal(t, want, heard, name)
	}
	later, err := p.Hear(connection(token), payments.Notice{Method: "POST", Body: body, ReceivedAt: at.Add(time.Minute)})
	require.NoError(t, err)
	require.NotEqual(t, want.Key, later.Key, "a forged hint that came early shuts nobody out")
	first, err := p.Hear(connection(token), payments.Notice{Query: "status=x1&order_number=" + e.Callback["order_number"], ReceivedAt: at})
	require.NoError(t, err)
	second, err := p.Hear(connection(token), payments.Notice{Query: "status=x2&order_number=" + e.Callback["order_number"], ReceivedAt: at})
	require.NoError(t, err)
	require.Equal(t, first.Key, second.Key, "invented words do not make more of it")
	for _, query := range []string{"", "order_number=1", "order_number=../..", "%zz",
		"order_number=" + documented.Attempt + "&order_number=" + strings.Replace(documented.Attempt, "6", "7", 1)} {
		_, err := p.Hear(connection(token), payments.Notice{Query: query})
		require.ErrorIs(t, err, payments.ErrNotice, query)
	}
}

func TestAForgedHintChangesNothing(t *testing.T) {
	_, server, p := merchant(t, fastshifttest.Config{})
	got := make(chan []byte, 4)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- body
	}))
	t.Cleanup(hook.Close)
	o := order()
	o.NotifyURL = hook.URL
	checkout, err := p.Start(t.Context(), connection(token), o)
	require.NoError(t, err)
	o.ProviderRef = checkout.ProviderRef
	res, err := http.Post(server.URL+"/_control/hint", "application/json", strings.NewReader(`{"ref":"`+o.ProviderRef+`","status":"completed"}`))
	require.NoError(t, err)
	res.Body.Close()
	heard, err := p.Hear(connection(token), payments.Notice{Method: "POST", Body: <-got, ReceivedAt: time.Now()})
	require.NoError(t, err)
	require.Equal(t, o.ProviderRef, heard.ProviderRef)
	seen, err := p.Look(t.Context(), connection(token), o)
	require.NoError(t, err)
	require.Equal(t, state.Pending, seen.Status)
}

func FuzzHear(f *testing.F) {
	f.Add("status=completed", `{"order_number":"6a1f0c52-7d7e-4f0e-9d0b-2f1f6a1f0c52"}`)
	f.Add("order_number=6a1f0c52-7d7e-4f0e-9d0b-2f1f6a1f0c52", "status=a@b.c")
	p := fastshift.New(fastshift.Config{})
	f.Fuzz(func(t *testing.T, query, body string) {
		heard, err := p.Hear(connection(token), payments.Notice{Method: "POST", Query: query, Body: []byte(body), ReceivedAt: time.Unix(1, 0)})
		if err != nil {
			require.ErrorIs(t, err, payments.ErrNotice)
			return
		}
		require.False(t, heard.Authentic)
		require.Len(t, heard.ProviderRef, 36)
		require.Less(t, len(heard.Key), 80)
	})
}

// FuzzLook gives any body as the answer about an order.
func FuzzLook(f *testing.F) {
	f.Add(`{"status":"OK","data":{"order":{"order_number":"6a1f0c52-7d7e-4f0e-9d0b-2f1f6a1f0c52","amount":1000,"status":"completed","completed_at":"2026-08-26 17:29:07"}}}`)
	f.Add(`{"status":"OK","data":{"order":{"order_number":"a@b.c","amount":"+374","status":"expired","created_at":"*"}}}`)
	p := fastshift.New(fastshift.Config{})
	f.Fuzz(func(t *testing.T, body string) { providertest.AnyAnswer(t, p, connection(token), documented, body) })
}

func TestARefusalIsBelievedOnlyWhenTheOrderIsKnownNotToBeThere(t *testing.T) {
	double, _, p := merchant(t, fastshifttest.Config{})
	o, c := order(), connection(token)
	_, err := p.Start(t.Context(), c, o)
	require.NoError(t, err)
	require.NoError(t, double.Control.Order(standintest.Fault{Kind: standintest.Down, Match: "/status/"}))
	_, err = p.Start(t.Context(), c, o)
	require.ErrorIs(t, err, payments.ErrUnavailable)
	require.NotErrorIs(t, err, payments.ErrRefused)
	_, err = p.Start(t.Context(), c, o)
	require.ErrorIs(t, err, payments.ErrStarted)
}
