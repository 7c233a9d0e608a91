package oauth

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/tenants/egress"
)

// tokenTimeout bounds one request to a token endpoint. Three of them fit into a lease.
const tokenTimeout = 8 * time.Second

// tokenURL is the token endpoint of a connection: Bitrix24's is the authorization server's, elsewhere it is the
// account's own.
func (c connection) tokenURL() string {
	if c.system() == crm.Bitrix24 {
		return c.grant.AuthServer + bitrix24.TokenPath
	}
	return egress.URL(c.tenant.Domain, "/oauth2/access_token")
}

// redeem exchanges an authorization code at an amoCRM or Kommo account (amocrm.ru "OAuth 2.0"; Kommo "OAuth 2.0").
func (s *Service) redeem(ctx context.Context, system crm.System, domain, code string) (crm.Grant, error) {
	app := s.app(system)
	config := oauth2.Config{ClientID: app.ClientID, ClientSecret: string(app.ClientSecret), RedirectURL: s.ours(system, "install"),
		Endpoint: oauth2.Endpoint{TokenURL: egress.URL(domain, "/oauth2/access_token"), AuthStyle: oauth2.AuthStyleInParams}}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	token, err := config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, s.c.HTTP), code)
	if err != nil {
		_, trouble := judge(system, err)
		return crm.Grant{}, trouble
	}
	g := crm.Grant{Endpoint: egress.URL(domain, "/")}
	s.fill(&g, system, token)
	return g, nil
}

// trade exchanges a connection's refresh token. The documented form at Bitrix24's authorization server is a GET; a POST,
// which keeps secrets out of addresses, works as well, and GET is only tried when it does not.
func (s *Service) trade(ctx context.Context, c connection, refresh string) (*oauth2.Token, error) {
	client := s.c.HTTP
	token, err := s.post(ctx, client, c, refresh)
	var refused *oauth2.RetrieveError
	if c.system() == crm.Bitrix24 && errors.As(err, &refused) && strings.EqualFold(refused.ErrorCode, "invalid_request") {
		asGet := *client
		asGet.Transport = inQuery{cmp.Or[http.RoundTripper](client.Transport, http.DefaultTransport)}
		return s.post(ctx, &asGet, c, refresh)
	}
	return token, err
}

func (s *Service) post(ctx context.Context, client *http.Client, c connection, refresh string) (*oauth2.Token, error) {
	app := s.app(c.system())
	params := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}}
	if c.system() != crm.Bitrix24 {
		params.Set("redirect_uri", s.ours(c.system(), "install")) // oauth2.Config cannot send it with a refresh
	}
	config := clientcredentials.Config{ClientID: app.ClientID, ClientSecret: string(app.ClientSecret), TokenURL: c.tokenURL(),
		EndpointParams: params, AuthStyle: oauth2.AuthStyleInParams}
	ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
	defer cancel()
	return config.Token(context.WithValue(ctx, oauth2.HTTPClient, client))
}

// inQuery sends a form's POST as a GET.
type inQuery struct{ next http.RoundTripper }

func (t inQuery) RoundTrip(r *http.Request) (*http.Response, error) {
	form, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if err != nil {
		return nil, err
	}
	get, err := http.NewRequestWithContext(r.Context(), http.MethodGet, r.URL.String()+"?"+string(form), nil)
	if err != nil {
		return nil, err
	}
	return t.next.RoundTrip(get)
}

// fill takes a token endpoint's answer into g.
func (s *Service) fill(g *crm.Grant, system crm.System, token *oauth2.Token) {
	g.AccessToken, g.RefreshToken = token.AccessToken, cmp.Or(token.RefreshToken, g.RefreshToken) // RFC 6749, 6: none means the same
	lives, err := strconv.ParseFloat(fmt.Sprint(token.Extra("expires_in")), 64)
	if err != nil || lives <= 0 {
		lives = time.Hour.Seconds()
	}
	g.ExpiresAt = s.c.Now().Add(time.Duration(lives) * time.Second).UTC()
	if system == crm.Bitrix24 {
		if endpoint, _ := token.Extra("client_endpoint").(string); endpoint != "" && s.allowed(hostOf(endpoint)) {
			g.Endpoint = strings.TrimSuffix(endpoint, "/") + "/"
		}
		return
	}
	if host := strings.ToLower(claim(token.AccessToken, "api_domain")); s.allowedAmo(system, host) {
		g.APIDomain = host
	}
}

