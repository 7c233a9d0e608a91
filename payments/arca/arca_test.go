package arca_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/arca"
	"github.com/dealpay/dealpay/payments/arca/arcatest"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
)

const password, callbackKey = "pass-5e4d3c", "callback-key-1b2a"

func connection(password string) payments.Connection {
	return payments.Connection{ID: "c", Acquirer: arca.Key, HTTP: &http.Client{Timeout: 5 * time.Second}, Credentials: map[string]string{
		"gateway": "ipay-test", "username": "shop_api", "password": password, "terminal_id": "00000001", "callback_key": callbackKey}}
}

func order(n int) payments.Order {
	return payments.Order{Attempt: fmt.Sprintf("att_%02d", n), Reference: fmt.Sprintf("DP-%d-1", n), Amount: payments.Money{Minor: 1_500_000, Currency: "AMD"},
		Description: "Կանխավճար 7", ReturnURL: "https://pay.example/p/token/back?a=1", Language: "hy"}
}

// bank is a double with a provider connected to it; both tell the time by the double's clock, at noon in Yerevan.
func bank(t *testing.T, cfg arcatest.Config) (*arcatest.Server, *httptest.Server, *arca.Provider) {
	t.Helper()
	cfg.Password = password
	double := arcatest.New(cfg)
	t.Cleanup(double.Close)
	now := time.Now().UTC()
	double.Control.Clock.Advance(time.Date(now.Year(), now.Month(), now.Day(), 8, 0, 0, 0, time.UTC).Sub(now))
	server := httptest.NewServer(double)
	t.Cleanup(server.Close)
	return double, server, arca.New(arca.Config{Gateways: map[string]string{"ipay-test": server.URL + "/payment/rest/"}, Now: double.Control.Clock.Now})
}

func TestTheProviderPassesTheSuite(t *testing.T) {
	for name, cfg := range map[string]arcatest.Config{
		"codes as numbers": {CallbackKey: callbackKey},
		"codes as text":    {CallbackKey: callbackKey, Codes: arcatest.Text},
		"codes left out":   {CallbackKey: callbackKey, Codes: arcatest.Absent},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Fixture {
				double, server, provider := bank(t, cfg)
				n := 0
				return providertest.Fixture{Provider: provider, Connection: connection(password), Bad: connection("wrong-pass"), Control: server.URL,
					Order: func() payments.Order { n++; return order(n) }, Hook: double.Call, RefundPath: "reverse.do",
					Private: []string{password, callbackKey, "wrong-pass", "TEST CARD", "411111", "192.0.2.10", `"203001"`}}
			})
		})
	}
}

// paid is an order that was paid for.
func paid(t *testing.T, server *httptest.Server, p *arca.Provider, n int) payments.Order {
	t.Helper()
	o := order(n)
	checkout, err := p.Start(t.Context(), connection(password), o)
	require.NoError(t, err)
	control(t, server, "pay", fmt.Sprintf(`{"url":%q}`, checkout.URL))
	o.ProviderRef = checkout.ProviderRef
	return o
}

