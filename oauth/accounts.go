package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/crm/amo"
	"github.com/dealpay/dealpay/crm/bitrix24"
	"github.com/dealpay/dealpay/crm/mapping"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// opened is an account with what it was made from, and the token that was good when it was handed out.
type opened struct {
	account crm.Account
	made    made
	token   string
	read    time.Time
}

// fresh is how long a token that was read with its account needs no second look at the database: the first calls follow
// within milliseconds. Whoever the CRM refuses looks again in any case.
const fresh = 500 * time.Millisecond

type made struct {
	endpoint, domain, apiDomain, hook, lang, layout, fields string
	enterprise                                              bool
}

// Account returns the tenant's CRM account, connected. Error: an *crm.Error of class Revoked when the tenant is not
// active.
func (s *Service) Account(ctx context.Context, id tenants.ID) (crm.Account, tenants.Tenant, error) {
	c, err := s.connection(ctx, id)
	if err == nil {
		err = c.lost()
	}
	if err != nil {
		return nil, c.tenant, err
	}
	return s.open(c), c.tenant, nil
}

// open returns the account of a connection, the same one while nothing about it changed: it remembers what the CRM said
// about limits and currency.
func (s *Service) open(c connection) crm.Account {
	m := made{c.grant.Endpoint, c.tenant.Domain, c.grant.APIDomain, c.grant.AppToken, c.tenant.Settings.Language, string(c.tenant.Layout), c.fields(), c.tenant.Enterprise}
	s.mu.Lock()
	defer s.mu.Unlock()
	token := ""
	if s.c.Now().Add(fresh).Before(c.grant.ExpiresAt) {
		token = c.grant.AccessToken
	}
	if had, _ := s.opened.Get(c.tenant.ID); had.account != nil && had.made == m {
		had.token, had.read = token, time.Now()
		s.opened.Add(c.tenant.ID, had)
		return had.account
	}
	var account crm.Account
	if c.system() == crm.Bitrix24 {
		account = s.portal(c)
	} else {
		account = s.amoAccount(c, tokens{s, c.tenant.ID})
	}
	s.opened.Add(c.tenant.ID, opened{account, m, token, time.Now()})
	return account
}

func (c connection) places() crm.Places {
	types := make(map[string]crm.FieldType, len(c.tenant.Settings.FieldTypes))
	for field, kind := range c.tenant.Settings.FieldTypes {
		types[field] = crm.FieldType(kind)
	}
	return mapping.Fields(c.tenant.Settings.Fields).Places(types)
}

// fields names what places and their days are made from; most tenants have none.
func (c connection) fields() string {
	if len(c.tenant.Settings.Fields) == 0 {
		return ""
	}
	return fmt.Sprint(c.tenant.Settings.Fields, c.tenant.Settings.TimeZone) // types come with the fields; maps are printed in order
}

func (s *Service) pacer(system crm.System, accountKey string, enterprise bool) crm.Pacer {
	if s.c.Pacer == nil || accountKey == "" {
		return crm.NoPacer{}
	}
	return s.c.Pacer(system, accountKey, enterprise)
}

func (s *Service) portal(c connection) *bitrix24.Account {
	id := c.tenant.ID
	return bitrix24.New(bitrix24.Config{Endpoint: c.grant.Endpoint, HTTP: s.c.HTTP, Tokens: tokens{s, id}, Pacer: s.pacer(c.system(), c.tenant.AccountKey, c.tenant.Enterprise),
		Layout: c.tenant.Layout, Handlers: bitrix24.Handlers{Card: s.ours(crm.Bitrix24, "card"), Events: s.ours(crm.Bitrix24, "events"), Robots: s.ours(crm.Bitrix24, "robots")},
		Lang: c.tenant.Settings.Language, Places: c.places(), Zone: c.tenant.Settings.Zone(), Now: s.c.Now,
		Moved: func(ctx context.Context, endpoint string) error { return s.moved(ctx, id, endpoint) }})
}

func (s *Service) amoAccount(c connection, t crm.Tokens) *amo.Account {
	hook := ""
	if c.grant.AppToken != "" {
		hook = s.ours(c.system(), "events/"+c.grant.AppToken)
	}
	client := *s.c.HTTP
	if t != nil {
		client.Transport = follower{s, c, client.Transport}
	}
	return amo.New(amo.Config{Variant: variant(c.system()), Domain: c.tenant.Domain, APIDomain: c.grant.APIDomain, HTTP: &client,
		Tokens: t, Pacer: s.pacer(c.system(), c.tenant.AccountKey, c.tenant.Enterprise), Layout: c.tenant.Layout, EventsURL: hook, Lang: c.tenant.Settings.Language, Places: c.places(), Now: s.c.Now})
}

// moved believes that a portal lives elsewhere now when its authorization server says so too (vendor documentation
// "Peculiarities of REST calls when a Bitrix24 address changes"): a renewal names the present endpoint.
func (s *Service) moved(ctx context.Context, id tenants.ID, endpoint string) error {
	if !s.allowed(hostOf(endpoint)) {
		return errors.New("the new address is not on the allow-list")
	}
	for range 2 {
		c, err := s.connection(ctx, id)
		if err != nil {
			return err
		}
		if strings.EqualFold(c.grant.Endpoint, endpoint) {
			return nil
		}
		if _, err := (tokens{s, id}).Refresh(ctx, c.grant.AccessToken); err != nil {
			return err
		}
	}
	return errors.New("the authorization server does not know the new address")
}

