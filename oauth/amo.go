package oauth

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/tenants"
)

const (
	stateLife     = 10 * time.Minute
	hookPatience  = 2 * time.Second  // the marketplace waits 3 s for its installation hook and never repeats it
	installBudget = 40 * time.Second // for what goes on behind it
	statePurpose  = "oauth state"
)

// AmoConnect sends a person to the consent page of amoCRM or Kommo. The state comes back in the address and, sealed, in a
// cookie.
func (s *Service) AmoConnect(system crm.System) gin.HandlerFunc {
	return func(c *gin.Context) {
		app := s.app(system)
		if app.ClientID == "" {
			problem(c, http.StatusNotFound, "not_offered", "This CRM is not offered here.")
			return
		}
		state := tenants.NewToken()
		until := s.c.Now().Add(stateLife)
		sealed, err := s.c.DB.Sealer().Seal(tenants.ID{}, statePurpose, []byte(state+" "+until.UTC().Format(time.RFC3339)))
		if err != nil {
			s.fail(c, "start a connection", err)
			return
		}
		s.setState(c, system, encode(sealed), stateLife)
		c.Header("Cache-Control", "no-store")
		c.Redirect(http.StatusFound, app.consent(variant(system))+"?"+url.Values{"client_id": {app.ClientID}, "state": {state}}.Encode())
	}
}

// consent is the address of the consent page.
func (a App) consent(v amo.Variant) string {
	if a.AuthURL == "" {
		return v.AuthorizeURL
	}
	if site := strings.TrimSuffix(a.AuthURL, "/"); !strings.HasSuffix(site, "/oauth") {
		return site + "/oauth"
	}
	return strings.TrimSuffix(a.AuthURL, "/")
}

func (s *Service) setState(c *gin.Context, system crm.System, value string, life time.Duration) {
	http.SetCookie(c.Writer, &http.Cookie{Name: "dealpay_state_" + string(system), Value: value, Path: "/" + string(system) + "/install",
		MaxAge: int(life.Seconds()), HttpOnly: true, Secure: strings.HasPrefix(s.c.PublicURL, "https:"), SameSite: http.SameSiteLaxMode})
}

// started says whether this browser asked for the connection, and uses the state up.
func (s *Service) started(c *gin.Context, system crm.System, state string) bool {
	cookie, err := c.Cookie("dealpay_state_" + string(system))
	if err != nil {
		return false
	}
	s.setState(c, system, "", -time.Second)
	clear, err := s.c.DB.Sealer().Open(tenants.ID{}, statePurpose, decode(cookie))
	if err != nil {
		return false
	}
	kept, ends, _ := strings.Cut(string(clear), " ")
	until, err := time.Parse(time.RFC3339, ends)
	if err != nil || s.c.Now().After(until) || !same(kept, state) {
		return false
	}
	fresh, err := s.c.DB.Spend(c.Request.Context(), "oauth state "+state, until, s.c.Now())
	return err == nil && fresh
}

// AmoInstall is the redirect URI (amocrm.ru "OAuth 2.0"; Kommo "OAuth 2.0"). Two callers come here: a browser after
// consent, with our state, and the CRM's server after an installation in the marketplace, with from_widget, which waits
// three seconds and never asks again. The referer decides where the client secret is sent, so it must be on the list.
func (s *Service) AmoInstall(system crm.System) gin.HandlerFunc {
	return func(c *gin.Context) {
		q := c.Request.URL.Query()
		lang := firstLang(c, system)
		domain := strings.ToLower(q.Get("referer"))
		marketplace := q.Get("from_widget") != ""
		switch {
		case q.Get("error") != "":
			show(c, http.StatusForbidden, "", newPage(lang, "denied"))
			return
		case s.app(system).ClientID == "" || q.Get("client_id") != s.app(system).ClientID:
			show(c, http.StatusForbidden, "", newPage(lang, "forged"))
			return
		case q.Get("code") == "" || !s.allowedAmo(system, domain), !marketplace && q.Get("state") != "" && !s.started(c, system, q.Get("state")):
			s.c.Log.WarnContext(c.Request.Context(), "installation refused", "crm", system)
			show(c, http.StatusBadRequest, "", newPage(lang, "forged"))
			return
		}
		s.answerInstall(c, lang, domain, marketplace, s.install(c.Request.Context(), system, domain, q.Get("code")))
	}
}

