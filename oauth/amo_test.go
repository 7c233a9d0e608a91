package oauth_test

import (
	"context"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/crm/amo/amotest"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/standintest"
)

var both = []crm.System{crm.AmoCRM, crm.Kommo}

func eachProduct(t *testing.T, test func(t *testing.T, h *house, system crm.System)) {
	for _, system := range both {
		t.Run(string(system), func(t *testing.T) { test(t, newHouse(t), system) })
	}
}

func (h *house) status(method, path string, form url.Values) int {
	h.Helper()
	r, err := http.NewRequestWithContext(h.Context(), method, h.app+path, strings.NewReader(form.Encode()))
	require.NoError(h, err)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	response, err := h.client.Do(r)
	require.NoError(h, err)
	require.NoError(h, response.Body.Close())
	return response.StatusCode
}

func (h *house) settled(a *amotest.Account) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 10*time.Second)
	defer cancel()
	require.NoError(h, a.Settle(ctx))
}

func TestAnAccountInstallsFromTheMarketplaceAndLeaves(t *testing.T) {
	eachProduct(t, func(t *testing.T, h *house, system crm.System) {
		a, id := h.account(system)
		me := h.me(id)
		require.Equal(t, a.Referer(), me.Domain)
		require.Equal(t, tenants.Active, me.Status)
		require.NotEmpty(t, me.Layout)
		h.reads(id, "3")

		require.NoError(t, a.Move("5", amotest.MainPipeline, amotest.StageInvoice))
		h.settled(a)
		require.Equal(t, []string{"5"}, h.promised(id, outbox.Review))

		require.NoError(t, a.Uninstall(t.Context(), ""))
		h.keep(id)
		require.Equal(t, tenants.Uninstalled, h.me(id).Status)
		h.advance(2 * time.Minute)
		h.keep(id)
		_, _, err := h.oauth.Account(t.Context(), id)
		require.Equal(t, crm.Revoked, crm.ClassOf(err))

		_, same := h.account(system)
		require.Equal(t, id, same)
		require.Equal(t, tenants.Active, h.me(id).Status)
		h.reads(id, "3")
		require.NoError(t, a.Move("6", amotest.OtherPipeline, amotest.StageReturn))
		h.settled(a)
		require.Equal(t, []string{"6"}, h.promised(id, outbox.Review), "webhooks come to the same address again")
		require.NotContains(t, h.log.String(), secret)
		require.NotContains(t, h.log.String(), "def502")
	})
}

func TestAPersonConnectsByOAuth(t *testing.T) {
	eachProduct(t, func(t *testing.T, h *house, system crm.System) {
		a := h.amo[system].Account("acme")
		require.NoError(t, a.Connect(t.Context(), h.client, amotest.AdminID))
		id := h.tenant(system, keyOf(a))
		h.keep(id)
		h.reads(id, "1")
		require.Error(t, a.Connect(t.Context(), h.client, amotest.ManagerID), "only an administrator's grant serves the account")
		h.reads(id, "1")
	})
}

func TestAStateIsOfThisBrowserAndGoodOnce(t *testing.T) {
	h := newHouse(t)
	a := h.amo[crm.Kommo].Account("acme")
	install := func(client *http.Client, state string) int {
		back, err := a.Allow(amotest.AdminID, state)
		require.NoError(t, err)
		response, err := client.Get(back)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	browser := *h.client
	browser.Jar, _ = cookiejar.New(nil)
	start := func() string {
		response, err := browser.Get(h.app + "/kommo/connect")
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusFound, response.StatusCode)
		to, err := response.Location()
		require.NoError(t, err)
		require.Equal(t, "www.kommo.com"+h.suffix, to.Host)
		return to.Query().Get("state")
	}
	state := start()
	require.Equal(t, http.StatusBadRequest, install(h.client, state), "another browser")
	require.Equal(t, http.StatusOK, install(&browser, state))
	require.Equal(t, http.StatusBadRequest, install(&browser, state), "used")
	state = start()
	require.Equal(t, http.StatusBadRequest, install(&browser, "other"))
	require.Equal(t, http.StatusBadRequest, install(&browser, state), "one try")
	state = start()
	h.advance(11 * time.Minute)
	require.Equal(t, http.StatusBadRequest, install(&browser, state), "too late")
	require.Equal(t, http.StatusForbidden, h.status(http.MethodGet, "/kommo/install?error=access_denied&client_id="+kommoClient, nil))
}

