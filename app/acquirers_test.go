package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/dealpay/dealpay/app/demo"
	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/payments/acquirertest"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/stretchr/testify/require"
)

// everyAcquirer points the app's adapters at the demo's stand-ins.
func everyAcquirer(c *config) {
	urls := demo.AcquirerURLs(strings.TrimPrefix(c.VposAmURL, "http://api.vpos.am"))
	gateways := map[string]string{}
	for pair := range strings.SplitSeq(urls["ARCA_GATEWAYS"], ",") {
		name, base, _ := strings.Cut(pair, "=")
		gateways[name] = base
	}
	c.Acquirers = acquirerURLs{AmeriaTest: urls["AMERIA_TEST_URL"], Arca: gateways, Idram: urls["IDRAM_URL"], TelcellTest: urls["TELCELL_TEST_URL"],
		TelcellPage: urls["TELCELL_PAGE_URL"], Stripe: urls["STRIPE_URL"], FastShift: urls["FASTSHIFT_URL"]}
}

// connect connects an acquirer with the demo's credentials, and has its staff enter our notice address.
func (a *account) connect(acquirer string) {
	a.Helper()
	var credentials map[string]string
	require.NoError(a, json.Unmarshal(a.order(acquirer, "credentials", nil), &credentials))
	view := want[api.AcquirerView](a.scene, http.StatusOK, a.api(http.MethodPut, "/acquirers/"+acquirer, map[string]any{"credentials": credentials, "test": true}))
	require.True(a, view.Connected)
	a.send(http.MethodPost, a.control[acquirer]+"/hook", map[string]string{"url": view.HookUrl})
}

var (
	formAction = regexp.MustCompile(`<form[^>]*action="([^"]+)"`)
	formField  = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)
)

