package telcell_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/payments/providertest"
	"github.com/dealpay/dealpay/payments/state"
	"github.com/dealpay/dealpay/payments/telcell"
	"github.com/dealpay/dealpay/payments/telcell/telcelltest"
)

const shopKey = "shop-key-8c7b6a"

var orders atomic.Int64

func order() payments.Order {
	n := orders.Add(1)
	return payments.Order{Attempt: fmt.Sprintf("attempt-%d", n), Reference: fmt.Sprintf("DP-%d-1", n),
		Amount: payments.Money{Minor: 1_500_000, Currency: "AMD"}, Description: "Կանխավճար 7", ReturnURL: "https://pay.example/back", Language: "hy"}
}

// connection has a buyer, so that we create the invoices.
func connection(key string) payments.Connection {
	return payments.Connection{ID: "c", Acquirer: telcell.Key, HTTP: &http.Client{Timeout: 5 * time.Second},
		Credentials: map[string]string{"issuer": "shop@example.am", "shop_key": key, "mode": "test", "buyer": "+37400000000"}}
}

// browser has no buyer: the customer's browser creates the invoices.
func browser(key string) payments.Connection {
	c := connection(key)
	delete(c.Credentials, "buyer")
	return c
}

// shop is a double with a provider connected to it.
func shop(t *testing.T, cfg telcelltest.Config) (*telcelltest.Server, *httptest.Server, *telcell.Provider) {
	t.Helper()
	cfg.ShopKey = shopKey
	double := telcelltest.New(cfg)
	t.Cleanup(double.Close)
	server := httptest.NewServer(double)
	t.Cleanup(server.Close)
	return double, server, telcell.New(at(server.URL, telcell.Config{PartialRefunds: cfg.PartialRefunds}))
}

func at(base string, cfg telcell.Config) telcell.Config {
	cfg.TestURL, cfg.LiveURL, cfg.PageURL = base+"/proto_test2/invoices", base+"/invoices", base+"/payments/invoice/"
	return cfg
}

// open posts the form of a checkout as a browser would, and returns the page it is led to.
func open(t *testing.T, c payments.Checkout) string {
	t.Helper()
	if c.Form == nil {
		return c.URL
	}
	form := url.Values{}
	for name, value := range c.Form {
		form.Set(name, value)
	}
	direct := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := direct.PostForm(c.URL, form)
	require.NoError(t, err)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	require.Equal(t, http.StatusSeeOther, res.StatusCode, "%s", text)
	return res.Header.Get("Location")
}

var private = []string{shopKey, "+37400000000", "37400000000", "buyer@example.am", "Կանխավճար"}

func TestTheProviderPassesTheSuite(t *testing.T) {
	for name, cfg := range map[string]telcelltest.Config{
		"as documented": {}, "by GET": {GetCallbacks: true}, "decoded references": {PlainIssuerID: true}, "partial refunds": {PartialRefunds: true},
		"buyer in callbacks": {CallbackBuyer: true},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, func(t *testing.T) providertest.Fixture {
				double, server, p := shop(t, cfg)
				f := providertest.Fixture{Provider: p, Connection: connection(shopKey), Bad: connection("wrong"), Control: server.URL, Order: order,
					Hook: double.SetResult, Private: private, Lacks: []string{"authorized"}, RefundPath: "cancel_bill", StartPath: " bill", BareStart: true}
				if !cfg.PartialRefunds {
					f.Lacks = append(f.Lacks, "bank_refund")
				}
				if cfg.CallbackBuyer {
					f.Connection.Credentials["callback"] = "buyer"
				}
				return f
			})
		})
	}
}

