// Package bitrix24 is the CRM port's adapter to Bitrix24: REST v2 through batch, universal CRM items
// (crm.item.*), placements, events and the iframe opening.
//
// Everything the adapter does in an account goes through the method batch (vendor documentation "How to call
// REST methods: batch"), because a batch counts as one request at the rate limit. What it calls:
//
//	crm.item.get, crm.item.update          deals (entity type 2) and contacts (3), with original names of user fields
//	crm.category.list, crm.status.list     pipelines and stages
//	crm.timeline.comment.add, .list        notes: the only timeline record that is documented, findable and old
//	                                       enough for self-hosted portals
//	crm.activity.todo.add, crm.activity.list, crm.activity.update
//	                                       tasks: a to-do of the deal's timeline needs no scope but crm, its title is
//	                                       searchable, and COMPLETED closes it; tasks.task.* would need the scope task
//	userfieldconfig.list, .get, .add, .update   our fields
//	crm.deal.fields                        the customer's own fields
//	placement.get, .bind, .unbind; event.get, .bind, .unbind; app.info; profile
//	bizproc.robot.list, .add, .update, .delete; bizproc.event.send, bizproc.activity.log
//	                                       rules of the portal's automation; a portal without them does without
package bitrix24

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// The vendor's authorization servers (vendor documentation "OAuth 2.0"). Which of them issued a token is told by
// server_endpoint; no other host may ever see a client secret.
const (
	AuthWorld  = "https://oauth.bitrix.info"
	AuthRussia = "https://oauth.bitrix24.tech"
	// TokenPath is the token endpoint below an authorization server.
	TokenPath = "/oauth/token/"
	// AuthorizePath is where a person starts OAuth, below a portal.
	AuthorizePath = "/oauth/authorize/"
)

// Scope lists what the application asks for, in the vendor's words.
var Scope = []string{"crm", "placement", "userfieldconfig", "bizproc"}

// The entity types of CRM items that the adapter touches.
const (
	typeDeal    = 2
	typeContact = 3
)

// cardPlacement is the tab in the deal's card.
const cardPlacement = "CRM_DEAL_DETAIL_TAB"

// Config is what an Account works with.
type Config struct {
	Endpoint string       // client_endpoint: REST base of the portal, with trailing slash
	HTTP     *http.Client // with a deadline; redirects are not followed
	Tokens   crm.Tokens
	Pacer    crm.Pacer // nil: everything passes
	Layout   crm.Layout
	Handlers Handlers
	Lang     string           // of option labels and titles, of crm.Langs; others mean English
	Places   crm.Places       // what does not go to our own fields
	Zone     *time.Location   // whose days are written; nil: UTC
	Now      func() time.Time // nil: time.Now
	// Moved is asked when the portal answers that it lives elsewhere now (status 302). It checks the new endpoint
	// and keeps it; an error refuses to follow. nil refuses always.
	Moved func(ctx context.Context, endpoint string) error
}

// Handlers are our URLs that a portal calls.
type Handlers struct {
	Card   string // tab of the deal's card
	Events string // receives events
	Robots string // begins the addresses of automation rules, which end in their codes; empty registers none
}

// Account is one portal.
type Account struct {
	c      Config
	layout layout

	mu       sync.Mutex
	endpoint string
	resets   map[string]time.Time // when a method's operating time is forgiven, as last heard
}

var (
	_ crm.Account       = (*Account)(nil)
	_ crm.FieldsReader  = (*Account)(nil)
	_ crm.RobotAnswerer = (*Account)(nil)
)

// New opens a portal. A layout that cannot be read counts as none: Setup finds the fields again.
func New(c Config) *Account {
	if c.Pacer == nil {
		c.Pacer = crm.NoPacer{}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	c.HTTP = direct(c.HTTP)
	l := parseLayout(c.Layout)
	l.elsewhere = elsewhere{c.Places, c.Lang, c.Zone}
	return &Account{c: c, layout: l, endpoint: c.Endpoint, resets: map[string]time.Time{}}
}

// direct is a client that follows no redirect: a token must not travel to a host that nobody checked.
func direct(c *http.Client) *http.Client {
	if c == nil {
		c = &http.Client{Timeout: time.Minute}
	}
	stay := *c
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &stay
}

// Info is what app.info says of the installed application (vendor documentation "app.info").
type Info struct {
	Version    int
	Status     string // L local, F free, D demo, T trial, P paid, S subscription
	Installed  bool   // installation is finished: placements are shown and events sent
	Expired    bool   // trial or paid period is over
	License    string // plan, such as "de_ent10000"
	Enterprise bool   // the plan with the larger rate limit
	Lang       string // BCP 47 primary tag of the portal's language
}

// Info reads plan and status of the application in this portal.
func (a *Account) Info(ctx context.Context) (Info, error) {
	got, err := a.one(ctx, command{method: "app.info"})
	if err != nil {
		return Info{}, err
	}
	var in struct {
		Version   text `json:"VERSION"`
		Status    text `json:"STATUS"`
		Installed text `json:"INSTALLED"`
		Expired   text `json:"PAYMENT_EXPIRED"`
		Language  text `json:"LANGUAGE_ID"`
		License   text `json:"LICENSE"`
		Family    text `json:"LICENSE_FAMILY"`
	}
	if err := json.Unmarshal(got, &in); err != nil {
		return Info{}, unreadable("app.info", err)
	}
	return Info{Version: in.Version.int(), Status: string(in.Status), Installed: in.Installed.yes(),
		Expired: in.Expired.yes(), License: string(in.License), Lang: Language(string(in.Language)),
		Enterprise: in.Family == "ent" || strings.Contains(string(in.License), "_ent")}, nil
}

var languages = map[string]string{"la": "es", "br": "pt", "ua": "uk", "kz": "kk", "sc": "zh", "tc": "zh", "vn": "vi",
	"am": "hy"}

// Language turns Bitrix24's language code into a BCP 47 primary tag; what is no code gives "".
func Language(code string) string {
	code = strings.ToLower(code)
	if tag, ok := languages[code]; ok {
		return tag
	}
	if len(code) != 2 || code[0] < 'a' || code[0] > 'z' || code[1] < 'a' || code[1] > 'z' {
		return ""
	}
	return code
}

func unreadable(op string, err error) *crm.Error {
	return &crm.Error{Class: crm.Transient, Op: op, Code: "UNREADABLE", Err: fmt.Errorf("answer cannot be read: %w", err)}
}
