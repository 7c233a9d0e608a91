package bitrix24test

import (
	"bytes"
	"embed"
	"encoding/json"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

//go:embed web
var web embed.FS

var pages = template.Must(template.ParseFS(web, "web/*.html"))

const (
	userCookie = "b24_user"
	langCookie = "b24_lang"
)

// langs are codes of the portal's interface languages (they are Bitrix24's own: la is
// Latin American Spanish, br Brazilian Portuguese).
var langs = [][2]string{{"en", "English"}, {"ru", "Русский"}, {"de", "Deutsch"}, {"la", "Español"}, {"br", "Português"}}

// visitor is the user who is logged in, nil when nobody is.
func visitor(r *http.Request) *user {
	c, err := r.Cookie(userCookie)
	if err != nil {
		return nil
	}
	return userByID(c.Value)
}

func language(r *http.Request) string {
	if c, err := r.Cookie(langCookie); err == nil {
		for _, l := range langs {
			if l[0] == c.Value {
				return c.Value
			}
		}
	}
	return "en"
}

// pageRoutes are the pages that people see in a browser, and what those pages ask for.
func (p *Portal) pageRoutes(mux *http.ServeMux) {
	static, err := fs.Sub(web, "web/static")
	if err != nil {
		panic(err)
	}
	mux.Handle("GET /static/", http.StripPrefix("/static/", http.FileServerFS(static)))
	mux.HandleFunc("GET /login", p.showLogin)
	mux.HandleFunc("POST /login", p.login)
	for route, page := range map[string]func(http.ResponseWriter, *http.Request, *user){
		"GET /{$}": func(w http.ResponseWriter, r *http.Request, _ *user) {
			http.Redirect(w, r, "/crm/deal/", http.StatusFound)
		},
		"GET /crm/deal/{$}":               p.showDeals,
		"GET /crm/deal/details/{id}/{$}":  p.showCard,
		"POST /crm/deal/details/{id}/{$}": p.saveCard,
		"POST /crm/deal/details/{id}/run": p.pressRun,
		"GET /market/{$}":                 p.showMarket,
		"GET /market/app/{$}":             p.showApp,
		"POST /market/install":            p.pressInstall,
		"POST /market/uninstall":          p.pressUninstall,
		"GET /page/deal/{id}":             p.liveDeal,
		"POST /page/open":                 p.openSlider,
		"POST /page/frame/{sid}/{action}": p.frameAction,
	} {
		mux.HandleFunc(route, asUser(page))
	}
}

// asUser sends people to the login chooser first.
func asUser(page func(http.ResponseWriter, *http.Request, *user)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if u := visitor(r); u != nil {
			page(w, r, u)
			return
		}
		http.Redirect(w, r, "/login?back="+url.QueryEscape(r.URL.RequestURI()), http.StatusFound)
	}
}