func control(t *testing.T, server *httptest.Server, name, body string) {
	t.Helper()
	res, err := http.Post(server.URL+"/_control/"+name, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	require.Equal(t, 200, res.StatusCode, "%s %s", name, text)
}

func started(t *testing.T, p *telcell.Provider, c payments.Connection) (payments.Order, payments.Checkout) {
	t.Helper()
	o := order()
	checkout, err := p.Start(t.Context(), c, o)
	require.NoError(t, err)
	o.ProviderRef = checkout.ProviderRef
	return o, checkout
}

func look(t *testing.T, p *telcell.Provider, o payments.Order) payments.Observation {
	t.Helper()
	seen, err := p.Look(t.Context(), connection(shopKey), o)
	require.NoError(t, err)
	return seen
}

func TestAFormLeadsToTheSamePayment(t *testing.T) {
	_, server, p := shop(t, telcelltest.Config{})
	c := browser(shopKey)
	o, checkout := started(t, p, c)
	require.Empty(t, checkout.ProviderRef)
	_, err := p.Look(t.Context(), c, o)
	require.ErrorIs(t, err, payments.ErrNothingNew, "nobody posted it yet")
	again, err := p.Start(t.Context(), c, o)
	require.NoError(t, err)
	require.Equal(t, checkout.Form, again.Form)
	page := open(t, checkout)
	require.Equal(t, state.Pending, look(t, p, o).Status)
	require.Empty(t, look(t, p, o).ProviderRef, "the customer may post it again")
	control(t, server, "pay", `{"url":"`+page+`"}`)
	seen := look(t, p, o)
	require.Equal(t, state.AttemptPaid, seen.Status)
	require.Equal(t, o.Amount, seen.Captured)
	require.NotEmpty(t, seen.ProviderRef, "the answer names the invoice")
	require.NoError(t, p.Refund(t.Context(), c, o, "r", o.Amount))
	require.Equal(t, o.Amount, look(t, p, o).Refunded)
}

func TestALostAnswerLeavesOneInvoice(t *testing.T) {
	double, server, p := shop(t, telcelltest.Config{})
	control(t, server, "faults", `{"kind":"drop_after_commit","match":" bill"}`)
	o := order()
	_, err := p.Start(t.Context(), connection(shopKey), o)
	require.ErrorIs(t, err, payments.ErrUnavailable)
	require.Len(t, double.Books(), 1)
	checkout, err := p.Start(t.Context(), connection(shopKey), o)
	require.NoError(t, err)
	require.Len(t, double.Books(), 1)
	require.Equal(t, double.Books()[0].Ref, checkout.ProviderRef)
	changed := o
	changed.Amount.Minor += 100
	_, err = p.Start(t.Context(), connection(shopKey), changed)
	require.ErrorIs(t, err, payments.ErrRefused)
	control(t, server, "pay", `{"url":"`+checkout.URL+`","outcome":"declined"}`)
	_, err = p.Start(t.Context(), connection(shopKey), o)
	require.ErrorIs(t, err, payments.ErrStarted)
	blind := telcell.New(at(server.URL, telcell.Config{NeedsInvoice: true}))
	_, err = blind.Start(t.Context(), connection(shopKey), o)
	require.NoError(t, err)
	require.Len(t, double.Books(), 2, "the price of not being able to ask")
	_, err = blind.Look(t.Context(), connection(shopKey), o)
	require.ErrorIs(t, err, payments.ErrNothingNew)
}

func TestMoneyOfUnknownAmountGoesToAPerson(t *testing.T) {
	_, server, p := shop(t, telcelltest.Config{})
	o, checkout := started(t, p, connection(shopKey))
	control(t, server, "partially_paid", `{"ref":"`+o.ProviderRef+`"}`)
	seen := look(t, p, o)
	require.Equal(t, state.AttemptPaid, seen.Status)
	require.Equal(t, payments.Money{Currency: "AMD"}, seen.Captured, "not what was asked, so not paid")
	require.Equal(t, "PARTIALLY_PAID", seen.Code)
	require.ErrorIs(t, p.Refund(t.Context(), connection(shopKey), o, "r", o.Amount), payments.ErrRefused)
	control(t, server, "pay", `{"url":"`+checkout.URL+`"}`)
	require.Equal(t, o.Amount, look(t, p, o).Captured, "the rest came")
}

func TestAnUnpaidInvoiceCanBeClosed(t *testing.T) {
	_, server, p := shop(t, telcelltest.Config{})
	o, _ := started(t, p, connection(shopKey))
	require.NoError(t, p.CancelCheckout(t.Context(), connection(shopKey), o))
	require.Equal(t, state.AttemptCancelled, look(t, p, o).Status)
	paid, checkout := started(t, p, connection(shopKey))
	control(t, server, "pay", `{"url":"`+checkout.URL+`"}`)
	require.ErrorIs(t, p.CancelCheckout(t.Context(), connection(shopKey), paid), payments.ErrRefused)
	require.ErrorIs(t, p.CancelCheckout(t.Context(), connection("wrong"), paid), payments.ErrCredentials)
	require.ErrorIs(t, p.CancelCheckout(t.Context(), connection(shopKey), payments.Order{}), payments.ErrRefused)
	late, _ := started(t, p, connection(shopKey))
	control(t, server, "clock", `{"advance":"25h"}`)
	require.Equal(t, state.AttemptExpired, look(t, p, late).Status)
}

func TestOnlyWholeDramAreTaken(t *testing.T) {
	_, _, p := shop(t, telcelltest.Config{})
	for _, m := range []payments.Money{{Minor: 150, Currency: "AMD"}, {Minor: 100, Currency: "USD"}, {Minor: 0, Currency: "AMD"}, {Minor: -100, Currency: "AMD"}} {
		o := order()
		o.Amount = m
		for _, c := range []payments.Connection{connection(shopKey), browser(shopKey)} {
			_, err := p.Start(t.Context(), c, o)
			require.ErrorIs(t, err, payments.ErrRefused, m)
		}
	}
	require.True(t, p.Describe().WholeUnits)
}

func TestOnlyTheWordLiveIsLive(t *testing.T) {
	p := telcell.New(telcell.Config{})
	for mode, want := range map[string]string{"live": "https://telcellmoney.am/invoices", "test": "https://telcellmoney.am/proto_test2/invoices",
		"": "https://telcellmoney.am/proto_test2/invoices", "LIVE": "https://telcellmoney.am/proto_test2/invoices"} {
		c := browser(shopKey)
		c.Credentials["mode"] = mode
		checkout, err := p.Start(t.Context(), c, order())
		require.NoError(t, err)
		require.Equal(t, want, checkout.URL)
	}
	require.Equal(t, []string{"telcellmoney.am"}, p.Describe().Hosts)
	for _, missing := range []string{"issuer", "shop_key"} {
		c := browser(shopKey)
		delete(c.Credentials, missing)
		_, err := p.Start(t.Context(), c, order())
		require.ErrorIs(t, err, payments.ErrCredentials, "an empty key signs nothing")
		require.ErrorIs(t, p.Check(t.Context(), c), payments.ErrCredentials)
	}
}

func TestAnInvoiceLivesAsLongAsItsLink(t *testing.T) {
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	p := telcell.New(telcell.Config{Now: func() time.Time { return now }, MaxDays: 10})
	for left, days := range map[time.Duration]int{time.Hour: 1, 24 * time.Hour: 1, 25 * time.Hour: 2, 72 * time.Hour: 3, 1000 * time.Hour: 10, -time.Hour: 1} {
		o := order()
		o.Deadline = now.Add(left)
		checkout, err := p.Start(t.Context(), browser(shopKey), o)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(days), checkout.Form["valid_days"])
		require.Equal(t, now.Add(time.Duration(days)*24*time.Hour), checkout.Deadline)
	}
}
