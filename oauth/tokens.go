package oauth

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	"golang.org/x/oauth2"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/egress"
)

const (
	// lease is how long one process may be renewing a pair; it covers every request of a renewal. After a crash in
	// the middle, the next one begins when it is over.
	lease = "30 seconds"
	// network bounds the requests of one renewal, so that the lease outlives them.
	network = 25 * time.Second
	// patience bounds a renewal together with waiting for somebody else's.
	patience = 45 * time.Second
)

// tokens is a tenant's crm.Tokens.
type tokens struct {
	s  *Service
	id tenants.ID
}

var _ crm.Tokens = tokens{}

// Token returns the access token, renewed when it is known to be over. Bitrix24 forbids renewing earlier (vendor
// documentation "OAuth 2.0 token automatic renewal").
func (t tokens) Token(ctx context.Context) (string, error) {
	if token := t.s.lately(t.id); token != "" {
		return token, nil
	}
	c, err := t.s.connection(ctx, t.id)
	if err != nil {
		return "", err
	}
	if err := c.lost(); err != nil {
		return "", err
	}
	if t.s.c.Now().Before(c.grant.ExpiresAt) {
		return c.grant.AccessToken, nil
	}
	return t.Refresh(ctx, c.grant.AccessToken)
}

// lately returns the token that was read with the account a moment ago; empty when that is too long ago.
func (s *Service) lately(id tenants.ID) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if had, _ := s.opened.Peek(id); time.Since(had.read) < fresh {
		return had.token
	}
	return ""
}

// Refresh returns a token newer than the refused one. Callers in this process wait for one flight, processes for one
// lease, so that a refresh token is never sent twice at once.
func (t tokens) Refresh(ctx context.Context, refused string) (string, error) {
	t.s.mu.Lock()
	if had, open := t.s.opened.Peek(t.id); open && had.token == refused {
		had.token = ""
		t.s.opened.Add(t.id, had)
	}
	t.s.mu.Unlock()
	flight := t.s.flights.DoChan("renew "+t.id.String()+refused, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		defer cancel()
		return t.s.renew(ctx, t.id, refused)
	})
	select {
	case r := <-flight:
		token, _ := r.Val.(string)
		return token, r.Err
	case <-ctx.Done():
		return "", &crm.Error{Class: crm.Transient, Op: "token", Code: "waiting", Err: ctx.Err()}
	}
}

// lost is an error of class Revoked when the tenant's tokens are known not to work.
func (c connection) lost() error {
	if c.tenant.Status == tenants.Active && c.grant.AccessToken != "" {
		return nil
	}
	why := string(c.tenant.Status)
	if c.tenant.Status == tenants.Active {
		why = "not_connected"
	}
	return &crm.Error{Class: crm.Revoked, Op: "token", Code: why, Err: errors.New("an administrator must reconnect")}
}

// renew returns a token other than the refused one, from whoever is quicker.
func (s *Service) renew(ctx context.Context, id tenants.ID, refused string) (string, error) {
	for owner := uuid.New(); ; {
		c, mine, err := s.claim(ctx, id, refused, owner)
		switch {
		case err != nil:
			return "", err
		case c.grant.AccessToken != refused && s.c.Now().Before(c.grant.ExpiresAt):
			return c.grant.AccessToken, nil
		case mine:
			return s.exchange(ctx, id, c, owner)
		}
		select {
		case <-ctx.Done():
			return "", &crm.Error{Class: crm.Transient, Op: "token", Code: "waiting", Err: ctx.Err()}
		case <-time.After(50*time.Millisecond + rand.N(50*time.Millisecond)):
		}
	}
}

// claim reads the connection and, when it holds no better token, takes the lease for owner if it is free. Leases live by
// the database's clock: they are between processes.
func (s *Service) claim(ctx context.Context, id tenants.ID, refused string, owner uuid.UUID) (c connection, mine bool, err error) {
	err = s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if c, err = read(ctx, tx, true); err != nil {
			return err
		}
		if err := c.lost(); err != nil {
			return err
		}
		if c.grant.AccessToken != refused && s.c.Now().Before(c.grant.ExpiresAt) {
			return nil
		}
		tag, err := tx.Exec(ctx, `UPDATE crm_tokens SET lease_owner = $1, lease_until = clock_timestamp() + $2::interval
			WHERE lease_owner IS NULL OR lease_until < clock_timestamp()`, owner, lease)
		mine = err == nil && tag.RowsAffected() == 1
		return err
	})
	return c, mine, err
}

