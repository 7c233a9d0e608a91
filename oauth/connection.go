package oauth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/dealpay/dealpay/crm"
	"github.com/dealpay/dealpay/tenants"
	"github.com/dealpay/dealpay/tenants/outbox"
)

// What the tokens are sealed for.
const (
	accessPurpose  = "crm access token"
	refreshPurpose = "crm refresh token"
	hookPurpose    = "crm application token"
)

// connection is a tenant with what is needed to use and renew its tokens, opened.
type connection struct {
	tenant  tenants.Tenant
	grant   crm.Grant // AppToken: Bitrix24's application_token; elsewhere the key in the address of our webhook
	version int64
	at      time.Time // when the pair was kept
}

func (c connection) system() crm.System { return crm.System(c.tenant.CRM) }

// sealed is a row of crm_tokens.
type sealed struct {
	Access     []byte    `db:"access"`
	Refresh    []byte    `db:"refresh"`
	AppToken   []byte    `db:"app_token"`
	ExpiresAt  time.Time `db:"expires_at"`
	Version    int64     `db:"version"`
	Endpoint   string    `db:"endpoint"`
	AuthServer string    `db:"auth_server"`
	APIDomain  string    `db:"api_domain"`
	Scope      string    `db:"scope"`
	UserID     string    `db:"user_id"`
	UpdatedAt  time.Time `db:"updated_at"`
}

const selectSealed = `SELECT access, refresh, app_token, expires_at, version, endpoint, auth_server, api_domain, scope, user_id, updated_at
	FROM crm_tokens`

// read reads the transaction's tenant and its tokens; after an uninstallation these are empty. lock keeps others from
// changing them until the transaction ends.
func read(ctx context.Context, tx *tenants.Tx, lock bool) (connection, error) {
	sql := selectSealed
	if lock {
		sql += ` FOR UPDATE`
	}
	var rows []sealed
	tenants.Ask(tx, &rows, sql)
	tenant, err := tx.Me(ctx)
	if err != nil {
		return connection{}, err
	}
	row, err := tenants.One(rows)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return connection{}, fmt.Errorf("read tokens: %w", err)
	}
	c := connection{tenant: tenant, version: row.Version, at: row.UpdatedAt, grant: crm.Grant{ExpiresAt: row.ExpiresAt, Endpoint: row.Endpoint,
		AuthServer: row.AuthServer, APIDomain: row.APIDomain, Scope: row.Scope, UserID: row.UserID}}
	for _, part := range []struct {
		purpose string
		from    []byte
		to      *string
	}{{accessPurpose, row.Access, &c.grant.AccessToken}, {refreshPurpose, row.Refresh, &c.grant.RefreshToken}, {hookPurpose, row.AppToken, &c.grant.AppToken}} {
		if len(part.from) == 0 {
			continue
		}
		clear, err := tx.Open(part.purpose, part.from)
		if err != nil {
			return connection{}, err
		}
		*part.to = string(clear)
	}
	return c, nil
}

func (s *Service) connection(ctx context.Context, id tenants.ID) (c connection, err error) {
	err = s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		c, err = read(ctx, tx, false)
		return err
	})
	return c, err
}

// Unlocks says whether the keyset is that of this database, by the tokens of a few accounts: those of one may be damaged.
// Error: tenants.ErrSealed when none of them could be opened.
func (s *Service) Unlocks(ctx context.Context) error {
	some, err := s.c.DB.Some(ctx, 50)
	if err != nil {
		return err
	}
	var locked error
	for _, id := range some {
		c, err := s.connection(ctx, id)
		switch {
		case errors.Is(err, tenants.ErrSealed):
			locked = err
		case err != nil:
			return err
		case c.grant.AccessToken != "": // after an uninstallation there is none
			return nil
		}
	}
	return locked
}

// seal seals the grant's secrets; an empty AppToken stays nil.
func seal(tx *tenants.Tx, g crm.Grant) (access, refresh, app []byte, err error) {
	if access, err = tx.Seal(accessPurpose, []byte(g.AccessToken)); err != nil {
		return nil, nil, nil, err
	}
	if refresh, err = tx.Seal(refreshPurpose, []byte(g.RefreshToken)); err != nil || g.AppToken == "" {
		return access, refresh, nil, err
	}
	app, err = tx.Seal(hookPurpose, []byte(g.AppToken))
	return access, refresh, app, err
}

