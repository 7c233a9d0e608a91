package amotest

import "net/http"

func (a *Account) pageRoutes() http.Handler { return http.NewServeMux() }

func (s *Server) serveSite(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/oauth2/account/subdomain" {
		s.serveOldSubdomain(w, r)
		return
	}
	notFound(w, r)
}
