package bitrix24

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
)

// Guard believes an opening only after Bitrix24's authorization server has said whose token it carries
// (vendor documentation "Security recommendations", "Simplified OAuth").
type Guard struct {
	ClientID string
	HTTP     *http.Client
	// AuthServers are the authorization servers that may be asked, scheme and host; the first one is asked when a
	// portal does not name any. Empty means AuthWorld and AuthRussia.
	AuthServers []string
	// AllowHost decides which portals may be called; it gets host names in lower case, without a port.
	AllowHost func(host string) bool
	// Pacer is of the account that an opening names; nil lets its question to the portal pass uncounted.
	Pacer func(ctx context.Context, accountKey string) crm.Pacer
	Now   func() time.Time // nil: time.Now
}

var _ crm.Guard = (*Guard)(nil)

// Visit confirms who opened our page. It calls nobody before host and authorization server are on the lists, then
// asks the authorization server once and the portal once. An opening that is not confirmed is ErrForged; when one
// of the two cannot be reached it is an *crm.Error.
func (g *Guard) Visit(ctx context.Context, r crm.Opening) (crm.Visitor, error) {
	o, err := readOpening(r)
	if err != nil {
		return crm.Visitor{}, err
	}
	server, err := g.server(o.Server)
	if err != nil {
		return crm.Visitor{}, err
	}
	if !g.allowed(o.Domain) {
		return crm.Visitor{}, forged("host %s is not allowed", o.Domain)
	}
	info, err := g.appInfo(ctx, server, o)
	if err != nil {
		return crm.Visitor{}, err
	}
	v := crm.Visitor{System: crm.Bitrix24, AccountKey: o.Member, Domain: info.host, Lang: o.Lang, Placement: o.Placement, DealID: o.Deal}
	if err := g.person(ctx, info, o, &v); err != nil {
		return crm.Visitor{}, err
	}
	now := time.Now
	if g.Now != nil {
		now = g.Now
	}
	v.Grant = &crm.Grant{AccessToken: o.Token, RefreshToken: o.Refresh, ExpiresAt: now().Add(o.Expires).UTC(),
		Endpoint: info.endpoint, AuthServer: server, AppToken: o.AppToken, Scope: info.scope, UserID: v.UserID}
	return v, nil
}

func (g *Guard) allowed(host string) bool {
	return g.AllowHost != nil && g.AllowHost(port.ReplaceAllString(host, ""))
}

func (g *Guard) server(named string) (string, error) {
	servers := g.AuthServers
	if len(servers) == 0 {
		servers = []string{AuthWorld, AuthRussia}
	}
	if named == "" {
		return strings.TrimSuffix(servers[0], "/"), nil
	}
	if !slices.Contains(servers, named) && !slices.Contains(servers, named+"/") {
		return "", forged("authorization server is not allowed")
	}
	return named, nil
}

// confirmed is what the authorization server said of a token.
type confirmed struct {
	host, endpoint, user, scope string
}

// appInfo asks the authorization server's app.info. Only its answer names the portal, never the POST. It does not
// ask for installed: the installer's page is opened before installation is finished.
func (g *Guard) appInfo(ctx context.Context, server string, o opening) (confirmed, error) {
	const op = "app.info"
	r, fail := post(ctx, direct(g.HTTP), server+"/rest/app.info", map[string]string{"auth": o.Token})
	var e envelope
	if fail == nil {
		fail = open(r, op, &e)
	}
	if fail != nil {
		return confirmed{}, doubt(op, fail)
	}
	var in struct {
		Client  text   `json:"client_id"`
		Scope   text   `json:"scope"`
		User    text   `json:"user_id"`
		Install object `json:"install"`
	}
	if err := json.Unmarshal(e.Result, &in); err != nil {
		return confirmed{}, unreadable(op, err)
	}
	if string(in.Client) != g.ClientID || g.ClientID == "" {
		return confirmed{}, forged("the token is another application's")
	}
	if in.Install.text("member_id") != o.Member {
		return confirmed{}, forged("the token is another portal's")
	}
	endpoint := in.Install.text("client_endpoint")
	u, err := url.Parse(endpoint)
	if err != nil || !plainHTTPAllowed(u) {
		return confirmed{}, forged("client_endpoint is odd")
	}
	host, err := cleanHost(u.Host)
	if err != nil || !g.allowed(host) {
		return confirmed{}, forged("host %s is not allowed", clip(u.Host))
	}
	return confirmed{host: host, endpoint: strings.TrimSuffix(endpoint, "/") + "/", user: string(in.User), scope: string(in.Scope)}, nil
}

// doubt tells a refusal, which means forgery here, from trouble on the way.
func doubt(op string, fail *crm.Error) error {
	if fail.Class == crm.Transient || fail.Class == crm.Throttled {
		trouble := unsent(fail)
		trouble.Op = op
		return trouble
	}
	return forged("%s refused: %s", op, clip(fail.Code))
}

// person reads who the visitor is, and with the same token whether this person may see the deal.
func (g *Guard) person(ctx context.Context, info confirmed, o opening, v *crm.Visitor) error {
	cmds := []command{{method: "profile"}}
	if o.Deal != "" {
		cmds = append(cmds, itemGet(typeDeal, o.Deal))
	}
	var pacer crm.Pacer = crm.NoPacer{}
	if g.Pacer != nil {
		pacer = g.Pacer(ctx, o.Member)
	}
	ctx = crm.WithPriority(ctx, crm.Person)
	if err := pacer.Wait(ctx, methodsOf(cmds)...); err != nil {
		return doubt("profile", unsent(wrap("profile", err)))
	}
	r, fail := post(ctx, direct(g.HTTP), info.endpoint+"batch", batchBody(o.Token, cmds))
	var got []answer
	var said crm.Pressure
	if fail == nil {
		reader := New(Config{Now: g.Now})
		got, said, fail = reader.read(r, cmds)
	}
	pacer.Seen(ctx, said)
	if fail == nil {
		fail = got[0].err
	}
	if fail != nil {
		return doubt("profile", fail)
	}
	var user object
	if err := json.Unmarshal(got[0].result, &user); err != nil {
		return unreadable("profile", err)
	}
	v.UserID = user.text("ID")
	if !isID(v.UserID) || info.user != "" && info.user != v.UserID {
		return forged("the portal names another user")
	}
	v.UserName = strings.TrimSpace(user.text("NAME") + " " + user.text("LAST_NAME"))
	v.Admin = text(user.text("ADMIN")).yes()
	if o.Deal == "" {
		return nil
	}
	return seen(got[1], o.Deal, v)
}

// seen notes whether the visitor could read the deal. Only trouble is an error.
func seen(got answer, deal string, v *crm.Visitor) error {
	if got.err != nil {
		if got.err.Class == crm.Gone || got.err.Class == crm.Refused {
			return nil
		}
		return unsent(got.err)
	}
	d, err := parseDeal(got.result, layout{})
	if err != nil {
		return unreadable("crm.item.get", err)
	}
	if d.ID != deal {
		return unreadable("crm.item.get", errors.New("another deal was answered"))
	}
	v.DealSeen = true
	return nil
}
