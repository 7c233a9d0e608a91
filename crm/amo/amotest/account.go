package amotest

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// Account is one CRM account. Its methods are safe for concurrent use.
type Account struct {
	// ID is the permanent id; the subdomain may change.
	ID int64
	// Control has the account's clock, faults, request log and counters of limits.
	Control *standintest.Control

	server  *Server
	api     http.Handler // REST and OAuth, logged and faulted by Control
	control http.Handler
	pages   http.Handler
	wake    chan struct{}

	mu       sync.Mutex
	sub      string
	switches Switches
	data
}

func newAccount(s *Server, id int64, sub string) *Account {
	a := &Account{ID: id, Control: standintest.New(), server: s, sub: sub, wake: make(chan struct{}, 1),
		switches: defaultSwitches(s.config)}
	a.data = seed(s.config, a.Control.Clock.Now().Unix())
	a.Control.State = func() any { return a.State() }
	a.Control.Reset = func() { a.reset(sub) }
	a.Control.OnThrottle = func(w http.ResponseWriter, _ *http.Request) { a.throttled(w) }
	a.Control.OnFault = func(f standintest.Fault) {
		if _, ok := a.Control.Take(standintest.Revoke, f.Match); f.Kind == standintest.Revoke && ok {
			a.RevokeTokens()
		}
	}
	a.api = a.Control.Wrap(http.HandlerFunc(a.serveAPI))
	a.control = a.controlRoutes()
	a.pages = a.pageRoutes()
	return a
}

// reset brings back the seed, also the subdomain. The integration stays as it was: installed, with its tokens, fields
// and webhooks, so that a client that is connected stays connected.
func (a *Account) reset(sub string) {
	a.Rename(sub)
	a.server.limiter.reset()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.switches = defaultSwitches(a.server.config)
	fresh := seed(a.server.config, a.Control.Clock.Now().Unix())
	fresh.codes, fresh.pairs, fresh.byAccess, fresh.kept = a.codes, a.pairs, a.byAccess, a.kept
	fresh.installed, fresh.settings, fresh.fields, fresh.hooks = a.installed, a.settings, a.fields, a.hooks
	fresh.lastID = max(fresh.lastID, a.lastID)
	a.data = fresh
}

// ServeHTTP answers requests for the account's own host.
func (a *Account) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/_control/"):
		a.control.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, "/api/"), strings.HasPrefix(r.URL.Path, "/oauth2/"):
		a.api.ServeHTTP(w, r)
	default:
		a.pages.ServeHTTP(w, r)
	}
}

func (a *Account) serveAPI(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/oauth2/access_token":
		a.serveToken(w, r)
	case "/oauth2/account/current/subdomain":
		a.server.serveSubdomain(w, r)
	default:
		a.serveREST(w, r)
	}
}

// Subdomain is the account's current subdomain.
func (a *Account) Subdomain() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sub
}

// Host is the account's current host name, such as "acme.amocrm.ru", without PublicSuffix.
func (a *Account) Host() string { return a.Subdomain() + "." + a.server.config.Variant.Zone }

// Referer is the host as redirects name it: with PublicSuffix, without scheme.
func (a *Account) Referer() string { return a.Host() + a.server.config.PublicSuffix }

// URL is the account's address, without a trailing slash; also the origin of its pages.
func (a *Account) URL() string { return a.server.base(a.Host()) }

// Rename changes the subdomain. Requests to the old host answer 404; its control API stays.
func (a *Account) Rename(sub string) {
	zone := "." + a.server.config.Variant.Zone
	a.server.mu.Lock()
	defer a.server.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	if sub == "" || sub == a.sub || a.server.byHost[sub+zone] != nil {
		return
	}
	delete(a.server.byHost, a.sub+zone)
	a.server.former[a.sub+zone] = a
	delete(a.server.former, sub+zone)
	a.sub = sub
	a.server.byHost[sub+zone] = a
}

// Switch changes the account's switches.
func (a *Account) Switch(change func(*Switches)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change(&a.switches)
}

func (a *Account) now() time.Time { return a.Control.Clock.Now() }

func (a *Account) user(id int64) *user {
	for _, u := range a.users {
		if u.id == id {
			return u
		}
	}
	return nil
}

func (a *Account) lead(id int64) *lead {
	for _, l := range a.leads {
		if l.id == id {
			return l
		}
	}
	return nil
}

func (a *Account) contact(id int64) *contact {
	for _, c := range a.contacts {
		if c.id == id {
			return c
		}
	}
	return nil
}

func (a *Account) pipeline(id int64) *pipeline {
	for _, p := range a.pipelines {
		if p.id == id {
			return p
		}
	}
	return nil
}

// Settle waits until no webhook is due or on its way. Later retries are not waited for.
func (a *Account) Settle(ctx context.Context) error {
	for a.busy() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
	return nil
}