func control(t *testing.T, server *httptest.Server, name, body string) {
	t.Helper()
	res, err := http.Post(server.URL+"/_control/"+name, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func look(t *testing.T, p *arca.Provider, o payments.Order) payments.Observation {
	t.Helper()
	seen, err := p.Look(t.Context(), connection(password), o)
	require.NoError(t, err)
	return seen
}

// calls are the operations that the double was asked for, without their folder.
func calls(double *arcatest.Server) (names []string) {
	for _, r := range double.Control.Requests() {
		names = append(names, strings.TrimPrefix(r.Path, "/payment/rest/"))
	}
	return names
}

func TestAnOrderIsRegisteredAsDocumented(t *testing.T) {
	double, server, p := bank(t, arcatest.Config{})
	o := order(1)
	o.Deadline = double.Control.Clock.Now().Add(5 * time.Minute)
	o.Description = "50%+\r\n" + strings.Repeat("ա", 200)
	checkout, err := p.Start(t.Context(), connection(password), o)
	require.NoError(t, err)
	require.Equal(t, server.URL+"/payment/merchants/shop/payment_hy.html?mdOrder="+checkout.ProviderRef, checkout.URL)
	require.WithinDuration(t, o.Deadline, checkout.Deadline, 2*time.Second)
	sent := double.Control.Requests()[0]
	require.Empty(t, sent.Query, "no login in an address")
	form, err := url.ParseQuery(sent.Body)
	require.NoError(t, err)
	require.Equal(t, "1500000", form.Get("amount"), "whole minor units")
	require.Equal(t, "051", form.Get("currency"), "the gateway takes roubles when it is left out")
	require.Len(t, []rune(form.Get("description")), 99)
	require.Equal(t, "DP-1-1", form.Get("orderNumber"))
	require.NotContains(t, form.Get("description"), "%")
	for _, change := range []func(*payments.Order){
		func(o *payments.Order) { o.Amount = payments.Money{} },
		func(o *payments.Order) { o.Amount.Currency = "GEL" },
		func(o *payments.Order) { o.Reference = strings.Repeat("1", 33) },
		func(o *payments.Order) { o.Reference = "" },
		func(o *payments.Order) { o.ReturnURL = "" },
	} {
		o := order(2)
		change(&o)
		_, err := p.Start(t.Context(), connection(password), o)
		require.ErrorIs(t, err, payments.ErrRefused)
	}
}

func TestATenantChoosesOnlyAmongTheGateways(t *testing.T) {
	p := arca.New(arca.Config{})
	require.Equal(t, []string{"epg.arca.am", "ipay.arca.am", "ipaytest.arca.am:8445", "pg.inecoecom.am", "testepg.arca.am"}, p.Describe().Hosts)
	for _, name := range []string{"", "https://evil.example/payment/rest/", "IPAY"} {
		c := connection(password)
		c.Credentials["gateway"] = name
		c.HTTP = providertest.Answer(200, `{"orderId":"a","formUrl":"https://evil.example/"}`)
		_, err := p.Start(t.Context(), c, order(1))
		require.ErrorIs(t, err, payments.ErrCredentials)
		require.ErrorIs(t, p.Check(t.Context(), c), payments.ErrCredentials)
	}
	for page, want := range map[string]error{
		"https://ipaytest.arca.am:8445/payment/merchants/a/payment_hy.html": nil,
		"https://ipaytest.arca.am/payment/merchants/a/payment_hy.html":      nil,
		"http://ipaytest.arca.am/payment/":                                  payments.ErrRefused,
		"https://ipaytest.arca.am.evil.example/":                            payments.ErrRefused,
		"https://ipaytest.arca.am@evil.example/":                            payments.ErrRefused,
		"https://user@ipaytest.arca.am/":                                    payments.ErrRefused,
		"//evil.example/":                                                   payments.ErrRefused,
		"":                                                                  payments.ErrUnavailable,
	} {
		c := connection(password)
		c.HTTP = providertest.Answer(200, fmt.Sprintf(`{"orderId":"a","formUrl":%q}`, page))
		_, err := p.Start(t.Context(), c, order(1))
		require.ErrorIs(t, err, want, page)
	}
}

func TestARegisteredNumberIsNeverOpenedTwice(t *testing.T) {
	double, server, p := bank(t, arcatest.Config{})
	o := paid(t, server, p, 1)
	_, err := p.Start(t.Context(), connection(password), o)
	require.ErrorIs(t, err, payments.ErrStarted)
	o.ProviderRef = ""
	seen := look(t, p, o)
	require.Equal(t, o.Amount, seen.Captured, "found by its number")
	require.Equal(t, double.Books()[0].Ref, seen.ProviderRef)
	require.Len(t, double.Books(), 1)
}

func TestTimeAndTriesEndAnOrder(t *testing.T) {
	double, server, p := bank(t, arcatest.Config{})
	o := order(1)
	checkout, err := p.Start(t.Context(), connection(password), o)
	require.NoError(t, err)
	o.ProviderRef = checkout.ProviderRef
	double.Control.Clock.Advance(21 * time.Minute)
	seen := look(t, p, o)
	require.Equal(t, state.AttemptExpired, seen.Status)
	require.Equal(t, "-2007", seen.Code)
	control(t, server, "late", `{"allow":true}`)
	control(t, server, "pay", fmt.Sprintf(`{"url":%q}`, checkout.URL))
	require.Equal(t, o.Amount, look(t, p, o).Captured, "bank staff may still set another state")

	o = order(2)
	checkout, err = p.Start(t.Context(), connection(password), o)
	require.NoError(t, err)
	o.ProviderRef = checkout.ProviderRef
	for range 3 {
		require.Equal(t, state.Pending, look(t, p, o).Status, "another card may be tried")
		control(t, server, "pay", fmt.Sprintf(`{"url":%q,"outcome":"declined"}`, checkout.URL))
	}
	seen = look(t, p, o)
	require.Equal(t, state.AttemptFailed, seen.Status)
	require.Equal(t, "-2013", seen.Code)
}

func TestOlderAnswersAreEnough(t *testing.T) {
	for name, cfg := range map[string]arcatest.Config{"version 01": {Bare: true}, "the short call": {NoExtended: true}} {
		_, server, p := bank(t, cfg)
		require.NoError(t, p.Check(t.Context(), connection(password)), name)
		require.ErrorIs(t, p.Check(t.Context(), connection("wrong")), payments.ErrCredentials)
		o := paid(t, server, p, 1)
		seen := look(t, p, o)
		require.Equal(t, o.Amount, seen.Captured, name)
		require.False(t, seen.Foreign)
		require.NotContains(t, string(seen.Raw), "411111")
		control(t, server, "refund", fmt.Sprintf(`{"ref":%q,"amount_minor":5}`, o.ProviderRef))
		seen, err := p.Look(t.Context(), connection(password), o)
		require.ErrorIs(t, err, payments.ErrNothingNew, "how much went back is not said")
		require.Empty(t, seen.Status)
	}
	_, server, p := bank(t, arcatest.Config{NoExtended: true})
	o := paid(t, server, p, 1)
	o.ProviderRef = ""
	_, err := p.Look(t.Context(), connection(password), o)
	require.ErrorIs(t, err, payments.ErrNothingNew, "the short call finds nothing by our number")
	_, err = p.Look(t.Context(), connection("wrong"), o)
	require.ErrorIs(t, err, payments.ErrCredentials)
}

func TestAWholePaymentIsReversedOnItsDayOnly(t *testing.T) {
	give := func(t *testing.T, cfg arcatest.Config, wait time.Duration, minor int64) (asked []string, seen payments.Observation, err error) {
		double, server, p := bank(t, cfg)
		o := paid(t, server, p, 1)
		double.Control.Clock.Advance(wait)
		before := len(calls(double))
		err = p.Refund(t.Context(), connection(password), o, "r", payments.Money{Minor: minor, Currency: "AMD"})
		return calls(double)[before:], look(t, p, o), err
	}
	const ask, whole = "getOrderStatusExtended.do", 1_500_000
	for _, c := range []struct {
		name  string
		cfg   arcatest.Config
		wait  time.Duration
		minor int64
		want  []string
	}{
		{"whole, the same day", arcatest.Config{}, 11*time.Hour + 50*time.Minute, whole, []string{ask, "reverse.do"}},
		{"whole, after midnight", arcatest.Config{}, 12*time.Hour + time.Minute, whole, []string{ask, "refund.do"}},
		{"a part", arcatest.Config{}, 0, 5, []string{ask, "refund.do"}},
		{"no right to reverse", arcatest.Config{NoReversals: true}, 0, whole, []string{ask, "reverse.do", ask, "refund.do"}},
		{"more than there is", arcatest.Config{}, 0, whole + 1, []string{ask}},
	} {
		asked, seen, err := give(t, c.cfg, c.wait, c.minor)
		require.Equal(t, c.want, asked, c.name)
		if c.minor > whole {
			require.ErrorIs(t, err, payments.ErrRefused)
			continue
		}
		require.NoError(t, err, c.name)
		require.Equal(t, c.minor, seen.Refunded.Minor, c.name)
		require.Equal(t, c.want[1] == "reverse.do" && len(c.want) == 2, seen.Status == state.AttemptCancelled, c.name)
	}
}

func TestMoneyNeverGoesBackTwice(t *testing.T) {
	double, server, p := bank(t, arcatest.Config{})
	o := paid(t, server, p, 1)
	control(t, server, "faults", `{"kind":"drop_after_commit","match":"reverse.do"}`)
	require.ErrorIs(t, p.Refund(t.Context(), connection(password), o, "r", o.Amount), payments.ErrUnknown)
	require.ErrorIs(t, p.Refund(t.Context(), connection(password), o, "r", o.Amount), payments.ErrRefused, "it is asked first")
	require.Equal(t, o.Amount.Minor, double.Books()[0].Refunded)
	o = paid(t, server, p, 2)
	control(t, server, "faults", `{"kind":"drop_after_commit","match":"refund.do"}`)
	half := payments.Money{Minor: o.Amount.Minor / 2, Currency: "AMD"}
	require.ErrorIs(t, p.Refund(t.Context(), connection(password), o, "r", half), payments.ErrUnknown)
	require.Equal(t, half, look(t, p, o).Refunded)
	control(t, server, "faults", `{"kind":"down","match":"getOrderStatusExtended"}`)
	require.ErrorIs(t, p.Refund(t.Context(), connection(password), o, "r", half), payments.ErrUnavailable, "nothing was asked to move")
	require.ErrorIs(t, p.Refund(t.Context(), connection("wrong"), o, "r", half), payments.ErrCredentials)
}

// documented is one of the published answers, with what it means.
type documented struct {
	Operation string `json:"operation"`
	Response  struct {
		Status int             `json:"http_status"`
		Body   json.RawMessage `json:"body"`
	} `json:"response"`
	Expect struct {
		State    *string `json:"state"`
		Refunded int64   `json:"refunded_minor"`
	} `json:"expect"`
}

const fixtures = "../../../shared/fixtures/acquirers/arca/"

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Skip("the documented answers are not beside this checkout")
	}
	require.NoError(t, json.Unmarshal(text, into), file)
}

