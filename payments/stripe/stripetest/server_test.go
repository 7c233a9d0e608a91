package stripetest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is a merchant of the double.
type client struct {
	*testing.T
	double *Server
	url    string
	events chan string // type of each event that came
}

func open(t *testing.T, cfg Config) client {
	t.Helper()
	c := client{t, New(cfg), "", make(chan string, 64)}
	api := httptest.NewServer(c.double)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var e struct{ Type string }
		_ = json.NewDecoder(r.Body).Decode(&e)
		c.events <- e.Type
	}))
	c.url = api.URL
	c.double.SetWebhook(hook.URL)
	t.Cleanup(func() {
		c.double.Close()
		api.Close()
		hook.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	return c
}

// ask sends a request with the key; header pairs follow.
func (c client) ask(method, path string, form url.Values, header ...string) (int, map[string]any) {
	c.Helper()
	r, err := http.NewRequest(method, c.url+path, strings.NewReader(form.Encode()))
	require.NoError(c, err)
	r.Header.Set("Authorization", "Bearer sk_test_demo")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	require.NoError(c, err)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	var out map[string]any
	_ = json.Unmarshal(text, &out)
	return res.StatusCode, out
}

func (c client) control(name, body string) int {
	c.Helper()
	res, err := http.Post(c.url+"/_control/"+name, "application/json", strings.NewReader(body))
	require.NoError(c, err)
	res.Body.Close()
	return res.StatusCode
}

func params(changes ...string) url.Values {
	form := url.Values{"mode": {"payment"}, "client_reference_id": {"a"}, "success_url": {"https://pay.example/back"}, "metadata[order]": {"o"},
		"line_items[0][quantity]": {"1"}, "line_items[0][price_data][currency]": {"amd"}, "line_items[0][price_data][unit_amount]": {"1500000"},
		"line_items[0][price_data][product_data][name]": {"Deposit"}}
	for i := 0; i < len(changes); i += 2 {
		form.Set(changes[i], changes[i+1])
	}
	return form
}

func (c client) session() map[string]any {
	c.Helper()
	status, s := c.ask("POST", "/v1/checkout/sessions", params())
	require.Equal(c, 200, status, s)
	return s
}

const currency, unitAmount = "line_items[0][price_data][currency]", "line_items[0][price_data][unit_amount]"

func TestTheDoubleRefusesWhatTheRealOneWould(t *testing.T) {
	c := open(t, Config{})
	for name, change := range map[string][]string{
		"parameter_unknown":                             {"customer_creation", "always"},
		"parameter_missing":                             {"mode", "subscription"},
		"url_invalid":                                   {"success_url", "back"},
		"currency_not_supported":                        {currency, "AMD"},
		"amount_too_large":                              {unitAmount, "100000000"},
		"invalid_charge_amount_no_decimal_compatible":   {currency, "kwd", unitAmount, "5124"},
		"parameter_invalid_integer":                     {unitAmount, "1.5"},
		"parameter_invalid_integer ":                    {unitAmount, "0"},
		"parameter_invalid_integer, too soon":           {"expires_at", "1"},
		"parameter_invalid_string, more than 200 runes": {"client_reference_id", strings.Repeat("x", 201)},
	} {
		status, out := c.ask("POST", "/v1/checkout/sessions", params(change...))
		require.Equal(t, 400, status, name)
		code, _, _ := strings.Cut(strings.TrimSpace(name), ",")
		require.Equal(t, code, out["error"].(map[string]any)["code"])
	}
	for want, header := range map[int][]string{401: {"Authorization", "Bearer sk_test_other"}, 400: {"Content-Type", "application/json"}} {
		status, _ := c.ask("POST", "/v1/checkout/sessions", params(), header...)
		require.Equal(t, want, status)
	}
	for path, want := range map[string]int{"/v1/checkout/sessions/cs_none": 404, "/v1/customers": 404, "/v1/disputes": 200} {
		status, _ := c.ask("GET", path, nil)
		require.Equal(t, want, status, path)
	}
	require.Empty(t, c.double.Books())
}

func TestAKeyIsOneRequestForADay(t *testing.T) {
	c := open(t, Config{})
	_, first := c.ask("POST", "/v1/checkout/sessions", params(), "Idempotency-Key", "k")
	_, again := c.ask("POST", "/v1/checkout/sessions", params(), "Idempotency-Key", "k")
	require.Equal(t, first, again)
	status, out := c.ask("POST", "/v1/checkout/sessions", params("locale", "ru"), "Idempotency-Key", "k")
	require.Equal(t, 400, status)
	require.Equal(t, "idempotency_error", out["error"].(map[string]any)["type"])
	require.Len(t, c.double.Books(), 1)
	c.control("clock", `{"advance":"24h"}`)
	_, other := c.ask("POST", "/v1/checkout/sessions", params("locale", "ru"), "Idempotency-Key", "k")
	require.NotEqual(t, first["id"], other["id"])
}

func TestASessionLivesItsTime(t *testing.T) {
	c := open(t, Config{})
	id := c.session()["id"].(string)
	c.control("clock", `{"advance":"23h59m"}`)
	_, s := c.ask("GET", "/v1/checkout/sessions/"+id, nil)
	require.Equal(t, "open", s["status"])
	c.control("clock", `{"advance":"2m"}`)
	_, s = c.ask("GET", "/v1/checkout/sessions/"+id, nil)
	require.Equal(t, "expired", s["status"])
	require.Nil(t, s["url"])
	require.Equal(t, 409, c.control("pay", `{"url":"`+c.url+"/c/pay/"+id+`"}`))
	status, _ := c.ask("POST", "/v1/checkout/sessions/"+id+"/expire", nil)
	require.Equal(t, 400, status)
}

func TestEveryDeedHasItsEvent(t *testing.T) {
	c := open(t, Config{})
	s := c.session()
	id, page := s["id"].(string), `{"url":"`+s["url"].(string)+`"`
	for _, step := range []struct{ name, body, event string }{
		{"pay", page + `,"outcome":"declined"}`, "payment_intent.payment_failed"},
		{"pay", page + `,"outcome":"authorized"}`, "checkout.session.completed"},
		{"capture", `{"ref":"` + id + `"}`, "payment_intent.succeeded"},
		{"refund", `{"ref":"` + id + `","amount_minor":100}`, "charge.refunded"},
		{"refund_status", `{"ref":"` + id + `","status":"failed"}`, "refund.failed"},
		{"dispute", `{"ref":"` + id + `"}`, "charge.dispute.created"},
		{"dispute", `{"ref":"` + id + `","status":"lost"}`, "charge.dispute.closed"},
	} {
		require.Equal(t, 200, c.control(step.name, step.body), step)
		require.Equal(t, step.event, <-c.events)
	}
	require.Zero(t, c.double.Books()[0].Refunded, "the refund failed")
	slow := c.session()["id"].(string)
	for _, step := range [][2]string{{"processing", "checkout.session.completed"}, {"failed", "checkout.session.async_payment_failed"}} {
		require.Equal(t, 200, c.control("delayed", `{"ref":"`+slow+`","status":"`+step[0]+`"}`))
		require.Equal(t, step[1], <-c.events)
	}
	require.Equal(t, 409, c.control("delayed", `{"ref":"`+slow+`","status":"succeeded"}`))
	require.Equal(t, 404, c.control("delayed", `{"ref":"none","status":"processing"}`))
	require.Equal(t, 409, c.control("refund_status", `{"ref":"`+slow+`","status":"failed"}`))
	gone := c.session()["id"].(string)
	_, _ = c.ask("POST", "/v1/checkout/sessions/"+gone+"/expire", nil)
	require.Equal(t, "checkout.session.expired", <-c.events)
}

func TestTheKeyDiesOnRequestAndLimitsCount(t *testing.T) {
	c := open(t, Config{PerSecond: 5})
	refused := 0
	for range 20 {
		if status, _ := c.ask("GET", "/v1/refunds", nil); status == 429 {
			refused++
		}
	}
	require.Positive(t, refused)
	require.Equal(t, refused, c.double.Control.Limits.Snapshot().Rejected)
	c.double.cfg.PerSecond = 1000
	c.control("faults", `{"kind":"revoke"}`)
	for range 2 {
		status, _ := c.ask("GET", "/v1/refunds", nil)
		require.Equal(t, 401, status)
	}
	c.control("reset", "")
	status, _ := c.ask("GET", "/v1/refunds", nil)
	require.Equal(t, 200, status)
}

func TestAmountsOfTheDoubleAreStripes(t *testing.T) {
	for _, c := range []struct {
		text, currency string
		minor          int64
	}{{"1050", "usd", 1050}, {"500", "jpy", 500}, {"7", "eur", 7}, {"5120", "kwd", 5120}} {
		m, code := amount(c.text, c.currency)
		require.Empty(t, code)
		require.Equal(t, c.minor, m.Minor, c)
		require.Equal(t, c.minor, units(m))
	}
}
