package bitrix24test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInstallPostsTheDocumentedFormAndTellsTheHandler(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	w.quiet()
	posts := w.received("/bitrix24/install")
	require.Len(t, posts, 1)
	query, err := url.ParseQuery(string(fixture(t, "placement.crm_deal_detail_tab.query.form")))
	require.NoError(t, err)
	body, err := url.ParseQuery(string(fixture(t, "placement.crm_deal_detail_tab.body.form")))
	require.NoError(t, err)
	for key := range query {
		require.True(t, posts[0].URL.Query().Has(key), key)
	}
	for key := range body {
		require.True(t, posts[0].PostForm.Has(key), key)
	}
	require.Equal(t, "DEFAULT", posts[0].PostForm.Get("PLACEMENT"))
	require.Equal(t, "[]", posts[0].PostForm.Get("PLACEMENT_OPTIONS"))
	require.Equal(t, "https://"+acme, posts[0].Header.Get("Origin"))
	require.Equal(t, w.portal.AppToken(), posts[0].PostForm.Get("APPLICATION_TOKEN"))

	told := w.received("/bitrix24/events")
	require.Len(t, told, 1)
	require.Equal(t, "ONAPPINSTALL", told[0].PostForm.Get("event"))
	require.NotEmpty(t, told[0].PostForm.Get("auth[refresh_token]"))
	info := w.ok(posts[0].PostForm.Get("AUTH_ID"), "app.info", nil).(map[string]any)
	require.Equal(t, true, info["INSTALLED"])
}

func TestInstallFailsWhenTheInstallerDoes(t *testing.T) {
	broken := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, "{}")
	}))
	defer broken.Close()
	s := New(Config{AppURL: broken.URL})
	defer s.Close()
	require.ErrorContains(t, s.Portal(acme).Install(t.Context(), broken.Client()), "installer answered 200 application/json")
	require.False(t, s.Portal(acme).State().Installed)
	broken.CloseClientConnections()
}

func TestReinstallHasANewApplicationToken(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	first := w.portal.AppToken()
	w.portal.Uninstall(false)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	require.NotEqual(t, first, w.portal.AppToken())
}

func TestCardIsShownOnlyAfterTheInstallationIsFinished(t *testing.T) {
	w := newWorld(t)
	form := w.portal.InstallForm()
	w.ok(form.Body.Get("AUTH_ID"), "placement.bind", map[string]any{"PLACEMENT": TabPlacement, "HANDLER": w.app.URL + "/bitrix24/card?x=1",
		"TITLE": "Pay", "LANG_ALL": map[string]any{"ru": map[string]any{"TITLE": "Оплата"}}})
	_, err := w.portal.OpenCard(t.Context(), w.app.Client(), "2", "5")
	require.Error(t, err)
	w.portal.FinishInstall()
	page, err := w.portal.OpenCard(t.Context(), w.app.Client(), "2", "5")
	require.NoError(t, err)
	require.Equal(t, 200, page.Status)
	post := w.received("/bitrix24/card")[0]
	require.Equal(t, "1", post.URL.Query().Get("x"))
	require.Equal(t, TabPlacement, post.PostForm.Get("PLACEMENT"))
	var options map[string]string
	require.NoError(t, json.Unmarshal([]byte(post.PostForm.Get("PLACEMENT_OPTIONS")), &options))
	require.Equal(t, map[string]string{"ID": "5", "URI": "/crm/deal/details/5/"}, options)
	who := w.ok(post.PostForm.Get("AUTH_ID"), "profile", nil).(map[string]any)
	require.Equal(t, "2", who["ID"])
}

func TestPlacementsAreBoundOnceAndCountedTwiceWhenRemoved(t *testing.T) {
	w := newWorld(t)
	in := map[string]any{"PLACEMENT": TabPlacement, "HANDLER": "https://app.example.com/card"}
	require.Equal(t, true, w.ok(w.admin(), "placement.bind", in))
	_, out := w.call(w.admin(), "placement.bind", in)
	require.Equal(t, "Unable to set placement handler: Handler already binded", out["error_description"])
	_, out = w.call(w.admin(), "placement.bind", map[string]any{"HANDLER": "https://app.example.com/card"})
	require.Equal(t, "PLACEMENT", out["argument"])
	_, out = w.call(w.admin(), "placement.bind", map[string]any{"PLACEMENT": TabPlacement, "HANDLER": "ftp://app.example.com"})
	require.Equal(t, "ERROR_UNSUPPORTED_PROTOCOL", out["error"])
	got := w.ok(w.admin(), "placement.get", nil).([]any)[0].(map[string]any)
	require.Equal(t, []any{}, got["options"])
	require.Equal(t, map[string]any{"count": json.Number("2")}, w.ok(w.admin(), "placement.unbind", in))
}

func TestDemoNamesUsePlainHTTPAndTheSuffix(t *testing.T) {
	s := New(Config{AppURL: "http://localhost:8080", PublicSuffix: ".localhost:8090"})
	defer s.Close()
	form := s.Portal(acme).InstallForm()
	require.Contains(t, form.URL, "DOMAIN=acme.bitrix24.com.localhost%3A8090")
	require.Contains(t, form.URL, "PROTOCOL=0")
	require.Equal(t, "http://oauth.bitrix.info.localhost:8090/rest/", form.Body.Get("SERVER_ENDPOINT"))
	require.Equal(t, "http://acme.bitrix24.com.localhost:8090/rest/", s.Portal(acme).Credentials()["client_endpoint"])
}
