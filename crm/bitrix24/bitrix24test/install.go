package bitrix24test

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Form is what a portal's page makes the browser POST into a frame: part of the parameters
// in the query of URL, part in Body (page "Widget Embedding Mechanism").
type Form struct {
	URL  string
	Body url.Values
}

// Page is the app's answer to a Form.
type Page struct {
	Status int
	Header http.Header
	Body   string
}

// frame is an open iframe of the app, known by its APP_SID.
type frame struct {
	user      int
	placement string
	options   string // JSON
	install   bool
	token     Token
	lang      string
}

// errNoPlacement is returned when the app's tab cannot be opened, because it is not bound
// or the installation is not finished: such placements are shown to nobody.
var errNoPlacement = errors.New("bitrix24test: no widget is shown at this placement")

func random() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	return hex.EncodeToString(raw[:])
}

// open makes the form that opens the app for a user. Callers hold the lock.
func (p *Portal) open(handler, code string, options params, user int, lang string, install bool) (Form, string) {
	raw, _ := json.Marshal(phpMap(options))
	sid := random()
	t := p.issue(user, p.Control.Clock.Now())
	p.frames[sid] = frame{user: user, placement: code, options: string(raw), install: install, token: t, lang: lang}
	secure := "1"
	if p.srv.scheme() == "http" {
		secure = "0"
	}
	query := url.Values{"DOMAIN": {p.domain()}, "PROTOCOL": {secure}, "LANG": {lang}, "APP_SID": {sid}}
	glue := "?"
	if strings.Contains(handler, "?") {
		glue = "&"
	}
	return Form{URL: handler + glue + query.Encode(), Body: url.Values{
		"AUTH_ID": {t.Access}, "AUTH_EXPIRES": {strconv.Itoa(int(accessLife.Seconds()))}, "REFRESH_ID": {t.Refresh},
		"SERVER_ENDPOINT": {p.srv.public(AuthHost) + "/rest/"}, "APPLICATION_TOKEN": {p.install.appToken},
		"APPLICATION_SCOPE": {p.srv.cfg.Scope}, "member_id": {p.member}, "status": {appStatus},
		"PLACEMENT": {code}, "PLACEMENT_OPTIONS": {string(raw)},
	}}, sid
}

// InstallForm begins an installation by the administrator (again, when one was begun) and
// returns the POST to the installer page. Each installation has its own application_token.
func (p *Portal) InstallForm() Form {
	p.mu.Lock()
	defer p.mu.Unlock()
	form, _ := p.beginInstall(1, "en")
	return form
}

// begin makes the app known to the portal.
func (p *Portal) begin() {
	if !p.install.begun {
		p.install.begun, p.install.appToken, p.install.version = true, random(), 1
		p.removed = false
	}
}

func (p *Portal) beginInstall(user int, lang string) (Form, string) {
	p.begin()
	return p.open(p.srv.cfg.AppURL+"/bitrix24/install", "DEFAULT", params{}, user, lang, true)
}

// FinishInstall is installFinish of the browser library: from now on placements are shown
// and events are sent, ONAPPINSTALL first.
func (p *Portal) FinishInstall() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.install.begun || p.install.finished {
		return
	}
	p.install.finished = true
	data := params{"VERSION": strconv.Itoa(p.install.version), "ACTIVE": "Y", "INSTALLED": "Y", "LANGUAGE_ID": "en"}
	p.send(p.srv.cfg.AppURL+"/bitrix24/events", p.eventBody("ONAPPINSTALL", 0, data, 1, true), "ONAPPINSTALL")
}

// Install does what a browser does when an administrator installs the app: it opens the
// installer page, which must answer 200 with HTML, and finishes the installation.
func (p *Portal) Install(ctx context.Context, client *http.Client) error {
	page, err := p.Post(ctx, client, p.InstallForm())
	if err != nil {
		return fmt.Errorf("open installer: %w", err)
	}
	if kind, _, _ := mime.ParseMediaType(page.Header.Get("Content-Type")); page.Status != http.StatusOK || kind != "text/html" {
		return fmt.Errorf("installer answered %d %s: %.200s", page.Status, kind, page.Body)
	}
	p.FinishInstall()
	return nil
}

