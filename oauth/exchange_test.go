package oauth

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
)

// answered is a connection whose token endpoint answers by handler.
func answered(t *testing.T, system crm.System, handler http.HandlerFunc) (*Service, connection) {
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	s := New(Config{HTTP: server.Client(), PublicURL: "https://pay.example.com", Bitrix24: App{ClientID: "id", ClientSecret: "hush"},
		AmoCRM: App{ClientID: "id", ClientSecret: "hush"}})
	c := connection{tenant: tenants.Tenant{CRM: string(system), Domain: "acme.amocrm.ru.localhost:" + portOf(t, server.URL)}, grant: crm.Grant{AuthServer: server.URL}}
	s.c.HTTP = &http.Client{Timeout: 5 * time.Second, Transport: loopback{}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return s, c
}

func portOf(t *testing.T, address string) string {
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Port()
}

// loopback sends everything to this machine.
type loopback struct{}

func (loopback) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host = "127.0.0.1:" + r.URL.Port()
	return http.DefaultTransport.RoundTrip(r)
}

func TestWhatRefusalsMean(t *testing.T) {
	for _, test := range []struct {
		name   string
		system crm.System
		status int
		body   string
		want   verdict
		class  crm.Class
	}{
		{"dead", crm.Bitrix24, 400, `{"error":"invalid_grant","error_description":"x"}`, dead, crm.Revoked},
		{"not installed", crm.Bitrix24, 401, `{"error":"invalid_client"}`, notUs, crm.Revoked},
		{"an error at status 200", crm.Bitrix24, 200, `{"error":"WRONG_CLIENT"}`, notUs, crm.Revoked},
		{"not paid for", crm.Bitrix24, 400, `{"error":"PAYMENT_REQUIRED"}`, unclear, crm.Revoked},
		{"a proxy's page", crm.Bitrix24, 502, `<html>`, later, crm.Transient},
		{"throttled", crm.Bitrix24, 429, `{}`, later, crm.Throttled},
		{"an empty success", crm.Bitrix24, 200, `{}`, later, crm.Transient},
		{"dead", crm.AmoCRM, 401, `{"hint":"Token has been revoked","title":"x","status":401}`, dead, crm.Revoked},
		{"a dead code", crm.AmoCRM, 400, `{"hint":"Authorization code has expired"}`, dead, crm.Revoked},
		{"our secret", crm.AmoCRM, 401, `{"hint":"Client authentication failed"}`, unclear, crm.Revoked},
		{"our redirect URI", crm.AmoCRM, 401, `{"title":"x","status":401}`, unclear, crm.Revoked},
		{"not paid for", crm.AmoCRM, 402, `{}`, unclear, crm.Revoked},
		{"renamed", crm.AmoCRM, 404, `<html>`, noAccount, crm.Transient},
		{"moved", crm.AmoCRM, 302, ``, noAccount, crm.Transient},
		{"shut out", crm.AmoCRM, 403, `<html>`, later, crm.Throttled},
		{"down", crm.AmoCRM, 504, `<html>`, later, crm.Transient},
	} {
		t.Run(string(test.system)+" "+test.name, func(t *testing.T) {
			s, c := answered(t, test.system, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			_, err := s.trade(t.Context(), c, "refresh")
			got, trouble := judge(test.system, err)
			require.Equal(t, test.want, got)
			require.Equal(t, test.class, trouble.Class)
		})
	}
}

func TestTheDocumentedGetIsTriedWhenPostIsNot(t *testing.T) {
	var seen []string
	s, c := answered(t, crm.Bitrix24, func(w http.ResponseWriter, r *http.Request) {
		seen = append(seen, r.Method)
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"error":"invalid_request"}`))
			return
		}
		require.Equal(t, "refresh", r.URL.Query().Get("refresh_token"))
		require.Equal(t, "hush", r.URL.Query().Get("client_secret"))
		_, _ = w.Write([]byte(`{"access_token":"a","refresh_token":"b","expires_in":3600}`))
	})
	token, err := s.trade(t.Context(), c, "refresh")
	require.NoError(t, err)
	require.Equal(t, "b", token.RefreshToken)
	require.Equal(t, []string{"POST", "GET"}, seen)
}

func TestTroubleDoesNotPrintSecrets(t *testing.T) {
	_, trouble := judge(crm.Bitrix24, &url.Error{Op: "Get", URL: "https://oauth.example.com/?client_secret=hush", Err: errors.New("cut off")})
	require.NotContains(t, trouble.Error(), "hush")
	require.Equal(t, crm.Transient, trouble.Class)
	_, trouble = judge(crm.AmoCRM, &oauth2.RetrieveError{Response: &http.Response{StatusCode: 400}, Body: []byte(`{"hint":"x","refresh_token":"hush"}`)})
	require.NotContains(t, trouble.Error(), "hush")
}

func TestDocumentedTokenAnswersAreRead(t *testing.T) {
	documented := func(name string) []byte {
		raw, err := os.ReadFile("../../shared/fixtures/" + name)
		if err != nil {
			t.Skip("the documented answers are not beside this checkout")
		}
		return raw
	}
	answering := func(system crm.System, status int, name string) (crm.Grant, error) {
		body := documented(name)
		s, c := answered(t, system, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = w.Write(body)
		})
		s.c.Allow = func(host string) bool { return host == "portal.bitrix24.com" }
		token, err := s.trade(t.Context(), c, "refresh")
		g := crm.Grant{}
		if err == nil {
			s.fill(&g, system, token)
		}
		return g, err
	}
	for _, name := range []string{"bitrix24/oauth.token.refresh_token.response.json", "bitrix24/oauth.token.authorization_code.response.json"} {
		g, err := answering(crm.Bitrix24, http.StatusOK, name)
		require.NoError(t, err)
		require.Len(t, g.AccessToken, 32)
		require.Len(t, g.RefreshToken, 32)
		require.Equal(t, "https://portal.bitrix24.com/rest/", g.Endpoint, "domain is the authorization server's")
		require.WithinDuration(t, time.Now().Add(time.Hour), g.ExpiresAt, time.Minute)
	}
	g, err := answering(crm.AmoCRM, http.StatusOK, "amocrm/oauth.token.200.json")
	require.NoError(t, err)
	require.Equal(t, "xxxxx", g.RefreshToken)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), g.ExpiresAt, time.Minute)
	_, err = answering(crm.AmoCRM, http.StatusUnauthorized, "amocrm/error.oauth.refresh-revoked.401.json")
	what, _ := judge(crm.AmoCRM, err)
	require.Equal(t, dead, what)
}