// exchange renews the pair over the network, holding a lease and no lock, and commits the new pair before anybody can
// use it: amoCRM and Kommo let the old one live until then.
func (s *Service) exchange(ctx context.Context, id tenants.ID, c connection, owner uuid.UUID) (string, error) {
	asking, cancel := context.WithTimeout(ctx, network)
	defer cancel()
	token, err := s.trade(asking, c, c.grant.RefreshToken)
	what, trouble := later, (*crm.Error)(nil)
	if err != nil {
		what, trouble = judge(c.system(), err)
	}
	if what == noAccount {
		if c.tenant.Domain, err = s.relocate(asking, id, c); err == nil {
			token, err = s.trade(asking, c, c.grant.RefreshToken)
		}
		if err != nil {
			what, trouble = judge(c.system(), err)
		}
	}
	if what == notUs {
		what, trouble = s.whose(asking, c, trouble)
	}
	if err != nil {
		return s.giveUp(ctx, id, c, owner, what, trouble)
	}
	if member, _ := token.Extra("member_id").(string); c.system() == crm.Bitrix24 && member != "" && member != c.tenant.AccountKey {
		odd := &crm.Error{Class: crm.Transient, Op: "token", Code: "other_account", Err: errors.New("the token endpoint answered for another account")}
		return s.giveUp(ctx, id, c, owner, unclear, odd)
	}
	s.c.Log.InfoContext(ctx, "tokens renewed", "tenant", id, "crm", c.tenant.CRM)
	return s.store(ctx, id, c, owner, token)
}

// store commits a new pair. When somebody stored one meanwhile (a reinstallation), that one is newer.
func (s *Service) store(ctx context.Context, id tenants.ID, c connection, owner uuid.UUID, token *oauth2.Token) (string, error) {
	g := c.grant
	s.fill(&g, c.system(), token)
	err := s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		access, refresh, _, err := seal(tx, g)
		if err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `UPDATE crm_tokens SET access = $1, refresh = $2, expires_at = $3, endpoint = $4, api_domain = $5,
			version = version + 1, updated_at = now(), lease_owner = nullif(lease_owner, $6) WHERE version = $7`,
			access, refresh, g.ExpiresAt, g.Endpoint, g.APIDomain, owner, c.version)
		if err != nil {
			return fmt.Errorf("keep renewed tokens: %w", err)
		}
		if tag.RowsAffected() == 0 {
			now, err := read(ctx, tx, false)
			g = now.grant
			return err
		}
		if host := hostOf(g.Endpoint); g.Endpoint != c.grant.Endpoint && host != "" {
			_, err = tx.Exec(ctx, `UPDATE tenants SET domain = $1, updated_at = now()`, host)
		}
		return err
	})
	return g.AccessToken, err
}

// giveUp lets go of the lease, and of the tenant when the token is dead and nobody brought a newer one.
func (s *Service) giveUp(ctx context.Context, id tenants.ID, c connection, owner uuid.UUID, what verdict, trouble *crm.Error) (string, error) {
	newer := ""
	err := s.in(context.WithoutCancel(ctx), id, func(ctx context.Context, tx *tenants.Tx) error {
		now, err := read(ctx, tx, true)
		if err != nil {
			return err
		}
		if now.version != c.version {
			newer = now.grant.AccessToken
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE crm_tokens SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1`, owner); err != nil {
			return err
		}
		if what != dead {
			return nil
		}
		return tx.SetStatus(ctx, tenants.Revoked, trouble.Code, tenants.CRM)
	})
	if err != nil || newer != "" {
		return newer, err
	}
	s.c.Log.WarnContext(ctx, "tokens not renewed", "tenant", id, "crm", c.tenant.CRM, "code", trouble.Code, "dead", what == dead)
	return "", trouble
}

// whose finds out, when our client was refused, whether that is about this account (the application is not installed
// there) or about our credentials: with good ones, a token that never was is refused as a token.
func (s *Service) whose(ctx context.Context, c connection, trouble *crm.Error) (verdict, *crm.Error) {
	_, err := s.trade(ctx, c, tenants.NewToken())
	if what, _ := judge(c.system(), err); what == dead {
		return dead, trouble
	}
	trouble.Code = codeClient
	return unclear, trouble
}

// relocate asks under which name an amoCRM or Kommo account answers now, and keeps it.
func (s *Service) relocate(ctx context.Context, id tenants.ID, c connection) (string, error) {
	domain, err := s.amoAccount(c, nil).CurrentDomain(ctx, c.grant.RefreshToken)
	if err != nil {
		return c.tenant.Domain, err
	}
	if !s.allowedAmo(c.system(), domain) {
		return c.tenant.Domain, errors.New("the account moved to a host that is not allowed")
	}
	return domain, s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE crm_tokens SET endpoint = $1`, egress.URL(domain, "/")); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE tenants SET domain = $1, updated_at = now()`, domain)
		return err
	})
}