func TestNoSecretLeavesForAHostOffTheList(t *testing.T) {
	h := newHouse(t)
	a := h.amo[crm.AmoCRM].Account("acme")
	back, err := a.Allow(amotest.AdminID, "")
	require.NoError(t, err)
	good, err := url.Parse(back)
	require.NoError(t, err)
	for _, referer := range []string{"evil.com", "acme.amocrm.ru.evil.com", "evil-amocrm.ru.localhost", "user@" + a.Referer(), a.Referer() + "/x",
		a.Referer() + "#", "127.0.0.1", "acme.kommo.com" + h.suffix, "a.b.amocrm.ru" + h.suffix, "www.amocrm.ru" + h.suffix, "acme.amocrm.ru:8080", ""} {
		q := good.Query()
		q.Set("referer", referer)
		require.Equal(t, http.StatusBadRequest, h.status(http.MethodGet, "/amocrm/install?"+q.Encode(), nil), referer)
	}
	q := good.Query()
	q.Set("client_id", kommoClient)
	require.Equal(t, http.StatusForbidden, h.status(http.MethodGet, "/amocrm/install?"+q.Encode(), nil))
	for _, system := range both {
		require.Empty(t, h.amo[system].Account("acme").Control.Requests())
	}
	require.Equal(t, http.StatusOK, h.status(http.MethodGet, "/amocrm/install?"+good.RawQuery, nil))
	require.Equal(t, http.StatusBadRequest, h.status(http.MethodGet, "/amocrm/install?"+good.RawQuery, nil), "a code is good once")
}

func TestTheMarketplaceIsAnsweredInTime(t *testing.T) {
	h := newHouse(t)
	a := h.amo[crm.AmoCRM].Account("acme")
	require.NoError(t, a.Control.Order(standintest.Fault{Kind: standintest.Slow, MS: 3500, Match: "access_token"}))
	began := time.Now()
	require.NoError(t, a.Install(t.Context(), h.client), "answered within three seconds")
	require.Less(t, time.Since(began), 3*time.Second)
	h.oauth.Close()
	id := h.tenant(crm.AmoCRM, keyOf(a))
	h.keep(id)
	h.reads(id, "1")
}

func TestADisableHookIsCheckedAndThenBelievedOnlyByAsking(t *testing.T) {
	eachProduct(t, func(t *testing.T, h *house, system crm.System) {
		a, id := h.account(system)
		for _, signature := range []string{"bad", "missing"} {
			require.NoError(t, a.Uninstall(t.Context(), signature))
		}
		require.Empty(t, h.promised(id, outbox.Leave))
		require.Equal(t, "request.forged", h.trail(id)[0].Action)
		path := "/" + string(system) + "/uninstall"
		q := url.Values{"client_uuid": {h.clientID(system)}, "account_id": {keyOf(a)}, "signature": {strings.Repeat("0", 64)}}
		require.Equal(t, http.StatusForbidden, h.status(http.MethodGet, path+"?"+q.Encode(), nil))
		q.Set("signature", a.Signature())
		require.Equal(t, http.StatusOK, h.status(http.MethodGet, path+"?"+q.Encode(), nil))
		require.NoError(t, a.Replay(t.Context()))
		h.keep(id)
		h.advance(2 * time.Minute)
		h.keep(id)
		require.Equal(t, tenants.Active, h.me(id).Status, "an old hook, replayed")
		h.reads(id, "1")
		stranger := h.amo[system].Account("other")
		require.NoError(t, stranger.Uninstall(t.Context(), ""), "an account that never was ours")
	})
}

func (h *house) clientID(system crm.System) string {
	return map[crm.System]string{crm.AmoCRM: amoClient, crm.Kommo: kommoClient}[system]
}

func TestWebhooksOfOthersAreRefused(t *testing.T) {
	h := newHouse(t)
	a, id := h.account(crm.AmoCRM)
	b, other := h.account(crm.Kommo)
	hook := func(x *amotest.Account) string {
		u, err := url.Parse(x.State().Webhooks[0]["destination"].(string))
		require.NoError(t, err)
		return u.Path
	}
	event := url.Values{"leads[update][0][id]": {"7"}}
	require.Equal(t, http.StatusOK, h.status(http.MethodPost, hook(a), event))
	require.Equal(t, []string{"7"}, h.promised(id, outbox.Review))
	require.Equal(t, http.StatusOK, h.status(http.MethodPost, strings.Replace(hook(b), "events", "pipeline", 1), event))
	require.Equal(t, []string{"7"}, h.promised(other, outbox.Review))

	require.Equal(t, http.StatusNotFound, h.status(http.MethodPost, "/amocrm/events/"+tenants.NewToken(), event))
	require.Equal(t, http.StatusNotFound, h.status(http.MethodPost, strings.Replace(hook(a), "amocrm", "kommo", 1), event))
	require.Equal(t, http.StatusBadRequest, h.status(http.MethodPost, hook(a), url.Values{}))
	event.Set("account[id]", keyOf(b))
	require.Equal(t, http.StatusForbidden, h.status(http.MethodPost, hook(a), event))
	require.Empty(t, h.promised(id, outbox.Review))
	require.Empty(t, h.promised(other, outbox.Review))
}

