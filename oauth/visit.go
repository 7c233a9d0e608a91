package oauth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// Errors of Visit.
var (
	ErrNotConnected = errors.New("oauth: this CRM account is not connected")
	ErrNoDeal       = errors.New("oauth: there is no such deal, or this user may not see it")
)

// makeGuards makes what confirms openings, one for each CRM.
func (s *Service) makeGuards() map[crm.System]crm.Guard {
	guards := map[crm.System]crm.Guard{crm.Bitrix24: &bitrix24.Guard{ClientID: s.c.Bitrix24.ClientID, HTTP: s.c.HTTP,
		AuthServers: list(s.c.Bitrix24.AuthURL), AllowHost: s.allowed, Pacer: s.visitorsPacer, Now: s.c.Now}}
	for _, system := range []crm.System{crm.AmoCRM, crm.Kommo} {
		guards[system] = amo.Guard{Variant: variant(system), ClientID: s.app(system).ClientID, Secrets: s.app(system).secrets(),
			Audience: s.c.PublicURL, AllowHost: func(host string) bool { return s.allowedAmo(system, host) }, Now: s.c.Now,
			Strict: s.c.StrictTokens,
			Replay: func(ctx context.Context, jti string, until time.Time) (bool, error) {
				return s.c.DB.Spend(ctx, "one-time token "+jti, until, s.c.Now())
			}}
	}
	return guards
}

// visitorsPacer is the pacer of a portal that somebody comes from. Where the portal is not connected, or that cannot be found out,
// it has the smaller plan.
func (s *Service) visitorsPacer(ctx context.Context, accountKey string) crm.Pacer {
	enterprise := false
	if id, _, err := s.c.DB.Enter(ctx, tenants.Door(crm.Bitrix24), accountKey); err == nil {
		_ = s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
			me, err := tx.Me(ctx)
			enterprise = me.Enterprise
			return err
		})
	}
	return s.pacer(crm.Bitrix24, accountKey, enterprise)
}

// list splits a comma list of addresses.
func list(text string) []string {
	var parts []string
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSuffix(strings.TrimSpace(part), "/"); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func (a App) secrets() []string {
	return slices.DeleteFunc([]string{string(a.ClientSecret), string(a.OldSecret)}, func(s string) bool { return s == "" })
}

// Visit confirms who opened one of our pages from a CRM (the card, settings) and finds the tenant. A renamed account is
// followed, and an administrator's opening revives a Bitrix24 connection that had died. When the page is about a deal,
// this user may read it (Visitor.DealSeen is then true).
//
// Errors: crm.ErrForged; ErrNotConnected, with the visitor; ErrNoDeal; an *crm.Error when the CRM cannot be asked, of
// class Revoked when an administrator must reconnect (tenant and visitor are then filled). A Bitrix24 opening proves
// itself, so that a tenant whose status is not active is no error there.
func (s *Service) Visit(ctx context.Context, system crm.System, r *http.Request) (crm.Visitor, tenants.Tenant, error) {
	guard, known := s.guards[system]
	if !known || s.app(system).ClientID == "" {
		return crm.Visitor{}, tenants.Tenant{}, crm.ErrForged
	}
	ctx = crm.WithPriority(ctx, crm.Person)
	v, err := guard.Visit(ctx, r)
	if err != nil {
		return crm.Visitor{}, tenants.Tenant{}, err
	}
	id, _, err := s.c.DB.Enter(ctx, tenants.Door(system), v.AccountKey)
	if errors.Is(err, tenants.ErrNoDoor) {
		return v, tenants.Tenant{}, ErrNotConnected
	}
	if err != nil {
		return crm.Visitor{}, tenants.Tenant{}, err
	}
	c, err := s.welcome(ctx, id, v)
	if err != nil {
		return crm.Visitor{}, tenants.Tenant{}, err
	}
	if system != crm.Bitrix24 {
		err = s.introduce(ctx, c, &v)
	}
	if err == nil {
		err = s.seen(ctx, c, &v)
	}
	return v, c.tenant, err
}

// welcome brings the tenant up to date with what a confirmed opening says.
func (s *Service) welcome(ctx context.Context, id tenants.ID, v crm.Visitor) (connection, error) {
	c, err := s.connection(ctx, id)
	if err != nil {
		return c, err
	}
	revive := v.Grant != nil && v.Admin && v.Grant.RefreshToken != "" && c.lost() != nil
	switch {
	case revive:
		_, err = s.connect(ctx, newcomer{system: v.System, key: v.AccountKey, domain: v.Domain, grant: *v.Grant, by: person(v.UserID)})
	case c.tenant.Domain != v.Domain || v.Grant != nil && v.Admin && v.Grant.AppToken != "" && v.Grant.AppToken != c.grant.AppToken:
		err = s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error { return s.update(ctx, tx, v) })
	default:
		return c, nil
	}
	if err != nil {
		return c, err
	}
	return s.connection(ctx, id)
}

// update follows a rename. An administrator's opening also brings the current application token, which an update of the
// application may have changed; it may have dropped our registrations too, so that Setup runs again.
func (s *Service) update(ctx context.Context, tx *tenants.Tx, v crm.Visitor) error {
	if _, err := tx.Exec(ctx, `UPDATE tenants SET domain = $1, updated_at = now()`, v.Domain); err != nil {
		return err
	}
	endpoint := egress.URL(v.Domain, "/")
	var app []byte
	if v.Grant != nil {
		endpoint = v.Grant.Endpoint
		if v.Admin && v.Grant.AppToken != "" {
			var err error
			if app, err = tx.Seal(hookPurpose, []byte(v.Grant.AppToken)); err != nil {
				return err
			}
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE crm_tokens SET endpoint = $1, app_token = coalesce($2, app_token)`, endpoint, app); err != nil {
		return err
	}
	return outbox.Make(ctx, tx, outbox.Setup, "account", s.c.Now())
}

// introduce fills what a one-time token of amoCRM and Kommo does not say: the user's name, language and whether this is
// an administrator. Without a working connection it stays unknown.
func (s *Service) introduce(ctx context.Context, c connection, v *crm.Visitor) error {
	if err := c.lost(); err != nil {
		return err
	}
	account, ok := s.open(c).(*amo.Account)
	if !ok {
		return errors.New("oauth: not an account of amoCRM or Kommo")
	}
	user, err := account.User(ctx, v.UserID)
	if absent(err) || err == nil && !user.Active {
		return crm.ErrForged
	}
	if err != nil {
		return err
	}
	v.UserName, v.Lang, v.Admin = user.Name, user.Lang, user.Admin
	return nil
}

// seen requires that the visitor may read the deal of the page.
func (s *Service) seen(ctx context.Context, c connection, v *crm.Visitor) error {
	if v.DealID == "" || v.DealSeen {
		return nil
	}
	if v.System == crm.Bitrix24 {
		return ErrNoDeal // its Guard has asked with the visitor's own token
	}
	reader, ok := s.open(c).(crm.UserReader)
	if !ok {
		return ErrNoDeal
	}
	_, err := reader.DealAs(ctx, v.UserID, v.DealID)
	if absent(err) {
		return ErrNoDeal
	}
	v.DealSeen = err == nil
	return err
}

// absent says that the CRM denies the thing or this user's right to it.
func absent(err error) bool {
	return err != nil && (crm.ClassOf(err) == crm.Gone || crm.ClassOf(err) == crm.Refused)
}

func person(userID string) tenants.Actor { return tenants.Actor("user:" + userID) }

// same compares secrets in constant time; an empty one is equal to nothing.
func same(a, b string) bool {
	return a != "" && subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
