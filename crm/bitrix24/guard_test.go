package bitrix24_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24"
)

// vendor answers as the authorization server and the portal, with what the test put in.
type vendor struct {
	*httptest.Server
	hosts           []string // called, in order
	client, member  string
	status          int // of app.info, when not 200
	endpoint        string
	profile, refuse string // of the batch
	user            string
}

const (
	member = "d897063e1ce7c5eb9f04b9751eef5915"
	token  = "9d4c7166007e9c94001e30ba00000001f0f107e28b5a4310c7f6d9b3025ea814"
)

func newVendor(t *testing.T) *vendor {
	v := &vendor{client: "app.1.2", member: member, user: "1", endpoint: "http://acme.bitrix24.com.localhost/rest/",
		profile: `{"ID":"1","ADMIN":true,"NAME":"Test","LAST_NAME":"Admin"}`}
	v.Server = httptest.NewServer(http.HandlerFunc(v.serve))
	t.Cleanup(v.Close)
	return v
}

func (v *vendor) serve(w http.ResponseWriter, r *http.Request) {
	v.hosts = append(v.hosts, r.Host+r.URL.Path)
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/rest/app.info" {
		if v.status != 0 {
			w.WriteHeader(v.status)
			_, _ = io.WriteString(w, `{"error":"invalid_token","error_description":"Unable to get application by token"}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"result": map[string]any{"client_id": v.client, "scope": "crm,placement",
			"user_id": v.user, "install": map[string]any{"installed": false, "member_id": v.member, "client_endpoint": v.endpoint}}})
		return
	}
	result, errors := map[string]any{"c00": json.RawMessage(v.profile)}, map[string]any{}
	if strings.Contains(string(body), "crm.item.get") {
		result["c01"] = json.RawMessage(`{"item":{"id":8061,"title":"Order"}}`)
		if v.refuse != "" {
			delete(result, "c01")
			errors["c01"] = json.RawMessage(v.refuse)
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"result": map[string]any{"result": result, "result_error": errors}})
}

// dial sends every name to the test's server.
func dial(address string) *http.Client {
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return url.Parse("http://" + address)
	}}}
}

func (v *vendor) guard() *bitrix24.Guard {
	return &bitrix24.Guard{ClientID: "app.1.2", HTTP: dial(v.Listener.Addr().String()),
		AuthServers: []string{"http://oauth.bitrix.info.localhost"},
		AllowHost:   func(h string) bool { return strings.HasSuffix(h, ".bitrix24.com.localhost") },
		Now:         func() time.Time { return time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC) }}
}

func opening(change func(query, body url.Values)) *http.Request {
	query := url.Values{"DOMAIN": {"acme.bitrix24.com.localhost"}, "PROTOCOL": {"0"}, "LANG": {"la"}, "APP_SID": {"5552d735"}}
	body := url.Values{"AUTH_ID": {token}, "AUTH_EXPIRES": {"3600"}, "REFRESH_ID": {token + "r"}, "member_id": {member}, "status": {"F"},
		"SERVER_ENDPOINT": {"http://oauth.bitrix.info.localhost/rest/"}, "APPLICATION_TOKEN": {"ec1b2074a9d3f5c81b6e40d27a95cf38"},
		"PLACEMENT": {"CRM_DEAL_DETAIL_TAB"}, "PLACEMENT_OPTIONS": {`{"ID":"8061","URI":"\/crm\/deal\/details\/8061\/"}`}}
	if change != nil {
		change(query, body)
	}
	r := httptest.NewRequest(http.MethodPost, "/bitrix24/card?"+query.Encode(), strings.NewReader(body.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

func TestAConfirmedOpeningIsAVisitor(t *testing.T) {
	v := newVendor(t)
	got, err := v.guard().Visit(t.Context(), opening(nil))
	require.NoError(t, err)
	require.Equal(t, crm.Visitor{System: crm.Bitrix24, AccountKey: member, Domain: "acme.bitrix24.com.localhost", UserID: "1",
		UserName: "Test Admin", Admin: true, Lang: "es", Placement: "CRM_DEAL_DETAIL_TAB", DealID: "8061", DealSeen: true,
		Grant: &crm.Grant{AccessToken: token, RefreshToken: token + "r", ExpiresAt: time.Date(2026, 11, 24, 4, 0, 0, 0, time.UTC),
			Endpoint: "http://acme.bitrix24.com.localhost/rest/", AuthServer: "http://oauth.bitrix.info.localhost",
			AppToken: "ec1b2074a9d3f5c81b6e40d27a95cf38", Scope: "crm,placement", UserID: "1"}}, got)
	require.Equal(t, []string{"oauth.bitrix.info.localhost/rest/app.info", "acme.bitrix24.com.localhost/rest/batch"}, v.hosts)
}

// counting is a pacer that notes what it was asked for, and refuses when told to.
type counting struct {
	asked  [][]string
	heard  int
	refuse error
}

func (c *counting) Wait(ctx context.Context, methods ...string) error {
	if crm.PriorityOf(ctx) != crm.Person {
		return errors.New("somebody waits for this")
	}
	c.asked = append(c.asked, methods)
	return c.refuse
}

func (c *counting) Seen(context.Context, crm.Pressure) { c.heard++ }

func TestAnOpeningCountsAgainstItsPortalsLimit(t *testing.T) {
	v, p := newVendor(t), &counting{}
	g := v.guard()
	g.Pacer = func(_ context.Context, accountKey string) crm.Pacer {
		require.Equal(t, member, accountKey)
		return p
	}
	_, err := g.Visit(t.Context(), opening(nil))
	require.NoError(t, err)
	require.Equal(t, [][]string{{"batch", "profile", "crm.item.get"}}, p.asked)
	require.Equal(t, 1, p.heard)
	v.hosts, p.refuse = nil, &crm.Error{Class: crm.Throttled, Op: "batch", Code: "rate", RetryAfter: time.Second, Err: errors.New("no room")}
	_, err = g.Visit(t.Context(), opening(nil))
	require.NotErrorIs(t, err, crm.ErrForged)
	require.Equal(t, crm.Throttled, crm.ClassOf(err))
	require.Equal(t, []string{"oauth.bitrix.info.localhost/rest/app.info"}, v.hosts, "the portal is not asked")
}

func TestSelfHostedPortalsMayLeaveNewKeysOut(t *testing.T) {
	v := newVendor(t)
	got, err := v.guard().Visit(t.Context(), opening(func(_, body url.Values) {
		body.Del("SERVER_ENDPOINT")
		body.Del("APPLICATION_TOKEN")
		body.Set("PLACEMENT", "DEFAULT")
		body.Set("PLACEMENT_OPTIONS", "[]")
	}))
	require.NoError(t, err)
	require.Empty(t, got.DealID)
	require.Empty(t, got.Grant.AppToken)
	require.False(t, got.DealSeen)
}

func TestAVisitorWhoMayNotReadTheDealHasNotSeenIt(t *testing.T) {
	for _, refusal := range []string{`{"error":"ACCESS_DENIED","error_description":"Access denied"}`,
		`{"error":"NOT_FOUND","error_description":"Element not found"}`, `{"error":"","error_description":"Access denied."}`} {
		v := newVendor(t)
		v.refuse, v.profile = refusal, `{"ID":"1","ADMIN":false,"NAME":"Guest"}`
		got, err := v.guard().Visit(t.Context(), opening(nil))
		require.NoError(t, err)
		require.Equal(t, "8061", got.DealID)
		require.False(t, got.DealSeen)
		require.False(t, got.Admin)
	}
}

func TestNobodyIsCalledForAnOddOpening(t *testing.T) {
	set := func(of string, key, value string) func(url.Values, url.Values) {
		return func(query, body url.Values) {
			map[string]url.Values{"query": query, "body": body}[of].Set(key, value)
		}
	}
	for name, change := range map[string]func(url.Values, url.Values){
		"a foreign host":       set("query", "DOMAIN", "evil.example.com.localhost"),
		"no host":              set("query", "DOMAIN", ""),
		"an address":           set("query", "DOMAIN", "127.0.0.1"),
		"an address in hex":    set("query", "DOMAIN", "0x7f.1"),
		"a path":               set("query", "DOMAIN", "acme.bitrix24.com.localhost/x"),
		"a user":               set("query", "DOMAIN", "a@acme.bitrix24.com.localhost"),
		"a port":               set("query", "DOMAIN", "acme.bitrix24.com:8443"),
		"plain http":           set("query", "DOMAIN", "acme.bitrix24.com"),
		"a foreign server":     set("body", "SERVER_ENDPOINT", "http://evil.localhost/rest/"),
		"a server with a user": set("body", "SERVER_ENDPOINT", "http://oauth.bitrix.info.localhost@evil.localhost/rest/"),
		"a server over http":   set("body", "SERVER_ENDPOINT", "http://oauth.bitrix.info/rest/"),
		"no token":             set("body", "AUTH_ID", ""),
		"an odd token":         set("body", "AUTH_ID", "short\nX-Header: 1"),
		"no member":            set("body", "member_id", ""),
		"an odd member":        set("body", "member_id", "../../etc"),
		"too much":             set("body", "PLACEMENT_OPTIONS", strings.Repeat("x", 70<<10)),
	} {
		v := newVendor(t)
		_, err := v.guard().Visit(t.Context(), opening(change))
		require.ErrorIs(t, err, crm.ErrForged, name)
		require.Empty(t, v.hosts, name)
		require.NotContains(t, err.Error(), token)
	}
	v := newVendor(t)
	_, err := v.guard().Visit(t.Context(), httptest.NewRequest(http.MethodGet, "/bitrix24/card", nil))
	require.ErrorIs(t, err, crm.ErrForged)
	require.Empty(t, v.hosts)
}

func TestATokenOfAnotherIsForged(t *testing.T) {
	for name, change := range map[string]func(*vendor){
		"application":   func(v *vendor) { v.client = "app.9.9" },
		"portal":        func(v *vendor) { v.member = "a223c6b3710f85df22e9377d6c4f7553" },
		"time":          func(v *vendor) { v.status = http.StatusUnauthorized },
		"user":          func(v *vendor) { v.user = "7" },
		"host":          func(v *vendor) { v.endpoint = "http://evil.example.localhost/rest/" },
		"scheme":        func(v *vendor) { v.endpoint = "http://acme.bitrix24.com/rest/" },
		"inactive user": func(v *vendor) { v.profile = `[]` },
	} {
		v := newVendor(t)
		change(v)
		_, err := v.guard().Visit(t.Context(), opening(nil))
		require.ErrorIs(t, err, crm.ErrForged, name)
	}
}

func TestTroubleOnTheWayIsNoForgery(t *testing.T) {
	v := newVendor(t)
	v.Close()
	_, err := v.guard().Visit(t.Context(), opening(nil))
	require.NotErrorIs(t, err, crm.ErrForged)
	require.Equal(t, crm.Transient, crm.ClassOf(err))
	require.NotContains(t, err.Error(), token)
}