// follower notices that no account answers at an amoCRM or Kommo host any more and finds out where it went; the failed
// call is tried again later, by then with the new name.
type follower struct {
	s    *Service
	c    connection
	next http.RoundTripper
}

func (f follower) RoundTrip(r *http.Request) (*http.Response, error) {
	next := f.next
	if next == nil {
		next = http.DefaultTransport
	}
	response, err := next.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusNotFound && r.URL.Host == f.c.tenant.Domain &&
		(r.URL.Path == "/api/v4/account" || strings.HasPrefix(response.Header.Get("Content-Type"), "text/html")) {
		f.s.follow(r.Context(), f.c.tenant.ID, r.URL.Host)
	}
	return response, err
}

func (s *Service) follow(ctx context.Context, id tenants.ID, from string) {
	_, err, _ := s.flights.Do("follow "+id.String(), func() (any, error) {
		c, err := s.connection(ctx, id)
		if err == nil && c.tenant.Domain == from && c.lost() == nil {
			_, err = s.relocate(ctx, id, c)
		}
		return nil, err
	})
	if err != nil {
		s.c.Log.WarnContext(ctx, "account not found at its host", "tenant", id, "cause", err)
	}
}

// again is how long after a Setup the next one is due: it repairs drift and keeps an idle account's tokens alive, which
// die after three months at amoCRM and Kommo and after 180 days at Bitrix24.
const again = 25 * 24 * time.Hour

// Setup makes fields, placements and subscriptions in the tenant's CRM and keeps their layout. It may be repeated.
func (s *Service) Setup(ctx context.Context, id tenants.ID) error {
	account, tenant, err := s.Account(ctx, id)
	if err != nil {
		return err
	}
	layout, err := account.Setup(ctx)
	if err != nil {
		return err
	}
	enterprise := tenant.Enterprise
	if portal, ok := account.(*bitrix24.Account); ok {
		info, err := portal.Info(ctx)
		if err != nil {
			return err
		}
		enterprise = info.Enterprise
	}
	now := s.c.Now()
	return s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if err := tx.SetLayout(ctx, layout, enterprise); err != nil {
			return fmt.Errorf("keep layout: %w", err)
		}
		var planned bool
		if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM outbox WHERE kind = $1 AND due_at > $2 AND done_at IS NULL AND dead_at IS NULL)`,
			string(outbox.Setup), now.Add(24*time.Hour)).Scan(&planned); err != nil || planned {
			return err
		}
		// A key of its own: the promise being kept now may be this tenant's last one.
		due := now.Add(again)
		return outbox.Make(ctx, tx, outbox.Setup, "on "+due.UTC().Format(time.DateOnly), due)
	})
}

// Leave finds out, after an uninstallation was reported, whether our access is really gone, and only then drops the
// tokens and marks the tenant. A report that was forged or replayed changes nothing. Payments and history stay.
func (s *Service) Leave(ctx context.Context, id tenants.ID) error {
	c, err := s.connection(ctx, id)
	if err != nil {
		return err
	}
	switch account := s.open(c).(type) {
	case *bitrix24.Account:
		_, err = account.Info(ctx)
	case *amo.Account:
		_, err = account.AccountInfo(ctx)
	}
	var refused *crm.Error
	if !errors.As(err, &refused) || refused.Class != crm.Revoked || refused.Code == codeClient {
		return err // nil: we are still welcome
	}
	s.mu.Lock()
	s.opened.Remove(id)
	s.mu.Unlock()
	return s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		now, err := read(ctx, tx, true)
		if err != nil || now.version != c.version && now.tenant.Status == tenants.Active {
			return err // installed again meanwhile
		}
		if _, err := tx.Exec(ctx, `UPDATE crm_tokens SET access = '', refresh = '', version = version + 1`); err != nil {
			return err
		}
		return tx.SetStatus(ctx, tenants.Uninstalled, refused.Code, tenants.CRM)
	})
}

// Health is what people may know about a connection.
type Health struct {
	Status    tenants.Status
	Why       string // when not active: the CRM's reason
	Domain    string
	Ready     bool      // Setup has run
	UserID    string    // whose access we use
	Scope     string    // what was granted
	RenewedAt time.Time // when the token pair was kept
	ExpiresAt time.Time // of the access token, which renews itself
}

// Health tells how a tenant's connection is, without asking the CRM.
func (s *Service) Health(ctx context.Context, id tenants.ID) (Health, error) {
	c, err := s.connection(ctx, id)
	if err != nil {
		return Health{}, err
	}
	return Health{Status: c.tenant.Status, Why: c.tenant.StatusWhy, Domain: c.tenant.Domain, Ready: len(c.tenant.Layout) > 0,
		UserID: c.grant.UserID, Scope: c.grant.Scope, RenewedAt: c.at, ExpiresAt: c.grant.ExpiresAt}, nil
}
