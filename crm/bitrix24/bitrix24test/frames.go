package bitrix24test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

// frameView is what a page needs to show the app in an iframe: the name of the iframe, the
// POST that fills it, and the answer to getInitData.
type frameView struct {
	Name   string            `json:"name"` // DOMAIN|PROTOCOL|APP_SID
	SID    string            `json:"sid"`
	URL    string            `json:"url"`
	Origin string            `json:"origin"` // of the app; the only one that is listened to
	Fields map[string]string `json:"fields"`
	Init   params            `json:"init"`
}

// JSON is the view for the page's script.
func (v frameView) JSON() string {
	raw, _ := json.Marshal(v)
	return string(raw)
}

// frameView describes an open frame. Callers hold the lock.
func (p *Portal) frameView(form Form, sid string) frameView {
	f := p.frames[sid]
	address, _ := url.Parse(form.URL)
	secure := address.Query().Get("PROTOCOL")
	view := frameView{Name: p.domain() + "|" + secure + "|" + sid, SID: sid, URL: form.URL, Origin: address.Scheme + "://" + address.Host,
		Fields: map[string]string{}}
	for key := range form.Body {
		view.Fields[key] = form.Body.Get(key)
	}
	view.Init = params{"DOMAIN": p.domain(), "PROTOCOL": secure, "PATH": "/rest", "LANG": f.lang, "MEMBER_ID": p.member,
		"IS_ADMIN": userByID(strconv.Itoa(f.user)).admin, "APP_OPTIONS": p.install.options, "USER_OPTIONS": phpMap(p.install.userOptions[f.user]),
		"PLACEMENT": f.placement, "PLACEMENT_OPTIONS": json.RawMessage(f.options), "INSTALL": f.install, "FIRST_RUN": !p.install.ranBy[f.user]}
	maps.Copy(view.Init, f.token.auth())
	return view
}

// auth is how the frame protocol writes a token pair.
func (t Token) auth() params {
	return params{"AUTH_ID": t.Access, "REFRESH_ID": t.Refresh, "AUTH_EXPIRES": strconv.Itoa(int(accessLife.Seconds()))}
}

// frameAction does what a frame asked its parent page for: refresh (new tokens), finish
// (installFinish, only while installing), ran (setInstall) and option (setAppOption,
// setUserOption).
func (p *Portal) frameAction(w http.ResponseWriter, r *http.Request, u *user) {
	sid, action := r.PathValue("sid"), r.PathValue("action")
	p.mu.Lock()
	f, ok := p.frames[sid]
	p.mu.Unlock()
	if !ok || f.user != u.id {
		answer(w, http.StatusNotFound, params{"error": "no such frame"})
		return
	}
	switch action {
	case "refresh":
		answer(w, http.StatusOK, p.TokenFor(strconv.Itoa(u.id)).auth())
	case "finish":
		if f.install {
			p.FinishInstall()
		}
		answer(w, http.StatusOK, params{"ok": f.install})
	case "ran":
		p.mu.Lock()
		p.install.ranBy[u.id] = true
		p.mu.Unlock()
		answer(w, http.StatusOK, params{"ok": true})
	case "option":
		p.saveOption(r, u)
		answer(w, http.StatusOK, params{"ok": true})
	default:
		http.NotFound(w, r)
	}
}

func (p *Portal) saveOption(r *http.Request, u *user) {
	var in struct {
		App   bool   `json:"app"`
		Name  string `json:"name"`
		Value any    `json:"value"`
	}
	decodeInto(r, &in)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case in.App && u.admin: // app options are writable by administrators only
		p.install.options[in.Name] = in.Value
	case !in.App:
		if p.install.userOptions[u.id] == nil {
			p.install.userOptions[u.id] = params{}
		}
		p.install.userOptions[u.id][in.Name] = in.Value
	}
}

// openSlider is openApplication: another frame of the app over the page; the parameters
// reach its PLACEMENT_OPTIONS.
func (p *Portal) openSlider(w http.ResponseWriter, r *http.Request, u *user) {
	options := params{}
	decodeInto(r, &options)
	for _, own := range slices.Collect(maps.Keys(options)) {
		options[own] = stringly(options[own])
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	form, sid, err := p.openApp(u, language(r), options)
	if err != nil {
		answer(w, http.StatusNotFound, params{"error": err.Error()})
		return
	}
	answer(w, http.StatusOK, p.frameView(form, sid))
}

// stringly writes scalars as the strings that PLACEMENT_OPTIONS carries.
func stringly(v any) any {
	switch v.(type) {
	case string, float64, bool:
		return text(v)
	}
	return v
}
