package oauth_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24/bitrix24test"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
	"github.com/dealpay/dealpay/tenants/standintest"
)

func request(f bitrix24test.Form) *http.Request {
	r := httptest.NewRequest(http.MethodPost, f.URL, strings.NewReader(f.Body.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// delivered waits until the portal has sent its events and returns the answers' statuses by event name.
func (h *house) delivered(p *bitrix24test.Portal) map[string]int {
	h.Helper()
	require.Eventually(h, p.Quiet, 5*time.Second, 5*time.Millisecond)
	got := map[string]int{}
	for _, sent := range p.State().Events {
		form, err := url.ParseQuery(sent.Body)
		require.NoError(h, err)
		got[form.Get("event")] = sent.Status
	}
	return got
}

func TestAPortalInstallsReinstallsAndLeaves(t *testing.T) {
	h := newHouse(t)
	p := h.bitrix.Portal(acme)
	page, err := p.Post(t.Context(), h.client, p.InstallForm())
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, page.Status, page.Body)
	require.Contains(t, page.Body, "setInstallFinish")
	require.Contains(t, page.Header.Get("Content-Security-Policy"), "frame-ancestors http://"+acme+h.suffix)
	p.FinishInstall()
	require.Equal(t, http.StatusOK, h.delivered(p)["ONAPPINSTALL"])

	id := h.tenant(crm.Bitrix24, p.MemberID())
	me := h.me(id)
	require.Equal(t, acme+h.suffix, me.Domain)
	require.Equal(t, tenants.Active, me.Status)
	require.NotEmpty(t, me.Layout)
	require.NotEmpty(t, p.State().Placements)
	h.reads(id, "3")
	h.keep(id) // the promise behind the page is harmless
	require.Empty(t, h.promised(id, outbox.Setup), "the next one is due in weeks")
	h.advance(26 * 24 * time.Hour)
	require.Len(t, h.promised(id, outbox.Setup), 1)

	p.Uninstall(true)
	require.Equal(t, http.StatusOK, h.delivered(p)["ONAPPUNINSTALL"])
	h.keep(id)
	require.Equal(t, tenants.Uninstalled, h.me(id).Status)
	_, _, err = h.oauth.Account(t.Context(), id)
	require.Equal(t, crm.Revoked, crm.ClassOf(err))
	health, err := h.oauth.Health(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, tenants.Uninstalled, health.Status)

	again, same := h.portal()
	require.Equal(t, p, again)
	require.Equal(t, id, same, "the account keeps its history")
	require.Equal(t, tenants.Active, h.me(id).Status)
	h.reads(id, "3")
	require.NotContains(t, h.log.String(), secret)
	for _, r := range p.Control.Requests() {
		if body, err := url.ParseQuery(r.Body); err == nil && body.Get("refresh_token") != "" {
			require.NotContains(t, h.log.String(), body.Get("refresh_token"))
		}
	}
}

func TestAnUpdateTakesRegistrationsAndItsInstallerBringsThemBack(t *testing.T) {
	h := newHouse(t)
	p, id := h.portal()
	h.delivered(p)
	before := p.State()
	require.NotEmpty(t, before.Robots)
	for _, told := range []bool{true, false} {
		p.Update(told)
		require.Empty(t, p.State().Handlers)
		opening, err := p.AppForm("1")
		require.NoError(t, err)
		require.Contains(t, opening.URL, "/bitrix24/install")
		page, err := p.Post(t.Context(), h.client, opening)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, page.Status, page.Body)
		require.Contains(t, page.Body, "setInstallFinish")
		p.FinishInstall()
		after := p.State()
		require.ElementsMatch(t, before.Handlers, after.Handlers)
		require.ElementsMatch(t, before.Placements, after.Placements)
		require.ElementsMatch(t, before.Robots, after.Robots)
		require.Len(t, after.Fields, len(before.Fields))
		h.reads(id, "3")
	}
	require.Equal(t, http.StatusOK, h.delivered(p)["ONAPPUPDATE"])
}

func TestOnlyAdministratorsInstall(t *testing.T) {
	h := newHouse(t)
	p := h.bitrix.Portal(acme)
	form := p.InstallForm()
	form.Body.Set("AUTH_ID", p.TokenFor("2").Access)
	page, err := p.Post(t.Context(), h.client, form)
	require.NoError(t, err)
	require.Equal(t, http.StatusForbidden, page.Status)
	require.Contains(t, page.Body, "administrator")
	_, _, err = h.DB.Enter(t.Context(), "bitrix24", p.MemberID())
	require.ErrorIs(t, err, tenants.ErrNoDoor)
}

func TestAForgedInstallationChangesNothing(t *testing.T) {
	h := newHouse(t)
	p, other := h.bitrix.Portal(acme), h.bitrix.Portal("other.bitrix24.com")
	for name, forge := range map[string]func(*bitrix24test.Form){
		"another's member_id":  func(f *bitrix24test.Form) { f.Body.Set("member_id", other.MemberID()) },
		"a made-up token":      func(f *bitrix24test.Form) { f.Body.Set("AUTH_ID", strings.Repeat("a", 64)) },
		"another auth server":  func(f *bitrix24test.Form) { f.Body.Set("SERVER_ENDPOINT", "https://evil.example.com/rest/") },
		"a host off the list":  func(f *bitrix24test.Form) { f.URL = strings.ReplaceAll(f.URL, url.QueryEscape(acme), "acme.evil.com") },
		"a host with a prefix": func(f *bitrix24test.Form) { f.URL = strings.ReplaceAll(f.URL, acme, "evil-bitrix24.com") },
	} {
		form := p.InstallForm()
		forge(&form)
		page, err := p.Post(t.Context(), h.client, form)
		require.NoError(t, err)
		require.Equal(t, http.StatusForbidden, page.Status, name)
	}
	for _, member := range []string{p.MemberID(), other.MemberID()} {
		_, _, err := h.DB.Enter(t.Context(), "bitrix24", member)
		require.ErrorIs(t, err, tenants.ErrNoDoor)
	}
}

func TestAnUnpreparedInstallationIsNotEnded(t *testing.T) {
	h := newHouse(t)
	p := h.bitrix.Portal(acme)
	require.NoError(t, p.Control.Order(standintest.Fault{Kind: standintest.Down, Match: "userfieldconfig"}))
	page, err := p.Post(t.Context(), h.client, p.InstallForm())
	require.NoError(t, err)
	require.Equal(t, http.StatusServiceUnavailable, page.Status)
	require.NotContains(t, page.Body, "setInstallFinish")
	id := h.tenant(crm.Bitrix24, p.MemberID())
	require.Equal(t, []string{"account"}, h.promised(id, outbox.Setup), "and goes on by itself")
	require.NoError(t, h.oauth.Setup(t.Context(), id))
	require.NotEmpty(t, h.me(id).Layout)
}

func TestPortalEventsCauseLooks(t *testing.T) {
	h := newHouse(t)
	p, id := h.portal()
	h.delivered(p)
	h.promised(id, outbox.Setup)
	require.NoError(t, p.Edit("5", map[string]any{"TITLE": "Changed"}))
	require.NoError(t, p.Delete("6"))
	got := h.delivered(p)
	require.Equal(t, http.StatusOK, got["ONCRMDEALUPDATE"])
	require.ElementsMatch(t, []string{"5", "6"}, h.promised(id, outbox.Review))

	require.NoError(t, p.Control.Order(standintest.Fault{Kind: standintest.Forge, Count: 3}))
	require.NoError(t, p.Edit("7", map[string]any{"TITLE": "Forged"}))
	require.Equal(t, http.StatusForbidden, h.delivered(p)["ONCRMDEALUPDATE"])
	require.Empty(t, h.promised(id, outbox.Review))
	trail := h.trail(id)
	require.Equal(t, "request.forged", trail[0].Action)
}

func (h *house) trail(id tenants.ID) (trail []tenants.Entry) {
	h.Helper()
	require.NoError(h, h.DB.In(h.Context(), id, func(ctx context.Context, tx *tenants.Tx) (err error) {
		trail, err = tx.Trail(ctx, nil, 0, 50)
		return err
	}))
	return trail
}

func TestAForgedOrReplayedUninstallEventIsNotBelieved(t *testing.T) {
	h := newHouse(t)
	p, id := h.portal()
	h.delivered(p)
	send := func(token, member string) int {
		form := url.Values{"event": {"ONAPPUNINSTALL"}, "data[CLEAN]": {"1"}, "auth[member_id]": {member}, "auth[application_token]": {token}}
		response, err := h.client.PostForm(h.app+"/bitrix24/events", form)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	require.Equal(t, http.StatusForbidden, send(strings.Repeat("0", 32), p.MemberID()))
	require.Equal(t, http.StatusForbidden, send(p.AppToken(), strings.Repeat("0", 32)))
	require.Equal(t, http.StatusBadRequest, send("", p.MemberID()))
	require.Empty(t, h.promised(id, outbox.Leave))
	require.Equal(t, http.StatusOK, send(p.AppToken(), p.MemberID()), "a user of the portal can learn the token")
	h.keep(id)
	require.Equal(t, tenants.Active, h.me(id).Status, "the portal was asked and still knows us")
	h.reads(id, "1")
}

func TestARenamedPortalIsFollowed(t *testing.T) {
	h := newHouse(t)
	p, id := h.portal()
	p.Rename("renamed.bitrix24.com")
	h.reads(id, "2")
	require.Equal(t, "renamed.bitrix24.com"+h.suffix, h.me(id).Domain)
	h.reads(id, "2")
	require.Equal(t, 1, refreshes(p.Control))

	p.Rename("again.bitrix24.com")
	form, err := p.CardForm("2", "4")
	require.NoError(t, err)
	v, tenant, err := h.oauth.Visit(t.Context(), crm.Bitrix24, request(form))
	require.NoError(t, err)
	require.Equal(t, id, tenant.ID)
	require.Equal(t, "again.bitrix24.com"+h.suffix, tenant.Domain)
	require.Equal(t, "4", v.DealID)
	h.reads(id, "2")
	require.Equal(t, 1, refreshes(p.Control), "the opening told the way")
}

func TestExpiredAndRevokedPortalTokens(t *testing.T) {
	h := newHouse(t)
	p, id := h.portal()
	h.advance(61 * time.Minute)
	h.reads(id, "1")
	require.Equal(t, 1, refreshes(p.Control))
	h.reads(id, "1")
	require.Equal(t, 1, refreshes(p.Control))

	p.Revoke()
	account, _, err := h.oauth.Account(t.Context(), id)
	require.NoError(t, err)
	_, err = account.Deal(t.Context(), "1")
	require.Equal(t, crm.Revoked, crm.ClassOf(err))
	require.Equal(t, tenants.Revoked, h.me(id).Status)
	asked := refreshes(p.Control)
	_, err = account.Deal(t.Context(), "1")
	require.Equal(t, crm.Revoked, crm.ClassOf(err))
	require.Equal(t, asked, refreshes(p.Control), "a dead token is not tried again")

	manager, err := p.AppForm("2")
	require.NoError(t, err)
	_, tenant, err := h.oauth.Visit(t.Context(), crm.Bitrix24, request(manager))
	require.NoError(t, err)
	require.Equal(t, tenants.Revoked, tenant.Status, "a manager's access is not enough")
	admin, err := p.AppForm("1")
	require.NoError(t, err)
	_, tenant, err = h.oauth.Visit(t.Context(), crm.Bitrix24, request(admin))
	require.NoError(t, err)
	require.Equal(t, tenants.Active, tenant.Status)
	h.reads(id, "1")
}

func TestTroubleAtTheAuthorizationServerCostsNothing(t *testing.T) {
	h := newHouse(t)
	p, id := h.portal()
	h.advance(61 * time.Minute)
	require.NoError(t, p.Control.Order(standintest.Fault{Kind: standintest.Down, Match: "/oauth/token"}))
	account, _, err := h.oauth.Account(t.Context(), id)
	require.NoError(t, err)
	_, err = account.Deal(t.Context(), "1")
	require.Equal(t, crm.Transient, crm.ClassOf(err))
	require.Equal(t, tenants.Active, h.me(id).Status)
	h.reads(id, "1")

	c := config(t, h.DB, h.suffix, h.app, h.clock.Now)
	c.Bitrix24.ClientSecret = "wrong"
	wrong := oauth.New(c)
	h.advance(61 * time.Minute)
	account, _, err = wrong.Account(t.Context(), id)
	require.NoError(t, err)
	_, err = account.Deal(t.Context(), "1")
	require.Equal(t, crm.Revoked, crm.ClassOf(err))
	require.Equal(t, tenants.Active, h.me(id).Status, "our own mistake disconnects nobody")
	h.reads(id, "1")
}

func TestVisitorsSeeOnlyTheirDeals(t *testing.T) {
	h := newHouse(t)
	p, id := h.portal()
	visit := func(user, deal string) (crm.Visitor, tenants.Tenant, error) {
		form, err := p.CardForm(user, deal)
		require.NoError(t, err)
		return h.oauth.Visit(t.Context(), crm.Bitrix24, request(form))
	}
	v, tenant, err := visit("2", "4")
	require.NoError(t, err)
	require.Equal(t, id, tenant.ID)
	require.True(t, v.DealSeen)
	require.False(t, v.Admin)
	_, _, err = visit("3", "4")
	require.ErrorIs(t, err, oauth.ErrNoDeal)
	_, _, err = visit("2", "404")
	require.ErrorIs(t, err, oauth.ErrNoDeal)

	stranger := h.bitrix.Portal("other.bitrix24.com")
	v, _, err = h.oauth.Visit(t.Context(), crm.Bitrix24, request(stranger.InstallForm()))
	require.ErrorIs(t, err, oauth.ErrNotConnected)
	require.Equal(t, stranger.MemberID(), v.AccountKey)
	form, err := p.CardForm("2", "4")
	require.NoError(t, err)
	form.Body.Set("member_id", stranger.MemberID())
	_, _, err = h.oauth.Visit(t.Context(), crm.Bitrix24, request(form))
	require.ErrorIs(t, err, crm.ErrForged)
}
