package widgets

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/frontend"
	"github.com/dealpay/dealpay/oauth"
	"github.com/dealpay/dealpay/payments"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/widgets/api"
	"github.com/gin-gonic/gin"
)

// pageState is what the server puts into a page, so that nothing must be fetched before something is on screen.
type pageState struct {
	Host         string            `json:"host"` // bitrix24 or amo
	Page         string            `json:"page"` // card or settings
	Lang         string            `json:"lang"`
	Session      string            `json:"session"`
	ExpiresAt    string            `json:"expires_at"`
	DealID       string            `json:"deal_id"`
	ParentOrigin string            `json:"parent_origin"`
	Card         *api.Card         `json:"card"`
	Settings     *api.SettingsView `json:"settings"`
	Problem      *api.Problem      `json:"problem"`
}

// errNoDeal is an opening of the card outside of a deal.
var errNoDeal = &bad{"deal_id_missing", "Open this card inside a deal."}

// origin is the origin of a CRM account's pages.
func origin(domain string) string {
	if host, _, _ := strings.Cut(domain, ":"); strings.HasSuffix(host, ".localhost") {
		return "http://" + domain
	}
	return "https://" + domain
}

// render puts the state into a page; only the page at parent may frame it.
func (s *Service) render(c *gin.Context, status int, state pageState) {
	page, err := frontend.Page(state.Page, state.Lang)
	if err != nil {
		s.fail(c, err)
		return
	}
	raw, err := json.Marshal(state) // escapes <, > and &
	if err != nil {
		s.fail(c, err)
		return
	}
	slot := strings.Replace(frontend.Slot, "></script>", ">"+string(raw)+"</script>", 1)
	styles := "style-src 'self'"
	if state.Page == "settings" { // its kit sets styles by script
		styles += " 'unsafe-inline'"
	}
	ancestors := "'none'"
	if state.ParentOrigin != "" {
		ancestors = state.ParentOrigin
	}
	c.Header("Content-Security-Policy", "default-src 'none'; script-src 'self'; "+styles+"; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "+ancestors)
	c.Header("Cache-Control", "no-store")
	c.Header("Referrer-Policy", "no-referrer")
	c.Data(status, "text/html; charset=utf-8", bytes.Replace(page, []byte(frontend.Slot), []byte(slot), 1))
}

// Bitrix24Card answers POST /bitrix24/card: the tab of a deal.
func (s *Service) Bitrix24Card(c *gin.Context) { s.bitrix24Page(c, "card") }

// Bitrix24App answers POST /bitrix24/app: the settings, which Bitrix24 opens as the app's own page.
func (s *Service) Bitrix24App(c *gin.Context) { s.bitrix24Page(c, "settings") }

func (s *Service) bitrix24Page(c *gin.Context, page string) {
	state := pageState{Host: "bitrix24", Page: page, Lang: language(c.Request)}
	visitor, tenant, err := s.CRM.Visit(c.Request.Context(), crm.Bitrix24, c.Request)
	if visitor.Domain != "" {
		state.ParentOrigin = origin(visitor.Domain)
	}
	if visitor.Lang != "" {
		state.Lang = visitor.Lang
	}
	if err == nil {
		err = s.enter(c, &state, visitor, tenant)
	}
	status := http.StatusOK
	if err != nil {
		var code, detail string
		status, code, detail, _ = classifyVisit(err)
		state.Problem = &api.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: code, Detail: detail,
			RequestId: tenants.RequestOf(c.Request.Context())}
		s.Log.WarnContext(c.Request.Context(), "opening refused", "page", page, "code", code, "err", err)
	}
	s.render(c, status, state)
}

// enter opens the visitor's session and fills the page in.
func (s *Service) enter(c *gin.Context, state *pageState, v crm.Visitor, t tenants.Tenant) error {
	w, err := s.callerOf(c.Request.Context(), v, t, state.Page, state.Lang)
	if err != nil {
		return err
	}
	session, ends, err := s.newSession(t.ID, w)
	if err != nil {
		return err
	}
	if state.Page == "settings" {
		view, err := s.settings(c.Request.Context(), w)
		if err != nil {
			return err
		}
		state.Settings = &view
	} else {
		card, err := s.card(c.Request.Context(), w)
		if err != nil {
			return err
		}
		state.Card = &card
	}
	state.Session, state.ExpiresAt, state.DealID = session, ends.Format("2006-01-02T15:04:05Z"), w.deal
	return nil
}

// callerOf is what a confirmed visitor may do: on the settings page what their role allows, on a card the deal they could
// read.
func (s *Service) callerOf(ctx context.Context, v crm.Visitor, t tenants.Tenant, page, lang string) (caller, error) {
	w := caller{tenant: t.ID, by: payments.By{Actor: tenants.Actor("user:" + v.UserID)}, deal: v.DealID, lang: lang}
	var err error
	if w.by.Role, err = s.meet(ctx, v, t); err != nil {
		return w, err
	}
	switch {
	case page == "settings" && !w.by.Role.Allows(tenants.Accountant):
		return w, payments.ErrRole
	case page == "settings":
		w.deal = ""
	case v.DealID == "":
		return w, errNoDeal
	}
	return w, nil
}