func TestARenamedAccountIsFollowed(t *testing.T) {
	eachProduct(t, func(t *testing.T, h *house, system crm.System) {
		a, id := h.account(system)
		a.Rename("renamed")
		lost := func() {
			account, _, err := h.oauth.Account(t.Context(), id)
			require.NoError(t, err)
			_, err = account.Deal(t.Context(), "1")
			require.Equal(t, crm.Transient, crm.ClassOf(err), "this call is lost, not the deal")
			require.Equal(t, a.Referer(), h.me(id).Domain)
		}
		lost()
		h.reads(id, "1")

		a.Rename("again")
		h.advance(25 * time.Hour) // the token endpoint is gone too
		lost()
		h.reads(id, "1")

		a.Rename("third")
		_, tenant, err := h.oauth.Visit(t.Context(), system, widget(a, amotest.ManagerID, "2"))
		require.NoError(t, err)
		require.Equal(t, a.Referer(), tenant.Domain)
		h.reads(id, "1")
	})
}

// widget is a request of our widget in a page of the account.
func widget(a *amotest.Account, user int64, deal string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader(`{"deal_id":"`+deal+`"}`))
	r.Header.Set(amo.TokenHeader, a.OneTimeToken(user))
	r.Header.Set("Origin", a.URL())
	return r
}

func TestWidgetVisitors(t *testing.T) {
	eachProduct(t, func(t *testing.T, h *house, system crm.System) {
		a, id := h.account(system)
		v, tenant, err := h.oauth.Visit(t.Context(), system, widget(a, amotest.ManagerID, "2"))
		require.NoError(t, err)
		require.Equal(t, id, tenant.ID)
		require.True(t, v.DealSeen)
		require.False(t, v.Admin)
		require.Equal(t, "Manager", v.UserName)
		v, _, err = h.oauth.Visit(t.Context(), system, widget(a, amotest.AdminID, ""))
		require.NoError(t, err)
		require.True(t, v.Admin, "also where the one-time token does not say")
		_, _, err = h.oauth.Visit(t.Context(), system, widget(a, amotest.NoRightsID, "2"))
		require.ErrorIs(t, err, oauth.ErrNoDeal)
		_, _, err = h.oauth.Visit(t.Context(), system, widget(a, amotest.AdminID, "404"))
		require.ErrorIs(t, err, oauth.ErrNoDeal)
		_, _, err = h.oauth.Visit(t.Context(), system, widget(a, 12345, "2"))
		require.ErrorIs(t, err, crm.ErrForged)

		other := crm.AmoCRM
		if system == other {
			other = crm.Kommo
		}
		_, _, err = h.oauth.Visit(t.Context(), other, widget(a, amotest.AdminID, ""))
		require.ErrorIs(t, err, crm.ErrForged, "a token of the other product")
		_, _, err = h.oauth.Visit(t.Context(), system, widget(h.amo[system].Account("other"), amotest.AdminID, ""))
		require.ErrorIs(t, err, oauth.ErrNotConnected)
		a.RevokeTokens()
		_, tenant, err = h.oauth.Visit(t.Context(), system, widget(a, amotest.AdminID, "2"))
		require.Equal(t, crm.Revoked, crm.ClassOf(err))
		require.Equal(t, id, tenant.ID)
		require.Equal(t, tenants.Revoked, h.me(id).Status)
	})
}

func TestExpiredAccountTokensAreRenewedOnce(t *testing.T) {
	eachProduct(t, func(t *testing.T, h *house, system crm.System) {
		a, id := h.account(system)
		h.advance(25 * time.Hour)
		h.reads(id, "1")
		h.reads(id, "1")
		require.Equal(t, 1, refreshes(a.Control))
		if system == crm.Kommo { // the old token lives until the new pair is used
			h.advance(25 * time.Hour)
			require.NoError(t, a.Control.Order(standintest.Fault{Kind: standintest.DropAfterCommit, Match: "access_token"}))
			account, _, err := h.oauth.Account(t.Context(), id)
			require.NoError(t, err)
			_, err = account.Deal(t.Context(), "1")
			require.Equal(t, crm.Transient, crm.ClassOf(err))
			h.reads(id, "1")
		}
		h.advance(91 * 24 * time.Hour)
		account, _, err := h.oauth.Account(t.Context(), id)
		require.NoError(t, err)
		_, err = account.Deal(t.Context(), "1")
		require.Equal(t, crm.Revoked, crm.ClassOf(err))
		require.Equal(t, tenants.Revoked, h.me(id).Status)
		require.NoError(t, a.Connect(t.Context(), h.client, amotest.AdminID))
		h.reads(id, "1")
	})
}

func TestSameIDsInDifferentCRMsNeverMix(t *testing.T) {
	h := newHouse(t)
	_, portal := h.portal()
	_, amocrm := h.account(crm.AmoCRM)
	_, kommo := h.account(crm.Kommo)
	require.NoError(t, h.amo[crm.AmoCRM].Account("other").Install(t.Context(), h.client))
	h.oauth.Close()
	second := h.tenant(crm.AmoCRM, keyOf(h.amo[crm.AmoCRM].Account("other")))
	titles := map[string]bool{}
	for _, id := range []tenants.ID{portal, amocrm, kommo, second} {
		health, err := h.oauth.Health(t.Context(), id)
		require.NoError(t, err)
		titles[health.Domain] = true
		h.reads(id, "1")
	}
	require.Len(t, titles, 4)
}