func (p *Portal) show(w http.ResponseWriter, status int, name string, data params) {
	data["Portal"], data["App"] = p.Host(), appTitle
	var out bytes.Buffer
	if err := pages.ExecuteTemplate(&out, name, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = out.WriteTo(w)
}

const appTitle = "Dealpay"

func (p *Portal) showLogin(w http.ResponseWriter, r *http.Request) {
	type person struct{ ID, Name, Note string }
	people := []person{{"1", "Admin", "portal administrator"}, {"2", "Manager", "works with deals"}, {"3", "Guest", "no access to deals"}}
	p.show(w, http.StatusOK, "login", params{"People": people, "Langs": langs, "Lang": language(r), "Back": backPath(r.URL.Query().Get("back"))})
}

// backPath keeps redirects on this portal.
func backPath(path string) string {
	if !strings.HasPrefix(path, "/") || strings.HasPrefix(path, "//") || strings.HasPrefix(path, "/login") {
		return "/crm/deal/"
	}
	return path
}

func (p *Portal) login(w http.ResponseWriter, r *http.Request) {
	if userByID(r.FormValue("user")) == nil {
		http.Error(w, "no such user", http.StatusBadRequest)
		return
	}
	for name, value := range map[string]string{userCookie: r.FormValue("user"), langCookie: r.FormValue("lang")} {
		http.SetCookie(w, &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	}
	http.Redirect(w, r, backPath(r.FormValue("back")), http.StatusSeeOther)
}

// listed is how many deals the page of deals shows.
const listed = 200

func (p *Portal) showDeals(w http.ResponseWriter, _ *http.Request, u *user) {
	type row struct{ ID, Title, Amount, Stage, Color, Customer string }
	rows := []row{}
	p.mu.Lock()
	all := p.sorted()
	for _, d := range all[:min(len(all), listed)] {
		s, _ := stageByID(d.stage)
		customer := ""
		if who := p.contacts[d.contact]; who != nil {
			customer = who.name
		}
		rows = append(rows, row{strconv.Itoa(d.id), d.title, pretty(d.amount, d.currency), s.name, s.color, customer})
	}
	p.mu.Unlock()
	if !u.deals {
		p.show(w, http.StatusForbidden, "message", params{"User": u.name, "Text": "You have no access to deals."})
		return
	}
	p.show(w, http.StatusOK, "deals", params{"User": u.name, "Rows": rows, "All": len(all)})
}

// pretty groups thousands: 150,000.00 AMD.
func pretty(amount, currency string) string {
	whole, cents, _ := strings.Cut(amount, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return whole + "." + cents + " " + currency
}

func (p *Portal) showCard(w http.ResponseWriter, r *http.Request, u *user) {
	id := r.PathValue("id")
	p.mu.Lock()
	d, err := p.dealByID(id)
	if err != nil || !u.deals {
		p.mu.Unlock()
		p.show(w, http.StatusNotFound, "message", params{"User": u.name, "Text": "The deal was deleted, or you have no access to it."})
		return
	}
	data := params{"User": u.name, "ID": id, "Title": d.title, "Amount": d.amount, "Current": d.stage, "Stages": stageChoices(d.category), "Rules": p.rules(language(r))}
	form, sid, title, err := p.openTab(u, id, language(r))
	if err == nil {
		data["Frame"], data["Tab"] = p.frameView(form, sid), title
	}
	p.mu.Unlock()
	p.show(w, http.StatusOK, "card", data)
}

func stageChoices(category int) (out [][2]string) {
	for _, s := range stages {
		if s.category == category {
			out = append(out, [2]string{s.code, s.name})
		}
	}
	return out
}

// saveCard saves what the manager changed by hand.
func (p *Portal) saveCard(w http.ResponseWriter, r *http.Request, u *user) {
	in := map[string]any{"STAGE_ID": r.FormValue("stage"), "OPPORTUNITY": r.FormValue("amount")}
	err := p.change(r.PathValue("id"), func(d *deal) error {
		if !u.deals {
			return errDenied
		}
		if refused := p.edit(d, in, u.id, invalidByHand); refused != nil {
			return refused
		}
		return nil
	})
	if err != nil {
		p.show(w, http.StatusBadRequest, "message", params{"User": u.name, "Text": err.Error()})
		return
	}
	http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
}

// pressRun lets a rule of the app come to work on the deal at once, as a scheme would when the deal enters its stage.
func (p *Portal) pressRun(w http.ResponseWriter, r *http.Request, u *user) {
	id := r.PathValue("id")
	err := error(errDenied)
	if u.deals {
		_, err = p.RunRobot(r.FormValue("code"), id, nil)
	}
	if err != nil {
		p.show(w, http.StatusBadRequest, "message", params{"User": u.name, "Text": err.Error()})
		return
	}
	http.Redirect(w, r, "/crm/deal/details/"+url.PathEscape(id)+"/", http.StatusSeeOther)
}

// liveDeal is what the card asks for each second.
func (p *Portal) liveDeal(w http.ResponseWriter, r *http.Request, u *user) {
	p.mu.Lock()
	defer p.mu.Unlock()
	d, err := p.dealByID(r.PathValue("id"))
	if err != nil || !u.deals {
		answer(w, http.StatusNotFound, params{"error": "not found"})
		return
	}
	s, _ := stageByID(d.stage)
	type field struct{ Code, Label, Text, Value, Kind string }
	fields := []field{{"OPPORTUNITY", "Amount", pretty(d.amount, d.currency), d.amount, "money"},
		{"ASSIGNED_BY_ID", "Responsible", userByID(strconv.Itoa(d.owner)).name, strconv.Itoa(d.owner), "employee"}}
	if who := p.contacts[d.contact]; who != nil {
		fields = append(fields, field{"CONTACT_ID", "Customer", who.name, strconv.Itoa(who.id), "crm"})
	}
	for _, f := range p.fields {
		shown, value := f.shown(d.uf[f.name], true), f.shown(d.uf[f.name], false)
		label := text(shown)
		if amount, currency, ok := strings.Cut(label, "|"); ok && f.kind == "money" {
			label = pretty(twoDecimals(amount), currency)
		}
		fields = append(fields, field{f.name, f.title(language(r)), label, text(value), f.kind})
	}
	notes, tasks := p.records(d.id)
	view := p.dealState(d, notes[d.id], tasks[d.id])
	runs := []RobotRun{}
	for _, r := range p.install.runs {
		if r.deal == d.id {
			runs = append(runs, r.shown())
		}
	}
	answer(w, http.StatusOK, params{"stage": params{"id": s.code, "name": s.name, "color": s.color}, "fields": fields, "notes": view.Notes,
		"tasks": view.Tasks, "runs": runs})
}

func twoDecimals(amount string) string {
	whole, cents, _ := strings.Cut(amount, ".")
	return whole + "." + (cents + "00")[:2]
}

func (p *Portal) showMarket(w http.ResponseWriter, _ *http.Request, u *user) {
	p.mu.Lock()
	finished := p.install.finished
	p.mu.Unlock()
	p.show(w, http.StatusOK, "market", params{"User": u.name, "Admin": u.admin, "Installed": finished, "Scope": strings.Split(p.srv.cfg.Scope, ",")})
}

func (p *Portal) pressInstall(w http.ResponseWriter, r *http.Request, u *user) {
	if !u.admin {
		p.show(w, http.StatusForbidden, "message", params{"User": u.name, "Text": "Only an administrator may install applications."})
		return
	}
	p.mu.Lock()
	p.begin()
	p.mu.Unlock()
	http.Redirect(w, r, "/market/app/", http.StatusSeeOther)
}

func (p *Portal) pressUninstall(w http.ResponseWriter, r *http.Request, u *user) {
	if !u.admin {
		p.show(w, http.StatusForbidden, "message", params{"User": u.name, "Text": "Only an administrator may delete applications."})
		return
	}
	p.Uninstall(r.FormValue("clean") != "")
	http.Redirect(w, r, "/market/", http.StatusSeeOther)
}

func (p *Portal) showApp(w http.ResponseWriter, r *http.Request, u *user) {
	p.mu.Lock()
	form, sid, err := p.openApp(u, language(r), params{})
	var view frameView
	if err == nil {
		view = p.frameView(form, sid)
	}
	p.mu.Unlock()
	if err != nil {
		p.show(w, http.StatusNotFound, "message", params{"User": u.name, "Text": "The application is not installed, or not fully installed yet."})
		return
	}
	p.show(w, http.StatusOK, "app", params{"User": u.name, "Frame": view})
}

// decodeInto reads a small JSON body of the portal's own pages.
func decodeInto(r *http.Request, v any) {
	_ = json.NewDecoder(http.MaxBytesReader(nil, r.Body, 1<<20)).Decode(v)
}