// Uninstall removes the app as an administrator does: tokens die, subscriptions and widgets
// go, ONAPPUNINSTALL is sent without tokens. Custom fields stay. clean also deletes options.
func (p *Portal) Uninstall(clean bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = newTokens()
	flag := "0"
	if clean {
		flag = "1"
	}
	p.fire("ONAPPUNINSTALL", params{"LANGUAGE_ID": "en", "CLEAN": flag}, 0)
	left := installation{options: p.install.options, userOptions: p.install.userOptions, ranBy: map[int]bool{}}
	if clean {
		left.options, left.userOptions = params{}, map[int]params{}
	}
	p.install, p.removed = left, true
	p.frames = map[string]frame{}
}

// Update puts a new version of the app into the portal: what the former one registered goes, and administrators get the
// installer until it is finished. told sends ONAPPUPDATE first, which present portals are reported not to do.
func (p *Portal) Update(told bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	version := p.install.version + 1
	if told {
		p.fire("ONAPPUPDATE", params{"VERSION": strconv.Itoa(version), "PREVIOUS_VERSION": strconv.Itoa(p.install.version), "LANGUAGE_ID": "en"}, 1)
	}
	p.install.version, p.install.finished = version, false
	p.install.handlers, p.install.placements, p.install.robots = nil, nil, nil
}

// as opens something for a user, under the lock.
func (p *Portal) as(userID string, open func(*user) (Form, error)) (Form, error) {
	u := userByID(userID)
	if u == nil {
		return Form{}, fmt.Errorf("bitrix24test: no user %q", userID)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return open(u)
}

// AppForm is the POST that opens the app's own page for a user.
func (p *Portal) AppForm(userID string) (Form, error) {
	return p.as(userID, func(u *user) (Form, error) {
		form, _, err := p.openApp(u, "en", params{})
		return form, err
	})
}

// openApp opens the app page, or for an administrator the installer while the installation
// is not finished.
func (p *Portal) openApp(u *user, lang string, options params) (Form, string, error) {
	if !p.install.finished {
		if !u.admin || !p.install.begun {
			return Form{}, "", errNoPlacement
		}
		form, sid := p.beginInstall(u.id, lang)
		return form, sid, nil
	}
	form, sid := p.open(p.srv.cfg.AppURL+"/bitrix24/app", "DEFAULT", options, u.id, lang, false)
	return form, sid, nil
}

// CardForm is the POST that opens the app's tab in a deal card for a user.
func (p *Portal) CardForm(userID, dealID string) (Form, error) {
	return p.as(userID, func(u *user) (Form, error) {
		form, _, _, err := p.openTab(u, dealID, "en")
		return form, err
	})
}

func (p *Portal) openTab(u *user, dealID, lang string) (form Form, sid, title string, err error) {
	if !p.install.finished {
		return Form{}, "", "", errNoPlacement
	}
	for _, w := range p.install.placements {
		if w.code == TabPlacement {
			form, sid := p.open(w.url, w.code, params{"ID": dealID, "URI": "/crm/deal/details/" + dealID + "/"}, u.id, lang, false)
			return form, sid, w.name(lang), nil
		}
	}
	return Form{}, "", "", errNoPlacement
}

// OpenCard opens the app's tab in the card of a deal, as a browser does.
func (p *Portal) OpenCard(ctx context.Context, client *http.Client, userID, dealID string) (Page, error) {
	form, err := p.CardForm(userID, dealID)
	if err != nil {
		return Page{}, err
	}
	return p.Post(ctx, client, form)
}

// OpenApp opens the app's own page, as a browser does.
func (p *Portal) OpenApp(ctx context.Context, client *http.Client, userID string) (Page, error) {
	form, err := p.AppForm(userID)
	if err != nil {
		return Page{}, err
	}
	return p.Post(ctx, client, form)
}

// Post sends a form as the portal's page makes the browser do.
func (p *Portal) Post(ctx context.Context, client *http.Client, form Form) (Page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, form.URL, strings.NewReader(form.Body.Encode()))
	if err != nil {
		return Page{}, err
	}
	base := p.URL()
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", base)
	req.Header.Set("Referer", base+"/")
	req.Header.Set("Accept", "text/html")
	resp, err := client.Do(req)
	if err != nil {
		return Page{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	return Page{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}, err
}
