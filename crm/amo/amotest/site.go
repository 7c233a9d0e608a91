package amotest

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// consent is the page on the www host that asks whether an integration may have access.
type consent struct {
	ClientID, State, Mode string
	Accounts              []consentAccount
	Target                string // where the browser goes, once decided
}

type consentAccount struct {
	Sub  string
	Host string
	User []person
}

// serveSite answers on the www host: /oauth, also with a slash and behind a language.
func (s *Server) serveSite(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(r.URL.Path, "/")
	if lang, rest, ok := strings.Cut(path, "/"); ok && slices.Contains([]string{"es", "br", "id", "en", "ru"}, lang) {
		path = rest
	}
	switch {
	case r.URL.Path == "/oauth2/account/subdomain":
		s.serveOldSubdomain(w, r)
	case path == "oauth" && r.Method == http.MethodPost:
		s.decide(w, r)
	case path == "oauth":
		s.ask(w, r)
	case strings.HasPrefix(path, "assets/"):
		s.all()[0].pages.ServeHTTP(w, r)
	default:
		notFound(w, r)
	}
}

func (s *Server) ask(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	v := view{Title: "Access", Product: s.config.Variant.Title, Host: r.Host, Page: "oauth"}
	if q.Get("client_id") != s.config.ClientID {
		v.Page, v.Message = "refused", "There is no integration with this client_id."
		show(w, http.StatusBadRequest, v)
		return
	}
	v.OAuth = &consent{ClientID: q.Get("client_id"), State: q.Get("state"), Mode: q.Get("mode")}
	for _, a := range s.all() {
		v.OAuth.Accounts = append(v.OAuth.Accounts, consentAccount{a.Subdomain(), a.Referer(), a.people()})
	}
	show(w, http.StatusOK, v)
}

// decide sends the browser back with a code or access_denied. With mode=popup the window
// navigates its opener and closes.
func (s *Server) decide(w http.ResponseWriter, r *http.Request) {
	sub, who, _ := strings.Cut(r.FormValue("who"), "/")
	a := s.Account(sub)
	if a == nil || r.FormValue("client_id") != s.config.ClientID {
		http.Error(w, "no such account or integration", http.StatusBadRequest)
		return
	}
	id, _ := strconv.ParseInt(who, 10, 64)
	target, err := a.Deny(r.FormValue("state"))
	if r.FormValue("decision") == "allow" {
		target, err = a.Allow(id, r.FormValue("state"))
	}
	v := view{Title: "Access", Product: s.config.Variant.Title, Host: r.Host}
	switch {
	case err != nil:
		v.Page, v.Message = "refused", err.Error()
		show(w, http.StatusForbidden, v)
	case r.FormValue("mode") == "popup":
		v.Page, v.OAuth = "popup", &consent{Target: target}
		show(w, http.StatusOK, v)
	default:
		if _, err := url.Parse(target); err == nil {
			http.Redirect(w, r, target, http.StatusFound)
		}
	}
}