// classifyVisit adds to classify what only openings meet.
func classifyVisit(err error) (status int, code, detail string, retry bool) {
	switch {
	case errors.Is(err, oauth.ErrNotConnected):
		return 409, "not_connected", "This CRM account is not connected to Dealpay. An administrator can connect it.", false
	case errors.Is(err, oauth.ErrNoDeal):
		return 403, "deal_hidden", "You may not read this deal in the CRM, so its payments are not shown either.", false
	}
	status, code, detail, wait := classify(err)
	return status, code, detail, wait > 0
}

// OpenSession answers POST /api/v1/session: amoCRM's and Kommo's one-time token becomes a session.
func (s *Service) OpenSession(c *gin.Context) {
	var in api.SessionRequest
	raw, err := decode(c, &in)
	if err != nil {
		s.fail(c, err)
		return
	}
	page := "card"
	if in.Page != nil && *in.Page == "settings" {
		page = "settings"
	}
	c.Request.Body = io.NopCloser(bytes.NewReader(raw))
	visitor, tenant, err := s.CRM.Visit(c.Request.Context(), issuer(c.GetHeader("X-Auth-Token")), c.Request)
	s.answerSession(c, page, "amo", visitor, tenant, err)
}

// Bitrix24Session answers POST /bitrix24/session: the fields of an opening, with the token that the frame got from its
// portal, become a new session.
func (s *Service) Bitrix24Session(c *gin.Context) {
	visitor, tenant, err := s.CRM.Visit(c.Request.Context(), crm.Bitrix24, c.Request)
	page := "card"
	if c.Query("page") == "settings" {
		page = "settings"
	}
	s.answerSession(c, page, "bitrix24", visitor, tenant, err)
}

func (s *Service) answerSession(c *gin.Context, page, host string, v crm.Visitor, t tenants.Tenant, err error) {
	var w caller
	lang := v.Lang
	if lang == "" {
		lang = language(c.Request)
	}
	if err == nil {
		w, err = s.callerOf(c.Request.Context(), v, t, page, lang)
	}
	out := api.Session{}
	if err == nil {
		out.Session, out.ExpiresAt, err = s.newSession(t.ID, w)
	}
	if err != nil {
		status, code, detail, retry := classifyVisit(err)
		if retry {
			c.Header("Retry-After", "5")
		}
		s.Log.WarnContext(c.Request.Context(), "session refused", "code", code, "err", err)
		Problem(c, status, code, detail)
		return
	}
	query := url.Values{"host": {host}, "account": {t.Domain}, "lang": {lang}}.Encode()
	out.CardUrl, out.SettingsUrl = s.PublicURL+"/card?"+query, s.PublicURL+"/settings?"+query
	c.JSON(http.StatusOK, out)
}

// issuer is the CRM that a one-time token claims to come from; the guard of that CRM then proves it.
func issuer(token string) crm.System {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return crm.AmoCRM
	}
	var claims struct {
		Issuer string `json:"iss"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil && json.Unmarshal(raw, &claims) == nil {
		if u, err := url.Parse(claims.Issuer); err == nil && strings.Contains("."+u.Hostname()+".", ".kommo.com.") {
			return crm.Kommo
		}
	}
	return crm.AmoCRM
}

// Framed answers GET /card and GET /settings: the page that amoCRM's and Kommo's widget puts into its frame. It holds
// nothing until the widget gives it a session.
func (s *Service) Framed(page string, allow func(host string) bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		account := c.Query("account")
		if !allow(account) {
			Problem(c, http.StatusForbidden, "host_not_allowed", "This address is not one of a CRM that Dealpay works with.")
			return
		}
		lang := c.Query("lang")
		if lang == "" || len(lang) > 5 {
			lang = language(c.Request)
		}
		s.render(c, http.StatusOK, pageState{Host: "amo", Page: page, Lang: lang, ParentOrigin: origin(account)})
	}
}

// Cross lets the widget's script, which runs in the CRM's page, ask for a session.
func Cross(allow func(host string) bool) gin.HandlerFunc {
	return func(c *gin.Context) {
		from := c.GetHeader("Origin")
		if u, err := url.Parse(from); from != "" && err == nil && allow(u.Host) && from == origin(u.Host) {
			c.Header("Access-Control-Allow-Origin", from)
			c.Header("Access-Control-Allow-Headers", "Content-Type, X-Auth-Token")
			c.Header("Access-Control-Allow-Methods", "POST")
			c.Header("Access-Control-Max-Age", "600")
			c.Header("Vary", "Origin")
		}
		if c.Request.Method == http.MethodOptions {
			c.AbortWithStatus(http.StatusNoContent)
			return
		}
		c.Next()
	}
}

// Document answers GET /api/v1/openapi.yaml.
func (s *Service) Document(c *gin.Context) { c.Data(http.StatusOK, "application/yaml", api.Document) }
