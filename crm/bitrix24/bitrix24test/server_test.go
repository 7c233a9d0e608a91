package bitrix24test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

const acme = "acme.bitrix24.com"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a stand-in, an app beside it that keeps what it is sent, and a client.
type world struct {
	*testing.T
	server *Server
	portal *Portal
	client *http.Client
	addr   string
	app    *httptest.Server

	mu    sync.Mutex
	posts []*http.Request // with parsed forms
}

func newWorld(t *testing.T) *world {
	w := &world{T: t}
	w.app = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.mu.Lock()
		w.posts = append(w.posts, r)
		w.mu.Unlock()
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(rw, "<!doctype html><title>app</title>")
	}))
	w.server = New(Config{ClientID: "app.1", ClientSecret: "s3cret", AppCode: "vendor.app", AppURL: w.app.URL, Portals: []string{acme, "other.bitrix24.com"}})
	listener := httptest.NewServer(w.server)
	w.addr = listener.Listener.Addr().String()
	w.client = Client(w.addr)
	w.portal = w.server.Portal(acme)
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		listener.Close()
		w.server.Close()
		w.app.Close()
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	return w
}

func (w *world) received(path string) (forms []*http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.posts {
		if r.URL.Path == path {
			forms = append(forms, r)
		}
	}
	return forms
}

// quiet waits until the event queue is empty.
func (w *world) quiet() {
	w.Helper()
	require.Eventually(w, w.portal.Quiet, 5*time.Second, 2*time.Millisecond)
}

func (w *world) answer(resp *http.Response, err error) (int, map[string]any) {
	w.Helper()
	require.NoError(w, err)
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	var out map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	require.NoError(w, dec.Decode(&out), string(raw))
	return resp.StatusCode, out
}

// call sends a method as JSON.
func (w *world) call(token, method string, in map[string]any) (int, map[string]any) {
	w.Helper()
	body := map[string]any{"auth": token}
	for k, v := range in {
		body[k] = v
	}
	raw, err := json.Marshal(body)
	require.NoError(w, err)
	return w.answer(w.client.Post("https://"+acme+"/rest/"+method+".json", "application/json", bytes.NewReader(raw)))
}

// ok is call for a method that must succeed; it answers result.
func (w *world) ok(token, method string, in map[string]any) any {
	w.Helper()
	status, out := w.call(token, method, in)
	require.Equal(w, 200, status, "%v", out)
	return out["result"]
}

func (w *world) control(path, body string) (int, map[string]any) {
	w.Helper()
	return w.answer(w.client.Post("http://"+acme+"/_control/"+path, "application/json", strings.NewReader(body)))
}

func (w *world) admin() string { return w.portal.TokenFor("1").Access }

// fixture reads a documented example.
func fixture(t *testing.T, name string) []byte {
	raw, err := os.ReadFile(filepath.Join("../../../../shared/fixtures/bitrix24", name))
	if err != nil {
		t.Skip("the documented examples are not here: " + err.Error())
	}
	return raw
}

func TestUnknownHostsGetNotFound(t *testing.T) {
	w := newWorld(t)
	resp, err := w.client.Get("https://stranger.bitrix24.com/rest/profile")
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 404, resp.StatusCode)
}

func TestPortIsStrippedAndLocalhostNamesAreTheSamePortal(t *testing.T) {
	w := newWorld(t)
	status, out := w.answer(w.client.Get("http://" + acme + ".localhost:8090/rest/profile?auth=" + w.admin()))
	require.Equal(t, 200, status)
	require.Equal(t, "1", out["result"].(map[string]any)["ID"])
}

func TestRenamedPortalAnswersWithARedirectAndKeepsItsMemberID(t *testing.T) {
	w := newWorld(t)
	member := w.portal.MemberID()
	w.portal.Rename("fresh.bitrix24.com")
	resp, err := w.client.PostForm("https://"+acme+"/rest/profile", url.Values{"auth": {w.admin()}})
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, 302, resp.StatusCode)
	require.Equal(t, "https://fresh.bitrix24.com/rest/profile", resp.Header.Get("Location"))
	require.Equal(t, member, w.server.Portal("fresh.bitrix24.com").MemberID())
	status, _ := w.answer(w.client.PostForm("https://fresh.bitrix24.com/rest/profile", url.Values{"auth": {w.admin()}}))
	require.Equal(t, 200, status)
}

func TestResetBringsTheSeedBackAndKeepsTheAppInstalled(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.portal.Install(t.Context(), w.app.Client()))
	token := w.admin()
	require.NoError(t, w.portal.Edit("1", map[string]any{"OPPORTUNITY": "7"}))
	require.NoError(t, w.portal.Delete("2"))
	w.portal.SetPlan(Enterprise)
	status, _ := w.control("reset", "")
	require.Equal(t, 200, status)
	state := w.portal.State()
	require.Len(t, state.Deals, 20)
	require.Equal(t, "150000.00", state.Deals[0].Amount)
	require.Equal(t, Standard, state.Plan)
	require.True(t, state.Installed)
	w.ok(token, "profile", nil)
}

func TestControlEditsMovesAndDeletesDeals(t *testing.T) {
	w := newWorld(t)
	for path, body := range map[string]string{"edit": `{"deal":"3","fields":{"OPPORTUNITY":"100.5"}}`, "move": `{"deal":"4","stage":"C1:WON"}`, "delete": `{"deal":"5"}`} {
		status, out := w.control(path, body)
		require.Equal(t, 200, status, "%v", out)
	}
	d, _ := w.portal.Deal("3")
	require.Equal(t, "100.50", d.Amount)
	d, _ = w.portal.Deal("4")
	require.Equal(t, "C1:WON", d.Stage)
	require.Equal(t, "1", d.Pipeline)
	_, found := w.portal.Deal("5")
	require.False(t, found)
	status, _ := w.control("edit", `{"deal":"3","fields":{"UF_CRM_NONE":"1"}}`)
	require.Equal(t, 400, status)
}

func TestStateHasTheContractsShape(t *testing.T) {
	w := newWorld(t)
	id := w.ok(w.admin(), "crm.timeline.comment.add", map[string]any{"fields": map[string]any{"ENTITY_ID": 1, "ENTITY_TYPE": "deal", "COMMENT": "hello"}})
	status, out := w.answer(w.client.Get("http://" + acme + "/_control/state"))
	require.Equal(t, 200, status)
	deal := out["deals"].([]any)[0].(map[string]any)
	require.Equal(t, "1", deal["id"])
	require.Equal(t, "NEW", deal["stage"])
	require.Equal(t, "AMD", deal["currency"])
	note := deal["notes"].([]any)[0].(map[string]any)
	require.Equal(t, id.(json.Number).String(), note["id"])
	require.Equal(t, "hello", note["text"])
	require.Empty(t, deal["tasks"])
}
