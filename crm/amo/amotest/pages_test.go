package amotest_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm/amo/amotest"
)

// browse starts an account that a real browser can open, and an application for its widget.
func browse(t *testing.T, v amotest.Variant) (*amotest.Account, func() []http.Header, string) {
	var mu sync.Mutex
	var seen []http.Header
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Headers", "X-Auth-Token, Content-Type")
		if r.URL.Path == "/refused" {
			http.Error(w, "", http.StatusConflict)
		} else if r.Method == http.MethodPost {
			mu.Lock()
			seen = append(seen, r.Header)
			mu.Unlock()
			w.Header().Set("Content-Type", "application/json")
			_, _ = fmt.Fprint(w, `{"session":"granted"}`)
		}
	}))
	web := httptest.NewUnstartedServer(nil)
	_, port, err := net.SplitHostPort(web.Listener.Addr().String())
	require.NoError(t, err)
	server := amotest.New(amotest.Config{Variant: v, ClientID: clientID, ClientSecret: clientSecret, AppURL: app.URL,
		PublicSuffix: ".localhost:" + port, Archive: func() ([]byte, error) { return pack(t, tiny(app.URL)), nil }})
	web.Config.Handler = server
	web.Start()
	t.Cleanup(func() {
		server.Close()
		web.Close()
		app.Close()
	})
	calls := func() []http.Header {
		mu.Lock()
		defer mu.Unlock()
		return seen
	}
	return server.Account("acme"), calls, server.Account("acme").URL()
}

// dom is a page as Chromium has it after its scripts ran, for a signed-in user.
func dom(t *testing.T, base string, userID int64, path string) string {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("no chromium on this machine")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir="+t.TempDir(),
		"--virtual-time-budget=3000", "--dump-dom", fmt.Sprintf("%s/login?user=%d&next=%s", base, userID, path)).Output()
	require.NoError(t, err)
	return string(out)
}

func TestCardRunsTheWidgetWithAOneTimeToken(t *testing.T) {
	account, seen, base := browse(t, amotest.AmoCRM)
	require.NoError(t, account.Install(t.Context(), nil))
	page := dom(t, base, amotest.ManagerID, "/leads/detail/3")
	require.Contains(t, page, `<p id="tiny">lead 3 of leads`)
	require.Contains(t, page, fmt.Sprintf("%d lcard dealpay function", amotest.ManagerID))
	require.Contains(t, page, `<i id="answer">granted</i>`)
	require.Contains(t, page, "<u>refused</u>")
	require.NotContains(t, page, "data-widget-error")
	require.Len(t, seen(), 1)
	claims := jwt.MapClaims{}
	_, err := jwt.ParseWithClaims(seen()[0].Get("X-Auth-Token"), claims, func(*jwt.Token) (any, error) { return []byte(clientSecret), nil })
	require.NoError(t, err)
	require.Equal(t, seen()[0].Get("Origin"), claims["iss"], "the token is issued by the page's origin")
}

func TestSettingsAreDrawnByTheWidget(t *testing.T) {
	_, _, base := browse(t, amotest.Kommo)
	page := dom(t, base, amotest.AdminID, "/settings/widgets/")
	require.Contains(t, page, "drawn by the widget")
	require.Contains(t, page, `data-testid="install"`)
	require.NotContains(t, page, "data-widget-error")
	require.Contains(t, dom(t, base, amotest.AdminID, "/settings/widgets/dealpay/"), ">advanced</div>")
}

func (f *fixture) page(method, path string, userID int64, body string) result {
	return f.do("", method, f.url(path), body, "Cookie", fmt.Sprintf("crm_user=%d", userID))
}

func TestPagesFollowTheUsersRights(t *testing.T) {
	f := start(t, amotest.AmoCRM, nil)
	require.Contains(t, f.page("GET", "/leads/", amotest.ManagerID, "").raw, `data-testid="deal-20"`)
	require.NotContains(t, f.page("GET", "/leads/", amotest.NoRightsID, "").raw, `data-testid="deal-1"`)
	require.Equal(t, http.StatusForbidden, f.page("GET", "/leads/detail/1", amotest.NoRightsID, "").status)
	require.Contains(t, f.do("", "GET", f.url("/leads/"), "").raw, "choose who signs in")
	require.Equal(t, http.StatusForbidden, f.page("POST", "/ajax/widget/install", amotest.ManagerID, `{}`).status)
	done := f.page("POST", "/ajax/widget/install", amotest.AdminID, `{"connection":"{}"}`)
	require.Equal(t, http.StatusOK, done.status, done.raw)
	require.Len(t, f.received("/amocrm/install"), 1)
	require.Equal(t, "{}", f.account.State().WidgetState["connection"])
	moved := f.page("POST", "/ajax/leads/1", amotest.ManagerID, fmt.Sprintf(`{"pipeline":"%d","status":"142"}`, amotest.MainPipeline))
	require.Equal(t, "142", moved.body["stage"])
}

func TestConsentPageSendsTheBrowserBack(t *testing.T) {
	f := start(t, amotest.Kommo, nil)
	site := "https://www.kommo.com"
	asked := f.do("", "GET", site+"/es/oauth/?client_id="+clientID+"&state=abc", "")
	require.Contains(t, asked.raw, `data-testid="allow"`)
	require.Equal(t, http.StatusBadRequest, f.do("", "GET", site+"/oauth?client_id=other", "").status)
	form := "client_id=" + clientID + "&state=abc&decision=%s&who=acme/%d"
	decide := func(decision string, user int64) *http.Response {
		req, _ := http.NewRequestWithContext(t.Context(), "POST", site+"/oauth", strings.NewReader(fmt.Sprintf(form, decision, user)))
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := f.RoundTrip(req)
		require.NoError(t, err)
		_ = answer.Body.Close()
		return answer
	}
	require.Equal(t, http.StatusForbidden, decide("allow", amotest.ManagerID).StatusCode)
	require.Contains(t, decide("deny", amotest.AdminID).Header.Get("Location"), "error=access_denied")
	back, err := decide("allow", amotest.AdminID).Location()
	require.NoError(t, err)
	require.Equal(t, "abc", back.Query().Get("state"))
	require.Equal(t, "acme.kommo.com", back.Query().Get("referer"))
}