// leave is a customer who presses Pay with a method; it returns the address of the acquirer's page, also where the
// browser posts a form to get there.
func (s *scene) leave(in api.Invoice, method string) string {
	s.Helper()
	got := s.send(http.MethodPost, in.Url+"/pay", url.Values{"method": {method}}.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	if got.Status == http.StatusSeeOther {
		return got.Header.Get("Location")
	}
	require.Equal(s, http.StatusOK, got.Status, string(got.Body))
	action := formAction.FindSubmatch(got.Body)
	require.NotNil(s, action, string(got.Body))
	form := url.Values{}
	for _, f := range formField.FindAllSubmatch(got.Body, -1) {
		form.Set(unescape(f[1]), unescape(f[2]))
	}
	address := unescape(action[1])
	next := s.send(http.MethodPost, address, form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	require.Equal(s, http.StatusSeeOther, next.Status, string(next.Body))
	base, err := url.Parse(address)
	require.NoError(s, err)
	to, err := base.Parse(next.Header.Get("Location"))
	require.NoError(s, err)
	return to.String()
}

func unescape(html []byte) string {
	return strings.NewReplacer("&amp;", "&", "&#43;", "+", "&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">").Replace(string(html))
}

func TestEveryAcquirerTurnsADealPaid(t *testing.T) {
	t.Parallel()
	a := newScene(t, everyAcquirer).accounts[crm.Kommo]
	for i, acquirer := range []string{"ameria", "arca", "idram", "telcell", "stripe", "fastshift"} {
		a.connect(acquirer)
		t.Run(acquirer, func(t *testing.T) {
			a := a.under(t)
			deal := a.DealIDs[i+3]
			in := a.create(deal, map[string]any{"amount": map[string]any{"minor": 1_500_000, "currency": "AMD"}, "acquirer": acquirer})
			page := a.send(http.MethodGet, in.Url, nil)
			require.Equal(t, http.StatusOK, page.Status)
			checkout := a.leave(in, acquirer)
			var paid acquirertest.Entry
			require.NoError(t, json.Unmarshal(a.order(acquirer, "pay", map[string]any{"url": checkout, "outcome": "paid", "notices": 1}), &paid))
			a.send(http.MethodGet, in.Url+"/back", nil)
			after := a.becomes(in, "paid")
			require.Equal(t, int64(1_500_000), after.Paid.Minor)
			require.Equal(t, "paid", a.deal(deal).field("status"))
		})
	}
}

func TestAPlanALinkAgainAndItsPicture(t *testing.T) {
	t.Parallel()
	a := newScene(t).accounts[crm.Bitrix24]
	whole := a.balance("5")
	require.Empty(t, whole.Invoices)
	key := once()
	body := map[string]any{"parts": []map[string]any{{"percent": "30"}, {}}}
	made := want[api.InvoicePage](a.scene, http.StatusCreated, a.api(http.MethodPost, "/deals/5/plan", body, key...))
	again := want[api.InvoicePage](a.scene, http.StatusCreated, a.api(http.MethodPost, "/deals/5/plan", body, key...))
	require.Len(t, made.Items, 2)
	require.Equal(t, []string{made.Items[0].Id, made.Items[1].Id}, []string{again.Items[0].Id, again.Items[1].Id}, "pressed twice, made once")
	require.Equal(t, [2]string{"deposit", "remainder"}, [2]string{*made.Items[0].Part, *made.Items[1].Part})
	total := made.Items[0].Amount.Minor + made.Items[1].Amount.Minor
	require.Equal(t, total, a.balance("5").Outstanding.Minor)
	refused(a.scene, http.StatusUnprocessableEntity, "percent_unusable", a.api(http.MethodPost, "/deals/6/plan",
		map[string]any{"parts": []map[string]any{{"percent": "1e2"}, {}}}, once()...))
	refused(a.scene, http.StatusNotFound, "deal_not_found", a.api(http.MethodPost, "/deals/99999/plan", body, once()...))

	old := made.Items[0]
	next := want[api.Invoice](a.scene, http.StatusCreated, a.api(http.MethodPost, "/invoices/"+old.Id+"/replace", map[string]any{}, once()...))
	require.Equal(t, old.Id, *next.Replaces)
	require.Equal(t, api.Status("cancelled"), a.get(old.Id).Status)
	require.Equal(t, total, a.balance("5").Outstanding.Minor, "the same debt")
	retired := string(a.send(http.MethodGet, old.Url, nil).Body)
	require.Contains(t, retired, "There is a newer link")
	require.NotContains(t, retired, strings.TrimPrefix(next.Url, a.app), "it may be for somebody else")

	picture := a.send(http.MethodGet, next.Url+"/qr.png", nil)
	require.Equal(t, "image/png", picture.Header.Get("Content-Type"))
	_, err := png.Decode(bytes.NewReader(picture.Body))
	require.NoError(t, err)
	require.Equal(t, http.StatusNotFound, a.send(http.MethodGet, a.app+"/p/nobodyknowsthistokenatall/qr.png", nil).Status)
	message := want[api.Message](a.scene, http.StatusOK, a.api(http.MethodGet, "/invoices/"+next.Id+"/message?language=hy", nil))
	require.Contains(t, message.Text, next.Url)
}

func TestHowMoneyIsTakenIsTheTenantsChoice(t *testing.T) {
	t.Parallel()
	a := newScene(t, everyAcquirer).accounts[crm.AmoCRM]
	a.connect("ameria")
	kept := map[string]any{"routes": []map[string]any{{"currency": "AMD", "pipeline": "", "acquirers": []string{"ameria"}}},
		"rates": map[string]string{"EUR/AMD": "420.5"}, "refund_limits": map[string]int64{"AMD": 1000}, "deal_title": false,
		"templates": map[string]any{"en": map[string]string{"subject": "Pay", "text": "{link}"}}}
	want[api.PaymentSettings](a.scene, http.StatusOK, a.api(http.MethodPut, "/settings/payments", kept))
	general := want[api.SettingsView](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings", nil))
	want[api.Settings](a.scene, http.StatusOK, a.api(http.MethodPut, "/settings", general.Settings))
	view := want[api.PaymentSettings](a.scene, http.StatusOK, a.api(http.MethodGet, "/settings/payments", nil))
	require.Equal(t, "420.5", view.Rates["EUR/AMD"], "the other settings leave these alone")
	for code, change := range map[string]map[string]any{
		"rate_pair_unknown":     {"rates": map[string]string{"EUR": "1"}},
		"rate_unusable":         {"rates": map[string]string{"EUR/AMD": "-1"}},
		"acquirer_unknown":      {"routes": []map[string]any{{"currency": "", "pipeline": "", "acquirers": []string{"nobody"}}}},
		"refund_limit_unusable": {"refund_limits": map[string]int64{"XXX": 1}},
		"template_without_link": {"templates": map[string]any{"en": map[string]string{"subject": "Pay", "text": "now"}}},
	} {
		bad := map[string]any{}
		for k, v := range kept {
			bad[k] = v
		}
		for k, v := range change {
			bad[k] = v
		}
		refused(a.scene, http.StatusUnprocessableEntity, code, a.api(http.MethodPut, "/settings/payments", bad))
	}
	in := a.create("7", map[string]any{"amount": map[string]any{"minor": 1_000_000, "currency": "AMD"}})
	require.Contains(t, a.leave(in, ""), "servicestest.ameriabank.am", "the route decides")
	converted := a.create("8", map[string]any{"amount": map[string]any{"minor": 4_000_000, "currency": "AMD"}, "exchange": map[string]any{"currency": "EUR", "rate": "0.0025"}})
	require.Equal(t, [2]api.Money{{Minor: 10_000, Currency: "EUR"}, {Minor: 4_000_000, Currency: "AMD"}}, [2]api.Money{converted.Amount, *converted.Claim})
	require.Equal(t, api.Money{Minor: 4_000_000, Currency: "AMD"}, a.balance("8").Outstanding, "in the deal's currency")
	refused(a.scene, http.StatusNotFound, "not_found", a.api(http.MethodGet, "/settings/mail", nil))
	refused(a.scene, http.StatusUnprocessableEntity, "mail_unreachable", a.api(http.MethodPut, "/settings/mail", map[string]any{
		"host": "10.0.0.1", "port": 25, "security": "none", "sender": "shop@example.com"}))
}
