package bitrix24test

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Lives of codes and tokens (pages "Complete OAuth 2.0 Authorization Protocol" and "OAuth
// 2.0 token automatic renewal").
const (
	codeLife    = 30 * time.Second
	accessLife  = time.Hour
	refreshLife = 180 * 24 * time.Hour
)

// Token is a token pair of one user.
type Token struct {
	Access, Refresh string
	Expires         time.Time // of the access token
}

type grant struct {
	user    int
	expires time.Time
}

type tokens struct {
	access, refresh, codes map[string]grant
	event                  map[int]Token // per user, for event bodies
}

func newTokens() tokens {
	return tokens{access: map[string]grant{}, refresh: map[string]grant{}, codes: map[string]grant{}, event: map[int]Token{}}
}

// secret is a random string that starts with the portal's number, so that the
// authorization server finds the portal of a token.
func (p *Portal) secret() string {
	var raw [28]byte
	_, _ = rand.Read(raw[:])
	return fmt.Sprintf("%08x", p.number) + hex.EncodeToString(raw[:])
}

func (s *Server) portalOf(token string) *Portal {
	if len(token) < 8 {
		return nil
	}
	n, err := strconv.ParseUint(token[:8], 16, 32)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if err != nil || int(n) >= len(s.portals) {
		return nil
	}
	return s.portals[n]
}

// TokenFor issues a token pair of a user ("1" admin, "2" manager, "3" without rights).
func (p *Portal) TokenFor(userID string) Token {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, _ := strconv.Atoi(userID)
	return p.issue(n, p.Control.Clock.Now())
}

func (p *Portal) issue(user int, now time.Time) Token {
	t := Token{Access: p.secret(), Refresh: p.secret(), Expires: now.Add(accessLife)}
	p.tokens.access[t.Access] = grant{user: user, expires: t.Expires}
	p.tokens.refresh[t.Refresh] = grant{user: user, expires: now.Add(refreshLife)}
	return t
}

// Revoke makes every token of the portal unknown, as when an administrator withdraws the
// app's access. A new opening of the app brings new ones.
func (p *Portal) Revoke() {
	p.mu.Lock()
	p.tokens = newTokens()
	p.mu.Unlock()
}

// authorize finds the user of an access token. Callers hold the lock.
func (p *Portal) authorize(token string, now time.Time) (*user, *restError) {
	g, ok := p.tokens.access[token]
	if !ok {
		return nil, errNoAuth
	}
	if !now.Before(g.expires) {
		return nil, errExpired
	}
	u := userByID(strconv.Itoa(g.user))
	if u == nil {
		return nil, errNoAuth
	}
	return u, nil
}

// serveAuth answers for the authorization servers. What concerns a portal passes through
// that portal's control.
func (s *Server) serveAuth(w http.ResponseWriter, r *http.Request, host string) {
	if strings.HasPrefix(r.URL.Path, "/_control/") {
		s.portals[0].handler.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	in, _, wrong := decodeParams(r, body)
	if err != nil || wrong != nil {
		refuse(w, errInvalidRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	token := text(in["refresh_token"]) + text(in["code"]) + text(in["auth"])
	p := s.portalOf(token)
	answerer := func(w http.ResponseWriter, _ *http.Request) { s.answerAuth(w, r.URL.Path, in, p, host) }
	if p == nil {
		answerer(w, r)
		return
	}
	p.Control.Wrap(http.HandlerFunc(answerer)).ServeHTTP(w, r)
}

func (s *Server) answerAuth(w http.ResponseWriter, path string, in params, p *Portal, host string) {
	switch restMethod(path) {
	case "oauth/token":
		out, refused := s.exchange(in, p, host)
		if refused != nil {
			refuse(w, refused)
			return
		}
		answer(w, http.StatusOK, out)
	case "app.info":
		out, refused := s.tokenInfo(text(in["auth"]), p)
		if refused != nil {
			refuse(w, refused)
			return
		}
		answer(w, http.StatusOK, out)
	default:
		refuse(w, errNoMethod)
	}
}

// Errors of the authorization server (page "Authorization Server Error Codes"). Their HTTP
// statuses are not documented.
var (
	errInvalidRequest = bad("invalid_request", "An incorrectly formatted authorization request was provided")
	errInvalidClient  = &restError{status: 401, code: "invalid_client", text: "Invalid client data was provided"}
	errInvalidGrant   = bad("invalid_grant", "Invalid authorization data was provided")
	errInvalidToken   = &restError{status: 401, code: "invalid_token", text: "Unable to get application by token"}
)

// exchange turns a code or a refresh token into a new pair. A refresh token is good once.
func (s *Server) exchange(in params, p *Portal, host string) (params, *restError) {
	kind, key := text(in["grant_type"]), "refresh_token"
	if kind == "authorization_code" {
		key = "code"
	}
	if (kind != "refresh_token" && key != "code") || text(in[key]) == "" || text(in["client_id"]) == "" {
		return nil, errInvalidRequest
	}
	if text(in["client_id"]) != s.cfg.ClientID || text(in["client_secret"]) != s.cfg.ClientSecret {
		return nil, errInvalidClient
	}
	if p == nil {
		return nil, errInvalidGrant
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now, from := p.Control.Clock.Now(), p.tokens.refresh
	if key == "code" {
		from = p.tokens.codes
	}
	g, ok := from[text(in[key])]
	if !ok && p.removed {
		return nil, errInvalidClient // the application is not installed
	}
	if !ok || !now.Before(g.expires) {
		return nil, errInvalidGrant
	}
	delete(from, text(in[key]))
	t := p.issue(g.user, now)
	out := params{"access_token": t.Access, "refresh_token": t.Refresh, "expires_in": int(accessLife.Seconds()),
		"client_endpoint": s.public(p.host) + "/rest/", "server_endpoint": s.public(host) + "/rest/",
		"domain": host + s.cfg.PublicSuffix, "member_id": p.member, "scope": s.cfg.Scope, "status": appStatus}
	if key == "refresh_token" {
		maps.Copy(out, params{"expires": t.Expires.Unix(), "user_id": g.user})
	}
	return out, nil
}

const appStatus = "F" // free

// tokenInfo is app.info of the authorization server. Its shape is that of the vendor's
// Python library, b24pysdk.
func (s *Server) tokenInfo(token string, p *Portal) (params, *restError) {
	if p == nil {
		return nil, errInvalidToken
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.Control.Clock.Now()
	u, refused := p.authorize(token, now)
	if refused == errNoAuth {
		return nil, errInvalidToken
	}
	if refused != nil {
		return nil, refused
	}
	base := s.public(p.host)
	c := &call{p: p, method: "app.info", now: now, total: -1, next: -1}
	return c.envelope(params{
		"client_id": s.cfg.ClientID, "scope": s.cfg.Scope, "expires": stamp(p.tokens.access[token].expires), "user_id": u.id,
		"install": params{"installed": p.install.begun, "version": p.install.version, "status": appStatus, "scope": s.cfg.Scope,
			"domain": p.domain(), "uri": base, "client_endpoint": base + "/rest/", "member_id": p.member, "member_type": "CP"},
	}), nil
}

// serveAuthorize is the portal's authorize page: the logged-in user is sent back with a
// code; a portal without the app shows the error itself.
func (p *Portal) serveAuthorize(w http.ResponseWriter, r *http.Request) {
	u := visitor(r)
	if u == nil {
		http.Redirect(w, r, "/login?back="+url.QueryEscape(r.URL.RequestURI()), http.StatusFound)
		return
	}
	p.mu.Lock()
	installed := p.install.finished
	p.mu.Unlock()
	if !installed || r.URL.Query().Get("client_id") != p.srv.cfg.ClientID {
		p.show(w, http.StatusBadRequest, "message", params{"Text": "The application is not installed on this Bitrix24."})
		return
	}
	p.mu.Lock()
	back := url.Values{"code": {p.code(u.id)}, "state": {r.URL.Query().Get("state")}, "domain": {p.domain()},
		"member_id": {p.member}, "scope": {p.srv.cfg.Scope}, "server_domain": {AuthHost + p.srv.cfg.PublicSuffix}}
	p.mu.Unlock()
	http.Redirect(w, r, p.srv.cfg.RedirectURL+"?"+back.Encode(), http.StatusFound)
}

func (p *Portal) code(user int) string {
	code := p.secret()
	p.tokens.codes[code] = grant{user: user, expires: p.Control.Clock.Now().Add(codeLife)}
	return code
}