func TestEveryDocumentedAnswerIsUnderstood(t *testing.T) {
	files, _ := filepath.Glob(fixtures + "status-*.json")
	if len(files) == 0 {
		t.Skip("the documented answers are not beside this checkout")
	}
	want := map[string]state.AttemptStatus{"pending": state.Pending, "authorized": state.Authorized, "paid": state.AttemptPaid, "failed": state.AttemptFailed,
		"cancelled": state.AttemptCancelled, "partially_refunded": state.AttemptPaid, "refunded": state.AttemptPaid, "expired": state.AttemptExpired}
	for _, file := range files {
		var d documented
		read(t, file, &d)
		c := connection(password)
		delete(c.Credentials, "terminal_id")
		c.HTTP = providertest.Answer(d.Response.Status, string(d.Response.Body))
		o := order(1)
		o.Reference = "T12-A000000901"
		seen, err := arca.New(arca.Config{}).Look(t.Context(), c, o)
		providertest.Sane(t, seen, err)
		switch name := filepath.Base(file); {
		case name == "status-doc-example.json":
			require.Equal(t, payments.Money{Minor: 100, Currency: "RUB"}, seen.Captured, "a mismatch to be seen")
		case name == "status-legacy-casing.json":
			require.Equal(t, payments.Money{Minor: 100, Currency: "810"}, seen.Captured)
			require.True(t, seen.Foreign)
		case d.Expect.State == nil:
			require.ErrorIs(t, err, payments.ErrNothingNew, file)
			require.Equal(t, "6", seen.Code)
		default:
			require.NoError(t, err, file)
			require.Equal(t, want[*d.Expect.State], seen.Status, file)
			require.False(t, seen.Foreign, file)
			require.Equal(t, "32faa424-858a-4f22-92c5-a50a9cfe56dc", seen.ProviderRef)
			require.Equal(t, seen.Status == state.AttemptPaid, seen.Captured == o.Amount, file)
			require.GreaterOrEqual(t, seen.Refunded.Minor, d.Expect.Refunded)
		}
	}
}