// keep stores a grant in place of an earlier one. Whoever was renewing that has lost its turn.
func keep(ctx context.Context, tx *tenants.Tx, g crm.Grant) error {
	access, refresh, app, err := seal(tx, g)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO crm_tokens AS c (tenant_id, access, refresh, app_token, expires_at, endpoint, auth_server, api_domain, scope, user_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (tenant_id) DO UPDATE SET access = excluded.access, refresh = excluded.refresh,
			app_token = coalesce(excluded.app_token, c.app_token), expires_at = excluded.expires_at, endpoint = excluded.endpoint,
			auth_server = excluded.auth_server, api_domain = excluded.api_domain, scope = excluded.scope, user_id = excluded.user_id,
			version = c.version + 1, lease_owner = NULL, lease_until = NULL, updated_at = now()`,
		tx.Tenant().String(), access, refresh, app, g.ExpiresAt, g.Endpoint, g.AuthServer, g.APIDomain, g.Scope, g.UserID)
	if err != nil {
		return fmt.Errorf("keep tokens: %w", err)
	}
	return nil
}

// newcomer is an account that the CRM itself confirmed, with an administrator's grant.
type newcomer struct {
	system      crm.System
	key, domain string
	name        string // of the account; may be empty
	grant       crm.Grant
	lang        string // first guess of the tenant's language and time zone; may be empty
	timeZone    string
	by          tenants.Actor
}

// connect makes or revives the tenant of an account and promises its Setup. Doing it again replaces the tokens.
func (s *Service) connect(ctx context.Context, n newcomer) (tenants.ID, error) {
	id, err := s.c.DB.Join(ctx, string(n.system), n.key, n.domain, n.name)
	if err != nil {
		return id, err
	}
	err = s.in(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		if err := s.openHook(ctx, tx, &n); err != nil {
			return err
		}
		if err := keep(ctx, tx, n.grant); err != nil {
			return err
		}
		if err := n.guess(ctx, tx); err != nil {
			return err
		}
		if err := tx.SetStatus(ctx, tenants.Active, "", n.by); err != nil {
			return err
		}
		if err := tx.Audit(ctx, tenants.Entry{Actor: n.by, Action: "tenant.connected"}, map[string]string{"domain": n.domain, "scope": n.grant.Scope}); err != nil {
			return err
		}
		return outbox.Make(ctx, tx, outbox.Setup, "account", s.c.Now())
	})
	return id, err
}

// openHook gives an amoCRM or Kommo account the key under which its webhooks come: the one it had, or a new one.
// Those hooks are not signed, so that the key is all that tells who sent them.
func (s *Service) openHook(ctx context.Context, tx *tenants.Tx, n *newcomer) error {
	if n.system == crm.Bitrix24 {
		return nil
	}
	had, err := read(ctx, tx, true)
	if err != nil {
		return err
	}
	if n.grant.AppToken = had.grant.AppToken; n.grant.AppToken != "" {
		return nil
	}
	n.grant.AppToken = tenants.NewToken()
	return tx.OpenDoor(ctx, tenants.CRMHookDoor, n.grant.AppToken, "")
}

// guess sets the language and time zone of a tenant whose settings nobody has touched.
func (n newcomer) guess(ctx context.Context, tx *tenants.Tx) error {
	var untouched bool
	if err := tx.QueryRow(ctx, `SELECT settings = '{}' FROM tenants`).Scan(&untouched); err != nil || !untouched {
		return err
	}
	me, err := tx.Me(ctx)
	if err != nil {
		return err
	}
	if slices.Contains(crm.Langs, n.lang) {
		me.Settings.Language = n.lang
	}
	if _, err := time.LoadLocation(n.timeZone); err == nil && n.timeZone != "" {
		me.Settings.TimeZone = n.timeZone
	}
	return tx.SetSettings(ctx, me.Settings, n.by)
}
