package amo

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

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/dealpay/dealpay/crm"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func testGuard() Guard {
	return Guard{Variant: AmoCRM, ClientID: "0b0123f4", Secrets: []string{"new", "old", ""}, Audience: "https://pay.example.com:8443",
		Now: func() time.Time { return noon }}
}

func goodClaims() jwt.MapClaims {
	return jwt.MapClaims{"iss": "https://acme.amocrm.ru", "aud": "https://pay.example.com", "jti": "j1", "iat": noon.Unix(),
		"nbf": noon.Unix(), "exp": noon.Add(30 * time.Minute).Unix(), "account_id": 12345678, "user_id": 87654321,
		"subdomain": "acme", "client_uuid": "0b0123f4", "is_admin": true}
}

func signed(t *testing.T, method jwt.SigningMethod, key any, claims jwt.Claims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	require.NoError(t, err)
	return token
}

func opening(token, body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/api/v1/session", strings.NewReader(body))
	r.Header.Set(TokenHeader, token)
	return r
}

func TestAOneTimeTokenNamesTheVisitor(t *testing.T) {
	for _, secret := range []string{"new", "old"} {
		r := opening(signed(t, jwt.SigningMethodHS256, []byte(secret), goodClaims()), `{"deal_id": "77"}`)
		r.Header.Set("Origin", "https://acme.amocrm.ru")
		v, err := testGuard().Visit(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, crm.Visitor{System: crm.AmoCRM, AccountKey: "12345678", Domain: "acme.amocrm.ru", UserID: "87654321",
			Admin: true, DealID: "77"}, v)
		left, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		require.JSONEq(t, `{"deal_id": "77"}`, string(left), "the body can be read again")
	}
}

func TestTheBodySaysWhichDeal(t *testing.T) {
	for body, want := range map[string]string{`{"deal_id": 77}`: "77", `{"page": "settings"}`: "", ``: "", `{"deal_id": ""}`: ""} {
		v, err := testGuard().Visit(t.Context(), opening(signed(t, jwt.SigningMethodHS256, []byte("new"), goodClaims()), body))
		require.NoError(t, err, body)
		require.Equal(t, want, v.DealID)
		require.False(t, v.DealSeen)
	}
	for _, body := range []string{`{"deal_id": "1; drop"}`, `[]`, `{"deal_id": "-1"}`, `nonsense`, `{"a":"` + strings.Repeat("x", maxBody) + `"}`} {
		_, err := testGuard().Visit(t.Context(), opening(signed(t, jwt.SigningMethodHS256, []byte("new"), goodClaims()), body))
		require.ErrorIs(t, err, crm.ErrForged, body[:min(len(body), 30)])
	}
}

func TestForgedTokensAreRefused(t *testing.T) {
	with := func(key string, value any) jwt.MapClaims {
		c := goodClaims()
		if value == nil {
			delete(c, key)
		} else {
			c[key] = value
		}
		return c
	}
	hs := func(c jwt.Claims) string { return signed(t, jwt.SigningMethodHS256, []byte("new"), c) }
	for name, token := range map[string]string{
		"no token":         "",
		"garbage":          "a.b.c",
		"another secret":   signed(t, jwt.SigningMethodHS256, []byte("other"), goodClaims()),
		"an empty secret":  signed(t, jwt.SigningMethodHS256, []byte(""), goodClaims()),
		"another method":   signed(t, jwt.SigningMethodHS512, []byte("new"), goodClaims()),
		"no signature":     signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, goodClaims()),
		"expired":          hs(with("exp", noon.Add(-2*time.Minute).Unix())),
		"without end":      hs(with("exp", nil)),
		"not yet":          hs(with("nbf", noon.Add(2*time.Minute).Unix())),
		"from the future":  hs(with("iat", noon.Add(2*time.Minute).Unix())),
		"without begin":    hs(with("iat", nil)),
		"another audience": hs(with("aud", "https://evil.example")),
		"plain audience":   hs(with("aud", "http://pay.example.com")),
		"no audience":      hs(with("aud", nil)),
		"another client":   hs(with("client_uuid", "ffff")),
		"another host":     hs(with("iss", "https://acme.amocrm.ru.evil.example")),
		"host with path":   hs(with("iss", "https://acme.amocrm.ru/x")),
		"plain host":       hs(with("iss", "http://acme.amocrm.ru")),
		"user in host":     hs(with("iss", "https://a@acme.amocrm.ru")),
		"another product":  hs(with("iss", "https://acme.kommo.com")),
		"no account":       hs(with("account_id", nil)),
		"odd account":      hs(with("account_id", "1 or 1")),
		"no user":          hs(with("user_id", 0)),
		"no id":            hs(with("jti", nil)),
	} {
		_, err := testGuard().Visit(t.Context(), opening(token, `{}`))
		require.ErrorIs(t, err, crm.ErrForged, name)
	}
	r := opening(hs(goodClaims()), `{}`)
	r.Header.Set("Origin", "https://other.amocrm.ru")
	_, err := testGuard().Visit(t.Context(), r)
	require.ErrorIs(t, err, crm.ErrForged, "asked from another account's page")

	bare := testGuard()
	bare.Secrets = nil
	_, err = bare.Visit(t.Context(), opening(hs(goodClaims()), `{}`))
	require.ErrorIs(t, err, crm.ErrForged)
}