// A whole amount stands in each answer, so that nothing but the status keeps a hold and an authentication from being money.
func TestAStatusIsMoneyOnlyWhenItWasTaken(t *testing.T) {
	for answer, want := range map[string]struct {
		status   state.AttemptStatus // empty: nothing new
		refunded int64
	}{
		`"orderStatus":0,"actionCode":-100`:                      {status: state.Pending},
		`"orderStatus":0,"actionCode":116`:                       {status: state.Pending}, // a card was declined, another may be tried
		`"orderStatus":1,"actionCode":0`:                         {status: state.Authorized},
		`"orderStatus":2,"actionCode":0`:                         {status: state.AttemptPaid},
		`"orderStatus":3,"actionCode":0`:                         {status: state.AttemptCancelled, refunded: 1_500_000},
		`"orderStatus":4,"actionCode":0,"refunds":400`:           {status: state.AttemptPaid, refunded: 400},
		`"orderStatus":5,"actionCode":-9000`:                     {status: state.Pending},
		`"orderStatus":5,"actionCode":0`:                         {status: state.Pending},
		`"orderStatus":"5","actionCode":"0","errorCode":"0"`:     {status: state.Pending},
		`"orderStatus":6,"actionCode":116`:                       {status: state.AttemptFailed},
		`"orderStatus":6,"actionCode":-2007`:                     {status: state.AttemptExpired},
		`"orderStatus":6,"actionCode":151019`:                    {},
		`"orderStatus":6,"actionCode":151018`:                    {status: state.AttemptFailed},
		`"orderStatus":6,"actionCode":424242`:                    {status: state.AttemptFailed}, // not documented
		`"orderStatus":2,"actionCode":-2007`:                     {status: state.AttemptPaid},   // of the last card, not of the order
		`"OrderStatus":5,"ErrorCode":"0","OrderNumber":"DP-1-1"`: {status: state.Pending},
		`"OrderStatus":6,"ErrorCode":"2","OrderNumber":"DP-1-1"`: {status: state.AttemptFailed},
		`"orderStatus":7,"actionCode":0`:                         {},
		`"errorCode":6,"errorMessage":"Unregistered OrderId"`:    {},
	} {
		back, whole := "0", `"approvedAmount":1500000,"depositedAmount":1500000`
		if rest, refunds, ok := strings.Cut(answer, `,"refunds":`); ok {
			answer, back, whole = rest, refunds, `"approvedAmount":1500000,"depositedAmount":1499600`
		}
		body := `{"orderNumber":"DP-1-1","amount":1500000,"currency":"051","date":1790000000000,"paymentAmountInfo":{` + whole + `,"refundedAmount":` + back + `},` + answer + `}`
		c := connection(password)
		c.HTTP = providertest.Answer(http.StatusOK, body)
		o := order(1)
		o.ProviderRef = "32faa424-858a-4f22-92c5-a50a9cfe56dc"
		seen, err := arca.New(arca.Config{}).Look(t.Context(), c, o)
		providertest.Sane(t, seen, err)
		if want.status == "" {
			require.ErrorIs(t, err, payments.ErrNothingNew, answer)
			continue
		}
		require.NoError(t, err, answer)
		require.Equal(t, want.status, seen.Status, answer)
		require.Equal(t, want.refunded, seen.Refunded.Minor, answer)
	}
}

