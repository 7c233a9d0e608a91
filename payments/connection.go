package payments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dealpay/dealpay/tenants"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Linked is one tenant's connected acquirer, without its credentials.
type Linked struct {
	ID        uuid.UUID  `db:"id"`
	Acquirer  string     `db:"acquirer"`
	Test      bool       `db:"test"`
	CheckedAt *time.Time `db:"checked_at"`
	RefusedAt *time.Time `db:"refused_at"` // since when the acquirer does not take the credentials; nil while it does
	CreatedAt time.Time  `db:"created_at"`
	Denied    []string   `db:"denied"` // rights that the acquirer said this merchant does not have: refund, reversal

	Sealed  []byte `db:"credentials"`
	HookKey []byte `db:"hook_key"`
}

const linkedColumns = `id, acquirer, test, checked_at, refused_at, created_at, denied, credentials, hook_key`

// Connections lists the tenant's live acquirers, the first connected first.
func Connections(ctx context.Context, tx *tenants.Tx) ([]Linked, error) {
	return tenants.Rows[Linked](ctx, tx, `SELECT `+linkedColumns+` FROM connections WHERE retired_at IS NULL ORDER BY created_at, id`)
}

// takes says whether the acquirer can be asked for this amount.
func (s *Service) takes(acquirer string, amount Money) bool {
	p, ok := s.Providers[acquirer]
	if !ok {
		return false
	}
	d := p.Describe()
	whole := strings.TrimRight(strings.TrimLeft(amount.Decimal(), "0123456789"), "0") == "." || !strings.Contains(amount.Decimal(), ".")
	return (len(d.Currencies) == 0 || slices.Contains(d.Currencies, amount.Currency)) && (!d.WholeUnits || whole)
}

// connection opens a connection's credentials for use outside the transaction.
func (s *Service) connection(ctx context.Context, tx *tenants.Tx, id uuid.UUID) (Connection, error) {
	return s.connectionWhere(ctx, tx, "$1", id)
}

// connectionWhere opens the connection whose id this expression of one argument gives.
func (s *Service) connectionWhere(ctx context.Context, tx *tenants.Tx, expression string, arg uuid.UUID) (Connection, error) {
	l, err := one(tenants.Row[Linked](ctx, tx, `SELECT `+linkedColumns+` FROM connections WHERE id = `+expression, arg))
	if err != nil {
		return Connection{}, err
	}
	c := Connection{ID: l.ID.String(), Acquirer: l.Acquirer, HTTP: s.HTTP, refused: l.RefusedAt != nil, sealed: l.Sealed}
	clear, err := tx.Open("credentials", l.Sealed)
	if err == nil {
		err = json.Unmarshal(clear, &c.Credentials)
	}
	return c, err
}

// HookURL is where the acquirer's notices come to.
func (s *Service) HookURL(tx *tenants.Tx, l Linked) (string, error) {
	key, err := tx.Open("hook", l.HookKey)
	return s.PublicURL + "/hooks/" + l.Acquirer + "/" + string(key), err
}

// credentials refuses unknown and missing fields; kept values stand in for secrets that were left empty.
func credentials(d Description, given, kept map[string]string) (map[string]string, error) {
	full := map[string]string{}
	for _, c := range d.Credentials {
		v := strings.TrimSpace(given[c.Key])
		if v == "" && c.Secret {
			v = kept[c.Key]
		}
		if v == "" && !c.Optional {
			return nil, invalid("credential_missing", "%s is missing.", c.Label)
		}
		if len(v) > 4096 {
			return nil, invalid("credential_too_long", "%s is too long.", c.Label)
		}
		if strings.ContainsFunc(v, unicode.IsControl) || !utf8.ValidString(v) {
			return nil, invalid("credential_unusable", "%s holds characters that are none of a credential's.", c.Label)
		}
		if v != "" {
			full[c.Key] = v
		}
	}
	for key := range given {
		if !slices.ContainsFunc(d.Credentials, func(c Credential) bool { return c.Key == key }) {
			return nil, invalid("credential_unknown", "%q is not asked for.", key)
		}
	}
	return full, nil
}