// claim reads a claim of an access token of amoCRM or Kommo. The signing key is not published, so that nothing in it can
// be verified.
func claim(access, name string) string {
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser(jwt.WithJSONNumber()).ParseUnverified(access, claims); err != nil || claims[name] == nil {
		return ""
	}
	return fmt.Sprint(claims[name])
}

// verdict says what a refusal of a token endpoint means.
type verdict int

const (
	later     verdict = iota // trouble on the way: try again
	dead                     // this refresh token will never work again
	notUs                    // our own credentials are refused, or we are not installed there
	unclear                  // refused for a reason that may pass: nothing is concluded
	noAccount                // no account at this host: renamed, moved or closed
)

// The codes of the refusals that tell nothing about a tenant.
const (
	codeClient  = "client_refused" // our client id, secret or redirect URI
	codePayment = "payment_required"
)

// judge reads the failure of a token request (Bitrix24 "Authorization Server Error Codes"; amocrm.ru and Kommo
// "OAuth 2.0"). The error carries no secret.
func judge(system crm.System, err error) (verdict, *crm.Error) {
	e := &crm.Error{Class: crm.Transient, Op: "token", Code: "network", Err: unaddressed(err)}
	if errors.As(err, &e) && e.Class == crm.Revoked { // the shared API host does not know the token either
		return dead, e
	}
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) || refused.Response == nil {
		return later, e
	}
	status, hint := refused.Response.StatusCode, hintOf(refused.Body)
	e.Code = cmp.Or(refused.ErrorCode, strconv.Itoa(status))
	e.Err = fmt.Errorf("the token endpoint answered %d %s %s", status, refused.ErrorCode, hint)
	if system == crm.Bitrix24 {
		return judgeBitrix24(status, strings.ToLower(refused.ErrorCode), e)
	}
	return judgeAmo(refused, status, hint, e)
}

func judgeBitrix24(status int, code string, e *crm.Error) (verdict, *crm.Error) {
	switch {
	case code == "invalid_grant" || code == "expired_token":
		e.Class = crm.Revoked
		return dead, e
	case code == "invalid_client" || code == "wrong_client" || code == "not_installed":
		e.Class = crm.Revoked
		return notUs, e
	case code == codePayment || status == http.StatusPaymentRequired:
		e.Class, e.Code = crm.Revoked, codePayment
		return unclear, e
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable && code != "":
		e.Class = crm.Throttled
	}
	return later, e
}

func judgeAmo(refused *oauth2.RetrieveError, status int, hint string, e *crm.Error) (verdict, *crm.Error) {
	switch {
	case status == http.StatusNotFound || status >= 300 && status < 400:
		return noAccount, e
	case status == http.StatusPaymentRequired:
		e.Class, e.Code = crm.Revoked, codePayment
		return unclear, e
	case status == http.StatusTooManyRequests || status == http.StatusForbidden && bytes.HasPrefix(bytes.TrimSpace(refused.Body), []byte("<")):
		e.Class = crm.Throttled
		if seconds, err := strconv.Atoi(refused.Response.Header.Get("Retry-After")); err == nil && seconds > 0 {
			e.RetryAfter = time.Duration(seconds) * time.Second
		}
		return later, e
	case status == http.StatusBadRequest || status == http.StatusUnauthorized:
		e.Class = crm.Revoked
		// The title and detail are the same for a dead token and for a wrong redirect URI; only a hint tells.
		if hint == "" || strings.Contains(strings.ToLower(hint), "client") {
			e.Code = codeClient
			return unclear, e
		}
		return dead, e
	}
	return later, e
}

// hintOf reads the "hint" of a problem+json answer.
func hintOf(body []byte) string {
	var in struct {
		Hint string `json:"hint"`
	}
	_ = json.Unmarshal(body, &in) // an unreadable answer has none
	return in.Hint[:min(len(in.Hint), 200)]
}

// unaddressed takes the address out of an HTTP client's error: a query may hold secrets.
func unaddressed(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
