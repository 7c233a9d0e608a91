package bitrix24test

import (
	"crypto/md5"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/tenants/standintest"
)

// Portal is one customer's Bitrix24.
type Portal struct {
	// Control holds the clock, faults, request log and counters of this portal. Requests to
	// the authorization server about this portal pass through it as well.
	Control *standintest.Control

	srv     *Server
	number  int
	handler http.Handler
	member  string

	mu        sync.Mutex
	host      string
	plan      Plan
	bucket    bucket
	operating operating
	costs     map[string]time.Duration
	install   installation
	removed   bool // the app was uninstalled and not installed again
	tokens    tokens
	frames    map[string]frame // by APP_SID
	queued    []offlineRow

	crm
}

// crm is what Reset brings back to its seed.
type crm struct {
	lastID     int // of everything but deals, contacts and users
	lastDeal   int
	deals      map[int]*deal
	contacts   map[int]*contact
	fields     []*userField
	notes      []*note
	activities []*activity
	notices    []notice
}

// installation is the app as this portal knows it.
type installation struct {
	begun, finished bool
	appToken        string // application_token
	version         int
	ranBy           map[int]bool // users who opened the app
	handlers        []*handler
	placements      []*placement
	options         params
	userOptions     map[int]params
	robots          []params
	runs            []*run
}

func newPortal(s *Server, n int, host string) *Portal {
	sum := md5.Sum([]byte(host)) // member_id is 32 hex characters that never change
	p := &Portal{Control: standintest.New(), srv: s, number: n, member: hex.EncodeToString(sum[:]), host: host,
		plan: Standard, operating: operating{}, costs: map[string]time.Duration{}, tokens: newTokens(), frames: map[string]frame{}}
	p.install = installation{options: params{}, userOptions: map[int]params{}, ranBy: map[int]bool{}}
	p.crm = seed(time.Now())
	c := p.Control
	c.State = func() any { return p.State() }
	c.Reset = p.reset
	c.OnThrottle = func(w http.ResponseWriter, _ *http.Request) { refuse(w, errQueryLimit) }
	c.OnFault = func(f standintest.Fault) {
		if f.Kind == standintest.Revoke {
			c.Take(standintest.Revoke, f.Match)
			p.Revoke()
		}
	}
	c.Label = label
	p.handler = p.routes()
	return p
}

func (p *Portal) routes() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/_control/", p.controlRoutes())
	mux.Handle("/rest/", p.Control.Wrap(http.HandlerFunc(p.serveREST)))
	mux.Handle("/oauth/authorize/", p.Control.Wrap(http.HandlerFunc(p.serveAuthorize)))
	p.pageRoutes(mux)
	return mux
}

// label adds the called method, and those inside a batch, to what faults are matched with.
func label(r *http.Request, body []byte) string {
	name := restMethod(r.URL.Path)
	if name != "batch" {
		return name
	}
	in, keys, err := decodeParams(r, body)
	if err != nil {
		return name
	}
	return name + " " + batchLabel(in, keys)
}

// Host is the portal's present host name, without Config.PublicSuffix.
func (p *Portal) Host() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.host
}

// URL is the portal's base URL as browsers see it.
func (p *Portal) URL() string { return p.srv.public(p.Host()) }

// MemberID is the portal's permanent id.
func (p *Portal) MemberID() string { return p.member }

// AppToken is the application_token of the present installation, empty before the first.
func (p *Portal) AppToken() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.install.appToken
}

// domain is DOMAIN as the app sees it. Callers hold the lock.
func (p *Portal) domain() string { return p.host + p.srv.cfg.PublicSuffix }

// SetPlan changes the tariff and with it the request limits.
func (p *Portal) SetPlan(plan Plan) {
	p.mu.Lock()
	p.plan = plan
	p.mu.Unlock()
}

// SetCost sets the execution time that one call of a method is booked with. The call
// does not become slower by it.
func (p *Portal) SetCost(method string, d time.Duration) {
	p.mu.Lock()
	p.costs[strings.ToLower(method)] = d
	p.mu.Unlock()
}

// Rename gives the portal another host name; the old one answers 302 from now on.
func (p *Portal) Rename(host string) {
	p.srv.mu.Lock()
	p.srv.byHost[host] = p
	p.srv.mu.Unlock()
	p.mu.Lock()
	p.host = host
	p.mu.Unlock()
}

// reset brings deals, contacts, timeline, plan and limits back to the seed. The app stays
// installed, with its tokens, fields, placements and subscriptions, so that a running demo
// goes on.
func (p *Portal) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	fields, lastID := p.fields, p.lastID
	p.crm = seed(p.Control.Clock.Now())
	p.fields, p.lastID = fields, lastID
	p.plan, p.bucket, p.operating = Standard, bucket{}, operating{}
	p.costs = map[string]time.Duration{}
	p.queued = nil
}

// id makes the next id of timeline records, activities, fields and options.
func (p *Portal) id() int {
	p.lastID++
	return p.lastID
}

// Credentials are what a program needs to talk to this portal without installing the app
// first: names, secrets and a fresh token pair of the administrator.
func (p *Portal) Credentials() map[string]any {
	t := p.TokenFor("1")
	p.mu.Lock()
	defer p.mu.Unlock()
	base := p.srv.public(p.host)
	return map[string]any{
		"member_id": p.member, "domain": p.domain(), "url": base, "client_endpoint": base + "/rest/",
		"server_endpoint": p.srv.public(AuthHost) + "/rest/", "auth_url": p.srv.public(AuthHost),
		"client_id": p.srv.cfg.ClientID, "client_secret": p.srv.cfg.ClientSecret, "scope": p.srv.cfg.Scope,
		"application_token": p.install.appToken, "access_token": t.Access, "refresh_token": t.Refresh,
		"expires_in": int(accessLife.Seconds()), "user_id": "1",
		"users": map[string]string{"admin": "1", "manager": "2", "no_rights": "3"},
	}
}

// user of a portal.
type user struct {
	id           int
	name, login  string
	admin, deals bool // deals: may read and change deals and contacts
}

var users = []*user{
	{id: 1, name: "Admin", login: "admin@example.com", admin: true, deals: true},
	{id: 2, name: "Manager", login: "manager@example.com", deals: true},
	{id: 3, name: "Guest", login: "guest@example.com"},
}

func userByID(id string) *user {
	n, _ := strconv.Atoi(id)
	for _, u := range users {
		if u.id == n {
			return u
		}
	}
	return nil
}