// Test tries credentials against the acquirer; those left empty are taken from what is connected.
// Errors: ErrNotFound, Invalid, ErrCredentials, ErrUnavailable.
func (s *Service) Test(ctx context.Context, id tenants.ID, acquirer string, given map[string]string) (map[string]string, error) {
	p, ok := s.Providers[acquirer]
	if !ok {
		return nil, ErrNotFound
	}
	var kept Connection
	err := s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		l, err := live(ctx, tx, acquirer)
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err == nil {
			kept, err = s.connection(ctx, tx, l.ID)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(given) == 0 {
		given = kept.Credentials
	}
	full, err := credentials(p.Describe(), given, kept.Credentials)
	if err != nil {
		return nil, err
	}
	err = p.Check(ctx, Connection{Acquirer: acquirer, Credentials: full, HTTP: s.HTTP})
	if maps.Equal(full, kept.Credentials) {
		s.heed(ctx, id, kept, err)
	}
	return full, err
}

func live(ctx context.Context, tx *tenants.Tx, acquirer string) (Linked, error) {
	return one(tenants.Row[Linked](ctx, tx, `SELECT `+linkedColumns+` FROM connections WHERE acquirer = $1 AND retired_at IS NULL`, acquirer))
}

// Connect tests credentials and keeps them only when they work. Connecting again changes them and keeps the notice
// address. Errors: as Test.
func (s *Service) Connect(ctx context.Context, id tenants.ID, by By, acquirer string, given map[string]string, test bool) error {
	full, err := s.Test(ctx, id, acquirer, given)
	if err != nil {
		return err
	}
	clear, err := json.Marshal(full)
	if err != nil {
		return fmt.Errorf("encode credentials: %w", err)
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		sealed, err := tx.Seal("credentials", clear)
		if err != nil {
			return err
		}
		action := "acquirer.changed"
		tag, err := tx.Exec(ctx, `UPDATE connections SET credentials = $2, test = $3, checked_at = $4, denied = '{}' WHERE acquirer = $1 AND retired_at IS NULL`,
			acquirer, sealed, test, s.Now())
		if err == nil && tag.RowsAffected() == 0 {
			action = "acquirer.connected"
			err = s.link(ctx, tx, acquirer, sealed, test)
		}
		if err == nil {
			err = s.trust(ctx, tx, acquirer, by.Actor)
		}
		if err != nil {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: action}, map[string]any{"acquirer": acquirer, "test": test})
	})
}

func (s *Service) link(ctx context.Context, tx *tenants.Tx, acquirer string, sealed []byte, test bool) error {
	id, key := tenants.NewUUID(), tenants.NewToken()
	hook, err := tx.Seal("hook", []byte(key))
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `INSERT INTO connections (tenant_id, id, acquirer, credentials, hook_key, test, checked_at, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $7)`, tx.Tenant().String(), id, acquirer, sealed, hook, test, s.Now()); err != nil {
		return err
	}
	return tx.OpenDoor(ctx, tenants.HookDoor, key, id.String())
}

// Disconnect retires the acquirer: no new payments; what was started is still checked and its notices are heard.
func (s *Service) Disconnect(ctx context.Context, id tenants.ID, by By, acquirer string) error {
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE connections SET retired_at = $2 WHERE acquirer = $1 AND retired_at IS NULL`, acquirer, s.Now())
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrNotFound
		}
		if err == nil {
			err = s.trust(ctx, tx, acquirer, by.Actor) // nothing of it needs repair now
		}
		if err != nil {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: by.Actor, Action: "acquirer.disconnected"}, map[string]string{"acquirer": acquirer})
	})
}

// Rights that an acquirer may deny a merchant.
const refundRight, reversalRight = "refund", "reversal"

// narrow keeps which right the acquirer denied, so that what it would refuse is not offered again.
func (s *Service) narrow(ctx context.Context, id tenants.ID, a Attempt, refused error) error {
	var denied []string
	if errors.Is(refused, ErrNoRefunds) {
		denied = append(denied, refundRight)
	}
	if errors.Is(refused, ErrNoReversals) {
		denied = append(denied, reversalRight)
	}
	if denied == nil {
		return nil
	}
	return s.DB.In(ctx, id, func(ctx context.Context, tx *tenants.Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE connections SET denied = denied || (SELECT array_agg(d) FROM unnest($2::text[]) AS d WHERE d <> ALL (denied))
			WHERE id = $1 AND NOT denied @> $2`, a.ConnectionID, denied)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return tx.Audit(ctx, tenants.Entry{At: s.Now(), Actor: tenants.Acquirer, Action: "acquirer.denied"}, map[string]any{"acquirer": a.Acquirer, "denied": denied})
	})
}

// allowed is what the acquirer of an attempt can do, less what it denied this merchant.
func (s *Service) allowed(ctx context.Context, tx *tenants.Tx, a Attempt) (Description, error) {
	d := s.Providers[a.Acquirer].Describe()
	var denied []string
	if err := tx.QueryRow(ctx, `SELECT denied FROM connections WHERE id = $1`, a.ConnectionID).Scan(&denied); err != nil {
		return d, fmt.Errorf("read rights: %w", err)
	}
	if slices.Contains(denied, refundRight) {
		d.Refunds, d.Partial = d.Reversals && !slices.Contains(denied, reversalRight), false
	}
	return d, nil
}

// TestMode says whether any live acquirer of the tenant takes no real money.
func TestMode(ctx context.Context, tx *tenants.Tx) (bool, error) {
	var test bool
	err := tx.QueryRow(ctx, `SELECT coalesce(bool_or(test), false) FROM connections WHERE retired_at IS NULL`).Scan(&test)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return test, err
}
