package amotest

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/dealpay/dealpay/tenants/standintest"
)

type tokenRequest struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
	GrantType    string `json:"grant_type"`
	Code         string `json:"code"`
	RefreshToken string `json:"refresh_token"`
	RedirectURI  string `json:"redirect_uri"`
}

// serveToken is POST /oauth2/access_token; JSON and form bodies are both accepted
// ("OAuth 2.0": getting and refreshing the access token).
func (a *Account) serveToken(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		writeProblem(w, problem(http.StatusMethodNotAllowed, "Method Not Allowed"))
		return
	}
	in, ok := readTokenRequest(r)
	if !ok {
		a.oauthProblem(w, http.StatusBadRequest, "")
		return
	}
	c := a.server.config
	switch {
	case in.ClientID != c.ClientID || in.ClientSecret != c.ClientSecret:
		a.oauthProblem(w, http.StatusUnauthorized, "Client authentication failed")
	case in.RedirectURI != c.RedirectURI:
		a.oauthProblem(w, http.StatusUnauthorized, "")
	default:
		a.grant(w, in)
	}
}

func readTokenRequest(r *http.Request) (tokenRequest, bool) {
	var in tokenRequest
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		in = tokenRequest{r.PostFormValue("client_id"), r.PostFormValue("client_secret"), r.PostFormValue("grant_type"),
			r.PostFormValue("code"), r.PostFormValue("refresh_token"), r.PostFormValue("redirect_uri")}
		return in, true
	}
	return in, json.NewDecoder(r.Body).Decode(&in) == nil
}

func (a *Account) grant(w http.ResponseWriter, in tokenRequest) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var p *pair
	var hint string
	status := http.StatusUnauthorized
	switch in.GrantType {
	case "authorization_code":
		status = http.StatusBadRequest
		p, hint = a.redeem(in.Code)
	case "refresh_token":
		p, hint = a.refresh(in.RefreshToken)
	default:
		status, hint = http.StatusBadRequest, "Check the `grant_type` parameter"
	}
	if p == nil {
		a.oauthProblem(w, status, hint)
		return
	}
	standintest.Answer(w, http.StatusOK, map[string]any{"token_type": "Bearer", "expires_in": int(accessLife.Seconds()),
		"server_time": a.now().Unix(), "access_token": p.access, "refresh_token": p.refresh})
}

func (a *Account) redeem(token string) (*pair, string) {
	c := a.codes[token]
	switch {
	case c == nil:
		return nil, "Cannot decrypt the authorization code"
	case c.used:
		return nil, "Authorization code has been revoked"
	case a.now().After(c.at.Add(codeLife)):
		return nil, "Authorization code has expired"
	}
	c.used = true
	return a.newPair(c.user, nil), ""
}

func (a *Account) oauthProblem(w http.ResponseWriter, status int, hint string) {
	t := a.server.config.Variant.words()
	p := map[string]any{"title": t.oauthTitle, "type": t.oauthType, "status": status, "detail": t.oauthDetail}
	if hint != "" {
		p["hint"] = hint
	}
	writeProblem(w, p)
}

// serveShared answers on the shared API host.
func (s *Server) serveShared(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth2/account/current/subdomain" {
		s.serveSubdomain(w, r)
		return
	}
	notFound(w, r)
}

// serveSubdomain tells the current host of the account that a refresh token belongs to; the
// vendor's SDK asks it after a rename.
func (s *Server) serveSubdomain(w http.ResponseWriter, r *http.Request) {
	token := r.Header.Get("X-Refresh-Token")
	s.answerDomain(w, func(a *Account) bool {
		p := a.byRefresh(token)
		return p != nil && !p.revoked && !p.dead
	})
}

// serveOldSubdomain is the deprecated form with an access token, on the www host.
func (s *Server) serveOldSubdomain(w http.ResponseWriter, r *http.Request) {
	token := bearer(r)
	s.answerDomain(w, func(a *Account) bool { return a.live(token) != nil })
}

func (s *Server) answerDomain(w http.ResponseWriter, owns func(*Account) bool) {
	for _, a := range s.all() {
		a.mu.Lock()
		found, sub := owns(a), a.sub
		a.mu.Unlock()
		if found {
			zone := s.config.Variant.Zone
			standintest.Answer(w, http.StatusOK, map[string]any{"id": a.ID, "subdomain": sub,
				"domain": sub + "." + zone + s.config.PublicSuffix, "top_level_domain": zone[strings.LastIndex(zone, ".")+1:]})
			return
		}
	}
	writeProblem(w, problem(http.StatusUnauthorized, s.config.Variant.words().login))
}

func bearer(r *http.Request) string {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return token
}
