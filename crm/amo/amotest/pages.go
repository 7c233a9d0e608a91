package amotest

import (
	"embed"
	"html/template"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed pages
var pageFiles embed.FS

var pageTemplates = template.Must(template.ParseFS(pageFiles, "pages/*.html"))

// sessionCookie holds the id of the user who signed in; there are no passwords here.
const sessionCookie = "crm_user"

// view is what a page's template gets.
type view struct {
	Title   string
	Product string
	Host    string
	Page    string // which of the pages
	User    *person
	Users   []person
	Leads   []leadRow
	Visible int // deals that the user may see; Leads holds the first of them
	Deal    *Deal
	Widget  *widgetView
	Context any // for the scripts, as JSON
	Next    string
	Message string
	OAuth   *consent
}

type person struct {
	ID    int64  `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Admin bool   `json:"admin"`
}

type leadRow struct {
	Deal
	StageName string
	Contact   string
}

// Grouped is the budget as people read it: 1,250,000.00.
func (r leadRow) Grouped() string {
	whole, cents, _ := strings.Cut(r.Amount, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return whole + "." + cents
}

func show(w http.ResponseWriter, status int, v view) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = pageTemplates.ExecuteTemplate(w, "layout.html", v)
}

// page is a handler that knows who is signed in.
type page func(w http.ResponseWriter, r *http.Request, u person)

func (a *Account) pageRoutes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /assets/{file}", func(w http.ResponseWriter, r *http.Request) {
		serveFile(w, r.PathValue("file"), func() ([]byte, error) { return pageFiles.ReadFile("pages/" + r.PathValue("file")) })
	})
	mux.HandleFunc("GET /widgets/{code}/{file...}", a.widgetFile)
	mux.HandleFunc("GET /{$}", a.loginPage)
	mux.HandleFunc("/login", a.login) // GET too, for links: /login?user=7000001&next=/leads/
	for pattern, p := range map[string]page{
		"GET /leads/{$}":                  a.listPage,
		"GET /leads/detail/{id}":          a.cardPage,
		"GET /settings/widgets/{$}":       a.marketplacePage,
		"GET /settings/widgets/{code}/":   a.advancedPage,
		"GET /ajax/leads/{id}":            a.ajaxLead,
		"POST /ajax/leads/{id}":           a.ajaxEdit,
		"GET /ajax/token":                 a.ajaxToken,
		"POST /ajax/widget/{act}":         a.ajaxWidget,
		"GET /ajax/leads/{id}/contacts":   a.ajaxContacts,
		"GET /ajax/context/{area}/{lead}": a.ajaxContext,
	} {
		mux.HandleFunc(pattern, a.signedIn(p))
	}
	return mux
}

func serveFile(w http.ResponseWriter, name string, read func() ([]byte, error)) {
	content, err := read()
	if err != nil {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(content)
}

// widgetFile serves the archive's files as they are.
func (a *Account) widgetFile(w http.ResponseWriter, r *http.Request) {
	archive, err := a.server.archive()
	if err != nil || r.PathValue("code") != a.server.config.WidgetCode {
		http.Error(w, "no such widget", http.StatusNotFound)
		return
	}
	name := r.PathValue("file")
	if archive.Files[name] == nil {
		http.Error(w, "no such file", http.StatusNotFound)
		return
	}
	serveFile(w, name, func() ([]byte, error) { return archive.Files[name], nil })
}

func (a *Account) people() []person {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []person
	for _, u := range a.users {
		out = append(out, person{u.id, u.name, u.email, u.admin})
	}
	return out
}

func (a *Account) person(r *http.Request) *person {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	for _, p := range a.people() {
		if strconv.FormatInt(p.ID, 10) == c.Value {
			return &p
		}
	}
	return nil
}

func (a *Account) signedIn(p page) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		u := a.person(r)
		switch {
		case u != nil:
			p(w, r, *u)
		case strings.HasPrefix(r.URL.Path, "/ajax/"):
			http.Error(w, "sign in", http.StatusUnauthorized)
		default:
			http.Redirect(w, r, "/?next="+template.URLQueryEscaper(r.URL.RequestURI()), http.StatusFound)
		}
	}
}

func (a *Account) view(name, title string, u *person) view {
	return view{Title: title, Product: a.server.config.Variant.Title, Host: a.Referer(), Page: name, User: u}
}

func (a *Account) loginPage(w http.ResponseWriter, r *http.Request) {
	v := a.view("login", "Sign in", nil)
	v.Users, v.Next = a.people(), r.FormValue("next")
	show(w, http.StatusOK, v)
}

// login sets the cookie of the chosen user and goes on to next, a path of this account.
func (a *Account) login(w http.ResponseWriter, r *http.Request) {
	next := r.FormValue("next")
	if !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") {
		next = "/leads/"
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: r.FormValue("user"), Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode})
	http.Redirect(w, r, next, http.StatusSeeOther)
}

// as is a REST call's rights without a request, for pages.
func (a *Account) as(u person) *call { return &call{Account: a, user: a.user(u.ID)} }

// listed is how many deals the page of deals shows.
const listed = 200

func (a *Account) listPage(w http.ResponseWriter, _ *http.Request, u person) {
	v := a.view("leads", "Deals", &u)
	a.mu.Lock()
	for _, l := range a.leads {
		if l.deleted || !a.as(u).sees(l) {
			continue
		}
		if v.Visible++; v.Visible > listed {
			continue
		}
		row := leadRow{Deal: a.deal(l), StageName: a.pipeline(l.pipeline).status(l.status).name}
		if k := a.mainContact(l); k != nil {
			row.Contact = k.name
		}
		v.Leads = append(v.Leads, row)
	}
	a.mu.Unlock()
	show(w, http.StatusOK, v)
}

func (a *Account) mainContact(l *lead) *contact {
	for _, k := range l.links {
		if k.toType == "contacts" {
			return a.contact(k.toID)
		}
	}
	return nil
}

// seen reports whether the user may see the lead, and answers when not.
func (a *Account) seen(w http.ResponseWriter, r *http.Request, u person) bool {
	a.mu.Lock()
	l, err := a.existing(r.PathValue("id"))
	ok := err == nil && a.as(u).sees(l)
	a.mu.Unlock()
	if ok {
		return true
	}
	v := a.view("refused", "Deal", &u)
	v.Message = "There is no such deal, or you have no access to it."
	show(w, http.StatusForbidden, v)
	return false
}

func (a *Account) cardPage(w http.ResponseWriter, r *http.Request, u person) {
	if !a.seen(w, r, u) {
		return
	}
	deal := a.Deal(r.PathValue("id"))
	v := a.view("card", deal.Title, &u)
	v.Deal = &deal
	v.Context = a.context(u, "lcard", deal.ID)
	show(w, http.StatusOK, v)
}

func (a *Account) marketplacePage(w http.ResponseWriter, _ *http.Request, u person) {
	v := a.view("marketplace", "Integrations", &u)
	c := a.context(u, "settings", "")
	v.Context, v.Widget = c, c.Widget
	show(w, http.StatusOK, v)
}

func (a *Account) advancedPage(w http.ResponseWriter, r *http.Request, u person) {
	c := a.context(u, "advanced_settings", "")
	if c.Widget == nil || r.PathValue("code") != c.Widget.Code {
		http.NotFound(w, r)
		return
	}
	v := a.view("advanced", c.Widget.Title, &u)
	v.Context, v.Widget = c, c.Widget
	show(w, http.StatusOK, v)
}