func TestClocksMayDisagreeByAMinute(t *testing.T) {
	c := goodClaims()
	c["iat"], c["nbf"] = noon.Add(50*time.Second).Unix(), noon.Add(50*time.Second).Unix()
	_, err := testGuard().Visit(t.Context(), opening(signed(t, jwt.SigningMethodHS256, []byte("new"), c), ``))
	require.NoError(t, err)
	c = goodClaims()
	c["exp"], c["account_id"], c["aud"] = noon.Add(-50*time.Second).Unix(), "12345678", []string{"https://pay.example.com"}
	v, err := testGuard().Visit(t.Context(), opening(signed(t, jwt.SigningMethodHS256, []byte("new"), c), ``))
	require.NoError(t, err)
	require.Equal(t, "12345678", v.AccountKey)
}

func TestAStrictGuardTakesATokenOnce(t *testing.T) {
	seen := map[string]bool{}
	g := testGuard()
	g.Strict = true
	g.Replay = func(_ context.Context, jti string, until time.Time) (bool, error) {
		require.Equal(t, noon.Add(31*time.Minute), until.UTC())
		fresh := !seen[jti]
		seen[jti] = true
		return fresh, nil
	}
	token := signed(t, jwt.SigningMethodHS256, []byte("new"), goodClaims())
	_, err := g.Visit(t.Context(), opening(token, ``))
	require.NoError(t, err)
	_, err = g.Visit(t.Context(), opening(token, ``))
	require.ErrorIs(t, err, crm.ErrForged)

	g.Replay = func(context.Context, string, time.Time) (bool, error) { return false, errors.New("store is away") }
	_, err = g.Visit(t.Context(), opening(token, ``))
	require.ErrorContains(t, err, "store is away")
	require.NotErrorIs(t, err, crm.ErrForged)

	g.Strict, g.Replay = false, nil
	_, err = g.Visit(t.Context(), opening(token, ``))
	require.NoError(t, err)
}

func TestDocumentedClaimsAreAccepted(t *testing.T) {
	for name, v := range map[string]Variant{"amocrm": AmoCRM, "kommo": Kommo} {
		var c jwt.MapClaims
		require.NoError(t, json.Unmarshal(fixture(t, name+"/x-auth-token.claims.json"), &c))
		g := Guard{Variant: v, ClientID: c["client_uuid"].(string), Secrets: []string{"s"}, Audience: "https://external.integration.io/oauth",
			Now: func() time.Time { return time.Unix(1594204300, 0) }}
		got, err := g.Visit(t.Context(), opening(signed(t, jwt.SigningMethodHS256, []byte("s"), c), `{"deal_id":"1"}`))
		require.NoError(t, err)
		require.Equal(t, v.System, got.System)
		require.Equal(t, "12345678", got.AccountKey)
		require.Equal(t, name == "amocrm", got.Admin, "Kommo does not say who is an administrator")
	}
}

func TestTheUninstallHookIsVerified(t *testing.T) {
	// The documented formula, worked out for the secret "test-secret".
	good := url.Values{"client_uuid": {"01d01160-d7a0-4087-b4af-6a1bb83fcd1d"}, "account_id": {"32720107"},
		"signature": {"aea4ce79834cd1e20075db8c75cc3ec6e28670828aa5dbc971130b9ed09db92b"}}
	account, err := VerifyDisable(good, good.Get("client_uuid"), "newer-secret", "", "test-secret")
	require.NoError(t, err)
	require.Equal(t, "32720107", account)
	for name, change := range map[string]func(url.Values){
		"no signature":    func(q url.Values) { q.Del("signature") },
		"no hex":          func(q url.Values) { q.Set("signature", "zz") },
		"another account": func(q url.Values) { q.Set("account_id", "32720108") },
		"another client":  func(q url.Values) { q.Set("client_uuid", "ffff") },
		"padded account":  func(q url.Values) { q.Set("account_id", " 32720107") },
		"no account":      func(q url.Values) { q.Del("account_id") },
	} {
		q := url.Values{}
		for k := range good {
			q.Set(k, good.Get(k))
		}
		change(q)
		_, err := VerifyDisable(q, good.Get("client_uuid"), "test-secret")
		require.ErrorIs(t, err, crm.ErrForged, name)
	}
	_, err = VerifyDisable(good, good.Get("client_uuid"), "other")
	require.ErrorIs(t, err, crm.ErrForged)
	_, err = VerifyDisable(url.Values{}, "", "")
	require.ErrorIs(t, err, crm.ErrForged)
}
