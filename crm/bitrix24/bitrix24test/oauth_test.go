package bitrix24test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
	"github.com/stretchr/testify/require"
)

func (w *world) token(post bool, form url.Values) (int, map[string]any) {
	w.Helper()
	if post {
		return w.answer(w.client.PostForm("https://"+AuthHost+"/oauth/token/", form))
	}
	return w.answer(w.client.Get("https://" + AuthHostEast + "/oauth/token/?" + form.Encode()))
}

func refreshForm(token string) url.Values {
	return url.Values{"grant_type": {"refresh_token"}, "client_id": {"app.1"}, "client_secret": {"s3cret"}, "refresh_token": {token}}
}

func TestRefreshRotatesByGetAndByPost(t *testing.T) {
	w := newWorld(t)
	first := w.portal.TokenFor("2")
	for _, post := range []bool{true, false} {
		status, out := w.token(post, refreshForm(first.Refresh))
		require.Equal(t, 200, status)
		require.Equal(t, json.Number("2"), out["user_id"])
		require.Equal(t, "https://acme.bitrix24.com/rest/", out["client_endpoint"])
		w.ok(out["access_token"].(string), "profile", nil)

		status, again := w.token(post, refreshForm(first.Refresh))
		require.Equal(t, 400, status)
		require.Equal(t, "invalid_grant", again["error"], "a refresh token is good once")
		first.Refresh = out["refresh_token"].(string)
	}
}

func TestRefreshAnswerHasTheDocumentedKeys(t *testing.T) {
	w := newWorld(t)
	var documented map[string]any
	require.NoError(t, json.Unmarshal(fixture(t, "oauth.token.refresh_token.response.json"), &documented))
	_, out := w.token(true, refreshForm(w.portal.TokenFor("1").Refresh))
	require.ElementsMatch(t, keysOf(documented), keysOf(out))
	require.Equal(t, AuthHost, out["domain"])
}

func keysOf(m map[string]any) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

func TestAccessTokenExpiresAfterAnHourOfTheStandInsClock(t *testing.T) {
	w := newWorld(t)
	pair := w.portal.TokenFor("1")
	w.ok(pair.Access, "profile", nil)
	w.portal.Control.Clock.Advance(time.Hour)
	status, out := w.call(pair.Access, "profile", nil)
	require.Equal(t, 401, status)
	require.Equal(t, "expired_token", out["error"])
	status, fresh := w.token(true, refreshForm(pair.Refresh))
	require.Equal(t, 200, status)
	w.ok(fresh["access_token"].(string), "profile", nil)
	w.portal.Control.Clock.Advance(181 * 24 * time.Hour)
	status, _ = w.token(true, refreshForm(fresh["refresh_token"].(string)))
	require.NotEqual(t, 200, status)
}

func TestAuthServerRefusesWrongSecretsAndMalformedRequests(t *testing.T) {
	w := newWorld(t)
	form := refreshForm(w.portal.TokenFor("1").Refresh)
	form.Set("client_secret", "wrong")
	status, out := w.token(true, form)
	require.Equal(t, 401, status)
	require.Equal(t, "invalid_client", out["error"])
	_, out = w.token(true, url.Values{"grant_type": {"password"}})
	require.Equal(t, "invalid_request", out["error"])
	_, out = w.call("nobody", "profile", nil)
	require.Equal(t, "NO_AUTH_FOUND", out["error"])
}

func TestRevokeFaultKillsEveryTokenUntilTheAppIsOpenedAgain(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	pair := w.portal.TokenFor("1")
	require.NoError(t, w.portal.Control.Order(standintest.Fault{Kind: standintest.Revoke}))
	status, out := w.call(pair.Access, "profile", nil)
	require.Equal(t, 401, status)
	require.Equal(t, "NO_AUTH_FOUND", out["error"])
	_, out = w.token(true, refreshForm(pair.Refresh))
	require.Equal(t, "invalid_grant", out["error"])
	form, err := w.portal.AppForm("1")
	require.NoError(t, err)
	w.ok(form.Body.Get("AUTH_ID"), "profile", nil)
}

func TestUninstalledAppIsAnInvalidClient(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	pair := w.portal.TokenFor("1")
	w.portal.Uninstall(false)
	_, out := w.token(true, refreshForm(pair.Refresh))
	require.Equal(t, "invalid_client", out["error"])
}

func TestAuthServersAppInfoNamesPortalAndUser(t *testing.T) {
	w := newWorld(t)
	form := w.portal.InstallForm()
	status, out := w.answer(w.client.Get("https://" + AuthHost + "/rest/app.info?auth=" + form.Body.Get("AUTH_ID")))
	require.Equal(t, 200, status)
	result := out["result"].(map[string]any)
	require.Equal(t, "app.1", result["client_id"])
	require.Equal(t, json.Number("1"), result["user_id"])
	install := result["install"].(map[string]any)
	require.Equal(t, w.portal.MemberID(), install["member_id"])
	require.Equal(t, true, install["installed"])
	status, out = w.answer(w.client.Get("https://" + AuthHost + "/rest/app.info?auth=forged"))
	require.Equal(t, 401, status)
	require.Equal(t, "invalid_token", out["error"])
}

func TestFaultsOfAPortalReachTheAuthServer(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Control.Order(standintest.Fault{Kind: standintest.Down, Match: "/oauth/token"}))
	pair := w.portal.TokenFor("1")
	resp, err := w.client.PostForm("https://"+AuthHost+"/oauth/token/", refreshForm(pair.Refresh))
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 502, resp.StatusCode)
	status, _ := w.token(true, refreshForm(pair.Refresh))
	require.Equal(t, 200, status)
}

func TestAuthorizePageSendsACodeThatLivesThirtySeconds(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	authorize := func() url.Values {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+acme+"/oauth/authorize/?client_id=app.1&state=xyz", nil)
		require.NoError(t, err)
		req.AddCookie(&http.Cookie{Name: userCookie, Value: "1"})
		resp, err := w.client.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		back, err := url.Parse(resp.Header.Get("Location"))
		require.NoError(t, err)
		return back.Query()
	}
	back := authorize()
	require.Equal(t, "xyz", back.Get("state"))
	require.Equal(t, w.portal.MemberID(), back.Get("member_id"))
	form := url.Values{"grant_type": {"authorization_code"}, "client_id": {"app.1"}, "client_secret": {"s3cret"}, "code": {back.Get("code")}}
	status, out := w.token(false, form)
	require.Equal(t, 200, status)
	require.NotContains(t, out, "user_id")
	_, out = w.token(false, form)
	require.Equal(t, "invalid_grant", out["error"])

	form.Set("code", authorize().Get("code"))
	w.portal.Control.Clock.Advance(30 * time.Second)
	_, out = w.token(false, form)
	require.Equal(t, "invalid_grant", out["error"])
}
