// Package bitrix24test is a stand-in of Bitrix24: portals, their authorization
// servers and their event queue, as a real HTTP server with state. It speaks the
// protocol of the public REST documentation (https://apidocs.bitrix24.com),
// enforces its limits and misbehaves on request. Tests and the demo run on it.
package bitrix24test

import (
	"context"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Hosts of the authorization servers (page "Complete OAuth 2.0 Authorization Protocol").
const (
	AuthHost     = "oauth.bitrix.info"
	AuthHostEast = "oauth.bitrix24.tech"
)

// DefaultScope is what the app's card asks for.
const DefaultScope = "crm,placement,user_brief,im,task,bizproc,userfieldconfig"

// Config describes the app that portals install, and which portals there are.
type Config struct {
	ClientID, ClientSecret, AppCode string
	// AppURL is the base of our app, such as "http://localhost:8080"; portals call
	// /bitrix24/install, /bitrix24/app, /bitrix24/card and /bitrix24/events below it.
	AppURL string
	// RedirectURL is where the authorize page returns to; empty means AppURL + /bitrix24/connect.
	RedirectURL string
	// HTTP sends events; nil means a client with a deadline of ten seconds.
	HTTP *http.Client
	// PublicSuffix is appended to host names in URLs that browsers and the app see, such
	// as ".localhost:8090"; empty in tests. Names under .localhost use plain http.
	PublicSuffix string
	// Portals are host names; empty means acme.bitrix24.com.
	Portals []string
	// Scope is the comma list that the app's card asks for; empty means [DefaultScope].
	Scope string
}

// Server answers for all portals and both authorization servers, by Host header.
type Server struct {
	cfg     Config
	methods map[string]method
	queue   *queue

	mu      sync.RWMutex
	portals []*Portal
	byHost  map[string]*Portal // also former names
}

// New starts a stand-in. Close ends its event queue.
func New(cfg Config) *Server {
	if len(cfg.Portals) == 0 {
		cfg.Portals = []string{"acme.bitrix24.com"}
	}
	if cfg.Scope == "" {
		cfg.Scope = DefaultScope
	}
	cfg.AppURL = strings.TrimSuffix(cfg.AppURL, "/")
	if cfg.RedirectURL == "" {
		cfg.RedirectURL = cfg.AppURL + "/bitrix24/connect"
	}
	if cfg.HTTP == nil {
		cfg.HTTP = sender()
	}
	s := &Server{cfg: cfg, methods: allMethods(), queue: newQueue(cfg.HTTP), byHost: map[string]*Portal{}}
	for i, host := range cfg.Portals {
		p := newPortal(s, i, host)
		s.portals = append(s.portals, p)
		s.byHost[host] = p
	}
	return s
}

// sender is the default client of the event queue. Names under .localhost mean loopback
// (RFC 6761), also where the system's resolver does not know them.
func sender() *http.Client {
	var dialer net.Dialer
	return &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			if host, port, err := net.SplitHostPort(addr); err == nil && strings.HasSuffix(host, ".localhost") {
				addr = net.JoinHostPort("127.0.0.1", port)
			}
			return dialer.DialContext(ctx, network, addr)
		},
	}}
}

// Close stops the event queue; what waits in it is lost, as it is at the real one.
func (s *Server) Close() {
	s.queue.close()
	s.cfg.HTTP.CloseIdleConnections()
}

// Hosts are the names that this server answers for, former names of renamed portals included.
func (s *Server) Hosts() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]string{AuthHost, AuthHostEast}, slices.Sorted(maps.Keys(s.byHost))...)
}

// Portal returns the portal of a present or former host name, nil when there is none.
func (s *Server) Portal(host string) *Portal {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byHost[plainHost(host)]
}

// ServeHTTP routes by Host; unknown hosts get 404.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	host := plainHost(r.Host)
	if host == AuthHost || host == AuthHostEast {
		s.serveAuth(w, r, host)
		return
	}
	p := s.Portal(host)
	if p == nil {
		http.Error(w, "no such portal", http.StatusNotFound)
		return
	}
	if now := p.Host(); now != host && !strings.HasPrefix(r.URL.Path, "/_control/") {
		// Page "REST Call Peculiarities During Bitrix24 Address Changes": 302 to the new name.
		http.Redirect(w, r, s.public(now)+r.URL.RequestURI(), http.StatusFound)
		return
	}
	p.handler.ServeHTTP(w, r)
}

// public is the base URL of a host as others see it.
func (s *Server) public(host string) string { return s.scheme() + "://" + host + s.cfg.PublicSuffix }

func (s *Server) scheme() string {
	if strings.Contains(s.cfg.PublicSuffix, ".localhost") {
		return "http"
	}
	return "https"
}

// Client returns a client that sends every request over plain HTTP to addr (host:port),
// where a Server listens, whatever host and scheme the URL names. It follows no redirects.
func Client(addr string) *http.Client {
	return &http.Client{
		Transport:     rewrite{addr: addr, base: &http.Transport{MaxIdleConnsPerHost: 16}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type rewrite struct {
	addr string
	base *http.Transport
}

func (t rewrite) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	r.URL.Scheme, r.URL.Host = "http", t.addr
	return t.base.RoundTrip(r)
}

func (t rewrite) CloseIdleConnections() { t.base.CloseIdleConnections() }

// plainHost strips a port and a trailing .localhost.
func plainHost(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.TrimSuffix(strings.ToLower(host), ".localhost")
}
