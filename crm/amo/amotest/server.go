// Package amotest is a stand-in of amoCRM and Kommo: one HTTP server with
// stateful accounts that speaks the vendors' documented protocol (OAuth 2.0,
// REST v4, webhooks, widget archive, one-time tokens), enforces its limits and
// misbehaves on request. Tests and the demo run on it.
//
// Requests are routed by the Host header; a port and a trailing ".localhost"
// are ignored. Facts follow the vendors' public documentation
// (www.amocrm.ru/developers, developers.kommo.com); what these leave open is a
// field of [Switches].
package amotest

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config says which accounts there are and where our application is.
type Config struct {
	Variant      Variant
	ClientID     string // integration id, a UUID
	ClientSecret string
	RedirectURI  string // exact; empty means <AppURL>/<variant>/install
	// AppURL is the base of our application, without a trailing slash. The disable hook is
	// <AppURL>/<variant>/uninstall.
	AppURL string
	// Archive returns the widget's zip; nil leaves the pages without a widget.
	Archive func() ([]byte, error)
	// WidgetCode is the code the marketplace gave the widget; empty means "dealpay".
	WidgetCode string
	// HTTP sends hooks; nil means a plain client. Redirects are never followed.
	HTTP *http.Client
	// PublicSuffix is appended to every host the server names (referer, api_domain, links), such
	// as ".localhost:8090". Hosts under .localhost are named with http, others with https.
	PublicSuffix string
	Accounts     []string // subdomains; default "acme"
	Leads        int      // seeded in each account; default 20
	// StrictRefresh refuses a refresh token after its first use. Otherwise the old one works
	// until the new pair is first used (developers.kommo.com, "OAuth 2.0").
	StrictRefresh bool
}

// Server is a stand-in of one product with its accounts. It is an http.Handler.
type Server struct {
	config   Config
	limiter  *limiter
	archives archiveCache
	stop     context.CancelFunc
	done     sync.WaitGroup

	mu       sync.Mutex
	accounts []*Account
	byHost   map[string]*Account // current hosts
	former   map[string]*Account // hosts before a rename: only the control API answers
}

// New starts a server. Close ends its goroutines.
func New(config Config) *Server {
	if config.WidgetCode == "" {
		config.WidgetCode = "dealpay"
	}
	if config.Leads == 0 {
		config.Leads = Leads
	}
	if len(config.Accounts) == 0 {
		config.Accounts = []string{"acme"}
	}
	if config.RedirectURI == "" {
		config.RedirectURI = config.AppURL + "/" + config.Variant.Name + "/install"
	}
	client := http.Client{}
	if config.HTTP != nil {
		client = *config.HTTP
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	config.HTTP = &client
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{config: config, limiter: newLimiter(), stop: stop,
		byHost: map[string]*Account{}, former: map[string]*Account{}}
	for i, sub := range config.Accounts {
		a := newAccount(s, config.Variant.firstAccount+int64(i), sub)
		s.accounts = append(s.accounts, a)
		s.byHost[sub+"."+config.Variant.Zone] = a
		s.done.Go(func() { a.deliverLoop(ctx) })
	}
	return s
}

// Close ends the server's goroutines and waits for them.
func (s *Server) Close() {
	s.stop()
	s.done.Wait()
}

// Hosts lists the host names the server answers to, without PublicSuffix: accounts first.
func (s *Server) Hosts() []string {
	var hosts []string
	for _, a := range s.all() {
		hosts = append(hosts, a.Host())
	}
	return append(hosts, "www."+s.config.Variant.Zone, s.config.Variant.APIHost)
}

// Account returns the account with this subdomain, nil when there is none.
func (s *Server) Account(sub string) *Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byHost[sub+"."+s.config.Variant.Zone]
}

func (s *Server) all() []*Account {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Account{}, s.accounts...)
}

// ServeHTTP routes by the Host header.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := plainHost(r.Host)
	s.mu.Lock()
	account, former := s.byHost[host], s.former[host]
	s.mu.Unlock()
	control := strings.HasPrefix(r.URL.Path, "/_control/")
	switch {
	case account != nil:
		account.ServeHTTP(w, r)
	case former != nil && control:
		former.ServeHTTP(w, r)
	case host == "www."+s.config.Variant.Zone:
		s.serveSite(w, r)
	case host == s.config.Variant.APIHost:
		s.serveShared(w, r)
	default:
		notFound(w, r)
	}
}

func plainHost(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.TrimSuffix(strings.ToLower(host), ".localhost")
}

// base is the URL of a host as the outside reaches it, without a trailing slash.
func (s *Server) base(host string) string {
	named := host + s.config.PublicSuffix
	name, _, err := net.SplitHostPort(named)
	if err != nil {
		name = named
	}
	if strings.HasSuffix(name, ".localhost") {
		return "http://" + named
	}
	return "https://" + named
}

// send sends a request of the CRM's servers within the given time and returns the status, 0
// when there was no answer.
func (s *Server) send(ctx context.Context, req *http.Request, within time.Duration, client *http.Client) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if client == nil {
		client = s.config.HTTP
	}
	answer, err := client.Do(req.WithContext(ctx))
	if err != nil {
		return 0, err
	}
	return answer.StatusCode, answer.Body.Close()
}