// install exchanges the code apart from the request, which may be cut off: the code is good once.
func (s *Service) install(ctx context.Context, system crm.System, domain, code string) <-chan error {
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(crm.WithPriority(context.WithoutCancel(ctx), crm.Person), installBudget)
	s.work.Go(func() {
		defer cancel()
		err := s.admit(ctx, system, domain, code)
		if err != nil {
			s.c.Log.WarnContext(ctx, "installation failed", "crm", system, "cause", err)
		}
		done <- err
	})
	return done
}

// answerInstall waits for the exchange, the marketplace's server only briefly.
func (s *Service) answerInstall(c *gin.Context, lang, domain string, marketplace bool, done <-chan error) {
	wait := installBudget
	if marketplace {
		wait = hookPatience
	}
	var err error
	select {
	case err = <-done:
	case <-time.After(wait):
		show(c, http.StatusOK, "", newPage(lang, "working"))
		return
	}
	status, key := http.StatusOK, "done"
	switch {
	case errors.Is(err, errNoAdmin):
		status, key = http.StatusForbidden, "admin"
	case err != nil && crm.ClassOf(err) == crm.Revoked:
		status, key = http.StatusBadRequest, "forged"
	case err != nil:
		status, key = http.StatusServiceUnavailable, "away"
	}
	p := newPage(lang, key)
	p.Back, p.Go = origin(domain), say(lang, "back")
	show(c, status, "", p)
}

var errNoAdmin = errors.New("oauth: the grant is not an administrator's")

// admit turns a code into a connected tenant: exchange, ask whose token it is, keep. Only an administrator's grant
// serves the whole account.
func (s *Service) admit(ctx context.Context, system crm.System, domain, code string) error {
	var grant crm.Grant
	err := insist(ctx, func() (err error) {
		grant, err = s.redeem(ctx, system, domain, code)
		return err
	})
	if err != nil {
		return err
	}
	asker := amo.New(amo.Config{Variant: variant(system), Domain: domain, HTTP: s.c.HTTP, Tokens: fixed(grant.AccessToken), Now: s.c.Now,
		Pacer: s.pacer(system, claim(grant.AccessToken, "account_id"), false)})
	var info amo.AccountInfo
	err = insist(ctx, func() (err error) {
		info, err = asker.AccountInfo(ctx)
		return err
	})
	if absent(err) || err == nil && !info.Admin {
		return errNoAdmin // others may not even list users
	}
	if err != nil {
		return err
	}
	grant.UserID = info.UserID
	_, err = s.connect(ctx, newcomer{system: system, key: info.ID, domain: domain, name: info.Name, grant: grant,
		lang: info.Lang, timeZone: info.Timezone, by: person(info.UserID)})
	return err
}

// insist repeats a step that failed in passing: nobody will send the code again.
func insist(ctx context.Context, step func() error) error {
	for wait := time.Second; ; wait *= 2 {
		err := step()
		if class := crm.ClassOf(err); err == nil || class != crm.Transient && class != crm.Throttled {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

// fixed is a token that cannot be renewed.
type fixed string

func (f fixed) Token(context.Context) (string, error) { return string(f), nil }

func (f fixed) Refresh(context.Context, string) (string, error) {
	return "", &crm.Error{Class: crm.Revoked, Op: "token", Code: "refused", Err: errors.New("a fresh token is refused")}
}

// firstLang is the language of a page for somebody we know nothing about.
func firstLang(c *gin.Context, system crm.System) string {
	for part := range strings.SplitSeq(c.GetHeader("Accept-Language"), ",") {
		for _, lang := range crm.Langs {
			if strings.HasPrefix(strings.TrimSpace(part), lang) {
				return lang
			}
		}
	}
	if system == crm.AmoCRM {
		return "ru"
	}
	return "en"
}