func TestDocumentedRegistrationsAreUnderstood(t *testing.T) {
	for file, want := range map[string]error{"register-ok": nil, "register-ok-minimal": nil, "register-duplicate": payments.ErrStarted,
		"register-error-string": payments.ErrRefused} {
		var d documented
		read(t, fixtures+file+".json", &d)
		c := connection(password)
		c.Credentials["gateway"] = "ipay"
		c.HTTP = providertest.Answer(d.Response.Status, string(d.Response.Body))
		checkout, err := arca.New(arca.Config{}).Start(t.Context(), c, order(1))
		require.ErrorIs(t, err, want, file)
		if want == nil {
			require.Equal(t, "32faa424-858a-4f22-92c5-a50a9cfe56dc", checkout.ProviderRef)
		}
	}
}

func TestDocumentedRefundsAreUnderstood(t *testing.T) {
	double, server, p := bank(t, arcatest.Config{})
	o := paid(t, server, p, 1)
	for file, want := range map[string]error{"refund-ok": nil, "reverse-wrong-state": payments.ErrUnknown} { // 7 is "not in this state" and "system error" alike
		var d documented
		read(t, fixtures+file+".json", &d)
		c := connection(password)
		c.HTTP = &http.Client{Transport: scripted{"refund.do": string(d.Response.Body)}}
		require.ErrorIs(t, p.Refund(t.Context(), c, o, "r", payments.Money{Minor: 500_000, Currency: "AMD"}), want, file)
	}
	require.Zero(t, double.Books()[0].Refunded)
}

// scripted answers one operation by itself and sends all others on.
type scripted map[string]string

func (s scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	if body, ok := s[path.Base(r.URL.Path)]; ok {
		return providertest.Answer(http.StatusOK, body).Transport.RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}
